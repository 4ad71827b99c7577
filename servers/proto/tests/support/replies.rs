//! Inputs of the fuzz target `reply`: three bytes of settings, then bytes that a server sends.

use std::iter;

use fileserver_proto::Wire;
use fileserver_proto::client::{ReplyError, ReplyEvent, ReplyHead, ReplyReader};

/// Length of each reply where replies have neither head nor end.
const HEADLESS_BYTES: u64 = 5;

/// One input.
pub struct Replies<'a> {
    kind: u8,
    lengths: [usize; 2],
    input: &'a [u8],
}

/// Everything that a reader returned.
#[derive(Debug, PartialEq, Eq)]
pub struct Trace {
    pub replies: Vec<Reply>,
    /// Result of the connection's end, or the error before it.
    pub end: Result<(), ReplyError>,
}

/// A reply as far as it was received.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub head: ReplyHead,
    pub text: Vec<u8>,
    pub body: Vec<u8>,
    pub ended: bool,
}

impl<'a> Replies<'a> {
    /// Reads an input. Its first byte chooses the wire: `f`ramed, `h`ttp (a capital letter: the
    /// first reply answers a HEAD), `t`ext, `l`ines, other: replies of a known length without a
    /// head. The second and third are the lengths of the pieces in turn, counted from `0`.
    pub fn of(data: &'a [u8]) -> Option<Self> {
        let (&[kind, odd, even], input) = data.split_first_chunk()?;
        let length = |byte: u8| usize::from(byte.wrapping_sub(b'0')).max(1);
        Some(Self { kind, lengths: [length(odd), length(even)], input })
    }

    /// The replies, which are the same in pieces and for a reader that keeps the fields.
    pub fn trace(&self) -> Trace {
        let whole = self.read(self.reader(), iter::once(self.input));
        assert_eq!(self.read(self.reader(), self.pieces()), whole, "in pieces");
        if matches!(self.kind, b'h' | b'H') {
            let keeping = ReplyReader::keeping_fields(Wire::Http);
            assert_eq!(self.read(keeping, self.pieces()), whole, "with the fields kept");
        }
        let received: usize = whole.replies.iter().map(|reply| reply.body.len()).sum();
        assert!(received <= self.input.len());
        let is_first_cut = self.kind == b'H';
        for reply in whole.replies.iter().skip(usize::from(is_first_cut)) {
            if let Some(announced) = reply.head.body_bytes {
                let len = reply.body.len() as u64;
                assert!(if reply.ended { len == announced } else { len < announced });
            }
        }
        whole
    }

    fn reader(&self) -> ReplyReader {
        match self.kind {
            b'f' => ReplyReader::new(Wire::Framed),
            b'h' | b'H' => ReplyReader::new(Wire::Http),
            b'l' => ReplyReader::of_lines(),
            _ => ReplyReader::new(Wire::Text),
        }
    }

    fn read<'p>(&self, mut reader: ReplyReader, pieces: impl Iterator<Item = &'p [u8]>) -> Trace {
        let is_headless = !b"fhHlt".contains(&self.kind);
        if is_headless {
            reader.expect_bytes(HEADLESS_BYTES);
        }
        if self.kind == b'H' {
            reader.expect_head_only();
        }
        let mut replies: Vec<Reply> = Vec::new();
        for mut piece in pieces {
            // A reply of one byte has three events.
            for _ in 0..3 * piece.len() + 4 {
                match reader.next(&mut piece) {
                    Ok(ReplyEvent::NeedMore) => break,
                    Ok(ReplyEvent::Head(head)) => {
                        let text = reader.text_bytes().to_vec();
                        replies.push(Reply { head, text, body: Vec::new(), ended: false });
                    }
                    Ok(ReplyEvent::Body(bytes)) => {
                        assert!(!bytes.is_empty(), "a body without bytes");
                        // On the text wire, all that is received is one body without a head.
                        if let Some(reply) = replies.last_mut() {
                            assert!(!reply.ended, "a body after its end");
                            reply.body.extend_from_slice(bytes);
                        }
                    }
                    Ok(ReplyEvent::End) => {
                        let reply = replies.last_mut().expect("a reply has begun");
                        assert!(!std::mem::replace(&mut reply.ended, true), "two ends");
                        if is_headless {
                            reader.expect_bytes(HEADLESS_BYTES);
                        }
                    }
                    Err(error) => return Trace { replies, end: Err(error) },
                }
            }
            assert!(piece.is_empty(), "the reader does not come to an end");
        }
        let _ = reader.field("content-length");
        Trace { replies, end: reader.close() }
    }

    fn pieces(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut input = self.input;
        let mut lengths = self.lengths.into_iter().cycle();
        iter::from_fn(move || {
            let length = lengths.next()?.min(input.len());
            let (piece, rest) = input.split_at(length);
            input = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}
