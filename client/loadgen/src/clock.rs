//! Clock of a load, a timer with nanosecond resolution, and processor time and run delay of threads.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

use crate::report::CpuTime;

/// Nanoseconds in a second.
pub(crate) const SECOND_NS: u64 = 1_000_000_000;
/// Upper bound of all histograms of times, in nanoseconds; longer times are recorded as this.
pub(crate) const MAX_NS: u64 = 120 * SECOND_NS;

/// Time of the monotonic clock in nanoseconds, the same for all threads.
#[inline]
pub(crate) fn now_ns() -> u64 {
    to_ns(clock_gettime(ClockId::Monotonic))
}

/// Whole nanoseconds of a duration, saturating at 584 years.
pub(crate) fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn to_ns(time: Timespec) -> u64 {
    time.tv_sec as u64 * SECOND_NS + time.tv_nsec as u64
}

/// Timer descriptor that ends an `epoll_wait` with nanosecond resolution.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: OwnedFd,
    armed_ns: u64,
}

impl Timer {
    pub(crate) fn new() -> std::io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self { fd: timerfd_create(TimerfdClockId::Monotonic, flags)?, armed_ns: 0 })
    }

    /// Makes the descriptor readable at `at_ns`. Registered edge-triggered, it does not have to be
    /// read.
    pub(crate) fn arm(&mut self, at_ns: u64) -> std::io::Result<()> {
        if self.armed_ns == at_ns {
            return Ok(());
        }
        let it_value =
            Timespec { tv_sec: (at_ns / SECOND_NS) as i64, tv_nsec: (at_ns % SECOND_NS) as _ };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = Itimerspec { it_interval, it_value };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &spec)?;
        self.armed_ns = at_ns;
        Ok(())
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl CpuTime {
    /// Processor time of the calling thread so far.
    ///
    /// The sum is exact. Its division into user and system time is the kernel's, in ticks of 10 ms.
    pub(crate) fn of_this_thread() -> Self {
        let total = Duration::from_nanos(to_ns(clock_gettime(ClockId::ThreadCPUTime)));
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
        let (user, system) = parse_ticks(&stat).unwrap_or((1, 0));
        let share = user as f64 / ((user + system) as f64).max(1.0);
        let user = total.mul_f64(share);
        Self { user, system: total.saturating_sub(user) }
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }
}

/// Time that the calling thread has been ready to run and waited for a core so far, in nanoseconds;
/// `None` if the kernel does not record it.
pub(crate) fn run_delay_ns() -> Option<u64> {
    parse_run_delay(&std::fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// The second field of a `schedstat` file.
fn parse_run_delay(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().nth(1)?.parse().ok()
}

/// The 14th and 15th field of a `stat` file: ticks in user and kernel mode. The second field, in
/// parentheses, can contain any characters.
fn parse_ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 5 0 0 0 12 34 0 0 20 0 1 0 100 0 0";
        assert_eq!(parse_ticks(stat), Some((12, 34)));
        assert_eq!(parse_ticks(""), None);
    }

    #[test]
    fn the_run_delay_is_the_second_field() {
        assert_eq!(parse_run_delay("17 25 3\n"), Some(25));
        // Kernels without the statistics have zeros or no file.
        assert_eq!(parse_run_delay(""), None);
    }

    #[test]
    fn processor_time_grows_with_work() {
        let before = CpuTime::of_this_thread();
        let mut sum = 0_u64;
        while CpuTime::of_this_thread() == before {
            sum = std::hint::black_box(sum + 1);
        }
        let used = CpuTime::of_this_thread().since(CpuTime::default());
        assert!(used.user + used.system > before.user + before.system);
    }
}
