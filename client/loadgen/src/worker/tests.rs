//! The whole generator in simulated time against a simulated server: injected delays and stalls
//! must be reported exactly.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::{Duration, SystemTime};

use fileserver_proto::Wire;
use hdrhistogram::Histogram;

use super::*;
use crate::engine::simulated::{HEAVY, POLL_NS, SimulatedServer, SimulatedSockets};
use crate::measure::series::SecondCollector;
use crate::measure::tally::{WindowStart, histogram, merge};
use crate::report::{LoadReport, Second};
use crate::spec::{
    Direction, Engine, EngineChoice, Pacing, RequestClass, RequestFile, ThinkTime, Verification,
};

pub(super) const START_NS: u64 = 5_000_000_000;
pub(super) const MS: u64 = 1_000_000;
/// End of the window without a warm-up.
const END_NS: u64 = START_NS + 10_000 * MS;
pub(super) const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

pub(super) fn spec(connections: usize, arrival: Arrival) -> LoadSpec {
    LoadSpec {
        target: "127.0.0.1:1".parse().unwrap(),
        wire: Wire::Http,
        direction: Direction::Download,
        files: vec![RequestFile::new("a", 3)],
        connections,
        threads: 1,
        engine: EngineChoice::Auto,
        cores: Vec::new(),
        connection_use: ConnectionUse::KeepAlive,
        arrival,
        warm_up: Duration::ZERO,
        longest_warm_up: Duration::ZERO,
        duration: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        drain: Duration::from_secs(5),
        verification: Verification::Off,
        seed: 1,
    }
}

pub(super) fn closed(connections: usize) -> LoadSpec {
    spec(connections, Arrival::Closed { think: ThinkTime::None })
}

/// Runs a load; returns the report of the generator and the record of the server.
pub(super) fn simulate(spec: &LoadSpec, server: SimulatedServer) -> (LoadReport, Vec<(u64, u64)>) {
    let stop = AtomicBool::new(false);
    let shared = Shared {
        spec,
        catalogue: Catalogue::new(spec).unwrap(),
        stop: &stop,
        abort: AtomicBool::new(false),
        progress: None,
        ready: AtomicUsize::new(0),
        start_ns: AtomicU64::new(START_NS),
        warm_up: WarmUp::new(spec, 1),
        drained: AtomicUsize::new(0),
        ended: AtomicUsize::new(0),
        released: AtomicBool::new(true),
        threads: 1,
    };
    let record = server.record.clone();
    let heads = (0..spec.connections).map(|connection| shared.catalogue.upload_heads(connection));
    let heads: Vec<_> = heads.map(Result::unwrap).collect();
    let (mut collector, mut channels) = SecondCollector::new(1);
    let (tally, seconds): (Tally, Vec<Second>) = std::thread::scope(|scope| {
        let collecting = scope.spawn(|| {
            while collector.collect(Duration::from_secs(1)) {}
            collector.finish()
        });
        let tally = Tally::new(spec, shared.catalogue.has_heavy(), channels.remove(0));
        let sockets = SimulatedSockets::new(START_NS, server);
        let worker = Worker::new(&shared, sockets, 0, 0, &heads, tally);
        (worker.run().unwrap(), collecting.join().unwrap())
    });
    let window_ns = shared.warm_up.window_ns().unwrap_or(START_NS);
    let start = WindowStart {
        at: SystemTime::UNIX_EPOCH,
        warm_up: Duration::from_nanos(window_ns - START_NS),
        is_steady: shared.warm_up.is_steady(),
    };
    let report = merge(spec, Engine::Epoll, start, vec![tally], seconds);
    let record = record.borrow().clone();
    (report, record)
}

pub(super) fn within_a_hundredth(reported: f64, true_value: f64, what: &str) {
    let off = (reported - true_value).abs();
    assert!(off <= 0.01 * true_value, "{what}: {reported} reported, {true_value} true");
}

/// Compares the counts above several times, and the extremes.
fn agree(reported: &Histogram<u64>, true_times: &Histogram<u64>, what: &str) {
    assert_eq!(reported.len(), true_times.len(), "{what}");
    for quantile in [0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
        let (reported, true_ns) =
            (reported.value_at_quantile(quantile), true_times.value_at_quantile(quantile));
        // Arrivals are polled for.
        let off = reported.abs_diff(true_ns).saturating_sub(2 * POLL_NS);
        assert!(off as f64 <= 0.01 * true_ns as f64, "{what} {quantile}: {reported}, {true_ns}");
    }
    for above_ms in [1, 100, 250, 500, 750, 900] {
        let above = |times: &Histogram<u64>| times.len() - times.count_between(0, above_ms * MS);
        let (reported, true_count) = (above(reported), above(true_times));
        let off = reported.abs_diff(true_count) as f64;
        assert!(
            off <= 0.01 * true_count as f64,
            "{what} > {above_ms} ms: {reported}, {true_count}"
        );
    }
}

