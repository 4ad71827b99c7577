//! Lines as messages of a lab service, typed into telnet or sent by a program.
//!
//! A message ends with `\n`, `\r\n`, the end of the stream, or a silence: programs of such
//! exercises often send a text without a line end and wait for the answer. The answer ends as the
//! message did, so that each kind of peer can read it.

use super::body::Body;
use super::telnet::{IAC, SE, Telnet};
use crate::Buffer;
use crate::exchange::{Decoded, Persist, Reply, Request, Sink};
use crate::service::MESSAGE_BYTES;

/// Position in the current message, and the end of the last one.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// Number of bytes of the message at the start of the input; the bytes behind them are not
    /// decoded yet.
    kept: u16,
    telnet: Telnet,
    /// The peer uses telnet, so the byte 0xFF is doubled in answers.
    is_telnet: bool,
    /// The message was too long, and its rest was dropped.
    is_cut: bool,
    ends_with_cr: bool,
    ending: Ending,
}

/// End of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Ending {
    #[default]
    Silence,
    Lf,
    CrLf,
}

impl Lines {
    /// Decodes the next message, and moves it to the start of the input. At the `end`, all of the
    /// input is one message.
    pub(crate) fn decode(&mut self, input: &mut Buffer, end: bool) -> Decoded {
        let bytes = input.filled_mut();
        let mut seen = usize::from(self.kept);
        let mut ending = None;
        while let Some(&byte) = bytes.get(seen) {
            if self.telnet == Telnet::Data && byte == IAC {
                match bytes.get(seen + 1) {
                    None if !end => break,
                    Some(&command @ SE..) => {
                        self.is_telnet = true;
                        seen += 2;
                        self.telnet.is_data(IAC);
                        if self.telnet.is_data(command) {
                            self.keep(bytes, IAC);
                        }
                        continue;
                    }
                    // A peer that sends this does not use telnet.
                    None | Some(_) => {}
                }
            } else if !self.telnet.is_data(byte) {
                seen += 1;
                continue;
            }
            seen += 1;
            if byte == b'\n' {
                ending = Some(if self.ends_with_cr { Ending::CrLf } else { Ending::Lf });
                break;
            }
            self.keep(bytes, byte);
        }
        if ending == Some(Ending::CrLf) && !self.is_cut {
            self.kept -= 1;
        }
        let kept = usize::from(self.kept);
        if seen > kept {
            input.remove(kept, seen - kept);
        }
        let ending = match ending {
            Some(ending) => ending,
            None if end && kept > 0 => Ending::Silence,
            None => return Decoded::Incomplete,
        };
        *self = Self { ending, telnet: self.telnet, is_telnet: self.is_telnet, ..Self::default() };
        let request = Request::Upload {
            sink: Sink::Message { held: kept as u16 },
            body: Body::EMPTY,
            expects_continue: false,
            digest: None,
        };
        Decoded::Request { request, persist: Persist::Keep }
    }

    /// Appends a byte to the message, unless that is full.
    fn keep(&mut self, bytes: &mut [u8], byte: u8) {
        self.ends_with_cr = byte == b'\r';
        if usize::from(self.kept) < MESSAGE_BYTES {
            bytes[usize::from(self.kept)] = byte;
            self.kept += 1;
        } else {
            self.is_cut = true;
        }
    }

    pub(crate) fn reply(&self, output: &mut Buffer, reply: &Reply<'_>) {
        let begun = output.len();
        match reply {
            Reply::Answer(answer) => {
                answer.write(output);
                self.escape(output, begun);
                output.push(match self.ending {
                    Ending::Silence => b"",
                    Ending::Lf => b"\n",
                    Ending::CrLf => b"\r\n",
                });
            }
            Reply::Mail(message) => {
                output.push(message);
                self.escape(output, begun);
                output.push(b"\r\n");
            }
            // The sender sees its own line already.
            Reply::Posted => {}
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
            | Reply::Worked
            | Reply::Status(_) => unreachable!("a line is only ever a message"),
        }
    }

    /// Doubles each 0xFF since `begun` for a peer that uses telnet (RFC 854).
    fn escape(&self, output: &mut Buffer, begun: usize) {
        if !self.is_telnet || !output.filled()[begun..].contains(&IAC) {
            return;
        }
        let plain = output.filled()[begun..].to_vec();
        output.truncate(begun);
        for piece in plain.split_inclusive(|&byte| byte == IAC) {
            output.push(piece);
            if piece.ends_with(&[IAC]) {
                output.push(&[IAC]);
            }
        }
    }
}
