//! The load generator against a server with scripted replies.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod errors;
mod times;
mod wires;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fileserver_proto::Wire;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use loadgen::content::Content;
use loadgen::{
    Arrival, ConnectionUse, Direction, Engine, EngineChoice, ErrorCounts, FileBody, LoadReport,
    LoadSpec, Pacing, Progress, RequestFile, Rest, RunError, SpecError, ThinkTime, Verification,
    run, run_observed,
};
use testkit::mock::{Mock, ok};

of_each_engine! {
    every_answer_is_counted_once
    histograms_are_saved_for_other_tools
    the_warm_up_is_not_counted
    connections_are_spread_over_threads_without_loss
    more_threads_than_connections_do_no_harm
    long_replies_to_all_connections_at_once_arrive_whole
    every_request_can_have_its_own_connection
    an_interrupted_load_reports_what_it_measured
    the_server_rests_before_and_after_a_load
    files_are_drawn_by_weight
}

const SIZE: usize = 1000;

/// Two connections that request one file without a pause, measured for half a second.
fn spec(engine: Engine, target: SocketAddr) -> LoadSpec {
    LoadSpec {
        target,
        wire: Wire::Http,
        direction: Direction::Download,
        files: vec![RequestFile::new("a.bin", SIZE as u64)],
        connections: 2,
        threads: 1,
        engine: EngineChoice::Only(engine),
        cores: Vec::new(),
        connection_use: ConnectionUse::KeepAlive,
        arrival: Arrival::Closed { think: ThinkTime::None },
        warm_up: Duration::ZERO,
        longest_warm_up: Duration::ZERO,
        duration: Duration::from_millis(500),
        timeout: Duration::from_secs(20),
        drain: Duration::from_millis(50),
        verification: Verification::one_in(1),
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

/// A server that gives the same reply to this many requests, and then none.
fn answers(count: u64, reply: Vec<u8>) -> Mock {
    Mock::http(move |number| (number < count).then(|| reply.clone()))
}

fn no_errors() -> ErrorCounts {
    ErrorCounts::default()
}

fn every_answer_is_counted_once(engine: Engine) {
    let mock = answers(100, ok(&body()));
    let progress = Progress::default();
    let report =
        run(&spec(engine, mock.address), &AtomicBool::new(false), Some(&progress)).unwrap();
    assert_eq!(report.requests, 100);
    // The next request of each connection.
    assert_eq!((report.replies_total, report.abandoned_total), (100, 2));
    assert_eq!(report.body_bytes, 100 * SIZE as u64);
    assert_eq!((report.verified, report.verified_bytes), (100, 100 * SIZE as u64));
    assert_eq!(report.detection_probability(), Some(1.0));
    assert_eq!(report.errors, no_errors());
    assert!(report.error_examples.is_empty());
    // Each connection waits for one more reply.
    assert_eq!((report.latency_requests, report.unanswered), (100, 2));
    assert_eq!(report.service_ns.len(), 102);
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

fn histograms_are_saved_for_other_tools(engine: Engine) {
    let mock = Mock::http(|_| Some(ok(&body())));
    let arrival = Arrival::Open { rate_per_s: 200.0, pacing: Pacing::Poisson };
    let report = measure(&LoadSpec { arrival, ..spec(engine, mock.address) });
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

fn the_warm_up_is_not_counted(engine: Engine) {
    let mock = answers(100, ok(&body()));
    let spec = LoadSpec { warm_up: Duration::from_secs(2), ..spec(engine, mock.address) };
    // 100 replies of an idle server take far less than the warm-up.
    let report = measure(&spec);
    assert_eq!(mock.requests.load(Ordering::Relaxed), 102);
    assert_eq!((report.requests, report.connections_served), (0, 0));
    assert_eq!(report.connections_opened, 2);
}

fn the_server_rests_before_and_after_a_load(engine: Engine) {
    let mock = Mock::http(|_| Some(ok(&body())));
    let duration = Duration::from_millis(100);
    let spec = LoadSpec { threads: 2, duration, ..spec(engine, mock.address) };
    let mut seen = Vec::new();
    let report = run_observed(&spec, &AtomicBool::new(false), None, &mut |rest| {
        let requests = || mock.requests.load(Ordering::Relaxed);
        let before = requests();
        // A load that went on would send many requests meanwhile.
        std::thread::sleep(Duration::from_millis(100));
        seen.push((rest, before, requests()));
    })
    .unwrap();
    let [(Rest::Before, 0, 0), (Rest::After, from, to)] = seen[..] else { panic!("{seen:?}") };
    assert!(to - from <= 2 && from >= report.requests, "{from} to {to}");
}

fn connections_are_spread_over_threads_without_loss(engine: Engine) {
    let mock = Mock::http(|_| Some(ok(&body())));
    let spec = LoadSpec { connections: 7, threads: 3, ..spec(engine, mock.address) };
    let report = measure(&spec);
    assert_eq!((report.connections_opened, report.connections_served), (7, 7));
    let by_second: u64 = report.seconds.iter().map(|second| second.requests).sum();
    assert_eq!(by_second, report.requests);
    // Without a warm-up, only requests in progress at the end of the window have no reply in it.
    let later = report.latency_requests + report.unanswered - report.requests;
    assert!(later <= 7, "{later}");
    assert!(mock.requests.load(Ordering::Relaxed) >= report.latency_requests);
}

fn more_threads_than_connections_do_no_harm(engine: Engine) {
    let mock = answers(10, ok(&body()));
    let report = measure(&LoadSpec { connections: 2, threads: 9, ..spec(engine, mock.address) });
    assert_eq!((report.requests, report.connections_opened), (10, 2));
}

/// Replies larger than an engine's receive memory.
fn long_replies_to_all_connections_at_once_arrive_whole(engine: Engine) {
    const CONNECTIONS: usize = 40;
    const LONG: usize = 300_000;
    let mut body = vec![0; LONG];
    Content::of_name("a.bin").fill(0, &mut body);
    let (reply, all_asked) = (ok(&body), Barrier::new(CONNECTIONS));
    let stop = Arc::new(AtomicBool::new(false));
    let (done, asked_again) = (stop.clone(), AtomicUsize::new(0));
    let mock = Mock::start(move |peer| {
        peer.read_http_head()?;
        all_asked.wait();
        peer.stream.write_all(&reply)?;
        peer.read_http_head()?;
        if asked_again.fetch_add(1, Ordering::Relaxed) + 1 == CONNECTIONS {
            done.store(true, Ordering::Relaxed);
        }
        peer.wait_for_close()
    });
    let file = RequestFile::new("a.bin", LONG as u64);
    let report = run(
        &LoadSpec {
            files: vec![file],
            connections: CONNECTIONS,
            duration: Duration::from_secs(60),
            ..spec(engine, mock.address)
        },
        &stop,
        None,
    )
    .unwrap();
    assert_eq!((report.requests, report.verified), (CONNECTIONS as u64, CONNECTIONS as u64));
    assert_eq!(report.errors, no_errors());
}

fn every_request_can_have_its_own_connection(engine: Engine) {
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
    let report = measure(&LoadSpec { connection_use, ..spec(engine, mock.address) });
    assert!(report.requests > 0);
    assert_eq!(report.errors, no_errors());
    assert!(report.connections_opened >= report.requests);
    assert_eq!(report.connect_ns.len(), report.connections_opened);
    assert_eq!(most.load(Ordering::Relaxed), 1);
}

fn an_interrupted_load_reports_what_it_measured(engine: Engine) {
    let mock = answers(50, ok(&body()));
    let spec = LoadSpec { duration: Duration::from_secs(600), ..spec(engine, mock.address) };
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

fn files_are_drawn_by_weight(engine: Engine) {
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
    let file = |name: &str, weight| RequestFile { weight, ..RequestFile::new(name, 0) };
    let files = vec![file("light", 1.0), file("heavy one", 9.0)];
    let report = measure(&LoadSpec {
        files,
        duration: Duration::from_secs(2),
        ..spec(engine, mock.address)
    });
    assert_eq!(report.errors, no_errors());
    let (light, heavy) = (seen[0].load(Ordering::Relaxed), seen[1].load(Ordering::Relaxed));
    // The seed is fixed; the order in which the two connections draw is not.
    assert!(light > 0 && heavy > 5 * light, "{light} {heavy}");
}
