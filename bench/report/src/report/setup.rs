//! Conditions of a run: set-up, servers, bottlenecks and outliers.

use crate::analysis::outliers::{self, outliers};
use crate::analysis::summary::Line;
use crate::report::content::Report;
use bench_data::load::words::describe;
use bench_data::record::conditions::Conditions;
use bench_data::record::environment::typed;
use bench_data::record::evidence::Limit;
use bench_data::record::rows::TrialRow;
use bench_data::record::run_folder::Contents;
use bench_data::servers::target::TargetKind;
use bench_data::units;
use bench_data::units::{counted, grouped};
use serde::Serialize;

/// Outliers of a run, each in a sentence.
pub(crate) fn outliers_in_words(contents: &Contents) -> Vec<String> {
    outliers(&contents.records)
        .into_iter()
        .map(|one| {
            let unusual = if one.unusual.is_empty() {
                "nothing else unusual".to_owned()
            } else {
                one.unusual.join(", ")
            };
            format!(
                "Trial {} (round {}), {} with {}: {} {}, median {}; {unusual}.",
                one.trial,
                one.round,
                one.target,
                describe(one.load),
                one.metric.name(),
                one.metric.write(one.value),
                one.metric.write(one.median)
            )
        })
        .collect()
}

/// Text of a report without outliers.
pub(crate) fn no_outliers(contents: &Contents) -> &'static str {
    if (contents.plan.rounds as usize) < outliers::LEAST_ROUNDS {
        return "Outliers are not tested: the test needs five rounds.";
    }
    "No trial is far from the others of its server and load."
}

/// Numbers of trials and rounds, and the parts that are not trials of compared servers.
pub(crate) fn trials(report: &Report) -> String {
    let Report { contents, analysis, .. } = report;
    let environment = &contents.environment;
    let rows = &contents.records.trials;
    let searched = rows.iter().filter(|row| row.search.is_some()).count();
    let compared: usize = analysis.summary.lines.iter().map(Line::trials).sum();
    let mut text = format!(
        "{} of {} in {}",
        grouped(rows.len()),
        grouped(rows.len().max(environment.trials_planned as usize)),
        contents.plan.rounds_in_words()
    );
    for (count, what) in
        [(searched, "of capacity searches"), (rows.len() - compared - searched, "of A/A controls")]
    {
        if count > 0 {
            text += &format!(", {} {what}", grouped(count));
        }
    }
    if environment.interrupted {
        text += "; then interrupted";
    }
    text
}

/// Number of trials whose figures agree with each other.
fn self_consistent(rows: &[TrialRow]) -> String {
    let checked: Vec<bool> = rows.iter().filter_map(TrialRow::is_self_consistent).collect();
    if checked.is_empty() {
        return "not recorded".to_owned();
    }
    let agree = checked.iter().filter(|agree| **agree).count();
    let unchecked = match rows.len() - checked.len() {
        0 => String::new(),
        others => format!("; {} not testable", counted(others, "trial")),
    };
    format!(
        "{} of {}: server and load generator counted the same requests, and rates and response \
         times agree by Little's law{unchecked}",
        grouped(agree),
        counted(checked.len(), "trial")
    )
}

/// Number of trials whose rate was steady when their window began; `None` for runs that did not record it.
fn steady(rows: &[TrialRow]) -> Option<String> {
    let warmed: Vec<&TrialRow> = rows.iter().filter(|row| row.warm_up_s.is_some()).collect();
    let known: Vec<bool> = warmed.iter().filter_map(|row| row.warm_up_steady).collect();
    let unknown = match warmed.len() - known.len() {
        0 => String::new(),
        others => format!("; {} with too few replies to tell", counted(others, "trial")),
    };
    let steady = known.iter().filter(|steady| **steady).count();
    (!warmed.is_empty()).then(|| {
        format!(
            "longer than planned, up to four times, while the rate of replies changed; steady at its end in \
             {} of {}{unknown}",
            grouped(steady),
            counted(known.len(), "trial")
        )
    })
}

