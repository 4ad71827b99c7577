//! Conditions of the machine that can influence results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of the processor and the kernel; unknown values are omitted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// Hypervisor of a virtual machine, `unknown` if only its presence is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<String>,
    /// Command line of the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel_command_line: Option<String>,
    /// Driver of the idle states of the processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_driver: Option<String>,
    /// Governor that chooses the idle states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_governor: Option<String>,
    /// Longest time that an idle core may take to wake up, in microseconds, which the run demanded. With
    /// `0` idle cores poll instead of sleeping. `None`: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake_up_limit_us: Option<u32>,
    /// Clock of the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_source: Option<String>,
    /// Use of transparent huge pages: `always`, `madvise` or `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transparent_huge_pages: Option<String>,
    /// Cores to which packets of the loopback interface are steered, as a bit mask; `0`: the core that
    /// sends also receives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loopback_rps_cpus: Option<String>,
    /// Flows that are steered to the core of their receiver (RFS); `0`: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rps_sock_flow_entries: Option<String>,
    /// State of each processor vulnerability that affects this processor, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub vulnerabilities: BTreeMap<String, String>,
}

impl Conditions {
    /// Returns true if nothing is known, as of older runs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Mitigations in words, such as `2 mitigated, 1 not (tsa)`; `None` without vulnerabilities.
    pub fn mitigations(&self) -> Option<String> {
        let is_open = |state: &str| state.starts_with("Vulnerable");
        let open: Vec<&str> = self
            .vulnerabilities
            .iter()
            .filter(|(_, state)| is_open(state))
            .map(|(name, _)| name.as_str())
            .collect();
        let mitigated = self.vulnerabilities.len() - open.len();
        match (self.vulnerabilities.len(), open.len()) {
            (0, _) => None,
            (_, 0) => Some(format!("{mitigated} mitigated")),
            (_, count) => Some(format!("{mitigated} mitigated, {count} not ({})", open.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mitigations_are_counted_and_open_vulnerabilities_named() {
        assert_eq!(Conditions::default().mitigations(), None);
        let with = |states: &[(&str, &str)]| {
            let states = states.iter().map(|(name, state)| ((*name).into(), (*state).into()));
            Conditions { vulnerabilities: states.collect(), ..Conditions::default() }
        };
        let mitigated = ("retbleed", "Mitigation: Aligned branch/return thunks");
        assert_eq!(with(&[mitigated]).mitigations().unwrap(), "1 mitigated");
        let open = ("tsa", "Vulnerable: no microcode");
        assert_eq!(with(&[mitigated, open]).mitigations().unwrap(), "1 mitigated, 1 not (tsa)");
    }
}
