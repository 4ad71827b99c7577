//! Processor time that other programs use, and the refusal of a busy machine.
//!
//! The load average would count a build for minutes after its end; a sample of one second does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use procfs::{CurrentSI, KernelStats};

/// Maximum share of the time of all cores, in percent, that other programs may use before a run: of
/// two cores, one busy program uses 50 %.
pub(crate) const MOST_PERCENT: u32 = 40;
/// Length of a sample.
const SAMPLE: Duration = Duration::from_secs(1);
/// Number of samples of which one must be calm: a program that ends just now does not count.
const SAMPLES: u32 = 3;
/// Number of consecutive calm samples that end a wait: a build has short pauses.
const CALM: u32 = 3;
/// Maximum number of samples of a wait: ten minutes.
const MOST_SAMPLES: u32 = 600;

/// Behaviour on a busy machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenBusy {
    /// Refuse to run.
    Refuse,
    /// Wait until the machine is calm, for a bounded time, and then refuse.
    Wait,
    /// Run, and record it.
    Allow,
}

/// Result of the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// The run may begin. Other programs use this share; `None` if the kernel does not tell.
    Calm(Option<u32>),
    /// They use too much, and the run begins nevertheless.
    Allowed(u32),
    /// They use too much.
    Refused(u32),
    /// The wait was interrupted.
    Interrupted,
}

/// Processor time of all cores since the start of the system, in kernel ticks.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    used: u64,
    all: u64,
}

impl Ticks {
    fn now() -> Option<Self> {
        let total = KernelStats::current().ok()?.total;
        // Time that the host took is no less busy. Guests' time is a part of the user's.
        let used = total.user
            + total.nice
            + total.system
            + total.irq.unwrap_or(0)
            + total.softirq.unwrap_or(0)
            + total.steal.unwrap_or(0);
        Some(Self { used, all: used + total.idle + total.iowait.unwrap_or(0) })
    }

    fn percent_since(self, earlier: Self) -> Option<u32> {
        let all = self.all.checked_sub(earlier.all).filter(|all| *all > 0)?;
        let used = self.used.saturating_sub(earlier.used);
        u32::try_from((100 * used).div_ceil(all)).ok()
    }
}

/// Share of the time of all cores within a second in which they ran programs, in percent. This
/// process sleeps meanwhile.
pub(crate) fn sample() -> Option<u32> {
    let earlier = Ticks::now()?;
    thread::sleep(SAMPLE);
    Ticks::now()?.percent_since(earlier)
}

/// Checks whether other programs leave the machine to the run, by samples. `progress` is called with
/// the share and the number of samples while it waits.
pub(crate) fn check(
    when: WhenBusy,
    mut sample: impl FnMut() -> Option<u32>,
    mut progress: impl FnMut(u32, u32),
    stop: &AtomicBool,
) -> Checked {
    let (most, calm_needed) = match when {
        WhenBusy::Allow => (1, 1),
        WhenBusy::Refuse => (SAMPLES, 1),
        WhenBusy::Wait => (MOST_SAMPLES, CALM),
    };
    let (mut calm, mut busiest_of_last) = (0, 0);
    for number in 1..=most {
        if stop.load(Ordering::SeqCst) {
            return Checked::Interrupted;
        }
        let Some(percent) = sample() else { return Checked::Calm(None) };
        if percent <= MOST_PERCENT {
            calm += 1;
        } else {
            (calm, busiest_of_last) = (0, percent);
        }
        // Without a wait before it, the first calm sample is enough.
        if calm == calm_needed || calm == number {
            return Checked::Calm(Some(percent));
        }
        if when == WhenBusy::Wait {
            progress(percent, number);
        }
    }
    match when {
        WhenBusy::Allow => Checked::Allowed(busiest_of_last),
        WhenBusy::Refuse | WhenBusy::Wait => Checked::Refused(busiest_of_last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(when: WhenBusy, samples: &[u32]) -> (Checked, usize) {
        let mut left = samples.iter().copied();
        let last = *samples.last().unwrap();
        let mut taken = 0;
        let next = || {
            taken += 1;
            Some(left.next().unwrap_or(last))
        };
        let checked = check(when, next, |_, _| {}, &AtomicBool::new(false));
        (checked, taken)
    }

    #[test]
    fn a_calm_machine_is_used_at_once() {
        for when in [WhenBusy::Refuse, WhenBusy::Wait, WhenBusy::Allow] {
            assert_eq!(checked(when, &[40]), (Checked::Calm(Some(40)), 1), "{when:?}");
        }
    }

    #[test]
    fn a_busy_machine_is_refused_after_three_samples() {
        assert_eq!(checked(WhenBusy::Refuse, &[41]), (Checked::Refused(41), 3));
        assert_eq!(checked(WhenBusy::Refuse, &[100, 90, 3]), (Checked::Calm(Some(3)), 3));
        assert_eq!(checked(WhenBusy::Allow, &[97, 1]), (Checked::Allowed(97), 1));
    }

    #[test]
    fn a_wait_ends_with_three_calm_samples_or_is_given_up() {
        let samples = [90, 5, 90, 5, 5, 6];
        assert_eq!(checked(WhenBusy::Wait, &samples), (Checked::Calm(Some(6)), 6));
        assert_eq!(checked(WhenBusy::Wait, &[90]), (Checked::Refused(90), 600));
        let stopped = check(WhenBusy::Wait, || Some(90), |_, _| {}, &AtomicBool::new(true));
        assert_eq!(stopped, Checked::Interrupted);
    }

    #[test]
    fn the_share_is_that_of_all_cores() {
        let earlier = Ticks { used: 1_000, all: 9_000 };
        let later = |used: u64, all: u64| Ticks { used: 1_000 + used, all: 9_000 + all };
        assert_eq!(later(100, 200).percent_since(earlier), Some(50));
        assert_eq!(later(1, 200).percent_since(earlier), Some(1), "rounded up");
        assert_eq!(later(0, 200).percent_since(earlier), Some(0));
        assert_eq!(earlier.percent_since(earlier), None);
        assert!(Ticks::now().is_some_and(|now| now.used <= now.all));
    }
}
