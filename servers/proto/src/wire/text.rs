//! The text wire: a line with a file's name is answered by the file's bytes, then the connection
//! closes.
//!
//! A line ends with `\n`, `\r\n` or the end of the stream. An error is answered by one line `ERROR
//! <reason>`.

use super::body::Body;
use super::framed::MAX_TEXT_BYTES;
use super::telnet::Telnet;
use crate::exchange::{Decoded, Persist, Reply, Request};
use crate::refusal::Refusal;
use crate::{Buffer, FileName};

/// Position in the line.
#[derive(Debug, Default)]
pub(crate) struct Text {
    scanned: u32,
    telnet: Telnet,
    /// A byte of the line has come, besides telnet commands.
    has_data: bool,
    has_commands: bool,
}

impl Text {
    pub(crate) fn decode(&mut self, input: &mut Buffer, name: &mut FileName, end: bool) -> Decoded {
        while let Some(&byte) = input.filled().get(self.scanned as usize) {
            let is_data = self.telnet.is_data(byte);
            if is_data && byte == b'\n' {
                let line = &input.filled()[..self.scanned as usize];
                let decoded = self.line(line, name);
                input.consume(line.len() + 1);
                return decoded;
            }
            self.scanned += 1;
            self.has_data |= is_data;
            self.has_commands |= !is_data;
            if self.scanned as usize > MAX_TEXT_BYTES + 1 {
                return refused(Refusal::LineTooLong);
            }
            // Negotiation before the first typed byte does not begin a request.
            if !self.has_data && self.telnet == Telnet::Data {
                input.consume(self.scanned as usize);
                *self = Self::default();
            }
        }
        if end && !input.is_empty() {
            let decoded = self.line(input.filled(), name);
            input.clear();
            return decoded;
        }
        Decoded::Incomplete
    }

    fn line(&self, line: &[u8], name: &mut FileName) -> Decoded {
        let assigned = if self.has_commands {
            let mut telnet = Telnet::default();
            let kept: Vec<_> = line.iter().copied().filter(|&b| telnet.is_data(b)).collect();
            assign(&kept, name)
        } else {
            assign(line, name)
        };
        match assigned {
            Ok(()) => Decoded::Request { request: Request::Download, persist: Persist::Close },
            Err(refusal) => refused(refusal),
        }
    }

    pub(crate) fn reply(&self, output: &mut Buffer, reply: &Reply<'_>) {
        match reply {
            Reply::Refused { refusal, name, .. } => {
                super::push_error_line(output, *refusal, name);
            }
            Reply::NameAccepted
            | Reply::Listing { .. }
            | Reply::Options { .. }
            | Reply::Stored(_)
            | Reply::FormStored { .. }
            | Reply::PartialCreated(_)
            | Reply::Partial(_)
            | Reply::PartialStored { .. }
            | Reply::Answer(_)
            | Reply::Posted
            | Reply::Mail(_)
            | Reply::Worked
            | Reply::Status(_) => {
                unreachable!("a text line only ever asks for a file")
            }
        }
    }
}

fn assign(line: &[u8], name: &mut FileName) -> Result<(), Refusal> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > MAX_TEXT_BYTES {
        return Err(Refusal::LineTooLong);
    }
    name.assign(line).map_err(Refusal::Name)
}

fn refused(refusal: Refusal) -> Decoded {
    Decoded::Refused { refusal, body: Body::EMPTY, persist: Persist::Close }
}
