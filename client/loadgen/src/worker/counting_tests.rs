//! The counting rules in simulated time: every figure within 1 % of the truth, which is in the
//! server's record, for loads whose requests cross the edges of the window.

use std::time::Duration;

use super::tests::{MS, REPLY, START_NS, closed, simulate, spec, within_a_hundredth};
use crate::engine::simulated::SimulatedServer;
use crate::report::percentile::{Support, TimeKind};
use crate::spec::{Arrival, ConnectionUse, Direction, LoadSpec, Pacing, RequestFile, Verification};

const LARGE: u64 = 64 << 20;
const WARM_UP: Duration = Duration::from_secs(1);
/// The window of these tests.
const WINDOW: std::ops::Range<u64> = START_NS + 1_000 * MS..START_NS + 11_000 * MS;

fn warmed(spec: LoadSpec) -> LoadSpec {
    LoadSpec { warm_up: WARM_UP, ..spec }
}

/// The server's record of a load: arrival and reply time of each request.
struct Truth(Vec<(u64, u64)>);

impl Truth {
    /// Replies within the window.
    fn replies(&self) -> usize {
        self.0.iter().filter(|(_, went)| WINDOW.contains(went)).count()
    }

    /// Response times in milliseconds of the requests that arrived within the window, ascending.
    fn times_ms(&self) -> Vec<f64> {
        let of_window = self.0.iter().filter(|(came, _)| WINDOW.contains(came));
        let mut times: Vec<f64> =
            of_window.map(|(came, went)| (went - came) as f64 / 1e6).collect();
        times.sort_by(f64::total_cmp);
        times
    }
}

fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

/// One request at a time on each of two connections; three fit into the window.
fn large(direction: Direction) -> (LoadSpec, SimulatedServer) {
    let mut server = SimulatedServer::new(REPLY.into(), 0, 3_100 * MS);
    match direction {
        Direction::Upload => {
            server.reply = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".into();
            server.upload_bytes = LARGE;
        }
        Direction::Download | Direction::Echo => {
            server.reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").into();
            server.reply.resize(server.reply.len() + LARGE as usize, 0);
            server.in_pieces = true;
        }
    }
    let files = vec![RequestFile::new("a", LARGE)];
    (LoadSpec { files, direction, ..warmed(closed(2)) }, server)
}

#[test]
fn bytes_of_bodies_that_cross_the_edges_of_the_window_are_counted() {
    for direction in [Direction::Download, Direction::Upload] {
        let (spec, server) = large(direction);
        let (report, record) = simulate(&spec, server);
        let truth = Truth(record);
        let per_s = 2.0 * LARGE as f64 / 3.1;
        within_a_hundredth(report.body_bytes as f64, per_s * 10.0, "bytes in ten seconds");
        assert_eq!(report.requests, truth.replies() as u64, "{direction}");
        assert_eq!(report.requests, 6);
        assert_eq!(report.response_ns.len(), truth.times_ms().len() as u64, "{direction}");
        within_a_hundredth(report.response_ns.mean(), 3.1e9, "mean");
        assert_eq!(report.errors.total(), 0);
    }
}

#[test]
fn a_third_of_many_connections_is_slow() {
    let mut server = SimulatedServer::new(REPLY.into(), 0, 100 * MS);
    server.slow_third_ns = 2_400 * MS;
    let (report, record) = simulate(&warmed(closed(1_024)), server);
    let truth = Truth(record);
    let times = truth.times_ms();
    within_a_hundredth(report.requests as f64, truth.replies() as f64, "replies");
    within_a_hundredth(report.response_ns.len() as f64, times.len() as f64, "times");
    within_a_hundredth(report.response_ns.mean() / 1e6, mean(&times), "mean");
    for quantile in [0.5, 0.9, 0.99, 0.999] {
        let rank = (quantile * times.len() as f64).ceil() as usize;
        let reported = report.response_ns.value_at_quantile(quantile) as f64 / 1e6;
        within_a_hundredth(reported, times[rank - 1], "quantile");
    }
    // 682 connections with a reply every 100 ms, 342 with one every 2.5 s.
    assert_eq!(times.iter().filter(|ms| **ms > 2_000.0).count(), 342 * 4);
    let p99 = report.percentile(TimeKind::Response, 99.0).unwrap();
    assert_eq!(p99.support, Support::Identified);
    within_a_hundredth(report.little.unwrap(), 1.0, "Little's law");
}

