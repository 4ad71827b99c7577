//! Inputs of the fuzz target `session`: four bytes of settings, then bytes that a peer sends.

use std::borrow::Cow;

use fileserver_proto::{Limits, Service, Settings, Transform, Wire, WirePin};

use super::{Conversation, MemoryStore, Outcome};

/// One input.
pub struct Case<'a> {
    settings: Settings,
    lengths: [usize; 2],
    input: Cow<'a, [u8]>,
}

impl<'a> Case<'a> {
    /// Reads an input. Its first byte chooses the wire: `f`ramed, `h`ttp, `t`ext, the body of a
    /// multipart form (`m`), the fields that begin a resumable upload (`c`), the fields and content
    /// of its next piece (`p`), the chunks of an upload (`k`), else the wire is sniffed. A capital
    /// letter sets low limits. The second byte chooses the service (`0` to `9`, else files). The
    /// third and fourth are the lengths of the pieces in turn, counted from `0`.
    pub fn of(data: &'a [u8]) -> Option<Self> {
        Self::of_kinds(data, b"")
    }

    /// The same, with the first byte replaced by one of these kinds, if there are any.
    pub fn of_kinds(data: &'a [u8], kinds: &[u8]) -> Option<Self> {
        let (&[first, service, odd, even], input) = data.split_first_chunk()?;
        let first = match kinds.len() {
            0 => first,
            len if first.is_ascii_uppercase() => {
                kinds[usize::from(first) % len].to_ascii_uppercase()
            }
            len => kinds[usize::from(first) % len],
        };
        if input.is_empty() {
            return None;
        }
        let kind = first.to_ascii_lowercase();
        let wire = match kind {
            b'f' => WirePin::Pinned(Wire::Framed),
            b'h' | b'm' | b'c' | b'p' | b'k' => WirePin::Pinned(Wire::Http),
            b't' => WirePin::Pinned(Wire::Text),
            _ => WirePin::Auto,
        };
        let limits = if first.is_ascii_uppercase() {
            Limits {
                request_line_bytes: 60,
                header_bytes: 60,
                headers_bytes: 160,
                headers: 6,
                upload_bytes: 100,
            }
        } else {
            Limits::default()
        };
        let length = |byte: u8| usize::from(byte.wrapping_sub(b'0')).max(1);
        let service = match service {
            b'0' => Service::Echo,
            b'1' => Service::Hello,
            b'2' => Service::GreetClose,
            b'3' => Service::Message,
            b'4' => Service::Ack,
            b'5' => Service::Transform(Transform::Reverse),
            b'6' => Service::Transform(Transform::Upper),
            b'7' => Service::Date,
            b'8' => Service::DateLog,
            b'9' => Service::Chat,
            _ => Service::Files,
        };
        let settings = Settings { service, wire, limits, ..Settings::default() };
        Some(Self { settings, lengths: [length(odd), length(even)], input: request(kind, input) })
    }

    /// The outcome of the whole conversation, which is the same for the input in pieces.
    pub fn outcome(&self) -> Outcome {
        let store = || MemoryStore::with(&[("a.txt", b"alpha"), ("large", &[7; 300])]);
        let whole = Conversation::outcome(self.settings.clone(), store(), [&*self.input]);
        let split = Conversation::outcome(self.settings.clone(), store(), self.pieces());
        assert_eq!(whole, split);
        whole
    }

    /// The bytes that the peer sends.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut input = &*self.input;
        let mut lengths = self.lengths.into_iter().cycle();
        std::iter::from_fn(move || {
            let length = lengths.next()?.min(input.len());
            let (piece, rest) = input.split_at(length);
            input = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

/// Completes an input to a request, so that a fuzzer need not find its beginning first.
fn request(kind: u8, input: &[u8]) -> Cow<'_, [u8]> {
    const CREATE: &str = "POST / HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n";
    let head = match kind {
        b'm' => format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\n\
             Content-Length: {}\r\n\r\n",
            input.len()
        ),
        b'c' => CREATE.to_owned(),
        b'p' => format!(
            "{CREATE}Upload-Length: 5\r\n\r\nPATCH /.tus/ab000000000000000000000000000000 \
             HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n"
        ),
        b'k' => "PUT /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        _ => return Cow::Borrowed(input),
    };
    [head.as_bytes(), input].concat().into()
}
