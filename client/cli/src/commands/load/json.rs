//! Results of a load as JSON. `docs/json.md` describes the keys.

use loadgen::{
    Arrival, ConnectionUse, ErrorCounts, LoadReport, LoadSpec, RequestFile, Support, TimeKind,
};
use serde::Serialize;

/// Version of the document, its key `schema`.
const SCHEMA: u32 = 1;

/// Results of a load.
#[derive(Debug, Serialize)]
struct LoadDocument<'r> {
    schema: u32,
    document: &'static str,
    server: String,
    wire: &'static str,
    direction: &'static str,
    files: Vec<File<'r>>,
    connections: usize,
    keep_alive: bool,
    threads: usize,
    engine: &'static str,
    offered_per_s: Option<f64>,
    arrivals: Option<u64>,
    warm_up_s: f64,
    warm_up_steady: Option<bool>,
    window_s: f64,
    interrupted: bool,
    requests: u64,
    requests_per_s: Option<f64>,
    body_bytes: u64,
    body_mb_per_s: Option<f64>,
    latency_requests: u64,
    unanswered: u64,
    verified: u64,
    verified_bytes: u64,
    connections_opened: u64,
    connections_served: u64,
    connections_starved: u64,
    errors: Errors,
    error_examples: &'r [String],
    little: Option<f64>,
    generator_cpu_s: f64,
    generator_cpu_us_per_request: Option<f64>,
    generator_cpu_share: f64,
    generator_delay_share: Option<f64>,
    busy_polling: bool,
    times: Times,
}

/// Requested file.
#[derive(Debug, Serialize)]
struct File<'r> {
    name: &'r str,
    size_bytes: u64,
    weight: f64,
}

/// Failed requests by kind.
#[derive(Debug, Serialize)]
struct Errors {
    total: u64,
    connect: u64,
    reset: u64,
    timeout: u64,
    status: u64,
    length: u64,
    content: u64,
    protocol: u64,
}

/// Distributions of times; `None` where they do not exist or equal another one.
#[derive(Debug, Serialize)]
struct Times {
    response: Distribution,
    service: Option<Distribution>,
    send_delay: Option<Distribution>,
    connect: Distribution,
}

/// Mean, percentiles and maximum of a distribution.
#[derive(Debug, Serialize)]
struct Distribution {
    samples: u64,
    mean_us: Time,
    p50_us: Time,
    p90_us: Time,
    p99_us: Time,
    p999_us: Time,
    max_us: Time,
}

/// Time in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Time {
    /// The time; `None` if it is unknown.
    value: Option<f64>,
    /// Lower bound, where requests without a reply have waited for less.
    at_least: Option<f64>,
    /// Reason why the time is unknown.
    reason: Option<Reason>,
}

/// Reason why a time is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Reason {
    /// There are no samples.
    NotMeasured,
    /// Requests without a reply have waited for less: only a lower bound is known.
    AtLeast,
    /// Too few samples support the percentile.
    Few,
}

/// Report as one JSON document.
pub(super) fn of(spec: &LoadSpec, report: &LoadReport) -> String {
    let document = LoadDocument::of(spec, report);
    serde_json::to_string_pretty(&document).expect("the document has no maps") + "\n"
}

