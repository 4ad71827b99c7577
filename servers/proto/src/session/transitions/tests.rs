use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use super::{Event, Kind, TRANSITIONS};
use crate::{Service, Settings, StoreError, Transform};
use support::{Conversation, Faults, MemoryStore};

#[path = "../../../tests/support/mod.rs"]
mod support;

thread_local! {
    /// Every transition made by the sessions of this thread.
    pub(super) static REACHED: RefCell<BTreeSet<(Kind, Event, Kind)>> =
        const { RefCell::new(BTreeSet::new()) };
}

const HOUR: Duration = Duration::from_secs(3600);

const FILES: &[&[u8]] = &[
    b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /large HTTP/1.0\r\n\r\n",
    b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /.status HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /.work?cpu=0us HTTP/1.1\r\nHost: h\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    b"PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    b"PUT /../b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
    b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcx",
    b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx",
    b"\x07\x00\x01a\x07\x00\x05empty\x07\x00\x04none",
    b"\x01\x00\x01b\x02\x03abc\x02\x00\x08\x00\x01x",
    b"\x09",
    b"a\n",
    b"a.none",
];

const EXPECTING: &[&[u8]] = &[
    b"Content-Length: 3\r\n\r\nabc",
    b"Content-Length: 0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nx",
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];

const FORMS: &[&[u8]] = &[
    b"--b\r\nContent-Disposition: form-data; filename=f\r\n\r\nabc\r\n--b--\r\n",
    b"--b\r\nContent-Disposition: form-data; filename=f\r\n\r\n\r\n--b\r\n\
        Content-Disposition: form-data; filename=g\r\n\r\nabc\r\n--b--\r\n",
    b"--b\r\nContent-Disposition: form-data; filename=f\r\n\r\nabc\r\n--b\r\n\
        Content-Disposition: form-data; filename=..\r\n\r\nabc\r\n--b--\r\n",
    b"--b\r\nContent-Disposition: form-data; filename=..\r\n\r\nabc\r\n--b--\r\n",
    b"--b\r\nContent-Disposition: form-data; filename=f\r\n\r\nabc\r\n--bx",
    b"--b--\r\n",
    b"abc",
];

const MESSAGES: &[&[u8]] = &[
    b"hello\n",
    b"\n",
    b"what time is it?",
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx",
    b"\x01\x00\x05hello\x01\x00\x00",
    b"\x01\x00\x02\xff\xff",
    b"\x02\x03abc",
];

/// Requests for files, well-formed or not.
fn inputs() -> Vec<Vec<u8>> {
    let mut inputs: Vec<_> = FILES.iter().map(|input| input.to_vec()).collect();
    let put = b"PUT /b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n";
    inputs.extend(EXPECTING.iter().map(|rest| [&put[..], rest].concat()));
    for form in FORMS {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let head = format!(
                "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=b\r\n\
                 {expect}Content-Length: {}\r\n\r\n",
                form.len()
            );
            inputs.push([head.as_bytes(), form].concat());
        }
    }
    const TUS: &str = "HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n";
    let create = format!("POST / {TUS}Upload-Length: 5\r\n\r\n");
    let upload = "/.tus/ab000000000000000000000000000000";
    let piece = format!(
        "PATCH {upload} {TUS}Content-Type: application/offset+octet-stream\r\nUpload-Offset: "
    );
    for rest in [
        "0\r\nContent-Length: 5\r\n\r\nalpha".to_owned(),
        "0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nalpha".to_owned(),
        "0\r\nTransfer-Encoding: chunked\r\n\r\nx".to_owned(),
        "1\r\nContent-Length: 1\r\n\r\nx".to_owned(),
        format!("0\r\nContent-Length: 2\r\n\r\nal{piece}2\r\nContent-Length: 3\r\n\r\npha"),
        // Publishing failed; an empty piece tries again.
        format!("0\r\nContent-Length: 5\r\n\r\nalpha{piece}5\r\nContent-Length: 0\r\n\r\n"),
    ] {
        inputs.push(format!("{create}{piece}{rest}").into_bytes());
        inputs.push(format!("{piece}{rest}").into_bytes());
    }
    inputs.push(format!("{create}HEAD {upload} {TUS}\r\n").into_bytes());
    inputs
}

