//! Check before a run that other programs leave the machine to it.

use std::io::{self, Write};
use std::sync::atomic::AtomicBool;

use anyhow::bail;
use bench_data::record::environment::Machine;

use crate::machine::busy::{Checked, MOST_PERCENT, WhenBusy, check, sample};

/// Use of the machine by other programs before a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct BusyBefore {
    percent: Option<u32>,
    allowed: bool,
}

impl BusyBefore {
    /// Enters it into a record.
    pub(super) fn enter(self, machine: &mut Machine) {
        (machine.busy_percent, machine.busy_allowed) = (self.percent, self.allowed);
    }
}

/// Use of the machine by other programs; `None` if the wait for a calm machine was interrupted.
///
/// # Errors
/// The machine is busy.
pub(super) fn busy_before(when: WhenBusy, stop: &AtomicBool) -> anyhow::Result<Option<BusyBefore>> {
    let progress = |percent: u32, seconds: u32| {
        // Once, and then every ten seconds.
        if seconds % 10 == 1 {
            let _ = writeln!(
                io::stderr(),
                "waiting until other programs use at most {MOST_PERCENT} % of the processor time: \
                 {percent} % now, {seconds} s so far"
            );
        }
    };
    Ok(match check(when, sample, progress, stop) {
        Checked::Calm(percent) => Some(BusyBefore { percent, allowed: false }),
        Checked::Allowed(percent) => Some(BusyBefore { percent: Some(percent), allowed: true }),
        Checked::Interrupted => None,
        Checked::Refused(percent) => bail!(
            "other programs use {percent} % of this machine's processor time (limit: {MOST_PERCENT} %) \
             and would disturb the measurement: end them (`top` shows them), wait with --wait-idle, or \
             measure nevertheless with --allow-busy"
        ),
    })
}
