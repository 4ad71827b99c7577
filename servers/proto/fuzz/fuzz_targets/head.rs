//! Comparison with an independent parser (kawa, of the proxy Sōzu). For every request that the session
//! accepts, both must agree on the method, the name in the target, the end of the head, and the body.
//!
//! The session refuses many requests that kawa accepts. It accepts a few forms that kawa refuses.
//! These are excluded, or converted before the comparison:
//! - empty lines before the request line, and line ends without a carriage return in the head
//!   (both allowed by RFC 9112, 2.2);
//! - bytes over 0x7f in the head, which kawa refuses unless built to tolerate them;
//! - cookies, which kawa splits, and checks more strictly;
//! - trailer fields and chunk extensions that kawa refuses;
//! - an authority in the target that kawa refuses.
#![no_main]

use std::sync::Arc;
use std::time::Instant;

use fileserver_proto::{
    Action, Completion, FileDescription, FileInfo, FileName, IoBuffers, Modified, Now, PartialInfo, Session,
    Settings, Wire, WirePin,
};
use kawa::{Block, BodySize, Kawa, Kind, ParsingPhase, SliceBuffer, StatusLine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(input) = comparable(data) else { return };
    let Some(ours) = Reading::of(&input) else { return };
    compare(&ours, &input);
});

/// A session's interpretation of a request that it accepts.
#[derive(Debug, Default)]
struct Reading {
    methods: &'static [&'static str],
    /// Name of the file; empty if the target has none.
    name: Option<String>,
    /// Number of bytes after the head.
    behind_head: usize,
    /// Declared size of an upload; within, `None` for chunks.
    size: Option<Option<u64>>,
    /// Content of a complete upload, and the number of bytes after it.
    content: Option<(Vec<u8>, usize)>,
}

impl Reading {
    /// Lets a session read the first request in the input.
    fn of(input: &[u8]) -> Option<Self> {
        let now = Now { instant: Instant::now(), unix_s: 784_111_777 };
        let settings = Settings { wire: WirePin::Pinned(Wire::Http), ..Settings::default() };
        let mut session = Session::new(Arc::new(settings), now);
        let mut io = IoBuffers::with_capacity(input.len() + 64, 64);
        assert_eq!(session.poll_action(&mut io), Action::Receive);
        io.input.push(input);
        session.handle_completion(&mut io, Completion::Received { bytes: input.len() }, now);

        let mut reading = Self { behind_head: io.input.len(), ..Self::default() };
        let name_of = |name: Option<&FileName>| name.map_or(String::new(), ToString::to_string);
        match session.poll_action(&mut io) {
            Action::OpenDownload { name } => {
                reading.name = Some(name_of(Some(name)));
                let info = FileInfo { len: 1, modified: Modified::default(), inode: 1 };
                let name = FileName::new("a").expect("the name is plain");
                let file = FileDescription::new(&name, info);
                session.handle_completion(&mut io, Completion::Opened(Ok(file)), now);
                reading.methods = match session.poll_action(&mut io) {
                    Action::SendFile { .. } => &["GET"],
                    // The request is a HEAD, or a GET on a condition that does not hold.
                    _ => &["GET", "HEAD"],
                };
            }
            Action::ListFiles => {
                reading.name = Some(String::new());
                reading.methods = &["GET", "HEAD"];
            }
            Action::CreatePartial { .. } => reading.methods = &["POST"],
            Action::OpenPartial { .. } => {
                let info = PartialInfo { len: 0, offset: 0 };
                session.handle_completion(&mut io, Completion::PartialOpened(Ok(info)), now);
                reading.methods = match session.poll_action(&mut io) {
                    Action::AbortUpload => &["HEAD", "PATCH"],
                    _ => &["PATCH"],
                };
            }
            Action::CreateUpload { name, size_hint } => {
                reading.name = Some(name_of(name));
                reading.methods = &["PUT", "POST"];
                reading.size = Some(size_hint);
                session.handle_completion(&mut io, Completion::Created(Ok(())), now);
                reading.content = content(&mut session, &mut io, now);
            }
            // The request is incomplete, or refused.
            _ => return None,
        }
        Some(reading)
    }
}