fn stores() -> Vec<MemoryStore> {
    let full = Some(StoreError::Full);
    let store = MemoryStore::with(&[("a", b"alpha"), ("empty", b""), ("large", &[7; 300])]);
    [
        Faults::default(),
        Faults { open: full, list: full, create: full, ..Faults::default() },
        Faults { write: Some((1, StoreError::Full)), read: Some(1), ..Faults::default() },
        Faults { commit: full, read: Some(0), ..Faults::default() },
        Faults { sync: full, ..Faults::default() },
    ]
    .map(|faults| store.clone().failing(faults))
    .into()
}

/// Has a conversation that ends in each of the possible ways.
fn converse(settings: &Settings, store: &MemoryStore, input: &[u8]) {
    let begin = || Conversation::new(settings.clone(), store.clone());
    for (piece_bytes, transfers) in [(1, false), (1, true), (input.len(), false)] {
        let mut conversation = begin();
        conversation.transfers = transfers;
        conversation.send_bytes = piece_bytes;
        conversation.log_fails = store.faults.create.is_some();
        for piece in input.chunks(piece_bytes) {
            conversation.deliver(piece);
        }
        conversation.end();
    }
    begin().deliver(input).pass(HOUR);
    begin().pass(HOUR);
    if store.faults != Faults::default() {
        return;
    }
    // After each byte: the stream ends, time passes, the server drains, the peer reads no more.
    for at in 1..input.len() {
        begin().deliver(&input[..at]).end();
        begin().deliver(&input[..at]).pass(HOUR);
        begin().deliver(&input[..at]).drain().deliver(&input[at..]).end();
        let mut blocked = begin();
        blocked.blocked_after = Some(at - 1);
        blocked.deliver(input).pass(HOUR);
    }
}

/// Has the conversations that only other members of a room bring about.
fn chat() {
    let begin = || {
        let settings = Settings { service: Service::Chat, ..Settings::default() };
        Conversation::new(settings, MemoryStore::default())
    };
    begin().mail(b"hello").evict();
    let mut reads_bytewise = begin();
    reads_bytewise.send_bytes = 1;
    reads_bytewise.mail(b"hello");
    let mut blocked = begin();
    blocked.blocked_after = Some(1);
    blocked.mail(b"hello").mail(b"again").evict();
    let mut blocked = begin();
    blocked.blocked_after = Some(1);
    blocked.mail(b"hello").pass(HOUR);
}

#[test]
fn the_table_lists_the_transitions_that_there_are_and_no_others() {
    let files = Settings { work: true, ..Settings::default() };
    for store in stores() {
        for input in inputs() {
            converse(&files, &store, &input);
        }
    }
    let too_much = [&FILES[1].repeat(2), &[0; 2 << 20][..]].concat();
    Conversation::new(files, stores().remove(0)).deliver(&too_much);
    chat();
    for store in &stores()[..2] {
        for service in [
            Service::Echo,
            Service::Hello,
            Service::GreetClose,
            Service::Message,
            Service::Ack,
            Service::Transform(Transform::Reverse),
            Service::DateLog,
            Service::Chat,
        ] {
            let settings = Settings { service, ..Settings::default() };
            for input in MESSAGES {
                converse(&settings, store, input);
            }
        }
    }
    let listed: BTreeSet<_> = TRANSITIONS
        .iter()
        .flat_map(|(from, event, next)| next.iter().map(|to| (*from, *event, *to)))
        .collect();
    let reached = REACHED.take();
    let missing: Vec<_> = listed.difference(&reached).collect();
    assert!(missing.is_empty(), "listed, never reached: {missing:?}");
    assert_eq!(reached, listed);
}
