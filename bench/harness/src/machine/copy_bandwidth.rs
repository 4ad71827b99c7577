//! Copy bandwidth of a core, which bounds the throughput over loopback.

use bench_data::record::environment::CopyBandwidth;
use std::hint::black_box;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::machine::cores::{Cores, Pinned};

/// Duration of a part of the measurement. The fastest part counts: disturbances only slow it down.
const PART: Duration = Duration::from_millis(50);
/// Number of parts of a measurement.
const PARTS: u32 = 4;
/// Size of the source: more than a cache, because data written by another core is not in this cache.
const FROM_BYTES: usize = 128 << 20;
/// Size of the destination: fits the cache, like a reused buffer.
const TO_BYTES: usize = 256 << 10;

/// Measures both sides, each for a fifth of a second.
///
/// # Errors
/// A thread cannot be pinned to its cores.
pub fn measure(cores: &Cores) -> io::Result<CopyBandwidth> {
    Ok(CopyBandwidth {
        server_bytes_per_s: copying(&cores.server)?,
        generator_bytes_per_s: copying(&cores.generator)?,
    })
}

/// Bytes per second that a thread on the cores copies.
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
    measured.map_err(|_| io::Error::other("the measuring thread panicked"))?
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
    use bench_data::load::Direction;
    use bench_data::record::environment::CopyBandwidth;

    #[test]
    fn the_receiving_side_copies() {
        let ceiling = CopyBandwidth { server_bytes_per_s: 1, generator_bytes_per_s: 2 };
        assert_eq!(ceiling.of(Direction::Download), Some(2));
        assert_eq!(ceiling.of(Direction::Upload), Some(1));
        assert_eq!(ceiling.of(Direction::Echo), None);
        let measured = measure(&Cores::default()).unwrap();
        assert!(measured.server_bytes_per_s > 1_000_000, "{measured:?}");
    }
}
