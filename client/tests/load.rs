//! The load generator against a server whose every reply is known.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fileserver_proto::Wire;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use loadgen::content::Content;
use loadgen::load::{
    Arrival, ConnectionUse, Direction, EngineChoice, ErrorCounts, LoadReport, LoadSpec, Pacing,
    Progress, RequestFile, RunError, SpecError, ThinkTime, run,
};
use mock::{Mock, ok};

mod mock;

const SIZE: usize = 1000;

/// Two connections asking for one file without a pause, for half a second, all of it measured.
fn spec(target: SocketAddr) -> LoadSpec {
    LoadSpec {
        target,
        wire: Wire::Http,
        direction: Direction::Download,
        files: vec![RequestFile { name: "a.bin".into(), size_bytes: SIZE as u64, weight: 1.0 }],
        connections: 2,
        threads: 1,
        engine: EngineChoice::Auto,
        cores: Vec::new(),
        connection_use: ConnectionUse::KeepAlive,
        arrival: Arrival::Closed { think: ThinkTime::None },
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(500),
        timeout: Duration::from_secs(20),
        verify_every: 1,
        seed: 7,
    }
}

fn measure(spec: &LoadSpec) -> LoadReport {
    run(spec, &AtomicBool::new(false), None).unwrap()
}

fn body() -> Vec<u8> {
    let mut body = vec![0; SIZE];
    Content::of_name("a.bin").fill(0, &mut body);
    body
}

/// A server that answers this many requests alike, and then no more.
fn answers(count: u64, reply: Vec<u8>) -> Mock {
    Mock::http(move |number| (number < count).then(|| reply.clone()))
}

fn no_errors() -> ErrorCounts {
    ErrorCounts::default()
}

#[test]
fn every_answer_is_counted_once() {
    let mock = answers(100, ok(&body()));
    let progress = Progress::default();
    let report = run(&spec(mock.address), &AtomicBool::new(false), Some(&progress)).unwrap();
    assert_eq!(report.requests, 100);
    assert_eq!(report.body_bytes, 100 * SIZE as u64);
    assert_eq!(report.verified, 100);
    assert_eq!(report.errors, no_errors());
    assert!(report.error_examples.is_empty());
    assert_eq!(report.service_ns.len(), 100);
    assert_eq!(report.response_ns, report.service_ns);
    assert_eq!(report.send_delay_ns.len(), 0);
    assert_eq!((report.connections_opened, report.connect_ns.len()), (2, 2));
    assert_eq!(report.arrivals, 0);
    assert_eq!(report.window, Duration::from_millis(500));
    assert!(!report.interrupted);
    assert_eq!(report.seconds.len(), 1);
    assert_eq!(report.seconds[0].requests, 100);
    assert_eq!(report.seconds[0].body_bytes, 100 * SIZE as u64);
    assert_eq!(progress.requests.load(Ordering::Relaxed), 100);
    assert_eq!(progress.errors.load(Ordering::Relaxed), 0);
}

#[test]
fn histograms_are_saved_for_other_tools() {
    let mock = Mock::http(|_| Some(ok(&body())));
    let arrival = Arrival::Open { rate_per_s: 200.0, pacing: Pacing::Poisson };
    let report = measure(&LoadSpec { arrival, ..spec(mock.address) });
    let mut log = Vec::new();
    report.write_hdr_log(&mut log).unwrap();
    let mut read = Vec::new();
    for entry in IntervalLogIterator::new(&log) {
        let LogEntry::Interval(interval) = entry.unwrap() else { continue };
        assert_eq!(
            (interval.start_timestamp(), interval.duration()),
            (Duration::ZERO, report.window)
        );
        let encoded = BASE64_STANDARD.decode(interval.encoded_histogram()).unwrap();
        let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &encoded[..]).unwrap();
        assert!((interval.max() - histogram.max() as f64 / 1e6).abs() < 1e-3, "in milliseconds");
        read.push((interval.tag().unwrap().as_str(), histogram));
    }
    let expected = [
        ("response", report.response_ns),
        ("service", report.service_ns),
        ("send-delay", report.send_delay_ns),
        ("connect", report.connect_ns),
    ];
    assert_eq!(read, expected);
}

#[test]
fn the_warm_up_is_not_counted() {
    let mock = answers(100, ok(&body()));
    let spec = LoadSpec { warm_up: Duration::from_secs(2), ..spec(mock.address) };
    // 100 answers of a server that has nothing else to do take far less than the warm-up.
    let report = measure(&spec);
    assert_eq!(mock.requests.load(Ordering::Relaxed), 102);
    assert_eq!((report.requests, report.connections_served), (0, 0));
    assert_eq!(report.connections_opened, 2);
}