#[test]
fn a_stall_at_the_end_of_the_window_is_in_the_times_of_an_open_loop() {
    let mut server = SimulatedServer::new(REPLY.into(), 100_000, 0);
    server.stall_ns = WINDOW.end - 500 * MS..WINDOW.end + 500 * MS;
    let arrival = Arrival::Open { rate_per_s: 1_000.0, pacing: Pacing::Constant };
    let (report, record) = simulate(&warmed(spec(16, arrival)), server);
    assert_eq!(report.arrivals, 10_000);
    assert_eq!(report.response_ns.len(), 10_000);
    within_a_hundredth(report.response_ns.max() as f64, 1e9, "longest");
    let slow = report.response_ns.len() - report.response_ns.count_between(0, 400 * MS);
    within_a_hundredth(slow as f64, 500.0, "requests that met the stall");
    assert_eq!(report.requests, Truth(record).replies() as u64);
}

#[test]
fn the_response_time_of_a_connection_per_request_begins_before_connect() {
    let mut server = SimulatedServer::new(REPLY.into(), 0, 2 * MS);
    server.connect_ns = 3 * MS;
    let connection_use = ConnectionUse::PerRequest;
    let (report, _) = simulate(&LoadSpec { connection_use, ..warmed(closed(8)) }, server);
    within_a_hundredth(report.response_ns.mean(), 5e6, "response");
    within_a_hundredth(report.service_ns.mean(), 2e6, "service");
    within_a_hundredth(report.connect_ns.mean(), 3e6, "connecting");
    within_a_hundredth(report.requests as f64, 8.0 * 10e3 / 5.0, "requests");
    within_a_hundredth(report.little.unwrap(), 1.0, "Little's law");
}

#[test]
fn starved_connections_are_in_the_distribution_with_their_waiting_time() {
    let mut server = SimulatedServer::new(REPLY.into(), 10 * MS, 0);
    server.served = 1;
    let timeout = Duration::from_secs(60);
    let (report, _) = simulate(&LoadSpec { timeout, ..warmed(closed(64)) }, server);
    assert_eq!((report.connections_served, report.connections_starved), (1, 63));
    assert_eq!((report.unanswered, report.requests), (63, 1_000));
    assert_eq!(report.response_ns.len(), report.latency_requests + 63);
    // One second before the window and ten within it: nothing else is awaited.
    within_a_hundredth(report.response_ns.max() as f64, 11e9, "waiting time");
    let support = |percentile| report.percentile(TimeKind::Response, percentile).unwrap().support;
    assert_eq!((support(50.0), support(90.0)), (Support::Identified, Support::Identified));
    assert_eq!((support(99.0), support(100.0)), (Support::AtLeast, Support::AtLeast));
    assert_eq!(report.little, None, "the waiting times are lower bounds");
}

#[test]
fn connections_whose_replies_are_all_wrong_are_not_starved() {
    for (reply, kind_of) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n???", "content"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n??", "length"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "protocol"),
    ] {
        let server = SimulatedServer::new(reply.into(), 0, 2 * MS);
        let verification = Verification::EveryBody;
        let (report, _) = simulate(&LoadSpec { verification, ..warmed(closed(2)) }, server);
        let errors = &report.errors;
        let counted = match kind_of {
            "content" => errors.content,
            "length" => errors.length,
            "status" => errors.status,
            _ => errors.protocol,
        };
        assert!(counted > 0 && counted == errors.total(), "{kind_of}: {errors:?}");
        assert_eq!((report.connections_served, report.connections_starved), (0, 0), "{kind_of}");
        assert_eq!((report.requests, report.unanswered), (0, 0), "{kind_of}");
    }
}

#[test]
fn arrivals_without_a_reply_are_in_the_distribution_with_their_age() {
    let mut server = SimulatedServer::new(REPLY.into(), 100_000, 0);
    server.silent_from_ns = WINDOW.end - 300 * MS;
    let arrival = Arrival::Open { rate_per_s: 1_000.0, pacing: Pacing::Constant };
    let timeout = Duration::from_secs(60);
    let (report, _) = simulate(&LoadSpec { timeout, ..warmed(spec(64, arrival)) }, server);
    assert_eq!((report.arrivals, report.unanswered, report.latency_requests), (10_000, 300, 9_700));
    assert_eq!((report.requests, report.errors.total()), (9_700, 0));
    assert_eq!(report.response_ns.len(), 10_000);
    within_a_hundredth(report.response_ns.max() as f64, 5.3e9, "oldest");
    let at = |percentile| report.percentile(TimeKind::Response, percentile).unwrap();
    assert_eq!(at(95.0).support, Support::Identified);
    assert_eq!((at(97.5).support, at(99.0).support), (Support::AtLeast, Support::AtLeast));
    assert!(at(99.0).ns >= 5_000 * MS, "{}", at(99.0).ns);
}

