//! Uploads, and the wires besides HTTP.

use super::*;

of_each_engine! {
    an_upload_sends_the_content_under_the_connections_own_name
    an_upload_refused_while_it_is_sent_is_an_error_of_status
    the_framed_wire_is_measured_alike
    lines_must_come_back_as_they_were
    replies_to_lines_need_no_frame
    other_replies_to_lines_are_errors
}

fn an_upload_sends_the_content_under_the_connections_own_name(engine: Engine) {
    for wire in [Wire::Http, Wire::Framed] {
        for size in [0, 10, 300_000] {
            let names = Arc::new(Mutex::new(Vec::new()));
            let seen = names.clone();
            let mock = Mock::start(move |peer| {
                loop {
                    let name = match wire {
                        Wire::Http => {
                            let head = peer.read_http_head()?.1;
                            assert!(head.contains(&format!("\r\nContent-Length: {size}\r\n")));
                            head.split(' ').nth(1).unwrap()[1..].to_owned()
                        }
                        Wire::Framed | Wire::Text => {
                            let len = usize::from(peer.read_exact(3)?[2]);
                            let name = String::from_utf8(peer.read_exact(len)?).unwrap();
                            peer.stream.write_all(b"\x01\x00\x02OK")?;
                            let mut head = Vec::new();
                            fileserver_proto::client::framed::data(size, &mut head);
                            assert_eq!(peer.read_exact(head.len())?, head);
                            name
                        }
                    };
                    let body = peer.read_exact(size as usize)?;
                    assert!(Content::of_name("a.bin").matches(0, &body));
                    seen.lock().unwrap().push(name);
                    if peer.count() >= 10 {
                        return peer.wait_for_close();
                    }
                    match wire {
                        Wire::Http => peer
                            .stream
                            .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")?,
                        Wire::Framed | Wire::Text => {
                            peer.stream.write_all(b"\x01\x00\x0aSAVED name")?;
                        }
                    }
                }
            });
            let mut spec =
                LoadSpec { wire, direction: Direction::Upload, ..spec(engine, mock.address) };
            spec.files[0].size_bytes = size;
            let report = measure(&spec);
            assert_eq!(report.errors, no_errors());
            // Each connection counts its own replies.
            assert_eq!(report.body_bytes, report.requests * size);
            let mut names = names.lock().unwrap().clone();
            names.sort();
            names.dedup();
            assert_eq!(names, ["a-0.bin", "a-1.bin"]);
        }
    }
}

fn an_upload_refused_while_it_is_sent_is_an_error_of_status(engine: Engine) {
    let refused = Arc::new(AtomicU64::new(0));
    let counter = refused.clone();
    let mock = Mock::start(move |peer| {
        peer.read_http_head()?;
        if counter.fetch_add(1, Ordering::Relaxed) >= 3 {
            return peer.wait_for_close();
        }
        peer.stream.write_all(b"HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n")?;
        peer.wait_for_close()
    });
    let mut spec =
        LoadSpec { direction: Direction::Upload, connections: 1, ..spec(engine, mock.address) };
    spec.files[0].size_bytes = 1 << 40;
    let report = measure(&spec);
    assert_eq!(report.errors, ErrorCounts { status: 3, ..no_errors() });
    assert_eq!(report.error_examples, ["http status 507"]);
    assert_eq!(
        report.connections_opened, 4,
        "the rest of the upload cannot be told from a request"
    );
}

fn the_framed_wire_is_measured_alike(engine: Engine) {
    let mock = Mock::start(|peer| {
        loop {
            assert_eq!(peer.read_exact(8)?, b"\x07\x00\x05a.bin");
            match peer.count() {
                0..7 => peer.stream.write_all(&[b"\x03\x03\xe8", &body()[..]].concat())?,
                7..10 => peer.stream.write_all(b"\x08\x00\x04full")?,
                _ => return peer.wait_for_close(),
            }
        }
    });
    let report = measure(&LoadSpec { wire: Wire::Framed, ..spec(engine, mock.address) });
    assert_eq!((report.requests, report.verified), (7, 7));
    assert_eq!(report.errors, ErrorCounts { status: 3, ..no_errors() });
    assert_eq!(report.error_examples, ["\"full\""]);
}

