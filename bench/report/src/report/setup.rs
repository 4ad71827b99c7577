//! The conditions of a run: set-up, servers, bottlenecks and outliers.

use crate::analysis::Analysis;
use crate::analysis::outliers::{Metric, outliers};
use crate::analysis::summary::Line;
use crate::report::content::Report;
use bench_data::load::words::describe;
use bench_data::record::environment::typed;
use bench_data::record::evidence::Limit;
use bench_data::record::rows::TrialRow;
use bench_data::record::run_folder::Contents;
use bench_data::servers::target::TargetKind;
use bench_data::units;
use serde::Serialize;

/// Trials far from the others of their server and load, each in a sentence.
pub fn outliers_in_words(contents: &Contents) -> Vec<String> {
    outliers(&contents.records)
        .into_iter()
        .map(|one| {
            let (what, write): (_, fn(f64) -> String) = match one.metric {
                Metric::Throughput => ("requests/s", units::count),
                Metric::P99 => ("99th percentile", units::microseconds),
            };
            let unusual = if one.unusual.is_empty() {
                "nothing else was unusual".to_owned()
            } else {
                one.unusual.join(", ")
            };
            format!(
                "Trial {} (round {}), {} with {}: {what} {}, the median is {}; {unusual}.",
                one.trial,
                one.round,
                one.target,
                describe(one.load),
                write(one.value),
                write(one.median)
            )
        })
        .collect()
}

/// What the setup card says, line by line.
pub fn setup(report: &Report) -> Vec<(&'static str, String)> {
    let Report { contents, analysis, .. } = report;
    let (plan, environment) = (&contents.plan, &contents.environment);
    let (machine, placement) = (&environment.machine, &environment.placement);
    let pinned = |cores: &[usize]| match cores {
        [] => "not pinned".to_owned(),
        cores => {
            let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
            format!("core {}", cores.join(", "))
        }
    };
    let done = contents.records.trials.len();
    let planned = environment.trials_planned;
    let stopped = if environment.interrupted { ", then interrupted" } else { "" };
    let mut lines = vec![
        ("Command", typed(&environment.command)),
        ("Begun", environment.started_at.strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("Trials", format!("{done} of {planned}, {} rounds{stopped}", plan.rounds)),
        (
            "Each",
            format!(
                "{} ms measured after {} ms of warm-up; closed loop and keep-alive, where not told \
                 otherwise; {} wire",
                plan.window_ms,
                plan.warm_up_ms,
                plan.wire.name()
            ),
        ),
        (
            "Limited by",
            match counted(&contents.records.trials) {
                none if none.is_empty() => "not recorded".to_owned(),
                some => some,
            },
        ),
        ("Machine", {
            let processor = machine.processor.as_deref().unwrap_or("unknown processor");
            format!("{}, {} cores, {processor}", machine.host, machine.cores)
        }),
        ("Kernel", {
            let congestion = machine.congestion_control.as_ref();
            let congestion =
                congestion.map(|name| format!(", TCP with {name}")).unwrap_or_default();
            let governor = machine.frequency_governor.as_ref();
            let governor = governor.map(|name| format!(", governor {name}")).unwrap_or_default();
            format!("{}{congestion}{governor}", machine.kernel)
        }),
        ("Before", {
            let load = machine.load_average.as_deref().unwrap_or("unknown");
            let busy = if machine.was_busy() { ": the machine was busy" } else { "" };
            format!("load average {load}{busy}")
        }),
        ("Server", pinned(&placement.server_cores)),
        ("Generator", {
            let engines = distinct(analysis, |line| &line.engines);
            let engine = if engines.is_empty() { String::new() } else { format!(", {engines}") };
            pinned(&placement.generator_cores) + &engine
        }),
        ("Send path", {
            let ran = distinct(analysis, |line| &line.send_paths);
            let ran = if ran.is_empty() { String::new() } else { format!(" (what ran: {ran})") };
            format!("{}{ran}", plan.send_path.name())
        }),
        (
            "Files on",
            format!(
                "{}, uploads with durability {}",
                placement.file_system, placement.upload_durability
            ),
        ),
    ];
    if let Some(bytes) = machine.memory_bytes {
        lines.insert(6, ("Memory", units::bytes(bytes as f64)));
    }
    let revision = environment.revision.as_deref().unwrap_or("unknown");
    let build = if environment.optimised { "" } else { ", built without optimisation" };
    let compiler = environment.compiler.as_ref().map(|name| format!(", built by {name}"));
    let compiler = compiler.unwrap_or_default();
    lines.push((
        "Version",
        format!("{}, revision {revision}{compiler}{build}", environment.version),
    ));
    if let Some(seed) = plan.seed {
        lines.push(("Seed", seed.to_string()));
    }
    lines
}

fn distinct<'a>(analysis: &'a Analysis, of: fn(&'a Line) -> &'a Vec<String>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for value in analysis.summary.lines.iter().flat_map(of) {
        if !seen.contains(&value.as_str()) {
            seen.push(value);
        }
    }
    seen.join(", ")
}

/// What limited how many of these trials, in words; nothing where none of them tells.
fn counted(rows: &[TrialRow]) -> String {
    let each = [
        (Limit::Server, "the server"),
        (Limit::Generator, "the generator"),
        (Limit::Memory, "copying"),
        (Limit::None, "none of them"),
    ];
    let counts = each
        .map(|(limit, name)| (rows.iter().filter(|row| row.limit == Some(limit)).count(), name));
    let said: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{name} in {count}"))
        .collect();
    if said.is_empty() { String::new() } else { format!("{} trials", said.join(", ")) }
}

/// A server as the page introduces it.
#[derive(Debug, Serialize)]
pub struct Server {
    /// Name of the server.
    pub name: String,
    /// Version, configuration and abilities.
    pub known: String,
    /// A file within the folder.
    configuration: Option<String>,
}

/// What trials recorded, each value once.
/// The servers: name, what sets it apart, and what is known of it.
pub fn servers(contents: &Contents) -> Vec<Server> {
    let infos = &contents.environment.targets;
    let mut servers: Vec<Server> = contents
        .plan
        .targets()
        .iter()
        // Runs of before there was such a pair have none.
        .filter(|target| {
            target.kind() != TargetKind::AaControl
                || infos.iter().any(|info| info.name == target.name())
        })
        .map(|target| {
            let info = infos.iter().find(|info| info.name == target.name());
            let mut known = vec![target.description()];
            let mut configuration = None;
            if let Some(info) = info {
                let version = info.version.iter().filter(|_| !info.kind.is_ours());
                known.extend(version.cloned());
                known.extend(Some(info.abilities()).filter(|text| !text.is_empty()));
                known.extend(info.problems.iter().cloned());
                configuration.clone_from(&info.configuration);
            }
            let name = format!("{}{}", target.name(), target.kind().remark());
            Server { name, known: known.join("; "), configuration }
        })
        .collect();
    servers.extend(contents.environment.not_installed.iter().map(|name| Server {
        name: name.clone(),
        known: "Asked for, but not installed".to_owned(),
        configuration: None,
    }));
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_counted_where_they_are_known() {
        let mut rows = bench_data::mock::records().trials;
        rows.truncate(5);
        let limits = [Limit::Server, Limit::Server, Limit::Memory, Limit::None];
        for (row, limit) in rows.iter_mut().zip(limits.map(Some).into_iter().chain([None])) {
            row.limit = limit;
        }
        let said = counted(&rows);
        assert_eq!(said, "the server in 2, copying in 1, none of them in 1 trials");
        rows.iter_mut().for_each(|row| row.limit = None);
        assert_eq!(counted(&rows), "");
    }
}
