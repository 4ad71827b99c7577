//! Comparison of replies with the expected bytes.

use std::num::NonZeroU32;
use std::ops::Range;

use fastrand::Rng;

/// Part of the replies whose bytes are compared with the expected ones. Status and length are
/// always checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verification {
    /// Every body: of a long one, [`PART_BYTES`](Self::PART_BYTES) at a random place; all of a
    /// shorter one. Wrong bodies are always detected, and a single wrong byte with the probability
    /// of its being in that part.
    #[default]
    EveryBody,
    /// Whole bodies: one in this number, drawn at random (1: all).
    OneIn(NonZeroU32),
    /// None.
    Off,
}

impl Verification {
    /// Bytes of a long body that [`EveryBody`](Self::EveryBody) compares.
    pub const PART_BYTES: u64 = 16 << 10;

    /// Compares one in this number of bodies; 0: none.
    pub fn one_in(bodies: u32) -> Self {
        NonZeroU32::new(bodies).map_or(Self::Off, Self::OneIn)
    }

    /// Part of the next body to compare, if any.
    #[inline]
    pub(crate) fn draw(self, size_bytes: u64, rng: &mut Rng) -> Option<Range<u64>> {
        match self {
            Self::EveryBody if size_bytes <= Self::PART_BYTES => Some(0..size_bytes),
            Self::EveryBody => {
                let start = rng.u64(..=size_bytes - Self::PART_BYTES);
                Some(start..start + Self::PART_BYTES)
            }
            Self::OneIn(bodies) => (rng.u32(..bodies.get()) == 0).then_some(0..size_bytes),
            Self::Off => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Share of draws of a body of this size that contain a byte.
    fn share(verification: Verification, size_bytes: u64, byte: u64) -> f64 {
        let mut rng = Rng::with_seed(1);
        let mut draws = (0..100_000).map(|_| verification.draw(size_bytes, &mut rng));
        let hits =
            draws.by_ref().filter(|part| part.as_ref().is_some_and(|part| part.contains(&byte)));
        hits.count() as f64 / 1e5
    }

    #[test]
    fn every_byte_of_a_short_body_is_compared() {
        for size_bytes in [1, 1 << 10, Verification::PART_BYTES] {
            assert_eq!(share(Verification::EveryBody, size_bytes, size_bytes - 1), 1.0);
        }
    }

    #[test]
    fn a_byte_of_a_long_body_is_compared_as_often_as_its_part_is_long() {
        let size_bytes = 8 * Verification::PART_BYTES;
        let found = share(Verification::EveryBody, size_bytes, size_bytes / 2);
        assert!((0.13..0.16).contains(&found), "{found}, in one of 7 possible eighths: 0.143");
        assert!(share(Verification::EveryBody, size_bytes, 0) > 0.0);
        assert!(share(Verification::EveryBody, size_bytes, size_bytes - 1) > 0.0);
    }

    #[test]
    fn bodies_are_drawn_with_the_given_frequency() {
        let found = share(Verification::one_in(10), 1 << 20, 7);
        assert!((0.09..0.11).contains(&found), "{found}");
        assert_eq!(share(Verification::one_in(1), 1 << 20, 7), 1.0);
        assert_eq!(share(Verification::one_in(0), 1 << 20, 7), 0.0);
    }
}
