//! Whatever a peer sends, in whatever pieces: the session does not panic, keeps its contract with
//! the driver, comes to an end, and answers the same as if everything had come at once.
//!
//! An input is four bytes of settings (see [`Case::of`]), then what the peer sends.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

use fileserver_proto::{Limits, Service, Settings, Transform, Wire, WirePin};
use libfuzzer_sys::fuzz_target;
use support::{Conversation, MemoryStore};

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::of(data) else { return };
    let whole = Conversation::outcome(case.settings.clone(), store(), [case.input]);
    let split = Conversation::outcome(case.settings.clone(), store(), case.pieces());
    assert_eq!(whole, split);
});

fn store() -> MemoryStore {
    MemoryStore::with(&[("a.txt", b"alpha"), ("large", &[7; 300])])
}

struct Case<'a> {
    settings: Settings,
    lengths: [usize; 2],
    input: &'a [u8],
}

impl<'a> Case<'a> {
    /// The first byte pins a wire (`f`ramed, `h`ttp, `t`ext, else none; in capitals with low limits),
    /// the second chooses a service (`0` to `9`, else files), the third and fourth are the lengths of
    /// the pieces in turn, counted from `0`.
    fn of(data: &'a [u8]) -> Option<Self> {
        let (&[first, service, odd, even], input) = data.split_first_chunk()?;
        if input.is_empty() {
            return None;
        }
        let wire = match first.to_ascii_lowercase() {
            b'f' => WirePin::Pinned(Wire::Framed),
            b'h' => WirePin::Pinned(Wire::Http),
            b't' => WirePin::Pinned(Wire::Text),
            _ => WirePin::Auto,
        };
        let limits = if first.is_ascii_uppercase() {
            Limits {
                request_line_bytes: 60,
                header_bytes: 40,
                headers_bytes: 120,
                headers: 4,
                upload_bytes: 50,
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
        Some(Self { settings, lengths: [length(odd), length(even)], input })
    }

    fn pieces(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut input = self.input;
        let mut lengths = self.lengths.into_iter().cycle();
        std::iter::from_fn(move || {
            let length = lengths.next()?.min(input.len());
            let (piece, rest) = input.split_at(length);
            input = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}
