//! The ways to write the same requests in bytes.

pub(crate) mod body;
pub(crate) mod form;
pub mod framed;
pub(crate) mod http;
mod lines;
mod sniff;
mod telnet;
mod text;

use std::fmt::Write as _;
use std::ops::Range;

/// What tells a peer that holds an upload's body back to send it.
pub(crate) use http::reply::CONTINUE;

use crate::exchange::{Decoded, Reply};
use crate::refusal::Refusal;
use crate::{Buffer, FileDescription, FileName, Now, Service, Settings, WirePin};

/// A way to write requests and replies in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    /// Typed, length-prefixed messages (big-endian).
    Framed,
    /// HTTP/1.1 and HTTP/1.0.
    Http,
    /// A line naming a file, as a person types it into telnet.
    Text,
}

impl Wire {
    /// Every wire, in the order they are sniffed.
    pub const ALL: [Self; 3] = [Self::Framed, Self::Http, Self::Text];

    /// The one spelling used in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Framed => "framed",
            Self::Http => "http",
            Self::Text => "text",
        }
    }
}

/// Translates between a connection's bytes and requests and replies. It knows how far the present
/// head was looked at, so that bytes which arrive one by one are not read again from the start.
#[derive(Debug)]
pub(crate) enum Codec {
    Sniffing(sniff::Sniffer),
    Framed(framed::Framed),
    Http(http::Http),
    Text(text::Text),
    /// The text wire of the services that take messages.
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

    /// Whether the next request depends on one that was already answered.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self, Self::Framed(framed) if framed.announced)
    }

    /// Takes the next request's head from the input. At the `end` of the stream, what is there may
    /// be a request that lacked only its end.
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
            Self::Framed(_) => framed::decode_message(input),
            Self::Http(http) => http.decode(input, name, settings),
            Self::Text(text) => text.decode(input, name, end),
            Self::Lines(lines) => lines.decode(input, end),
        }
    }

    /// Settles for the likelier wire, so that an incomplete request can be refused.
    pub(crate) fn guess(&mut self, input: &[u8], service: &Service) {
        if let Self::Sniffing(_) = self {
            *self = Self::of(sniff::from_beginning(input), service);
        }
    }

    /// Whether the bytes so far are the beginning of an http request line and of nothing else that
    /// is likely: a silence does not make it a message.
    pub(crate) fn begins_http(&self, input: &[u8]) -> bool {
        matches!(self, Self::Sniffing(_)) && sniff::begins_http(input)
    }

    /// Whether the bytes so far can only be a file's name as text, if they are anything.
    pub(crate) fn may_be_name(&self, input: &[u8], service: &Service) -> bool {
        match self {
            Self::Sniffing(_) => service.is_files() && sniff::cannot_become_http(input),
            Self::Text(_) => true,
            Self::Framed(_) | Self::Http(_) | Self::Lines(_) => false,
        }
    }

    /// Whether a silence ends what has come of a line, however it came. A file's name must be
    /// whole, a message to another service need not have an end.
    pub(crate) fn may_end_by_silence(&self, service: &Service) -> bool {
        match self {
            Self::Sniffing(_) => !service.is_files(),
            Self::Lines(_) => true,
            Self::Framed(_) | Self::Http(_) | Self::Text(_) => false,
        }
    }

    /// Appends what precedes a file's content; returns which part of the content is to follow.
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
            // The content speaks for itself.
            Self::Text(_) => {}
            Self::Lines(_) => unreachable!("no line asks for a file"),
        }
        0..file.info().len
    }

    /// Appends a whole reply. `keep` says that the connection
    /// carries another request.
    pub(crate) fn reply(&self, output: &mut Buffer, reply: &Reply<'_>, keep: bool, now: Now) {
        match self {
            // Mail may come before a member has shown its wire: most likely a person reads it.
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

/// Appends the words for a refusal; where the store refused, with the name it was about.
fn push_refusal(output: &mut Buffer, refusal: Refusal, name: &FileName) {
    let written = if matches!(refusal, Refusal::Store(_)) && !name.as_str().is_empty() {
        write!(output, "{refusal}: {name}")
    } else {
        write!(output, "{refusal}")
    };
    written.expect("a buffer takes whatever is written");
}
