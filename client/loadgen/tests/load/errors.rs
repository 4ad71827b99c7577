//! Errors of replies, of connections and of loads.

use super::*;

of_each_engine! {
    wrong_lengths_are_errors_of_length
    a_wrong_length_is_detected_without_an_announced_length
    wrong_bytes_are_detected_if_bodies_are_compared
    a_part_of_every_long_body_is_compared
    refusals_are_errors_of_status
    garbage_is_an_error_of_protocol
    unasked_data_after_a_reply_is_an_error_of_protocol
    broken_connections_are_counted_and_opened_again
    a_server_that_closes_between_requests_causes_a_reconnect_and_no_error
    silence_is_an_error_of_timeout
    failed_connections_are_counted_and_retried_slowly
    impossible_loads_are_refused_before_the_start
}

fn wrong_lengths_are_errors_of_length(engine: Engine) {
    for wrong in [&body()[1..], &[&body()[..], b"x"].concat(), b""] {
        let mock = answers(10, ok(wrong));
        let report = measure(&spec(engine, mock.address));
        assert_eq!(report.errors, ErrorCounts { length: 10, ..no_errors() });
        assert_eq!(report.requests, 0);
        assert_eq!(report.error_examples, [format!("{} bytes instead of {SIZE}", wrong.len())]);
    }
}

fn a_wrong_length_is_detected_without_an_announced_length(engine: Engine) {
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    chunked.extend_from_slice(b"3e7\r\n");
    chunked.extend_from_slice(&body()[1..]);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let mock = answers(10, chunked);
    let report =
        measure(&LoadSpec { verification: Verification::Off, ..spec(engine, mock.address) });
    assert_eq!(report.errors, ErrorCounts { length: 10, ..no_errors() });
}

fn wrong_bytes_are_detected_if_bodies_are_compared(engine: Engine) {
    let mut wrong = body();
    wrong[SIZE - 1] ^= 1;
    let mock = answers(9, ok(&wrong));
    let spec = LoadSpec {
        verification: Verification::one_in(3),
        connections: 1,
        ..spec(engine, mock.address)
    };
    let report = measure(&spec);
    // The draw depends on the seed alone.
    assert_eq!(report.errors.content, report.errors.total());
    assert!((1..9).contains(&report.errors.content), "{:?}", report.errors);
    assert_eq!((report.requests + report.errors.total(), report.verified), (9, 0));
    assert_eq!(report.detection_probability(), Some(0.0));

    for verification in [Verification::one_in(1), Verification::EveryBody] {
        let mock = answers(9, ok(&wrong));
        let report = measure(&LoadSpec { target: mock.address, verification, ..spec.clone() });
        assert_eq!(report.errors, ErrorCounts { content: 9, ..no_errors() });
    }

    let mock = answers(9, ok(&wrong));
    let report =
        measure(&LoadSpec { target: mock.address, verification: Verification::Off, ..spec });
    assert_eq!((report.requests, report.verified), (9, 0));
}

fn a_part_of_every_long_body_is_compared(engine: Engine) {
    let len = 4 * Verification::PART_BYTES as usize;
    let mut right = vec![0; len];
    Content::of_name("a.bin").fill(0, &mut right);
    let mut wrong = right.clone();
    wrong[len / 2] ^= 1;
    let other = vec![0; len];
    let measure = |reply: &[u8]| {
        let mock = answers(200, ok(reply));
        let files = vec![RequestFile::new("a.bin", len as u64)];
        let verification = Verification::EveryBody;
        measure(&LoadSpec { files, verification, ..spec(engine, mock.address) })
    };
    let report = measure(&right);
    assert_eq!((report.requests, report.verified, report.errors), (200, 200, no_errors()));
    assert_eq!(report.detection_probability(), Some(0.25));
    // The byte in the middle is in a third of the parts.
    let found = measure(&wrong).errors.content;
    assert!((30..110).contains(&found), "{found} of 200");
    assert_eq!(measure(&other).errors, ErrorCounts { content: 200, ..no_errors() });
}

fn refusals_are_errors_of_status(engine: Engine) {
    let reply = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    let mock = answers(10, reply.as_bytes().to_vec());
    let report = measure(&spec(engine, mock.address));
    assert_eq!(report.errors, ErrorCounts { status: 10, ..no_errors() });
    assert_eq!(report.error_examples, ["http status 503"]);
    assert_eq!((report.replies_total, report.requests), (10, 0), "a refusal is a reply");
    assert_eq!(report.connections_opened, 2, "a refusal does not cost the connection");
    assert_eq!(report.seconds[0].errors, 10);
}

fn garbage_is_an_error_of_protocol(engine: Engine) {
    let mock = answers(3, b"nonsense\r\n\r\n".to_vec());
    let report = measure(&spec(engine, mock.address));
    assert_eq!(report.errors, ErrorCounts { protocol: 3, ..no_errors() });
}