impl<'r> LoadDocument<'r> {
    fn of(spec: &'r LoadSpec, report: &'r LoadReport) -> Self {
        let window_s = report.window.as_secs_f64();
        let per_s = |count: u64| (window_s > 0.0).then(|| count as f64 / window_s);
        let cpu_s = report.cpu.total().as_secs_f64();
        let offered_per_s = match spec.arrival {
            Arrival::Open { rate_per_s, .. } => Some(rate_per_s),
            Arrival::Closed { .. } => None,
        };
        Self {
            schema: SCHEMA,
            document: "load",
            server: spec.target.to_string(),
            wire: spec.wire.name(),
            direction: spec.direction.name(),
            files: spec.files.iter().map(File::of).collect(),
            connections: spec.connections,
            keep_alive: spec.connection_use == ConnectionUse::KeepAlive,
            threads: spec.threads,
            engine: report.engine.name(),
            offered_per_s,
            arrivals: offered_per_s.map(|_| report.arrivals),
            warm_up_s: report.warm_up.as_secs_f64(),
            warm_up_steady: report.is_steady,
            window_s,
            interrupted: report.interrupted,
            requests: report.requests,
            requests_per_s: per_s(report.requests),
            body_bytes: report.body_bytes,
            body_mb_per_s: per_s(report.body_bytes).map(|rate| rate / 1e6),
            latency_requests: report.latency_requests,
            unanswered: report.unanswered,
            verified: report.verified,
            verified_bytes: report.verified_bytes,
            connections_opened: report.connections_opened,
            connections_served: report.connections_served,
            connections_starved: report.connections_starved,
            errors: Errors::of(&report.errors),
            error_examples: &report.error_examples,
            little: report.little,
            generator_cpu_s: cpu_s,
            generator_cpu_us_per_request: (report.requests > 0)
                .then(|| cpu_s * 1e6 / report.requests as f64),
            generator_cpu_share: report.cpu_share(),
            generator_delay_share: report.run_delay_share(),
            busy_polling: report.busy_polling,
            times: Times::of(spec, report),
        }
    }
}

impl<'r> File<'r> {
    fn of(file: &'r RequestFile) -> Self {
        Self { name: &file.name, size_bytes: file.size_bytes, weight: file.weight }
    }
}

impl Errors {
    fn of(counts: &ErrorCounts) -> Self {
        let ErrorCounts { connect, reset, timeout, status, length, content, protocol } = *counts;
        let total = counts.total();
        Self { total, connect, reset, timeout, status, length, content, protocol }
    }
}

impl Times {
    fn of(spec: &LoadSpec, report: &LoadReport) -> Self {
        let is_open = matches!(spec.arrival, Arrival::Open { .. });
        let has_service = is_open || spec.connection_use == ConnectionUse::PerRequest;
        let of = |kind| Distribution::of(report, kind);
        Self {
            response: of(TimeKind::Response),
            service: has_service.then(|| of(TimeKind::Service)),
            send_delay: is_open.then(|| of(TimeKind::SendDelay)),
            connect: of(TimeKind::Connect),
        }
    }
}

impl Distribution {
    fn of(report: &LoadReport, kind: TimeKind) -> Self {
        let times = report.times(kind);
        let is_bound = report.unanswered > 0 && kind != TimeKind::Connect;
        let mean_us = match (times.is_empty(), is_bound) {
            (true, _) => Time::unknown(Reason::NotMeasured),
            (false, true) => Time::at_least(times.mean()),
            (false, false) => Time::known(times.mean()),
        };
        let percentile = |percentile| match report.percentile(kind, percentile) {
            None => Time::unknown(Reason::NotMeasured),
            Some(found) => match found.support {
                Support::Identified => Time::known(found.ns as f64),
                Support::AtLeast => Time::at_least(found.ns as f64),
                Support::TooFew => Time::unknown(Reason::Few),
            },
        };
        Self {
            samples: times.len(),
            mean_us,
            p50_us: percentile(50.0),
            p90_us: percentile(90.0),
            p99_us: percentile(99.0),
            p999_us: percentile(99.9),
            max_us: percentile(100.0),
        }
    }
}

impl Time {
    fn known(ns: f64) -> Self {
        Self { value: Some(ns / 1e3), at_least: None, reason: None }
    }

    fn at_least(ns: f64) -> Self {
        Self { value: None, at_least: Some(ns / 1e3), reason: Some(Reason::AtLeast) }
    }

    fn unknown(reason: Reason) -> Self {
        Self { value: None, at_least: None, reason: Some(reason) }
    }
}
