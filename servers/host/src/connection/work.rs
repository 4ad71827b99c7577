//! Heavy requests of the experiments.

use std::time::Duration;

use fileserver_proto::Work;
use rustix::time::{ClockId, clock_gettime};

/// Computes or blocks on the calling thread.
pub(super) fn perform(work: Work) {
    match work {
        Work::Compute { us } => compute(Duration::from_micros(u64::from(us))),
        Work::Block { us } => std::thread::sleep(Duration::from_micros(u64::from(us))),
    }
}

/// Computes for this much processor time of the thread, so that the work is the same however many
/// threads share the processor.
fn compute(duration: Duration) {
    const ROUNDS_PER_LOOK: u32 = 2000;
    let begun = thread_time();
    let mut value = 1_u64;
    while thread_time().saturating_sub(begun) < duration {
        for _ in 0..ROUNDS_PER_LOOK {
            // A linear congruential generator (Knuth, MMIX): each round needs the last.
            value = value
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
        }
        std::hint::black_box(value);
    }
}

/// Processor time of the calling thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computing_takes_processor_time_and_blocking_takes_none() {
        let begun = thread_time();
        perform(Work::Compute { us: 5000 });
        let computed = thread_time() - begun;
        assert!(computed >= Duration::from_micros(5000), "{computed:?}");
        let begun = std::time::Instant::now();
        perform(Work::Block { us: 5000 });
        assert!(begun.elapsed() >= Duration::from_micros(5000));
    }
}
