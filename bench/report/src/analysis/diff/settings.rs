//! Settings in which two runs differ.

use std::fmt;

use bench_data::plan::Plan;
use bench_data::record::environment::Environment;
use bench_data::record::run_folder::Contents;
use serde::Serialize;

/// Setting of two runs that differ in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingChange {
    /// Name of the setting.
    pub name: String,
    /// Value in the old run.
    pub old: String,
    /// Value in the new run.
    pub new: String,
}

impl fmt::Display for SettingChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.name, self.old, self.new)
    }
}

/// Settings in which the runs differ.
pub(super) fn settings(old: &Contents, new: &Contents) -> Vec<SettingChange> {
    let [(then, before), (now, after)] = [old, new]
        .map(|contents| (facts(&contents.plan, &contents.environment), &contents.environment));
    let mut differ: Vec<_> = then
        .into_iter()
        .zip(now)
        .filter(|((_, old), (_, new))| old != new)
        .map(|((name, old), (_, new))| SettingChange { name: name.to_owned(), old, new })
        .collect();
    for target in &after.targets {
        let earlier = before.targets.iter().find(|other| other.name == target.name);
        let versions =
            (earlier.and_then(|other| other.version.as_deref()), target.version.as_deref());
        if let (Some(old), Some(new)) = versions
            && old != new
        {
            differ.push(SettingChange {
                name: format!("version of {}", target.name),
                old: old.to_owned(),
                new: new.to_owned(),
            });
        }
    }
    differ
}

fn idle_cores(environment: &Environment) -> String {
    let limit = environment.conditions.wake_up_limit_us;
    limit.map_or("may sleep".to_owned(), |limit| match limit {
        0 => "poll".to_owned(),
        limit => format!("wake up within {limit} µs"),
    })
}

fn facts(plan: &Plan, environment: &Environment) -> Vec<(&'static str, String)> {
    let (machine, placement) = (&environment.machine, &environment.placement);
    let unknown = || "unknown".to_owned();
    vec![
        ("host", machine.host.clone()),
        ("processor", machine.processor.clone().unwrap_or_else(unknown)),
        ("cores", machine.cores.to_string()),
        ("kernel", machine.kernel.clone()),
        ("idle cores", idle_cores(environment)),
        ("cores of the server", format!("{:?}", placement.server_cores)),
        ("cores of the generator", format!("{:?}", placement.generator_cores)),
        ("file system", placement.file_system.clone()),
        ("file system of the disk", placement.disk_file_system.clone().unwrap_or_default()),
        ("durability of uploads", placement.upload_durability.clone()),
        ("compiler", environment.compiler.clone().unwrap_or_else(unknown)),
        ("optimised", environment.optimised.to_string()),
        ("window", format!("{} ms", plan.window_ms)),
        ("warm-up", format!("{} ms", plan.warm_up_ms)),
        ("wire", plan.wire.name().to_owned()),
        ("generator threads", plan.generator_threads.to_string()),
    ]
}
