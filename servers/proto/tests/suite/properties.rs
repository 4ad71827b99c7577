//! Properties of arbitrary input: a session does not panic, comes to an end, and gives the same
//! result in whatever pieces the bytes arrive. Each is checked for 256 random inputs, or for as many
//! as PROPTEST_CASES names: see `scripts/test-long.sh`.

use fileserver_proto::{Limits, Settings, Wire, WirePin};
use proptest::prelude::*;

use crate::support::{Conversation, MemoryStore, pinned};

fn store() -> MemoryStore {
    MemoryStore::with(&[("a.txt", b"alpha"), ("large", &[7; 70_000])])
}

/// Limits low enough for a few hundred bytes to reach them.
fn tight(wire: WirePin) -> Settings {
    let limits = Limits {
        request_line_bytes: 60,
        header_bytes: 40,
        headers_bytes: 120,
        headers: 4,
        upload_bytes: 50,
    };
    Settings { wire, limits, ..Settings::default() }
}

/// Parts of requests on each wire, so that arbitrary sequences get past the first byte.
const WORDS: &[&[u8]] = &[
    b"\x01\x00\x01b",
    b"\x02\x03abc",
    b"\x02",
    b"\x06\x00\x00\x00\x00\x00\x00\x00\x02xy",
    b"\x07\x00\x05a.txt",
    b"\x07\x00\x05large",
    b"\x08\x00\x01x",
    b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"PUT /b HTTP/1.1\r\nHost: h\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\n",
    b"GET ",
    b"/a.txt",
    b"/%2e",
    b" HTTP/1.1\r\n",
    b"Host: h\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"Range: bytes=1-2\r\n",
    b"If-None-Match: *\r\n",
    b"Accept: text/html\r\n",
    b"Origin: null\r\n",
    b"Repr-Digest: sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\r\n",
    b"Content-Type: multipart/form-data; boundary=b\r\n",
    b"Content-Length: 40\r\n",
    b"--b\r\nContent-Disposition: form-data; filename=f\r\n\r\n",
    b"\r\n--b",
    b"--",
    b"POST / HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n\r\n",
    b"PATCH /.tus/ab000000000000000000000000000000 HTTP/1.1\r\nHost: h\r\n\
        Tus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\n",
    b"HEAD /.tus/ab000000000000000000000000000000 HTTP/1.1\r\nHost: h\r\n\
        Tus-Resumable: 1.0.0\r\n\r\n",
    b"Upload-Offset: 0\r\n",
    b"Upload-Offset: 3\r\n",
    b"Content-Length: 2\r\n",
    b"3\r\nabc\r\n",
    b"40\r\n",
    b"0\r\n",
    b"abc",
    b"a.txt",
    b" ",
    b"\xff\xfb\x01",
    b"\xff\xfa",
    b"\xff\xf0",
    b"\xff\xff",
    b"\0",
];

fn input() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => prop::sample::select(WORDS).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..20),
        1 => (any::<u8>(), 1..200usize).prop_map(|(byte, len)| vec![byte; len]),
    ];
    prop::collection::vec(word, 1..12).prop_map(|words| words.concat())
}

fn settings() -> impl Strategy<Value = Settings> {
    let pin = prop_oneof![
        2 => Just(WirePin::Auto),
        1 => prop::sample::select(&Wire::ALL[..]).prop_map(WirePin::Pinned),
    ];
    (pin, any::<bool>()).prop_map(|(wire, is_tight)| match is_tight {
        true => tight(wire),
        false => Settings { wire, ..Settings::default() },
    })
}

/// Cuts `input` into pieces of these lengths, repeatedly.
fn cut<'a>(mut input: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &length in lengths.iter().cycle() {
        if input.is_empty() {
            break;
        }
        let (piece, rest) = input.split_at(length.min(input.len()));
        pieces.push(piece);
        input = rest;
    }
    pieces
}

