//! How fast bytes can travel here at all: over loopback the link is the kernel, which copies them.

use std::hint::black_box;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use loadgen::load::Direction;
use serde::{Deserialize, Serialize};

use crate::cores::{Cores, Pinned};

/// Each part of a measurement; the fastest part counts, since whatever disturbs can only slow down.
const PART: Duration = Duration::from_millis(50);
/// Parts of a measurement.
const PARTS: u32 = 4;
/// What is copied: more than stays in a cache, as what another core has written is not in this one's.
const FROM_BYTES: usize = 128 << 20;
/// Where to: what does stay there, as a buffer that is used again and again.
const TO_BYTES: usize = 256 << 10;

/// The most bytes per second that one core can copy: every byte of a body is copied at least once by a core
/// that receives it, whatever the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceiling {
    /// By a core of the server.
    pub server_bytes_per_s: u64,
    /// By a core of the generator.
    pub generator_bytes_per_s: u64,
}

impl Ceiling {
    /// Measures both, each for a fifth of a second.
    ///
    /// # Errors
    /// A thread cannot be moved to its cores.
    pub fn measure(cores: &Cores) -> io::Result<Self> {
        Ok(Self {
            server_bytes_per_s: copying(&cores.server)?,
            generator_bytes_per_s: copying(&cores.generator)?,
        })
    }

    /// That of whoever receives the bodies; an echo's lines are no bulk that it could limit.
    pub fn of(self, direction: Direction) -> Option<u64> {
        match direction {
            Direction::Download => Some(self.generator_bytes_per_s),
            Direction::Upload => Some(self.server_bytes_per_s),
            Direction::Echo => None,
        }
    }
}

/// Bytes per second that a thread on some cores copies.
fn copying(cores: &[usize]) -> io::Result<u64> {
    let measured = thread::scope(|scope| {
        let copying = scope.spawn(|| {
            let _pinned = Pinned::to(cores)?;
            let from = vec![1_u8; FROM_BYTES];
            let mut to = vec![0_u8; TO_BYTES];
            let parts = (0..PARTS).map(|_| copy_for_a_part(&from, &mut to));
            Ok(parts.fold(0.0, f64::max) as u64)
        });
        copying.join()
    });
    measured.map_err(|_| io::Error::other("the thread that measured copying broke off"))?
}

fn copy_for_a_part(from: &[u8], to: &mut [u8]) -> f64 {
    let (begun, mut bytes) = (Instant::now(), 0);
    for piece in from.chunks_exact(to.len()).cycle() {
        to.copy_from_slice(piece);
        black_box(&mut *to);
        bytes += piece.len();
        if begun.elapsed() >= PART {
            break;
        }
    }
    bytes as f64 / begun.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receiving_side_copies() {
        let ceiling = Ceiling { server_bytes_per_s: 1, generator_bytes_per_s: 2 };
        assert_eq!(ceiling.of(Direction::Download), Some(2));
        assert_eq!(ceiling.of(Direction::Upload), Some(1));
        assert_eq!(ceiling.of(Direction::Echo), None);
        let measured = Ceiling::measure(&Cores::default()).unwrap();
        assert!(measured.server_bytes_per_s > 1_000_000, "{measured:?}");
    }
}
