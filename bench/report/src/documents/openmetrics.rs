//! Text format of OpenMetrics 1.0.

use bench_data::load::Load;
use bench_data::load::objective::Objective;
use bench_data::record::run_folder::Contents;

use crate::analysis::metric::{Metric, Percentile};
use crate::documents::load_key::LoadKey;
use crate::documents::trusted::{Point, Trusted};

/// Metric family of measured values.
struct Family {
    /// Name; it ends with the unit, if there is one.
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    metrics: &'static [Metric],
    factor: Factor,
}

/// Factor that converts a value to the base unit of its family.
#[derive(Clone, Copy)]
enum Factor {
    One,
    Million,
    Millionth,
}

impl Factor {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::One => value,
            Self::Million => value * 1e6,
            Self::Millionth => value / 1e6,
        }
    }
}

const fn family(
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    metrics: &'static [Metric],
    factor: Factor,
) -> Family {
    Family { name, unit, help, metrics, factor }
}

const RATE: Option<&str> = Some("requests_per_second");
const SECONDS: Option<&str> = Some("seconds");
const BYTES: Option<&str> = Some("bytes");

/// Families of the measured values.
const FAMILIES: [Family; 11] = [
    family(
        "bench_throughput_requests_per_second",
        RATE,
        "Completed requests per second.",
        &[Metric::Throughput],
        Factor::One,
    ),
    family(
        "bench_transfer_bytes_per_second",
        Some("bytes_per_second"),
        "Body bytes per second.",
        &[Metric::TransferRate],
        Factor::Million,
    ),
    family(
        "bench_response_time_seconds",
        SECONDS,
        "Percentiles of the response time, of light requests where others are heavy.",
        &[
            Metric::Response(Percentile::P50),
            Metric::Response(Percentile::P90),
            Metric::P99,
            Metric::Response(Percentile::P99_9),
        ],
        Factor::Millionth,
    ),
    family(
        "bench_response_time_mean_seconds",
        SECONDS,
        "Mean response time.",
        &[Metric::MeanResponse],
        Factor::Millionth,
    ),
    family(
        "bench_server_cpu_per_request_seconds",
        SECONDS,
        "Processor time of the server per request.",
        &[Metric::CpuPerRequest],
        Factor::Millionth,
    ),
    family(
        "bench_generator_cpu_per_request_seconds",
        SECONDS,
        "Processor time of the load generator per request.",
        &[Metric::GeneratorCpuPerRequest],
        Factor::Millionth,
    ),
    family(
        "bench_server_switches_per_request",
        None,
        "Context switches of the server per request.",
        &[Metric::SwitchesPerRequest],
        Factor::One,
    ),
    family(
        "bench_server_memory_bytes",
        BYTES,
        "Memory of the server's processes.",
        &[Metric::Memory],
        Factor::One,
    ),
    family(
        "bench_kernel_memory_bytes",
        BYTES,
        "Growth of the kernel's memory while background connections were opened.",
        &[Metric::KernelMemory],
        Factor::One,
    ),
    family(
        "bench_server_threads",
        Some("threads"),
        "Threads of the server.",
        &[Metric::Threads],
        Factor::One,
    ),
    family(
        "bench_capacity_requests_per_second",
        RATE,
        "Offered rate at which half of the trials meet the objective, with its 95 % interval.",
        &[Metric::Capacity],
        Factor::One,
    ),
];

/// Labels of a sample: names and values.
type Labels = Vec<(&'static str, String)>;

/// Server and load, and the objective of a capacity search.
type Group<'t> = (&'t str, Load, Option<Objective>);

/// Values that can be trusted as gauges, and a gauge that is 0 for servers and loads that are left out.
pub fn text(contents: &Contents, trusted: &Trusted) -> String {
    let mut text = run(contents);
    for family in &FAMILIES {
        let is_its = |point: &&Point| family.metrics.contains(&point.metric);
        let points: Vec<_> = trusted.points.iter().filter(is_its).collect();
        if points.is_empty() {
            continue;
        }
        text += &head(family.name, "gauge", family.unit, family.help);
        for point in points {
            let values = [("value", Some(point.value)), ("low", point.low), ("high", point.high)];
            for (statistic, value) in values {
                let Some(value) = value else { continue };
                let mut labels = of_load(&point.server, point.load, point.objective);
                if let Some(percentile) = point.metric.percentile() {
                    labels.push(("percentile", percentile.percent().to_string()));
                }
                labels.push(("statistic", statistic.to_owned()));
                // A float has a point or an exponent, as `Debug` writes it.
                text += &sample(family.name, &labels, &format!("{:?}", family.factor.of(value)));
            }
        }
    }
    text + &is_trusted(trusted) + "# EOF\n"
}