fn unasked_data_after_a_reply_is_an_error_of_protocol(engine: Engine) {
    let mock = answers(3, [ok(&body()), b"HTTP/1.1".to_vec()].concat());
    let report = measure(&spec(engine, mock.address));
    // The surplus is detected with the reply or after it; in the latter case the reply itself is
    // correct.
    assert_eq!(report.errors, ErrorCounts { protocol: 3, ..no_errors() });
}

fn broken_connections_are_counted_and_opened_again(engine: Engine) {
    let closed = Arc::new(AtomicU64::new(0));
    let counter = closed.clone();
    let mock = Mock::start(move |peer| {
        peer.read_http_head()?;
        match counter.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(()),
            1 => peer.stream.write_all(&ok(&body())[..50]),
            2 => peer.stream.write_all(b"HTTP/1.1 200 OK\r\n"),
            _ => peer.wait_for_close(),
        }
    });
    let report = measure(&LoadSpec { connections: 1, ..spec(engine, mock.address) });
    assert_eq!(report.errors, ErrorCounts { reset: 3, ..no_errors() });
    assert_eq!(report.connections_opened, 4);
}

fn a_server_that_closes_between_requests_causes_a_reconnect_and_no_error(engine: Engine) {
    let mut reply =
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n".to_vec();
    reply.extend_from_slice(&body());
    let always = reply.clone();
    let served = Arc::new(AtomicU64::new(0));
    let counter = served.clone();
    let mock = Mock::start(move |peer| {
        peer.read_http_head()?;
        if counter.fetch_add(1, Ordering::Relaxed) >= 20 {
            return peer.wait_for_close();
        }
        peer.stream.write_all(&reply)
    });
    let report = measure(&spec(engine, mock.address));
    assert_eq!((report.requests, report.errors), (20, no_errors()));
    assert_eq!(report.connections_opened, 22);
    let mock = Mock::start(move |peer| {
        peer.read_http_head()?;
        peer.stream.write_all(&always)
    });
    let report = measure(&spec(engine, mock.address));
    assert!(report.requests > 0 && report.connections_opened > 2, "{report:?}");
    assert_eq!(report.little, None, "the time to connect again belongs to no request");
}

fn silence_is_an_error_of_timeout(engine: Engine) {
    let mock = Mock::http(|_| None);
    let timeout = Duration::from_millis(100);
    let report = measure(&LoadSpec { timeout, ..spec(engine, mock.address) });
    assert!(report.errors.timeout >= 2, "{:?}", report.errors);
    assert_eq!(report.errors.total(), report.errors.timeout);
}

fn failed_connections_are_counted_and_retried_slowly(engine: Engine) {
    let target = Mock::http(|_| None).address;
    let report = measure(&spec(engine, target));
    assert!(report.errors.connect >= 2, "{:?}", report.errors);
    assert_eq!(report.errors.total(), report.errors.connect);
    // 10, 20, 40, … ms apart: at most 7 attempts per connection within half a second.
    assert!(report.errors.connect <= 14, "{:?}", report.errors);
    assert_eq!((report.requests, report.connections_opened), (0, 0));
    assert_eq!(report.error_examples.len(), 1);
}

fn impossible_loads_are_refused_before_the_start(engine: Engine) {
    let target = "127.0.0.1:1".parse().unwrap();
    let refused = |change: &dyn Fn(&mut LoadSpec)| {
        let mut spec = spec(engine, target);
        change(&mut spec);
        match run(&spec, &AtomicBool::new(false), None) {
            Err(RunError::Spec(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(refused(&|spec| spec.connections = 0), SpecError::Zero(_)));
    assert!(matches!(refused(&|spec| spec.threads = 0), SpecError::Zero(_)));
    assert!(matches!(refused(&|spec| spec.duration = Duration::ZERO), SpecError::Zero(_)));
    assert!(matches!(refused(&|spec| spec.files[0].weight = f64::NAN), SpecError::Zero(_)));
    assert!(matches!(
        refused(&|spec| {
            spec.arrival = Arrival::Open { rate_per_s: f64::INFINITY, pacing: Pacing::Poisson };
        }),
        SpecError::Zero(_)
    ));
    assert!(matches!(refused(&|spec| spec.files.clear()), SpecError::NoFiles));
    for (wire, direction) in [(Wire::Text, Direction::Upload), (Wire::Http, Direction::Echo)] {
        let no_echo = refused(&|spec| (spec.wire, spec.direction) = (wire, direction));
        assert!(matches!(no_echo, SpecError::Direction { .. }), "{no_echo}");
    }
    let line = refused(&|spec| {
        (spec.wire, spec.direction, spec.files[0].size_bytes) = (Wire::Text, Direction::Echo, 1);
    });
    assert!(matches!(line, SpecError::Line { size_bytes: 1, least: 2, most: 4096 }), "{line}");
    let many = refused(&|spec| spec.connections = 1_000_000_000);
    assert!(matches!(many, SpecError::Descriptors { .. }), "{many}");
    let bad_name = refused(&|spec| {
        spec.wire = Wire::Framed;
        spec.files[0].name = "../a".into();
    });
    assert!(matches!(bad_name, SpecError::Name { .. }), "{bad_name}");
}
