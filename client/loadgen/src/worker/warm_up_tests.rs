//! Length of the warm-up in simulated time, before a server that becomes faster.

use std::time::Duration;

use super::tests::{MS, REPLY, START_NS, closed, simulate, within_a_hundredth};
use crate::engine::simulated::SimulatedServer;
use crate::report::LoadReport;
use crate::spec::LoadSpec;

/// Load on a server with a request per millisecond, twice as slow at the start and less so until
/// `cold_ms`.
fn warmed(cold_ms: u64, longest_s: u64) -> LoadReport {
    let mut server = SimulatedServer::new(REPLY.into(), MS, 0);
    server.cold_ns = START_NS..START_NS + cold_ms * MS;
    let (warm_up, longest_warm_up) = (Duration::from_secs(1), Duration::from_secs(longest_s));
    simulate(&LoadSpec { warm_up, longest_warm_up, ..closed(8) }, server).0
}

#[test]
fn a_steady_server_is_measured_after_the_planned_warm_up() {
    let report = warmed(0, 8);
    assert_eq!((report.warm_up, report.is_steady), (Duration::from_secs(1), Some(true)));
    within_a_hundredth(report.requests as f64, 10_000.0, "requests in ten seconds");
}

#[test]
fn the_window_begins_when_a_server_no_longer_becomes_faster() {
    let report = warmed(3_000, 8);
    assert_eq!(report.is_steady, Some(true));
    let seconds = report.warm_up.as_secs_f64();
    assert!((2.9..4.0).contains(&seconds), "{seconds}");
    within_a_hundredth(report.requests as f64, 10_000.0, "requests in ten seconds");
    within_a_hundredth(report.little.unwrap(), 1.0, "Little's law");
}

#[test]
fn a_server_that_still_becomes_faster_is_measured_in_the_end_and_that_is_told() {
    let report = warmed(6_000, 2);
    assert_eq!((report.warm_up, report.is_steady), (Duration::from_secs(2), Some(false)));
    assert!((8_500..9_700).contains(&report.requests), "{}", report.requests);
    // Without a longer warm-up it is measured as planned.
    let report = warmed(3_000, 1);
    assert_eq!((report.warm_up, report.is_steady), (Duration::from_secs(1), Some(false)));
}

#[test]
fn few_replies_do_not_prolong_the_warm_up() {
    let server = SimulatedServer::new(REPLY.into(), 100 * MS, 0);
    let (warm_up, longest_warm_up) = (Duration::from_secs(1), Duration::from_secs(9));
    let (report, _) = simulate(&LoadSpec { warm_up, longest_warm_up, ..closed(8) }, server);
    assert_eq!((report.warm_up, report.is_steady), (warm_up, None));
}