/// Plan, program and machine.
fn run(contents: &Contents) -> String {
    let Contents { plan, environment, .. } = contents;
    let machine = &environment.machine;
    let labels = vec![
        ("plan", plan.name.clone()),
        ("started_at", environment.started_at.to_string()),
        ("version", environment.version.clone()),
        ("revision", environment.revision.clone().unwrap_or_default()),
        ("host", machine.host.clone()),
        ("processor", machine.processor.clone().unwrap_or_default()),
        ("cores", machine.cores.to_string()),
        ("kernel", machine.kernel.clone()),
    ];
    let help = "Plan, program and machine of the run.";
    head("bench_run", "info", None, help) + &sample("bench_run_info", &labels, "1")
}

/// 1 for every server and load with exported values, 0 for the others.
fn is_trusted(trusted: &Trusted) -> String {
    let mut known: Vec<(Group<'_>, &str)> = Vec::new();
    let with =
        trusted.points.iter().map(|point| ((&*point.server, point.load, point.objective), "1"));
    let without = trusted.left_out.iter().map(|one| ((&*one.server, one.load, one.objective), "0"));
    for one in with.chain(without) {
        if !known.iter().any(|(group, _)| *group == one.0) {
            known.push(one);
        }
    }
    if known.is_empty() {
        return String::new();
    }
    let help = "1 if the trials were measured as planned and their values are exported, else 0.";
    let samples = known.iter().map(|((server, load, objective), value)| {
        sample("bench_trusted", &of_load(server, *load, *objective), value)
    });
    head("bench_trusted", "gauge", None, help) + &samples.collect::<String>()
}

/// Metadata of a family.
fn head(name: &str, kind: &str, unit: Option<&str>, help: &str) -> String {
    let unit = unit.map(|unit| format!("# UNIT {name} {unit}\n")).unwrap_or_default();
    format!("# TYPE {name} {kind}\n{unit}# HELP {name} {}\n", escaped(help))
}

fn of_load(server: &str, load: Load, objective: Option<Objective>) -> Labels {
    let LoadKey { direction, size_bytes, connections, profile } = load.into();
    vec![
        ("server", server.to_owned()),
        ("direction", direction.to_owned()),
        ("size_bytes", size_bytes.to_string()),
        ("connections", connections.to_string()),
        ("profile", profile),
        ("objective", objective.map(|one| one.to_string()).unwrap_or_default()),
    ]
}

/// Sample with its labels; empty ones are as good as absent.
fn sample(name: &str, labels: &Labels, value: &str) -> String {
    let labels = labels.iter().filter(|(_, value)| !value.is_empty());
    let labels: Vec<_> =
        labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{name}{{{}}} {value}\n", labels.join(","))
}

/// Text of a label or a help line.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_are_escaped() {
        let labels = vec![("server", "a\"b\\c\nd".to_owned()), ("profile", String::new())];
        assert_eq!(sample("x", &labels, "1.0"), "x{server=\"a\\\"b\\\\c\\nd\"} 1.0\n");
    }

    #[test]
    fn names_end_with_their_unit_and_are_distinct() {
        let names: BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
        for Family { name, unit, .. } in &FAMILIES {
            assert!(unit.is_none_or(|unit| name.ends_with(&format!("_{unit}"))), "{name}");
        }
    }

    #[test]
    fn every_exported_metric_has_a_family() {
        use crate::documents::values::{CAPACITY, QUANTITIES};
        for one in QUANTITIES.iter().chain([&CAPACITY]) {
            let families = FAMILIES.iter().filter(|family| family.metrics.contains(&one.metric));
            assert_eq!(families.count(), 1, "{}", one.key);
        }
    }
}