#[test]
fn a_delay_is_reported_as_the_server_recorded_it() {
    let (report, record) =
        simulate(&closed(8), SimulatedServer::new(REPLY.into(), 20_000, 10 * MS));
    let true_times = true_times(&record);
    let replies = record.iter().filter(|(_, went)| *went < END_NS).count() as u64;
    // Exactly equal, since simulated time has no delay between the two sides.
    assert_eq!(report.service_ns, true_times);
    assert_eq!(report.response_ns, true_times);
    assert_eq!((report.requests, report.latency_requests), (replies, true_times.len()));
    within_a_hundredth(report.service_ns.value_at_quantile(0.5) as f64, 10.02e6, "median");
    // 8 connections, each with a reply every 10 ms.
    within_a_hundredth(report.requests as f64, 8.0 * 10_000.0 / 10.02, "requests");
}

#[test]
fn a_stall_meets_each_connection_of_a_closed_loop_once() {
    let mut server = SimulatedServer::new(REPLY.into(), 20_000, 10 * MS);
    server.stall_ns = START_NS + 4_000 * MS..START_NS + 5_000 * MS;
    let (report, record) = simulate(&closed(8), server);
    let times = &report.service_ns;
    within_a_hundredth(times.max() as f64, 1e9 + 10e6, "longest");
    let stalled = times.len() - times.count_between(0, 500 * MS);
    assert_eq!(stalled, 8);
    assert_eq!(stalled, record.iter().filter(|(came, went)| went - came > 500 * MS).count() as u64);
    let quiet: Vec<u64> = report.seconds.iter().map(|second| second.requests).collect();
    assert!(quiet[4] <= 8 && quiet[3] > 700, "{quiet:?}");
}

/// Times in the server's record, of requests that arrived before the end of the window.
fn true_times(record: &[(u64, u64)]) -> Histogram<u64> {
    let mut times = histogram();
    for (came_ns, went_ns) in record.iter().filter(|(came, _)| *came < END_NS) {
        times.record(went_ns - came_ns).unwrap();
    }
    times
}

