//! Results of a load as a text table.

use std::fmt::Write;

use fileserver_proto::Wire;
use hdrhistogram::Histogram;
use loadgen::{Arrival, Direction, LoadReport, LoadSpec};

use crate::terminal::units::time;

/// Share of the window that a thread of the generator may wait for its core without a warning.
const DISTURBED_SHARE: f64 = 0.05;

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
        "{} on {} over {}, {} connections, {} {}, engine {}",
        match (spec.direction, spec.wire) {
            (Direction::Upload, _) => "Upload",
            (Direction::Download, Wire::Text) => "Replies to lines",
            (Direction::Download, _) => "Download",
            (Direction::Echo, _) => "Echo",
        },
        spec.target,
        spec.wire.name(),
        spec.connections,
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
        let waiting = report.arrivals.saturating_sub(report.requests + report.errors.total());
        row(out, "offered/s", format!("{rate_per_s:.0} ({} arrivals)", report.arrivals))?;
        row(out, "still waiting", waiting.to_string())?;
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
    row(out, "connections", format!("{opened} opened, {} served", report.connections_served))?;
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
        latency(out, "intended → done", &report.response_ns)?;
        latency(out, "sent → done", &report.service_ns)?;
        latency(out, "intended → sent", &report.send_delay_ns)?;
    } else {
        latency(out, "latency", &report.service_ns)?;
    }
    latency(out, "connecting", &report.connect_ns)?;
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

fn latency(out: &mut String, name: &str, histogram: &Histogram<u64>) -> std::fmt::Result {
    write!(out, "  {name:<18}")?;
    if histogram.is_empty() {
        return writeln!(out, "{:>10}", "–");
    }
    let quantile = |q| histogram.value_at_quantile(q) as f64;
    for ns in [
        histogram.mean(),
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        quantile(0.999),
        histogram.max() as f64,
    ] {
        write!(out, "{:>10}", time(ns))?;
    }
    writeln!(out)
}