#[test]
fn connections_are_spread_over_threads_without_loss() {
    let mock = Mock::http(|_| Some(ok(&body())));
    let spec = LoadSpec { connections: 7, threads: 3, ..spec(mock.address) };
    let report = measure(&spec);
    assert_eq!((report.connections_opened, report.connections_served), (7, 7));
    let by_second: u64 = report.seconds.iter().map(|second| second.requests).sum();
    assert_eq!(by_second, report.requests);
    // Requests under way when the window ends are the only ones not counted.
    let unanswered = mock.requests.load(Ordering::Relaxed) - report.requests;
    assert!(unanswered <= 7, "{unanswered}");
}

#[test]
fn more_threads_than_connections_do_no_harm() {
    let mock = answers(10, ok(&body()));
    let report = measure(&LoadSpec { connections: 2, threads: 9, ..spec(mock.address) });
    assert_eq!((report.requests, report.connections_opened), (10, 2));
}

#[test]
fn wrong_lengths_are_errors_of_length() {
    for wrong in [&body()[1..], &[&body()[..], b"x"].concat(), b""] {
        let mock = answers(10, ok(wrong));
        let report = measure(&spec(mock.address));
        assert_eq!(report.errors, ErrorCounts { length: 10, ..no_errors() });
        assert_eq!(report.requests, 0);
        assert_eq!(report.error_examples, [format!("{} bytes instead of {SIZE}", wrong.len())]);
    }
}

#[test]
fn a_wrong_length_is_noticed_without_being_announced() {
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    chunked.extend_from_slice(b"3e7\r\n");
    chunked.extend_from_slice(&body()[1..]);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let mock = answers(10, chunked);
    let report = measure(&LoadSpec { verify_every: 0, ..spec(mock.address) });
    assert_eq!(report.errors, ErrorCounts { length: 10, ..no_errors() });
}

#[test]
fn wrong_bytes_are_noticed_where_bodies_are_compared() {
    let mut wrong = body();
    wrong[SIZE - 1] ^= 1;
    let mock = answers(9, ok(&wrong));
    let spec = LoadSpec { verify_every: 3, connections: 1, ..spec(mock.address) };
    let report = measure(&spec);
    assert_eq!(report.errors, ErrorCounts { content: 3, ..no_errors() });
    assert_eq!((report.requests, report.verified), (6, 0));

    let mock = answers(9, ok(&wrong));
    let report = measure(&LoadSpec { target: mock.address, verify_every: 0, ..spec });
    assert_eq!((report.requests, report.verified), (9, 0));
}

#[test]
fn refusals_are_errors_of_status() {
    let reply = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    let mock = answers(10, reply.as_bytes().to_vec());
    let report = measure(&spec(mock.address));
    assert_eq!(report.errors, ErrorCounts { status: 10, ..no_errors() });
    assert_eq!(report.error_examples, ["http status 503"]);
    assert_eq!(report.connections_opened, 2, "a refusal does not cost the connection");
    assert_eq!(report.seconds[0].errors, 10);
}

#[test]
fn garbage_is_an_error_of_protocol() {
    let mock = answers(3, b"nonsense\r\n\r\n".to_vec());
    let report = measure(&spec(mock.address));
    assert_eq!(report.errors, ErrorCounts { protocol: 3, ..no_errors() });
}

#[test]
fn unasked_data_after_a_reply_is_an_error_of_protocol() {
    let mock = answers(3, [ok(&body()), b"HTTP/1.1".to_vec()].concat());
    let report = measure(&spec(mock.address));
    // Whether the surplus comes together with the reply or after it, it is found; in the latter
    // case the reply itself was fine.
    assert_eq!(report.errors, ErrorCounts { protocol: 3, ..no_errors() });
}

#[test]
fn broken_connections_are_counted_and_opened_again() {
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
    let report = measure(&LoadSpec { connections: 1, ..spec(mock.address) });
    assert_eq!(report.errors, ErrorCounts { reset: 3, ..no_errors() });
    assert_eq!(report.connections_opened, 4);
}

