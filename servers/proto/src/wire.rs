//! Wires: the ways to encode requests and replies.

pub(crate) mod body;
pub(crate) mod form;
pub mod framed;
pub(crate) mod http;
mod lines;
mod sniff;
mod telnet;
mod text;

use std::fmt::{self, Write as _};
use std::ops::Range;
use std::str::FromStr;

/// Interim reply that asks a waiting peer for the body of its upload.
pub(crate) use http::reply::CONTINUE;

use crate::exchange::{Decoded, Reply};
use crate::refusal::Refusal;
use crate::{Buffer, FileDescription, FileName, Now, Service, Settings, WirePin};

/// Encoding of requests and replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    /// Typed, length-prefixed messages (big-endian).
    Framed,
    /// HTTP/1.1 and HTTP/1.0.
    Http,
    /// A line with a file's name, as a person types it into telnet.
    Text,
}

impl Wire {
    /// All wires, in the order in which they are detected.
    pub const ALL: [Self; 3] = [Self::Framed, Self::Http, Self::Text];

    /// Name in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Framed => "framed",
            Self::Http => "http",
            Self::Text => "text",
        }
    }
}

/// Name of no wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown wire '{0}': choose from {list}", list = Wire::ALL.map(Wire::name).join(", "))]
pub struct UnknownWire(String);

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Wire {
    type Err = UnknownWire;

    fn from_str(name: &str) -> Result<Self, UnknownWire> {
        let wire = Self::ALL.into_iter().find(|wire| wire.name() == name);
        wire.ok_or_else(|| UnknownWire(name.to_owned()))
    }
}

/// Decoder of requests and encoder of replies. It keeps the position in the current head, so that
/// bytes which arrive one by one are not read again from the start.
#[derive(Debug)]
pub(crate) enum Codec {
    Sniffing(sniff::Sniffer),
    Framed(framed::Framed),
    Http(http::Http),
    Text(text::Text),
    /// Text wire of the services that take messages.
    Lines(lines::Lines),
}

impl Codec {
    pub(crate) fn new(settings: &Settings) -> Self {
        match settings.wire {
            WirePin::Auto => Self::Sniffing(sniff::Sniffer::default()),
            WirePin::Pinned(wire) => Self::of(wire, &settings.service),
        }
    }

    fn of(wire: Wire, service: &Service) -> Self {
        match wire {
            Wire::Framed => Self::Framed(framed::Framed::default()),
            Wire::Http => Self::Http(http::Http::default()),
            Wire::Text if service.is_files() => Self::Text(text::Text::default()),
            Wire::Text => Self::Lines(lines::Lines::default()),
        }
    }

    pub(crate) fn wire(&self) -> Option<Wire> {
        match self {
            Self::Sniffing(_) => None,
            Self::Framed(_) => Some(Wire::Framed),
            Self::Http(_) => Some(Wire::Http),
            Self::Text(_) | Self::Lines(_) => Some(Wire::Text),
        }
    }

    /// Returns true if the peer has sent the name of its next upload.
    pub(crate) fn holds_upload_name(&self) -> bool {
        matches!(self, Self::Framed(framed) if framed.has_upload_name)
    }

    /// Decodes the next request's head. At the `end` of the stream, a request may lack its line
    /// end.
    pub(crate) fn decode(
        &mut self,
        input: &mut Buffer,
        name: &mut FileName,
        settings: &Settings,
        end: bool,
    ) -> Decoded {
        if let Self::Sniffing(sniffer) = self {
            match sniffer.sniff(input.filled(), &settings.limits, end) {
                Some(wire) => *self = Self::of(wire, &settings.service),
                None => return Decoded::Incomplete,
            }
        }
        match self {
            Self::Sniffing(_) => Decoded::Incomplete,
            Self::Framed(framed) if settings.service.is_files() => framed.decode(input, name),
            Self::Framed(_) => framed::decode_message(input, settings.service.stores_data()),
            Self::Http(http) => http.decode(input, name, settings),
            Self::Text(text) => text.decode(input, name, end),
            Self::Lines(lines) => lines.decode(input, end),
        }
    }

    /// Chooses the more likely wire, so that an incomplete request can be refused.
    pub(crate) fn guess(&mut self, input: &[u8], service: &Service) {
        if let Self::Sniffing(_) = self {
            *self = Self::of(sniff::from_beginning(input), service);
        }
    }

    /// Returns true if the bytes begin an http request line, so that a silence does not make them a
    /// message.
    pub(crate) fn begins_http(&self, input: &[u8]) -> bool {
        matches!(self, Self::Sniffing(_)) && sniff::begins_http(input)
    }

    /// Returns true if the bytes can only be a file's name on the text wire.
    pub(crate) fn may_be_name(&self, input: &[u8], service: &Service) -> bool {
        match self {
            Self::Sniffing(_) => service.is_files() && sniff::cannot_become_http(input),
            Self::Text(_) => true,
            Self::Framed(_) | Self::Http(_) | Self::Lines(_) => false,
        }
    }

    /// Returns true if a silence ends a line, in whatever pieces it came. Names of files need their
    /// line end, messages to a lab service do not.
    pub(crate) fn may_end_by_silence(&self, service: &Service) -> bool {
        match self {
            Self::Sniffing(_) => !service.is_files(),
            Self::Lines(_) => true,
            Self::Framed(_) | Self::Http(_) | Self::Text(_) => false,
        }
    }

    /// Appends the head of a file's content; returns the part of the content that follows it.
    pub(crate) fn file(
        &mut self,
        output: &mut Buffer,
        name: &FileName,
        file: &FileDescription,
        keep: bool,
        now: Now,
    ) -> Range<u64> {
        match self {
            Self::Sniffing(_) => unreachable!("a request was decoded, so the wire is known"),
            Self::Framed(framed) => framed.file(output, &file.info()),
            Self::Http(http) => return http.file(output, name, file, keep, now),
            // The content is the whole reply.
            Self::Text(_) => {}
            Self::Lines(_) => unreachable!("no line asks for a file"),
        }
        0..file.info().len
    }

    /// Appends a complete reply. With `keep`, the connection carries another request.
    pub(crate) fn reply(&self, output: &mut Buffer, reply: &Reply<'_>, keep: bool, now: Now) {
        match self {
            // Mail may arrive before a member has shown its wire; most such members are persons.
            Self::Sniffing(_) => lines::Lines::default().reply(output, reply),
            Self::Framed(framed) => framed.reply(output, reply),
            Self::Http(http) => http.reply(output, reply, keep, now),
            Self::Text(text) => text.reply(output, reply),
            Self::Lines(lines) => lines.reply(output, reply),
        }
    }
}

/// Appends the text wire's line for a refusal.
fn push_error_line(output: &mut Buffer, refusal: Refusal, name: &FileName) {
    output.push(b"ERROR ");
    push_refusal(output, refusal, name);
    output.push(b"\r\n");
}

/// Appends the text of a refusal, with the name concerned if the store refused.
fn push_refusal(output: &mut Buffer, refusal: Refusal, name: &FileName) {
    let written = if matches!(refusal, Refusal::Store(_)) && !name.as_str().is_empty() {
        write!(output, "{refusal}: {name}")
    } else {
        write!(output, "{refusal}")
    };
    written.expect("a buffer takes whatever is written");
}