/// Reads an upload to its end; `None` if it is incomplete or faulty.
fn content(session: &mut Session, io: &mut IoBuffers, now: Now) -> Option<(Vec<u8>, usize)> {
    let mut content = Vec::new();
    loop {
        let done = match session.poll_action(io) {
            Action::WriteUpload { len } => {
                content.extend_from_slice(&io.input.filled()[..len]);
                io.input.consume(len);
                Completion::Written(Ok(()))
            }
            Action::Send { .. } => {
                io.output.clear();
                Completion::Sent
            }
            Action::CommitUpload { .. } => return Some((content, io.input.len())),
            _ => return None,
        };
        session.handle_completion(io, done, now);
    }
}

/// Compares with kawa's interpretation of the same bytes.
fn compare(ours: &Reading, input: &[u8]) {
    let mut room = input.to_vec();
    let mut storage = kawa::Buffer::new(SliceBuffer(&mut room));
    storage.fill(input.len());
    let mut theirs = Kawa::new(Kind::Request, storage);
    let mut at_headers = AtHeaders::default();
    kawa::h1::parse(&mut theirs, &mut at_headers);

    let shown = input.escape_ascii();
    let Some(behind_head) = at_headers.behind_head else {
        panic!("kawa refuses {shown}: {:?}, {ours:?}", theirs.parsing_phase);
    };
    let bytes = theirs.storage.buffer();
    let StatusLine::Request { method, path, .. } = &theirs.detached.status_line else {
        panic!("kawa saw no request in {shown}");
    };
    let method = String::from_utf8_lossy(method.data(bytes));
    assert!(ours.methods.contains(&&*method), "{:?} of {shown}", ours.methods);
    // The session has begun to read the body of a form.
    if method == "POST" {
        return;
    }
    assert_eq!(ours.behind_head, behind_head, "end of the head of {shown}");
    if let Some(name) = &ours.name {
        assert_eq!(name.as_bytes(), decoded(path.data(bytes)), "name of {shown}");
    }
    if method != "PUT" {
        return;
    }
    let size = match theirs.body_size {
        BodySize::Chunked => None,
        BodySize::Length(len) => Some(len as u64),
        BodySize::Empty => panic!("kawa saw no body in {shown}"),
    };
    assert_eq!(ours.size, Some(size), "size of {shown}");
    if let Some((content, behind)) = &ours.content {
        let is_exotic = theirs.body_size == BodySize::Chunked
            && matches!(theirs.parsing_phase, ParsingPhase::Error { .. });
        if is_exotic {
            return;
        }
        assert!(theirs.is_terminated(), "{:?} after {shown}", theirs.parsing_phase);
        assert_eq!(*behind, theirs.storage.unparsed_data().len(), "end of {shown}");
        let mut chunks = Vec::new();
        for block in &theirs.blocks {
            if let Block::Chunk(chunk) = block {
                chunks.extend_from_slice(chunk.data.data(bytes));
            }
        }
        assert_eq!(*content, chunks, "content of {shown}");
    }
}

/// Callbacks that store the end of the head.
#[derive(Default)]
struct AtHeaders {
    behind_head: Option<usize>,
}

impl kawa::h1::ParserCallbacks<SliceBuffer<'_>> for AtHeaders {
    fn on_headers(&mut self, kawa: &mut Kawa<SliceBuffer<'_>>) {
        self.behind_head = Some(kawa.storage.unparsed_data().len());
    }
}

/// Decoded file name of a path.
fn decoded(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = path.split(|&byte| byte == b'?').next().unwrap_or_default();
    let mut name = Vec::new();
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |at: usize| char::from(*after.get(at)?).to_digit(16);
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                name.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                name.push(byte);
                rest = after;
            }
        }
    }
    name
}

/// Converts an input to the form that both parsers accept, if there is one.
fn comparable(data: &[u8]) -> Option<Vec<u8>> {
    let start = data.iter().position(|byte| !b"\r\n".contains(byte))?;
    let data = &data[start..];
    let mut end = 0;
    let mut head = Vec::new();
    loop {
        let line_end = end + data[end..].iter().position(|&byte| byte == b'\n')?;
        let line = data[end..line_end].strip_suffix(b"\r").unwrap_or(&data[end..line_end]);
        head.extend_from_slice(line);
        head.extend_from_slice(b"\r\n");
        end = line_end + 1;
        if line.is_empty() {
            break;
        }
        let is_cookie = line.get(..6).is_some_and(|name| name.eq_ignore_ascii_case(b"cookie"));
        if is_cookie || !line.is_ascii() {
            return None;
        }
    }
    Some([&head, &data[end..]].concat())
}