#[test]
fn a_server_that_closes_between_requests_costs_a_connection_but_no_error() {
    let mut reply =
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n".to_vec();
    reply.extend_from_slice(&body());
    let served = Arc::new(AtomicU64::new(0));
    let counter = served.clone();
    let mock = Mock::start(move |peer| {
        peer.read_http_head()?;
        if counter.fetch_add(1, Ordering::Relaxed) >= 20 {
            return peer.wait_for_close();
        }
        peer.stream.write_all(&reply)
    });
    let report = measure(&spec(mock.address));
    assert_eq!((report.requests, report.errors), (20, no_errors()));
    assert_eq!(report.connections_opened, 22);
}

#[test]
fn silence_is_an_error_of_timeout() {
    let mock = Mock::http(|_| None);
    let timeout = Duration::from_millis(100);
    let report = measure(&LoadSpec { timeout, ..spec(mock.address) });
    assert!(report.errors.timeout >= 2, "{:?}", report.errors);
    assert_eq!(report.errors.total(), report.errors.timeout);
}

#[test]
fn a_dead_server_is_counted_but_not_hammered() {
    let target = Mock::http(|_| None).address;
    let report = measure(&spec(target));
    assert!(report.errors.connect >= 2, "{:?}", report.errors);
    assert_eq!(report.errors.total(), report.errors.connect);
    // 10, 20, 40, … ms apart: at most 7 attempts per connection within half a second.
    assert!(report.errors.connect <= 14, "{:?}", report.errors);
    assert_eq!((report.requests, report.connections_opened), (0, 0));
    assert_eq!(report.error_examples.len(), 1);
}

#[test]
fn a_delay_of_the_server_is_in_every_latency() {
    let delay = Duration::from_millis(20);
    let mock = Mock::http(move |_| {
        std::thread::sleep(delay);
        Some(ok(&body()))
    });
    let report = measure(&spec(mock.address));
    assert!(report.requests > 0);
    // To the three digits that a histogram keeps.
    assert!(report.service_ns.min() >= 19_980_000, "{}", report.service_ns.min());
    assert!(report.seconds[0].p50_ns >= 19_800_000, "{:?}", report.seconds[0]);
}

#[test]
fn a_new_connection_per_request_is_one() {
    let most = Arc::new(AtomicU64::new(0));
    let counter = most.clone();
    let mock = Mock::start(move |peer| {
        let mut served = 0;
        loop {
            let (_, head) = peer.read_http_head()?;
            assert!(head.contains("\r\nConnection: close\r\n"));
            served += 1;
            counter.fetch_max(served, Ordering::Relaxed);
            peer.stream.write_all(&ok(&body()))?;
        }
    });
    let connection_use = ConnectionUse::PerRequest;
    let report = measure(&LoadSpec { connection_use, ..spec(mock.address) });
    assert!(report.requests > 0);
    assert_eq!(report.errors, no_errors());
    assert!(report.connections_opened >= report.requests);
    assert_eq!(report.connect_ns.len(), report.connections_opened);
    assert_eq!(most.load(Ordering::Relaxed), 1);
}

#[test]
fn think_time_separates_requests() {
    let mock = Mock::http(|_| Some(ok(&body())));
    let think = ThinkTime::Constant(Duration::from_millis(50));
    let report = measure(&LoadSpec { arrival: Arrival::Closed { think }, ..spec(mock.address) });
    // At 0, 50, … 450 ms and no earlier, on two connections.
    assert!((1..=20).contains(&report.requests), "{}", report.requests);
}

#[test]
fn an_open_loop_counts_every_arrival() {
    let mock = Mock::http(|_| Some(ok(&body())));
    for (threads, warm_up) in [(1, 0), (2, 100)] {
        let report = measure(&LoadSpec {
            threads,
            warm_up: Duration::from_millis(warm_up),
            arrival: Arrival::Open { rate_per_s: 200.0, pacing: Pacing::Constant },
            ..spec(mock.address)
        });
        assert_eq!(report.arrivals, 100);
        assert!(report.requests <= 100);
        assert_eq!(report.response_ns.len(), report.requests);
        assert_eq!(report.send_delay_ns.len(), report.requests);
    }
}

#[test]
fn an_open_loop_drops_nothing_and_measures_from_when_a_request_was_due() {
    let delay = Duration::from_millis(50);
    let mock = Mock::http(move |_| {
        std::thread::sleep(delay);
        Some(ok(&body()))
    });
    let report = measure(&LoadSpec {
        connections: 1,
        duration: Duration::from_secs(1),
        arrival: Arrival::Open { rate_per_s: 100.0, pacing: Pacing::Constant },
        ..spec(mock.address)
    });
    assert_eq!(report.arrivals, 100);
    // Number k was due at 10·k ms and not sent before 50·k ms.
    let last = report.requests - 1;
    assert!((1..20).contains(&last), "{last}");
    let (sent_late_ns, done_late_ns) = (40_000_000 * last, 40_000_000 * last + 50_000_000);
    assert!(report.send_delay_ns.max() >= sent_late_ns);
    assert!(report.response_ns.max() >= done_late_ns);
    // All was answered in order, one by one: what is not answered was still waiting.
    assert_eq!(report.errors, no_errors());
}