#[test]
fn the_load_goes_on_until_the_last_request_of_the_window_is_answered() {
    let mut server = SimulatedServer::new(REPLY.into(), 0, 10 * MS);
    server.slow_third_ns = 2_300 * MS;
    let (report, record) = simulate(&warmed(closed(3)), server);
    assert_eq!((report.unanswered, report.connections_starved), (0, 0));
    // The slow connection sends every 2.31 s and last before the end at 9.24 s.
    let last_ns = START_NS + 5 * 2_310 * MS;
    let is_after = |came: &u64| (WINDOW.end..last_ns).contains(came);
    let others = record.iter().filter(|(came, _)| is_after(came)).count();
    within_a_hundredth(others as f64, 2.0 * 55.0, "requests of the others meanwhile");
    assert!(record.iter().all(|(came, _)| *came <= last_ns), "the load ends then");
    let truth = Truth(record);
    assert_eq!(report.requests, truth.replies() as u64);
    assert_eq!(report.latency_requests, truth.times_ms().len() as u64);
}

#[test]
fn requests_that_wait_during_the_whole_window_count_and_do_not_prolong_the_load() {
    let server = SimulatedServer::new(REPLY.into(), 0, 12_000 * MS);
    let timeout = Duration::from_secs(60);
    let (report, _) = simulate(&LoadSpec { timeout, ..warmed(closed(2)) }, server);
    assert_eq!((report.requests, report.latency_requests, report.unanswered), (0, 0, 2));
    assert_eq!((report.connections_served, report.connections_starved), (0, 2));
    within_a_hundredth(report.response_ns.mean(), 11e9, "waiting time");
    // Beside one that sends within the window, they are followed to their replies.
    let mut server = SimulatedServer::new(REPLY.into(), 0, 4_000 * MS);
    server.slow_third_ns = 7_500 * MS;
    let (report, _) = simulate(&LoadSpec { timeout, ..warmed(closed(2)) }, server);
    assert_eq!((report.requests, report.latency_requests, report.unanswered), (2, 3, 0));
    assert_eq!((report.connections_served, report.connections_starved), (1, 1));
    within_a_hundredth(report.response_ns.max() as f64, 11.5e9, "waiting time");
}

#[test]
fn a_request_that_times_out_after_the_window_is_unanswered_and_no_error() {
    let mut server = SimulatedServer::new(REPLY.into(), 0, MS);
    server.silent_from_ns = WINDOW.end - 100 * MS;
    let (timeout, drain) = (Duration::from_secs(2), Duration::from_secs(4));
    let (report, _) = simulate(&LoadSpec { timeout, drain, ..warmed(closed(4)) }, server);
    assert_eq!((report.unanswered, report.errors.total()), (4, 0));
    assert!(report.response_ns.max() >= 2_000 * MS);
}

#[test]
fn percentiles_need_ten_samples_beyond_them_in_several_seconds() {
    let server = SimulatedServer::new(REPLY.into(), 0, 10 * MS);
    let (mut report, _) = simulate(&warmed(closed(1)), server);
    assert_eq!(report.response_ns.len(), 1_000);
    // One longer time in each of twenty seconds.
    report.slowest_ns = vec![20 * MS; 20];
    report.response_ns.record_n(20 * MS, 20).unwrap();
    let support = |report: &crate::LoadReport, percentile| {
        report.percentile(TimeKind::Response, percentile).unwrap().support
    };
    assert_eq!(support(&report, 98.0), Support::Identified);
    assert_eq!(support(&report, 99.9), Support::TooFew);
    assert_eq!(support(&report, 100.0), Support::Identified);
    report.slowest_ns.truncate(2);
    assert_eq!(support(&report, 98.0), Support::TooFew);
    // A shorter window has fewer seconds.
    report.window = Duration::from_millis(2_500);
    assert_eq!(support(&report, 98.0), Support::Identified);
    report.window = Duration::from_millis(300);
    report.slowest_ns.truncate(1);
    assert_eq!(support(&report, 98.0), Support::Identified);
    assert!(report.percentile(TimeKind::Heavy, 50.0).is_none());
}