proptest! {
    #[test]
    fn cuts_make_no_difference(
        settings in settings(),
        input in input(),
        lengths in prop::collection::vec(1..30usize, 1..6),
    ) {
        let whole = Conversation::outcome(settings.clone(), store(), [&input[..]]);
        let split = Conversation::outcome(settings.clone(), store(), cut(&input, &lengths));
        prop_assert_eq!(&whole, &split);
        let bytewise = Conversation::outcome(settings.clone(), store(), input.chunks(1));
        prop_assert_eq!(&whole, &bytewise);
        let mut transferring = Conversation::new(settings, store());
        transferring.transfers = true;
        prop_assert_eq!(whole, transferring.outcome_of(cut(&input, &lengths)));
    }

    #[test]
    fn garbage_ends_in_a_close(
        settings in settings(),
        input in prop::collection::vec(any::<u8>(), 1..2000),
    ) {
        let whole = Conversation::outcome(settings.clone(), store(), [&input[..]]);
        let split = Conversation::outcome(settings, store(), input.chunks(13));
        prop_assert_eq!(whole, split);
    }

    #[test]
    fn uploads_arrive_unchanged(
        content in prop::collection::vec(any::<u8>(), 0..3000),
        chunk_bytes in 1..700usize,
        lengths in prop::collection::vec(1..300usize, 1..6),
    ) {
        let mut chunked = b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in content.chunks(chunk_bytes) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let length = content.len();
        let sized = format!("PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        let framed = [&b"\x01\x00\x01b\x05"[..], &(length as u32).to_be_bytes()].concat();
        for (head, body) in
            [(&chunked[..], &[][..]), (sized.as_bytes(), &content), (&framed[..], &content)]
        {
            let input = [head, body].concat();
            let outcome = Conversation::outcome(Settings::default(), store(), cut(&input, &lengths));
            prop_assert_eq!(outcome.store.content("b"), Some(&content[..]));
        }
    }

    #[test]
    fn forms_arrive_unchanged(
        contents in prop::collection::vec(
            prop::collection::vec(prop::sample::select(&b"\r\n-bx"[..]), 0..60)
                .prop_filter("no delimiter", |content| {
                    !content.windows(5).any(|five| five == b"\r\n--b")
                }),
            1..4,
        ),
        chunk_bytes in 1..50usize,
        lengths in prop::collection::vec(1..30usize, 1..6),
    ) {
        let mut form = Vec::new();
        for (number, content) in contents.iter().enumerate() {
            let head = format!(
                "--b\r\nContent-Disposition: form-data; filename=f{number}\r\n\r\n"
            );
            form.extend_from_slice(&[head.as_bytes(), content, b"\r\n"].concat());
        }
        form.extend_from_slice(b"--b--\r\n");
        let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\n";
        let sized = format!("{head}Content-Length: {}\r\n\r\n", form.len());
        let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        for chunk in form.chunks(chunk_bytes) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(&[chunk, b"\r\n"].concat());
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        for input in [[sized.as_bytes(), &form].concat(), chunked] {
            let outcome = Conversation::outcome(Settings::default(), store(), cut(&input, &lengths));
            for (number, content) in contents.iter().enumerate() {
                prop_assert_eq!(outcome.store.content(&format!("f{number}")), Some(&content[..]));
            }
        }
    }

    #[test]
    fn time_ends_every_conversation(
        wire in prop::sample::select(&Wire::ALL[..]),
        input in input(),
        drain in any::<bool>(),
    ) {
        let mut conversation = Conversation::new(pinned(wire), store());
        conversation.deliver(&input);
        if drain {
            conversation.drain();
        }
        // The longest time: idle until now, then a head that stalls, then a lingering close.
        conversation.pass(std::time::Duration::from_secs(75 + 20 + 5));
        prop_assert!(conversation.closed);
        conversation.store.assert_nothing_is_held();
    }
}