#[test]
fn an_interrupted_load_reports_what_it_measured() {
    let mock = answers(50, ok(&body()));
    let spec = LoadSpec { duration: Duration::from_secs(600), ..spec(mock.address) };
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            while mock.requests.load(Ordering::Relaxed) < 52 {
                std::thread::sleep(Duration::from_millis(1));
            }
            stop.store(true, Ordering::Relaxed);
        });
        run(&spec, &stop, None).unwrap()
    });
    assert!(report.interrupted);
    assert_eq!(report.requests, 50);
    assert!(report.window < Duration::from_secs(600));
}

#[test]
fn files_are_drawn_by_weight() {
    let seen = Arc::new([const { AtomicU64::new(0) }; 2]);
    let counter = seen.clone();
    let mock = Mock::start(move |peer| {
        loop {
            let (_, head) = peer.read_http_head()?;
            let heavy = usize::from(head.starts_with("GET /heavy%20one HTTP/1.1\r\n"));
            counter[heavy].fetch_add(1, Ordering::Relaxed);
            if counter[0].load(Ordering::Relaxed) + counter[1].load(Ordering::Relaxed) > 2_000 {
                return peer.wait_for_close();
            }
            peer.stream.write_all(&ok(b""))?;
        }
    });
    let file = |name: &str, weight| RequestFile { name: name.into(), size_bytes: 0, weight };
    let files = vec![file("light", 1.0), file("heavy one", 9.0)];
    let report =
        measure(&LoadSpec { files, duration: Duration::from_secs(2), ..spec(mock.address) });
    assert_eq!(report.errors, no_errors());
    let (light, heavy) = (seen[0].load(Ordering::Relaxed), seen[1].load(Ordering::Relaxed));
    // The seed is fixed, the order in which the two connections draw is not.
    assert!(light > 0 && heavy > 5 * light, "{light} {heavy}");
}

#[test]
fn an_upload_sends_the_content_under_the_connections_own_name() {
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
            let mut spec = LoadSpec { wire, direction: Direction::Upload, ..spec(mock.address) };
            spec.files[0].size_bytes = size;
            let report = measure(&spec);
            assert_eq!(report.errors, no_errors());
            // Connections count by themselves whether they are the tenth.
            assert_eq!(report.body_bytes, report.requests * size);
            let mut names = names.lock().unwrap().clone();
            names.sort();
            names.dedup();
            assert_eq!(names, ["a-0.bin", "a-1.bin"]);
        }
    }
}

#[test]
fn an_upload_refused_while_it_is_sent_is_an_error_of_status() {
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
    let mut spec = LoadSpec { direction: Direction::Upload, connections: 1, ..spec(mock.address) };
    spec.files[0].size_bytes = 1 << 40;
    let report = measure(&spec);
    assert_eq!(report.errors, ErrorCounts { status: 3, ..no_errors() });
    assert_eq!(report.error_examples, ["http status 507"]);
    assert_eq!(
        report.connections_opened, 4,
        "the rest of the upload cannot be told from a request"
    );
}

#[test]
fn the_framed_wire_is_measured_alike() {
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
    let report = measure(&LoadSpec { wire: Wire::Framed, ..spec(mock.address) });
    assert_eq!((report.requests, report.verified), (7, 7));
    assert_eq!(report.errors, ErrorCounts { status: 3, ..no_errors() });
    assert_eq!(report.error_examples, ["\"full\""]);
}

#[test]
fn what_cannot_work_is_refused_before_the_start() {
    let target = "127.0.0.1:1".parse().unwrap();
    let refused = |change: &dyn Fn(&mut LoadSpec)| {
        let mut spec = spec(target);
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
    assert!(matches!(refused(&|spec| spec.wire = Wire::Text), SpecError::Wire("text")));
    let many = refused(&|spec| spec.connections = 1_000_000_000);
    assert!(matches!(many, SpecError::Descriptors { .. }), "{many}");
    let bad_name = refused(&|spec| {
        spec.wire = Wire::Framed;
        spec.files[0].name = "../a".into();
    });
    assert!(matches!(bad_name, SpecError::Name { .. }), "{bad_name}");
}
