//! Limit of a transfer's rate.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytesize::ByteSize;

use crate::failure::Failure;

/// Parts of a second that are transferred in one piece, so that the progress is visible.
const PIECES_PER_S: u64 = 20;
/// Largest piece in bytes.
const PIECE_BYTES: u64 = 128 << 10;
/// Longest sleep before the interrupt flag is read again.
const SLICE: Duration = Duration::from_millis(100);

/// Limit in bytes per second. Time in which nothing is transferred is not made up for.
#[derive(Debug, Clone)]
pub(crate) struct RateLimit {
    bytes_per_s: NonZeroU64,
    /// Time from which on the next piece is allowed.
    next: Option<Instant>,
}

impl RateLimit {
    /// Parses a number of bytes per second, as of `--limit-rate`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bytes = text.parse::<ByteSize>().ok().and_then(|size| NonZeroU64::new(size.as_u64()));
        let bytes_per_s = bytes.ok_or("give bytes per second above 0: 1500, 64KiB, 10MiB")?;
        Ok(Self { bytes_per_s, next: None })
    }

    /// Length of a piece in bytes.
    pub(crate) fn piece_bytes(&self) -> usize {
        (self.bytes_per_s.get() / PIECES_PER_S).clamp(1, PIECE_BYTES) as usize
    }

    /// Waits until the next piece is allowed.
    pub(crate) fn wait(&self, stop: &AtomicBool) -> Result<(), Failure> {
        let Some(next) = self.next else { return Ok(()) };
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            std::thread::sleep(left.min(SLICE));
        }
    }

    /// Counts transferred bytes.
    pub(crate) fn count(&mut self, bytes: usize) {
        let now = Instant::now();
        let from = self.next.map_or(now, |next| next.max(now));
        let ns = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_s.get());
        self.next = Some(from + Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_a_twentieth_of_a_second_and_add_up_to_the_rate() {
        let mut limit = RateLimit::parse("1MB").unwrap();
        assert_eq!(limit.piece_bytes(), 50_000);
        let begun = Instant::now();
        for _ in 0..40 {
            limit.count(50_000);
        }
        let all = limit.next.unwrap() - begun;
        assert!((2.0..2.5).contains(&all.as_secs_f64()), "{all:?}");
        assert_eq!(RateLimit::parse("3").unwrap().piece_bytes(), 1);
        assert_eq!(RateLimit::parse("10GiB").unwrap().piece_bytes(), 128 << 10);
        for text in ["0", "", "x", "-1", "1KiB/s"] {
            assert!(RateLimit::parse(text).is_err(), "{text}");
        }
    }
}