/// Set-up of a run, line by line.
pub(crate) fn setup(report: &Report) -> Vec<(&'static str, String)> {
    let Report { contents, .. } = report;
    let (plan, environment) = (&contents.plan, &contents.environment);
    let (machine, placement) = (&environment.machine, &environment.placement);
    let pinned = |cores: &[usize]| match cores {
        [] => "not pinned".to_owned(),
        cores => {
            let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
            format!("core {}", cores.join(", "))
        }
    };
    let mut lines = vec![
        ("Command", typed(&environment.command)),
        ("Started", environment.started_at.strftime("%Y-%m-%d %H:%M UTC").to_string()),
        ("Trials", trials(report)),
        (
            "Per trial",
            format!(
                "{} ms measured after {} ms of warm-up; closed loop and keep-alive unless noted; {} \
                 wire",
                plan.window_ms,
                plan.warm_up_ms,
                plan.wire.name()
            ),
        ),
        ("Self-consistent", self_consistent(&contents.records.trials)),
        (
            "Bottleneck",
            match bottlenecks(&contents.records.trials) {
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
            let congestion = congestion
                .map(|name| format!(", TCP congestion control {name}"))
                .unwrap_or_default();
            let governor = machine.frequency_governor.as_ref();
            let governor = governor.map(|name| format!(", governor {name}")).unwrap_or_default();
            format!("{}{congestion}{governor}", machine.kernel)
        }),
        match machine.busy_percent {
            Some(percent) => ("Other programs at start", {
                let busy = match machine.busy_allowed {
                    true => ": too much, but the run began nevertheless (--allow-busy)",
                    false => "",
                };
                format!("{percent} % of the processor time{busy}")
            }),
            // Older runs.
            None => ("Load average at start", {
                let load = machine.load_average.as_deref().unwrap_or("unknown");
                let busy = if machine.was_busy() { " (the machine was busy)" } else { "" };
                format!("{load}{busy}")
            }),
        },
        ("Server", pinned(&placement.server_cores)),
        ("Generator", {
            let engines = distinct(contents, |row| row.generator_engine.as_deref());
            let engine =
                if engines.is_empty() { String::new() } else { format!(", I/O engine {engines}") };
            pinned(&placement.generator_cores) + &engine
        }),
        ("Send path", {
            let ran = distinct(contents, |row| row.server_send_path.as_deref());
            let ran = if ran.is_empty() { String::new() } else { format!(" (used: {ran})") };
            format!("{}{ran}", plan.send_path.name())
        }),
        ("Files on", {
            let files = match &*placement.upload_durability {
                "none" => format!("{}; uploads are not forced to disk", placement.file_system),
                some => format!("{}; uploads with durability {some}", placement.file_system),
            };
            let disk = placement.disk_file_system.as_ref();
            let disk = disk.map(|name| {
                format!(
                    ". Uploads stored on a disk: {name}; built-in servers force the data of each \
                         to disk before they reply, reference servers do not"
                )
            });
            files + &disk.unwrap_or_default()
        }),
    ];
    if let Some(bytes) = machine.memory_bytes {
        lines.insert(7, ("Memory", units::bytes(bytes as f64)));
    }
    if let Some(text) = steady(&contents.records.trials) {
        lines.insert(4, ("Warm-up", text));
    }
    let conditions = &environment.conditions;
    lines.extend(processor(conditions).map(|text| ("Processor settings", text)));
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

/// Machine, cores and date of a run in one line.
pub(crate) fn machine_in_one_line(contents: &Contents) -> String {
    let environment = &contents.environment;
    let (machine, placement) = (&environment.machine, &environment.placement);
    let processor = machine.processor.as_deref().unwrap_or("unknown processor");
    let cores = counted(machine.cores, "core");
    let listed =
        |cores: &[usize]| cores.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let pinned = match (&placement.server_cores[..], &placement.generator_cores[..]) {
        ([], _) | (_, []) => "not pinned".to_owned(),
        (server, generator) => {
            format!(
                "server on core {}, load generator on core {}",
                listed(server),
                listed(generator)
            )
        }
    };
    let date = environment.started_at.strftime("%Y-%m-%d");
    format!("{cores} of {processor}, {}; {pinned}; measured {date}", machine.kernel)
}

/// Settings of the processor and the kernel that can change results, as far as they are recorded.
fn processor(conditions: &Conditions) -> Option<String> {
    let named =
        |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name} {value}"));
    let idle = named("idle states by", &conditions.idle_driver);
    let each = [
        named("hypervisor", &conditions.hypervisor),
        idle.map(|text| match &conditions.idle_governor {
            Some(governor) if Some(governor) != conditions.idle_driver.as_ref() => {
                format!("{text} with governor {governor}")
            }
            _ => text,
        }),
        conditions.wake_up_limit_us.map(|limit| match limit {
            0 => "idle cores poll instead of sleeping".to_owned(),
            limit => format!("idle cores wake up within {limit} µs"),
        }),
        named("clock", &conditions.clock_source),
        named("huge pages", &conditions.transparent_huge_pages),
        conditions.loopback_rps_cpus.as_ref().map(|cpus| {
            match cpus.chars().all(|digit| "0,".contains(digit)) {
                true => "receive steering off".to_owned(),
                false => {
                    let flows = conditions.rps_sock_flow_entries.as_deref();
                    let receiver = match flows.is_some_and(|flows| flows != "0") {
                        true => ", each flow to the core of its receiver (RFS)",
                        false => "",
                    };
                    format!("receive steering to cores {cpus} (mask){receiver}")
                }
            }
        }),
        conditions.mitigations().map(|text| format!("vulnerabilities: {text}")),
    ];
    let known: Vec<_> = each.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// Distinct values of a column, in the order in which they first appear.
fn distinct(contents: &Contents, column: fn(&TrialRow) -> Option<&str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for value in contents.records.trials.iter().filter_map(column) {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen.join(", ")
}

/// Bottlenecks of trials with their numbers; empty if none was recorded.
fn bottlenecks(rows: &[TrialRow]) -> String {
    let each = [
        (Limit::Server, "server"),
        (Limit::Generator, "load generator"),
        (Limit::Memory, "memory bandwidth"),
        (Limit::None, "neither"),
    ];
    let counts = each
        .map(|(limit, name)| (rows.iter().filter(|row| row.limit == Some(limit)).count(), name));
    let mut found = counts.iter().filter(|(count, _)| *count > 0);
    let Some((count, name)) = found.next() else { return String::new() };
    let first = format!("{name} in {}", counted(*count, "trial"));
    found.fold(first, |text, (count, name)| format!("{text}, {name} in {}", grouped(*count)))
}

const NOT_INSTALLED: &str = "Requested, but not installed";

/// Server of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Server {
    pub name: String,
    /// Description, version, abilities and problems.
    pub known: String,
    /// Likewise, without the abilities.
    #[serde(skip)]
    pub described: String,
    /// Configuration file within the folder.
    configuration: Option<String>,
}

/// Descriptions of all servers of a run.
pub(crate) fn servers(contents: &Contents) -> Vec<Server> {
    let infos = &contents.environment.targets;
    let mut servers: Vec<Server> = contents
        .plan
        .targets()
        .iter()
        // Old runs have no A/A control.
        .filter(|target| {
            target.kind() != TargetKind::AaControl
                || infos.iter().any(|info| info.name == target.name())
        })
        .map(|target| {
            let info = infos.iter().find(|info| info.name == target.name());
            let mut described = vec![target.description()];
            let (mut abilities, mut configuration) = (None, None);
            if let Some(info) = info {
                let version = info.version.iter().filter(|_| !info.kind.is_ours());
                described.extend(version.cloned());
                abilities = Some(info.abilities()).filter(|text| !text.is_empty());
                described.extend(info.problems.iter().cloned());
                configuration.clone_from(&info.configuration);
            }
            let name = format!("{}{}", target.name(), target.kind().remark());
            let known = described.iter().cloned().chain(abilities).collect::<Vec<_>>().join("; ");
            Server { name, known, described: described.join("; "), configuration }
        })
        .collect();
    servers.extend(contents.environment.not_installed.iter().map(|name| Server {
        name: name.clone(),
        known: NOT_INSTALLED.to_owned(),
        described: NOT_INSTALLED.to_owned(),
        configuration: None,
    }));
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_whose_counts_agree_are_counted() {
        let mut rows = bench_data::mock::records().trials;
        rows.truncate(4);
        let explained = "server and load generator counted the same requests, and rates and \
                         response times agree by Little's law";
        assert_eq!(self_consistent(&rows), format!("4 of 4 trials: {explained}"));
        rows[0].server_requests = rows[0].replies_total.map(|replies| replies + 1);
        (rows[1].server_requests, rows[1].little) = (None, None);
        assert_eq!(
            self_consistent(&rows),
            format!("2 of 3 trials: {explained}; 1 trial not testable")
        );
        rows.iter_mut().for_each(|row| (row.server_requests, row.little) = (None, None));
        assert_eq!(self_consistent(&rows), "not recorded");
    }

    #[test]
    fn trials_that_began_steadily_are_counted() {
        let mut rows = bench_data::mock::records().trials;
        rows.truncate(4);
        let text = "longer than planned, up to four times, while the rate of replies changed; steady \
                    at its end in";
        assert_eq!(steady(&rows), Some(format!("{text} 4 of 4 trials")));
        (rows[0].warm_up_steady, rows[1].warm_up_steady) = (Some(false), None);
        let unknown = "; 1 trial with too few replies to tell";
        assert_eq!(steady(&rows), Some(format!("{text} 2 of 3 trials{unknown}")));
        rows.iter_mut().for_each(|row| row.warm_up_s = None);
        assert_eq!(steady(&rows), None);
    }

    #[test]
    fn settings_of_the_processor_are_listed_as_far_as_they_are_known() {
        assert_eq!(processor(&Conditions::default()), None);
        let some = |text: &str| Some(text.to_owned());
        let conditions = Conditions {
            idle_driver: some("intel_idle"),
            idle_governor: some("menu"),
            wake_up_limit_us: Some(0),
            clock_source: some("tsc"),
            loopback_rps_cpus: some("00,00000000"),
            vulnerabilities: [("mds".to_owned(), "Vulnerable".to_owned())].into(),
            ..Conditions::default()
        };
        let steered = Conditions {
            loopback_rps_cpus: some("3"),
            rps_sock_flow_entries: some("32768"),
            ..Conditions::default()
        };
        assert_eq!(
            processor(&steered).unwrap(),
            "receive steering to cores 3 (mask), each flow to the core of its receiver (RFS)"
        );
        assert_eq!(
            processor(&conditions).unwrap(),
            "idle states by intel_idle with governor menu, idle cores poll instead of sleeping, \
             clock tsc, receive steering off, vulnerabilities: 0 mitigated, 1 not (mds)"
        );
    }

    #[test]
    fn limits_are_counted_where_they_are_known() {
        let mut rows = bench_data::mock::records().trials;
        rows.truncate(5);
        let limits = [Limit::Server, Limit::Server, Limit::Memory, Limit::None];
        for (row, limit) in rows.iter_mut().zip(limits.map(Some).into_iter().chain([None])) {
            row.limit = limit;
        }
        let named = bottlenecks(&rows);
        assert_eq!(named, "server in 2 trials, memory bandwidth in 1, neither in 1");
        rows.iter_mut().for_each(|row| row.limit = None);
        assert_eq!(bottlenecks(&rows), "");
    }
}
