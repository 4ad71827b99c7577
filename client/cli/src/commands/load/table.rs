//! Results of a load as a text table.

use std::fmt::Write;

use fileserver_proto::Wire;
use loadgen::{
    Arrival, ConnectionUse, Direction, ErrorCounts, LoadReport, LoadSpec, Support, TimeKind,
};

use crate::terminal::units::time;

/// Share of the window that a thread of the generator may wait for its core without a warning.
const DISTURBED_SHARE: f64 = 0.1;

/// Formats a report as a table.
pub(super) fn of(spec: &LoadSpec, report: &LoadReport) -> String {
    let mut text = String::new();
    write_into(&mut text, spec, report).expect("writing to a String does not fail");
    text
}

fn write_into(out: &mut String, spec: &LoadSpec, report: &LoadReport) -> std::fmt::Result {
    let seconds = report.window.as_secs_f64();
    let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    writeln!(
        out,
        "{} on {} over {}, {} {}, {} {}, engine {}",
        match (spec.direction, spec.wire) {
            (Direction::Upload, _) => "Upload",
            (Direction::Download, Wire::Text) => "Replies to lines",
            (Direction::Download, _) => "Download",
            (Direction::Echo, _) => "Echo",
        },
        spec.target,
        spec.wire.name(),
        spec.connections,
        if spec.connections == 1 { "connection" } else { "connections" },
        spec.threads,
        if spec.threads == 1 { "thread" } else { "threads" },
        report.engine.name(),
    )?;
    writeln!(out)?;
    let row = |out: &mut String, name: &str, value: String| writeln!(out, "  {name:<18}{value}");
    let interrupted = if report.interrupted { " (interrupted)" } else { "" };
    row(out, "measured", format!("{seconds:.2} s{interrupted}"))?;
    row(out, "requests", report.requests.to_string())?;
    row(out, "requests/s", format!("{:.0}", per_second(report.requests)))?;
    row(out, "MB/s", format!("{:.1}", per_second(report.body_bytes) / 1e6))?;
    if let Arrival::Open { rate_per_s, .. } = spec.arrival {
        row(out, "offered/s", format!("{rate_per_s:.0} ({} arrivals)", report.arrivals))?;
    }
    if report.unanswered > 0 {
        let all = report.latency_requests + report.unanswered;
        let text = format!("{} of {all} requests of the window", report.unanswered);
        row(out, "unanswered", text)?;
    }
    let detection = match report.detection_probability().filter(|_| report.verified > 0) {
        Some(share) if share < 1.0 => {
            let percent = 100.0 * share;
            format!(", {percent:.1} % of all bytes: the chance that one wrong byte was detected")
        }
        _ => String::new(),
    };
    row(out, "bodies compared", format!("{}{detection}", report.verified))?;
    let opened = report.connections_opened;
    let starved = match report.connections_starved {
        0 => String::new(),
        starved => format!(", {starved} starved: no reply within the window"),
    };
    let served = report.connections_served;
    let wrong = match (report.requests, wrong_replies(&report.errors)) {
        (0, 1..) => ": no reply was correct",
        _ => "",
    };
    row(out, "connections", format!("{opened} opened, {served} served{wrong}{starved}"))?;
    if seconds > 0.0 {
        let mut text = format!("{:.0} % per thread", 100.0 * report.cpu_share());
        if report.requests > 0 {
            let each = report.cpu.total().as_secs_f64() * 1e6 / report.requests as f64;
            write!(text, ", {each:.2} µs per request")?;
        }
        if report.busy_polling {
            text.push_str(" (polling for arrivals)");
        }
        row(out, "generator CPU", text)?;
    }
    if report.is_steady == Some(false) {
        let text = "the rate still changed at the end of the warm-up: choose a longer --warm-up";
        row(out, "warning", text.to_owned())?;
    }
    if let Some(share) = report.run_delay_share().filter(|share| *share >= DISTURBED_SHARE) {
        let percent = 100.0 * share;
        row(
            out,
            "warning",
            format!(
                "the generator waited {percent:.0} % of the time for its core: stop other \
                 programs, or choose free cores with --cores"
            ),
        )?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "  {:<18}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "mean", "p50", "p90", "p99", "p99.9", "max"
    )?;
    if matches!(spec.arrival, Arrival::Open { .. }) {
        latency(out, "response time", report, TimeKind::Response)?;
        latency(out, "service time", report, TimeKind::Service)?;
        latency(out, "send delay", report, TimeKind::SendDelay)?;
    } else {
        latency(out, "response time", report, TimeKind::Response)?;
        if spec.connection_use == ConnectionUse::PerRequest {
            latency(out, "service time", report, TimeKind::Service)?;
        }
    }
    latency(out, "connecting", report, TimeKind::Connect)?;
    let errors = &report.errors;
    if errors.total() > 0 {
        writeln!(out)?;
        for (kind, count) in [
            ("connect", errors.connect),
            ("reset", errors.reset),
            ("timeout", errors.timeout),
            ("status", errors.status),
            ("length", errors.length),
            ("content", errors.content),
            ("protocol", errors.protocol),
        ] {
            if count > 0 {
                row(out, &format!("{kind} errors"), count.to_string())?;
            }
        }
        for example in &report.error_examples {
            writeln!(out, "    for example: {example}")?;
        }
    }
    Ok(())
}

/// Replies that were received and not correct.
fn wrong_replies(errors: &ErrorCounts) -> u64 {
    errors.status + errors.length + errors.content + errors.protocol
}

/// Mean and percentiles of a distribution. A percentile that is a lower bound is marked; one that
/// too few samples support is left out.
fn latency(out: &mut String, name: &str, report: &LoadReport, kind: TimeKind) -> std::fmt::Result {
    write!(out, "  {name:<18}")?;
    let times = report.times(kind);
    if times.is_empty() {
        return writeln!(out, "{:>10}", "–");
    }
    let is_bound = report.unanswered > 0 && kind != TimeKind::Connect;
    let bound = if is_bound { "≥ " } else { "" };
    write!(out, "{:>10}", format!("{bound}{}", time(times.mean())))?;
    for percentile in [50.0, 90.0, 99.0, 99.9, 100.0] {
        let stated = report.percentile(kind, percentile).map(|found| match found.support {
            Support::Identified => time(found.ns as f64),
            Support::AtLeast => format!("≥ {}", time(found.ns as f64)),
            Support::TooFew => "–".to_owned(),
        });
        write!(out, "{:>10}", stated.unwrap_or_default())?;
    }
    writeln!(out)
}