#[test]
fn times_of_heavy_requests_are_recorded_separately() {
    let mut server = SimulatedServer::new(REPLY.into(), 10_000, MS);
    server.heavy = (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nworked\n".to_vec(), 20 * MS);
    let heavy_record = server.heavy_record.clone();
    let mut spec = closed(16);
    spec.files[0].weight = 9.0;
    let class = RequestClass::Heavy;
    spec.files.push(RequestFile { class, ..RequestFile::new(format!("{HEAVY}?block=20ms"), 7) });
    let (report, record) = simulate(&spec, server);
    let (light, heavy) = (true_times(&record), true_times(&heavy_record.borrow()));
    assert_eq!((&report.service_ns, &report.response_ns), (&light, &light));
    assert_eq!(report.heavy_ns, heavy);
    assert_eq!(report.latency_requests, light.len() + heavy.len());
    let light_requests = report.requests - report.heavy_requests;
    assert_eq!(report.body_bytes, light_requests * 3 + report.heavy_requests * 7);
    assert!(light.max() < 2 * MS && heavy.min() >= 19 * MS, "{} {}", light.max(), heavy.min());
    within_a_hundredth(heavy.value_at_quantile(0.5) as f64, 20e6, "median of the heavy ones");
    let share = heavy.len() as f64 / report.requests as f64;
    assert!((0.09..0.11).contains(&share), "{share} of the requests were heavy");
    let second = &report.seconds[3];
    assert!(
        second.max_ns < 2 * MS && second.requests > 0,
        "seconds contain light ones only: {second:?}"
    );
    assert_eq!(report.errors.total(), 0);
}

#[test]
fn a_heavy_answer_of_the_wrong_length_is_an_error_and_its_bytes_are_not_compared() {
    let mut spec = closed(1);
    spec.verification = Verification::one_in(1);
    spec.duration = Duration::from_secs(1);
    let name = format!("{HEAVY}?cpu=1ms");
    spec.files = vec![RequestFile { class: RequestClass::Heavy, ..RequestFile::new(name, 3) }];
    let run = |reply: &[u8]| {
        let mut server = SimulatedServer::new(REPLY.into(), 10_000, MS);
        server.heavy = (reply.to_vec(), MS);
        simulate(&spec, server).0
    };
    let report = run(REPLY);
    assert!(report.errors.total() == 0 && report.verified == 0 && report.heavy_ns.len() > 900);
    let report = run(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert!(report.errors.length > 0 && report.heavy_ns.is_empty());
}

/// Model of an open loop: intended, sent and done time of each request.
fn model(
    connections: usize,
    rate_per_s: u64,
    service_ns: u64,
    stall: std::ops::Range<u64>,
) -> Vec<(u64, u64, u64)> {
    let interval_ns = 1_000_000_000 / rate_per_s;
    let mut times: Vec<(u64, u64, u64)> = Vec::new();
    let mut free_ns = 0;
    for number in 0..10 * rate_per_s {
        let intended_ns = START_NS + number * interval_ns;
        let before = (number as usize).checked_sub(connections);
        let sent_ns = before.map_or(intended_ns, |before| intended_ns.max(times[before].2));
        let mut begin_ns = sent_ns.max(free_ns);
        if stall.contains(&begin_ns) {
            begin_ns = stall.end;
        }
        free_ns = begin_ns + service_ns;
        times.push((intended_ns, sent_ns, free_ns));
    }
    times
}

#[test]
fn a_stall_is_in_every_response_time_that_it_touched() {
    let stall = START_NS + 4_000 * MS..START_NS + 5_000 * MS;
    let mut server = SimulatedServer::new(REPLY.into(), 100_000, 0);
    server.stall_ns = stall.clone();
    let arrival = Arrival::Open { rate_per_s: 1_000.0, pacing: Pacing::Constant };
    let (report, record) = simulate(&spec(16, arrival), server);

    let mut true_times = [histogram(), histogram(), histogram()];
    for (intended_ns, sent_ns, done_ns) in model(16, 1_000, 100_000, stall) {
        let times = [done_ns - intended_ns, done_ns - sent_ns, sent_ns - intended_ns];
        for (histogram, time_ns) in true_times.iter_mut().zip(times) {
            histogram.saturating_record(time_ns);
        }
    }
    agree(&report.response_ns, &true_times[0], "intended → done");
    agree(&report.service_ns, &true_times[1], "sent → done");
    agree(&report.send_delay_ns, &true_times[2], "intended → sent");
    // Every request due within the stall waited for its end, as did those in the queue after it.
    // Counted from sending, only one per connection would have waited.
    let slow = |times: &Histogram<u64>| times.len() - times.count_between(0, 500 * MS);
    within_a_hundredth(slow(&report.response_ns) as f64, 556.0, "response times above 500 ms");
    assert_eq!(slow(&report.service_ns), 16);
    assert_eq!(report.arrivals, 10_000);
    // The generator caused none of these delays.
    assert!(report.lateness_ns.max() <= 2 * POLL_NS, "{}", report.lateness_ns.max());
    let answered = record.iter().filter(|(_, went)| *went < END_NS).count();
    assert_eq!(report.requests, answered as u64);
}

#[test]
fn the_achieved_rate_above_capacity_is_reported() {
    // 1 ms each, one after the other, at twice that rate.
    let server = SimulatedServer::new(REPLY.into(), MS, 0);
    let arrival = Arrival::Open { rate_per_s: 2_000.0, pacing: Pacing::Constant };
    let warmed = LoadSpec { warm_up: Duration::from_secs(20), ..spec(16, arrival) };
    let (report, _) = simulate(&warmed, server);
    assert_eq!(report.latency_requests, 0, "none of those that were due in the window");
    assert_eq!((report.arrivals, report.unanswered), (20_000, 20_000));
    within_a_hundredth(report.requests as f64, 10_000.0, "answers within ten seconds");
}

#[test]
fn a_stalled_generator_reports_its_lateness() {
    let mut server = SimulatedServer::new(REPLY.into(), 100_000, 0);
    server.away_ns = START_NS + 4_000 * MS..START_NS + 4_200 * MS;
    let arrival = Arrival::Open { rate_per_s: 1_000.0, pacing: Pacing::Constant };
    let (report, _) = simulate(&spec(256, arrival), server);
    assert_eq!(report.lateness_ns.len(), report.arrivals);
    within_a_hundredth(report.lateness_ns.max() as f64, 200e6, "latest");
    let late = report.lateness_ns.len() - report.lateness_ns.count_between(0, MS);
    within_a_hundredth(late as f64, 199.0, "arrivals that were late");
}

#[test]
fn independent_arrivals_at_a_free_server_wait_for_nothing() {
    let server = SimulatedServer::new(REPLY.into(), 0, 10 * MS);
    let arrival = Arrival::Open { rate_per_s: 2_000.0, pacing: Pacing::Poisson };
    let (report, _) = simulate(&spec(256, arrival), server);
    within_a_hundredth(report.response_ns.mean(), 10e6, "mean response time");
    within_a_hundredth(report.service_ns.max() as f64, 10e6, "longest service time");
    assert!(report.send_delay_ns.max() <= 2 * POLL_NS, "{}", report.send_delay_ns.max());
}
