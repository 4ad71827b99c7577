//! Settings of processor and kernel, read from `/proc` and `/sys`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bench_data::record::conditions::Conditions;
use procfs::{CpuInfo, Current};

const CPU: &str = "/sys/devices/system/cpu";

/// Conditions of this machine.
pub(crate) fn conditions() -> Conditions {
    Conditions {
        hypervisor: hypervisor(),
        kernel_command_line: line("/proc/cmdline"),
        idle_driver: line(&format!("{CPU}/cpuidle/current_driver")),
        // Its name has a suffix where it cannot be changed.
        idle_governor: line(&format!("{CPU}/cpuidle/current_governor"))
            .or_else(|| line(&format!("{CPU}/cpuidle/current_governor_ro"))),
        wake_up_limit_us: None,
        clock_source: line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        transparent_huge_pages: line("/sys/kernel/mm/transparent_hugepage/enabled")
            .and_then(|all| chosen(&all)),
        loopback_rps_cpus: line("/sys/class/net/lo/queues/rx-0/rps_cpus"),
        rps_sock_flow_entries: line("/proc/sys/net/core/rps_sock_flow_entries"),
        vulnerabilities: vulnerabilities(Path::new(&format!("{CPU}/vulnerabilities"))),
    }
}

/// Content of a file of one line, if it has any.
fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The chosen one of several values: the one in brackets.
fn chosen(all: &str) -> Option<String> {
    let (_, rest) = all.split_once('[')?;
    let (chosen, _) = rest.split_once(']')?;
    Some(chosen.to_owned())
}

/// Hypervisor by its own name or by that of the machine it emulates; `None` without one.
fn hypervisor() -> Option<String> {
    let info = CpuInfo::current().ok()?;
    let is_virtual = info.flags(0).is_some_and(|flags| flags.contains(&"hypervisor"));
    let dmi = |name| line(&format!("/sys/class/dmi/id/{name}"));
    let name = line("/sys/hypervisor/type").or_else(|| {
        let words: Vec<String> =
            ["sys_vendor", "product_name"].into_iter().filter_map(dmi).collect();
        Some(words.join(" ")).filter(|words| !words.is_empty())
    });
    is_virtual.then(|| name.unwrap_or_else(|| "unknown".to_owned()))
}

/// Vulnerabilities that affect the processor, with their states.
fn vulnerabilities(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let each = entries.filter_map(|entry| {
        let state = line(entry.path().to_str()?)?;
        Some((entry.file_name().into_string().ok()?, state))
    });
    each.filter(|(_, state)| state != "Not affected").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_value_is_in_brackets() {
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(chosen("always"), None);
    }

    #[test]
    fn only_vulnerabilities_that_affect_the_processor_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for (name, state) in [("mds", "Not affected\n"), ("tsa", "Vulnerable\n"), ("empty", "")] {
            fs::write(folder.path().join(name), state).unwrap();
        }
        let found = vulnerabilities(folder.path());
        assert_eq!(found, BTreeMap::from([("tsa".to_owned(), "Vulnerable".to_owned())]));
        assert!(vulnerabilities(Path::new("/no/such/folder")).is_empty());
    }

    #[test]
    fn this_machine_has_a_kernel() {
        assert!(conditions().kernel_command_line.is_some());
    }
}
