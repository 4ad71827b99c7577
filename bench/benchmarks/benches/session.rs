//! The protocol alone: how long a session takes to understand a request and to compose its
//! reply, with a driver that does nothing.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use fileserver_proto::client::{framed, http};
use fileserver_proto::{
    Action, Completion, FileDescription, FileInfo, FileName, IoBuffers, Modified, Now, Session,
    Settings, Stored,
};

const FILE_BYTES: u64 = 1024;
const UPLOAD_BYTES: u64 = 64 << 10;

criterion_group!(benches, session);
criterion_main!(benches);

fn session(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session");
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for (name, request, body_bytes) in requests() {
        // A download's bytes never pass through the session.
        group.throughput(match body_bytes {
            0 => Throughput::Elements(1),
            bytes => Throughput::ElementsAndBytes { elements: 1, bytes },
        });
        group.bench_function(name, |bencher| {
            let mut connection = Connection::new();
            bencher.iter(|| connection.answer(black_box(&request)));
        });
    }
    group.finish();
}

/// Each kind of request, with the body bytes that the session takes in.
fn requests() -> Vec<(&'static str, Vec<u8>, u64)> {
    let body = vec![b'x'; UPLOAD_BYTES as usize];
    let mut requests = Vec::new();
    let mut request = Vec::new();
    http::get(&http::target("a.bin"), "localhost", true, &mut request);
    requests.push(("http-get", request, 0));

    let mut request = Vec::new();
    http::put(&http::target("a.bin"), "localhost", UPLOAD_BYTES, true, &mut request);
    request.extend_from_slice(&body);
    requests.push(("http-put", request, UPLOAD_BYTES));

    let mut request = Vec::new();
    framed::get(&file_name(), &mut request);
    requests.push(("framed-get", request, 0));

    let mut request = Vec::new();
    framed::data(UPLOAD_BYTES, &mut request);
    request.extend_from_slice(&body);
    requests.push(("framed-put", request, UPLOAD_BYTES));
    requests
}

struct Connection {
    session: Session,
    io: IoBuffers,
    now: Now,
    /// As a store keeps it from one request to the next.
    file: Arc<FileDescription>,
}

impl Connection {
    fn new() -> Self {
        let settings = Arc::new(Settings::default());
        let now = Now { instant: Instant::now(), unix_s: 1_790_000_000 };
        let io = IoBuffers::with_capacity(settings.limits.input_bytes(), 4096);
        let info = FileInfo {
            len: FILE_BYTES,
            modified: Modified { unix_s: 1_780_000_000, nanos: 0 },
            inode: 1,
        };
        let file = FileDescription::new(&file_name(), info);
        Self { session: Session::new(settings, now), io, now, file }
    }

    /// Feeds a request and performs nothing that the session asks for, until it wants the next.
    #[expect(clippy::wildcard_enum_match_arm, reason = "these requests lead to no other action")]
    fn answer(&mut self, mut request: &[u8]) {
        loop {
            let done = match self.session.poll_action(&mut self.io) {
                Action::Receive if request.is_empty() => return,
                Action::Receive => {
                    let spare = self.io.input.spare();
                    let bytes = spare.len().min(request.len());
                    spare[..bytes].copy_from_slice(&request[..bytes]);
                    self.io.input.commit(bytes);
                    request = &request[bytes..];
                    Completion::Received { bytes }
                }
                Action::Send { .. } => {
                    self.io.output.clear();
                    Completion::Sent
                }
                Action::OpenDownload { .. } => Completion::Opened(Ok(Arc::clone(&self.file))),
                Action::SendFile { len, .. } => {
                    self.io.output.clear();
                    Completion::FileSent(Ok(len))
                }
                Action::CloseDownload => Completion::DownloadClosed,
                Action::CreateUpload { .. } => Completion::Created(Ok(())),
                Action::WriteUpload { len } => {
                    self.io.input.consume(len);
                    Completion::Written(Ok(()))
                }
                Action::CommitUpload { .. } => {
                    Completion::Committed(Ok(Stored { name: file_name(), replaced: false }))
                }
                other => panic!("the session asks for {other:?}"),
            };
            self.session.handle_completion(&mut self.io, done, self.now);
        }
    }
}

fn file_name() -> FileName {
    FileName::new("a.bin").expect("the name is plain")
}