fn lines_must_come_back_as_they_were(engine: Engine) {
    let mut line = vec![0; 64];
    Content::line_of_name("a.bin", 64).fill(0, &mut line);
    let mock = Mock::start(move |peer| {
        loop {
            assert_eq!(peer.read_exact(64)?, line);
            match peer.count() {
                // In two pieces: a reply is complete at the end of its line.
                0..7 => {
                    peer.stream.write_all(&line[..5])?;
                    peer.stream.write_all(&line[5..])?;
                }
                7..9 => peer.stream.write_all(b"something else\r\n")?,
                9..12 => peer.stream.write_all(&line.to_ascii_uppercase())?,
                _ => return peer.wait_for_close(),
            }
        }
    });
    let files = vec![RequestFile::new("a.bin", 64)];
    let (wire, direction) = (Wire::Text, Direction::Echo);
    let spec = LoadSpec { wire, direction, files, ..spec(engine, mock.address) };
    let report = measure(&spec);
    assert_eq!((report.requests, report.verified), (7, 7));
    assert_eq!(report.body_bytes, 7 * 64);
    assert_eq!(report.errors, ErrorCounts { content: 5, ..no_errors() });
}

/// A server that replies to every line, and closes afterwards or not.
fn line_server(reply: Vec<u8>, closes: bool) -> Mock {
    Mock::start(move |peer| {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.extend(peer.read_exact(1)?);
            }
            peer.count();
            peer.stream.write_all(&reply)?;
            if closes {
                return Ok(());
            }
        }
    })
}

fn replies_to_lines_need_no_frame(engine: Engine) {
    for closes in [false, true] {
        let mock = line_server(body(), closes);
        let connection_use = match closes {
            true => ConnectionUse::PerRequest,
            false => ConnectionUse::KeepAlive,
        };
        let spec = LoadSpec { wire: Wire::Text, connection_use, ..spec(engine, mock.address) };
        let report = measure(&spec);
        assert!(report.requests > 2, "{report:?}");
        assert_eq!((report.verified, report.errors), (report.requests, no_errors()));
        // Also replies that are not the generated content.
        let known = vec![RequestFile::known("what time is it?", body())];
        let report = measure(&LoadSpec { files: known, ..spec.clone() });
        assert!(report.requests > 2 && report.verified == report.requests, "{report:?}");
        let unknown = RequestFile { body: FileBody::Unknown, ..RequestFile::new("x", SIZE as u64) };
        let report = measure(&LoadSpec { files: vec![unknown], ..spec });
        assert!(report.requests > 2 && report.verified == 0, "{report:?}");
    }
}

fn other_replies_to_lines_are_errors(engine: Engine) {
    let wire = Wire::Text;
    let errors = |reply: &[u8], closes| {
        let mock = line_server(reply.to_vec(), closes);
        measure(&LoadSpec { wire, connections: 1, ..spec(engine, mock.address) }).errors
    };
    let only = |errors: ErrorCounts, kind: u64| kind > 0 && kind == errors.total();
    let refused = errors(b"ERROR no such file: a.bin\r\n", false);
    assert!(only(refused, refused.status), "{refused:?}");
    let short = errors(&body()[..SIZE / 2], true);
    assert!(only(short, short.length), "{short:?}");
    let long = errors(&[body(), body()].concat(), true);
    // The rest may arrive after the reply was counted.
    assert!(only(long, long.length + long.protocol), "{long:?}");
    let mut wrong = body();
    wrong[SIZE / 2] ^= 1;
    let wrong = errors(&wrong, false);
    assert!(only(wrong, wrong.content), "{wrong:?}");
}
