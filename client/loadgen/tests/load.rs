//! The load generator against a server with scripted replies.

#[macro_use]
mod support;

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
    LoadSpec, Pacing, Progress, RequestFile, RunError, SpecError, ThinkTime, Verification, run,
};
use testkit::mock::{Mock, ok};

of_each_engine! {
    every_answer_is_counted_once
    histograms_are_saved_for_other_tools
    the_warm_up_is_not_counted
    connections_are_spread_over_threads_without_loss
    more_threads_than_connections_do_no_harm
    wrong_lengths_are_errors_of_length
    a_wrong_length_is_detected_without_an_announced_length
    wrong_bytes_are_detected_if_bodies_are_compared
    a_part_of_every_long_body_is_compared
    time_without_a_core_is_reported
    refusals_are_errors_of_status
    garbage_is_an_error_of_protocol
    unasked_data_after_a_reply_is_an_error_of_protocol
    broken_connections_are_counted_and_opened_again
    a_server_that_closes_between_requests_causes_a_reconnect_and_no_error
    silence_is_an_error_of_timeout
    failed_connections_are_counted_and_retried_slowly
    a_delay_of_the_server_is_in_every_latency
    latencies_agree_with_what_the_server_recorded_itself
    long_replies_to_all_connections_at_once_arrive_whole
    every_request_can_have_its_own_connection
    think_time_separates_requests
    an_open_loop_counts_every_arrival
    an_open_loop_drops_nothing_and_measures_from_when_a_request_was_due
    an_interrupted_load_reports_what_it_measured
    files_are_drawn_by_weight
    an_upload_sends_the_content_under_the_connections_own_name
    an_upload_refused_while_it_is_sent_is_an_error_of_status
    the_framed_wire_is_measured_alike
    lines_must_come_back_as_they_were
    replies_to_lines_need_no_frame
    other_replies_to_lines_are_errors
    impossible_loads_are_refused_before_the_start
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

fn time_without_a_core_is_reported(engine: Engine) {
    let mock = Mock::http(|_| Some(ok(&body())));
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        // A busy neighbour on the generator's core.
        scope.spawn(|| {
            let mut core = rustix::thread::CpuSet::new();
            core.set(0);
            rustix::thread::sched_setaffinity(None, &core).unwrap();
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let report = measure(&LoadSpec { cores: vec![0], ..spec(engine, mock.address) });
        stop.store(true, Ordering::Relaxed);
        report
    });
    match report.run_delay_share() {
        Some(share) => assert!(share > 0.0 && share <= 1.0, "{share}"),
        None => testkit::skip("time_without_a_core_is_reported", "no /proc/self/schedstat"),
    }
}

fn refusals_are_errors_of_status(engine: Engine) {
    let reply = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    let mock = answers(10, reply.as_bytes().to_vec());
    let report = measure(&spec(engine, mock.address));
    assert_eq!(report.errors, ErrorCounts { status: 10, ..no_errors() });
    assert_eq!(report.error_examples, ["http status 503"]);
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

fn a_delay_of_the_server_is_in_every_latency(engine: Engine) {
    let delay = Duration::from_millis(20);
    let mock = Mock::http(move |_| {
        std::thread::sleep(delay);
        Some(ok(&body()))
    });
    let report = measure(&spec(engine, mock.address));
    assert!(report.requests > 0);
    // Within the three digits of a histogram.
    assert!(report.service_ns.min() >= 19_980_000, "{}", report.service_ns.min());
    assert!(report.seconds[0].p50_ns >= 19_800_000, "{:?}", report.seconds[0]);
}

/// A server that delays each reply by 10 ms and one of them by a second. Both sides read the same
/// clock, so the server's record bounds the reported times: a request was sent before its arrival
/// and after the previous reply, and a reply was complete after its sending and before the next
/// request.
fn latencies_agree_with_what_the_server_recorded_itself(engine: Engine) {
    const REQUESTS: usize = 50;
    const STALLED: usize = 20;
    let record = Arc::new(Mutex::new(Vec::new()));
    let writing = record.clone();
    let mock = Mock::http(move |number| {
        let came = Instant::now();
        let held = match number as usize {
            REQUESTS.. => None,
            STALLED => Some(Duration::from_secs(1)),
            _ => Some(Duration::from_millis(10)),
        };
        std::thread::sleep(held.unwrap_or_default());
        writing.lock().unwrap().push((came, Instant::now()));
        held.map(|_| ok(&body()))
    });
    let begin = Instant::now();
    let duration = Duration::from_secs(6);
    let report = measure(&LoadSpec { connections: 1, duration, ..spec(engine, mock.address) });
    assert_eq!((report.requests, report.errors), (REQUESTS as u64, no_errors()));

    let record = record.lock().unwrap();
    let (mut least, mut most) = (Vec::new(), Vec::new());
    for number in 0..REQUESTS {
        let (came, went) = record[number];
        let earliest_sent = number.checked_sub(1).map_or(begin, |before| record[before].1);
        least.push(went - came);
        most.push(record[number + 1].0 - earliest_sent);
    }
    // A histogram has three digits.
    let (low, high) = (0.999, 1.001);
    let seconds = |ns: u64| ns as f64 / 1e9;
    let sum = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64();
    let mut service = report.service_ns.clone();
    // The last request has no reply.
    let mut unanswered = Histogram::<u64>::new_from(&service);
    unanswered.record(report.shortest_wait_ns.service_ns).unwrap();
    service.subtract(&unanswered).unwrap();
    assert!(service.mean() * REQUESTS as f64 / 1e9 >= low * sum(&least));
    // Requests are sequential, so their sum cannot exceed the total time.
    let all = (record[REQUESTS].0 - begin).as_secs_f64();
    assert!(service.mean() * REQUESTS as f64 / 1e9 <= high * all);
    assert!(seconds(service.max()) >= low * least[STALLED].as_secs_f64());
    assert!(seconds(service.max()) <= high * most.iter().max().unwrap().as_secs_f64());
    let beyond = |ns: u64| service.len() - service.count_between(0, ns - 1);
    assert_eq!(beyond(9_990_000), REQUESTS as u64);
    let slow = most.iter().filter(|time| time.as_secs_f64() >= 0.999).count() as u64;
    assert!((1..=slow).contains(&beyond(999_000_000)));
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

fn think_time_separates_requests(engine: Engine) {
    let mock = Mock::http(|_| Some(ok(&body())));
    let think = ThinkTime::Constant(Duration::from_millis(50));
    let report =
        measure(&LoadSpec { arrival: Arrival::Closed { think }, ..spec(engine, mock.address) });
    // At 0, 50, … 450 ms and no earlier, on two connections.
    assert!((1..=20).contains(&report.requests), "{}", report.requests);
}

fn an_open_loop_counts_every_arrival(engine: Engine) {
    let mock = Mock::http(|_| Some(ok(&body())));
    for (threads, warm_up) in [(1, 0), (2, 100)] {
        let report = measure(&LoadSpec {
            threads,
            warm_up: Duration::from_millis(warm_up),
            arrival: Arrival::Open { rate_per_s: 200.0, pacing: Pacing::Constant },
            ..spec(engine, mock.address)
        });
        assert_eq!(report.arrivals, 100);
        assert_eq!(report.latency_requests + report.unanswered, 100);
        assert_eq!((report.response_ns.len(), report.send_delay_ns.len()), (100, 100));
    }
}

fn an_open_loop_drops_nothing_and_measures_from_when_a_request_was_due(engine: Engine) {
    let delay = Duration::from_millis(50);
    let mock = Mock::http(move |_| {
        std::thread::sleep(delay);
        Some(ok(&body()))
    });
    let report = measure(&LoadSpec {
        connections: 1,
        duration: Duration::from_secs(1),
        arrival: Arrival::Open { rate_per_s: 100.0, pacing: Pacing::Constant },
        ..spec(engine, mock.address)
    });
    assert_eq!(report.arrivals, 100);
    // Number k was due at 10·k ms and not sent before 50·k ms.
    let last = report.requests - 1;
    assert!((1..20).contains(&last), "{last}");
    let (sent_late_ns, done_late_ns) = (40_000_000 * last, 40_000_000 * last + 50_000_000);
    assert!(report.send_delay_ns.max() >= sent_late_ns);
    assert!(report.response_ns.max() >= done_late_ns);
    // All replies were in order, one by one: the other requests were still waiting.
    assert_eq!(report.errors, no_errors());
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
