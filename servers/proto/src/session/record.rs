//! Records of requests, for a log.

use std::mem;
use std::time::{Duration, Instant};

use super::Session;
use crate::exchange::{Request, Sink};
use crate::refusal::Refusal;
use crate::wire::http;
use crate::{FileName, IoBuffers, Now, Wire};

/// Longest part of a request line that is recorded.
const LINE_BYTES: usize = 2048;

/// One request and its reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Wire of the request.
    pub wire: Option<Wire>,
    /// Request line as it came (http), or operation and name; may contain any byte.
    pub line: Vec<u8>,
    /// Status of the reply; on other wires than http the one that http would have.
    pub status: u16,
    /// Bytes of the reply's content that were sent.
    pub sent: u64,
    /// Bytes of the request's content that were stored.
    pub received: u64,
    /// Time from the decoded head to the end of the reply.
    pub duration: Duration,
}

/// Records of a session.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    current: Record,
    begun: Option<Instant>,
    finished: Vec<Record>,
}

impl Recorder {
    /// The input may begin with a request.
    pub(super) fn note_input(&mut self, input: &[u8]) {
        let input = input.trim_ascii_start();
        let line = input.split(|&byte| byte == b'\n').next().unwrap_or_default();
        self.current.line.clear();
        let line = &line[..line.len().min(LINE_BYTES)];
        self.current.line.extend_from_slice(line.trim_ascii_end());
    }

    /// A request was decoded, or refused.
    pub(super) fn begin(
        &mut self,
        request: Option<&Request>,
        wire: Option<Wire>,
        name: &FileName,
        now: Now,
    ) {
        self.begun = Some(now.instant);
        self.current.wire = wire;
        if wire != Some(Wire::Http) {
            self.current.line.clear();
            self.current.line.extend_from_slice(operation(request).as_bytes());
            if !name.as_str().is_empty() {
                self.current.line.push(b' ');
                self.current.line.extend_from_slice(name.as_str().as_bytes());
            }
        }
    }

    pub(super) fn refused(&mut self, refusal: Refusal) {
        self.current.status = http::status_code(refusal);
    }

    /// The output begins with the reply.
    pub(super) fn note_reply(&mut self, output: &[u8]) {
        let record = &mut self.current;
        if record.wire != Some(Wire::Http) {
            if record.status == 0 {
                record.status = 200;
            }
            return;
        }
        let is_new = record.status == 0 || record.sent == 0;
        if let Some(code) = output.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3))
            && is_new
        {
            record.status =
                code.iter().fold(0, |number, digit| 10 * number + u16::from(digit - b'0'));
            let head_end = output.windows(4).position(|end| end == b"\r\n\r\n");
            record.sent = head_end.map_or(0, |at| (output.len() - at - 4) as u64);
        }
    }

    pub(super) fn sent(&mut self, bytes: u64) {
        self.current.sent += bytes;
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.current.received += bytes as u64;
    }

    pub(super) fn finish(&mut self, now: Option<Now>) {
        let mut record = mem::take(&mut self.current);
        if let (Some(begun), Some(now)) = (self.begun.take(), now) {
            record.duration = now.instant.saturating_duration_since(begun);
        }
        self.finished.push(record);
    }
}

fn operation(request: Option<&Request>) -> &'static str {
    match request {
        None => "-",
        Some(Request::NameUpload) => "NAME",
        Some(Request::Download) => "GET",
        Some(Request::List) => "LIST",
        Some(Request::Options) => "OPTIONS",
        Some(Request::Upload { sink: Sink::Message { .. }, .. }) => "SAY",
        Some(Request::Upload { .. }) => "PUT",
        Some(Request::CreatePartial { .. }) => "CREATE",
        Some(Request::InspectPartial { .. }) => "INSPECT",
        Some(Request::Work(_)) => "WORK",
        Some(Request::Status) => "STATUS",
    }
}

impl Session {
    /// Records every request from now on, for [`take_record`](Self::take_record).
    pub fn keep_records(&mut self) {
        self.recorder = Some(Box::default());
    }

    /// Record of a finished request, in the order of the requests.
    pub fn take_record(&mut self) -> Option<Record> {
        let finished = &mut self.recorder.as_mut()?.finished;
        (!finished.is_empty()).then(|| finished.remove(0))
    }

    /// Record of the request that is broken off, if one has begun.
    pub fn take_broken_record(&mut self, now: Now) -> Option<Record> {
        let recorder = self.recorder.as_mut()?;
        recorder.begun?;
        recorder.finish(Some(now));
        recorder.finished.pop()
    }

    pub(super) fn note_reply(&mut self, io: &IoBuffers) {
        if let Some(recorder) = &mut self.recorder {
            recorder.note_reply(io.output.filled());
        }
    }
}
