//! How fast bytes can travel here at all: over loopback the link is the kernel's copying.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use loadgen::load::Direction;
use serde::{Deserialize, Serialize};

use crate::cores::{Cores, Pinned};

/// Each part of a measurement; the fastest part counts, since whatever disturbs can only slow down.
const PART: Duration = Duration::from_millis(50);
/// Parts of a measurement, the first of which warms up.
const PARTS: u32 = 5;
/// Bytes of one call: many enough that calls cost next to nothing, few enough to stay in a core's
/// cache.
const CALL_BYTES: usize = 256 << 10;

/// The most body bytes per second that one sender and one receiver can move, with nothing to do but
/// send and receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceiling {
    /// From the server's cores to the generator's.
    pub down_bytes_per_s: u64,
    /// The other way.
    pub up_bytes_per_s: u64,
}

impl Ceiling {
    /// Measures both ways, each for a quarter of a second.
    ///
    /// # Errors
    /// No loopback connection, or a thread that cannot be moved to its cores.
    pub fn measure(cores: &Cores) -> io::Result<Self> {
        Ok(Self {
            down_bytes_per_s: between(&cores.server, &cores.generator)?,
            up_bytes_per_s: between(&cores.generator, &cores.server)?,
        })
    }

    /// That of a load; an echo's lines are no bulk that it could limit.
    pub fn of(self, direction: Direction) -> Option<u64> {
        match direction {
            Direction::Download => Some(self.down_bytes_per_s),
            Direction::Upload => Some(self.up_bytes_per_s),
            Direction::Echo => None,
        }
    }
}

/// Bytes per second from a thread on some cores to one on others.
fn between(senders: &[usize], receivers: &[usize]) -> io::Result<u64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        let sending = scope.spawn(|| -> io::Result<()> {
            let _pinned = Pinned::to(senders)?;
            let mut stream = TcpStream::connect(address)?;
            let bytes = vec![0; CALL_BYTES];
            // Until the receiver has seen enough and closes.
            while stream.write_all(&bytes).is_ok() {}
            Ok(())
        });
        let received = scope.spawn(|| receive(&listener, receivers)).join();
        // Dropping the connection has ended the sender, too.
        let sent = sending.join();
        let broken = || io::Error::other("a thread that measured the link broke off");
        sent.map_err(|_| broken())??;
        received.map_err(|_| broken())?
    })
}

fn receive(listener: &TcpListener, cores: &[usize]) -> io::Result<u64> {
    let _pinned = Pinned::to(cores)?;
    let (mut stream, _) = listener.accept()?;
    let mut buffer = vec![0; CALL_BYTES];
    let mut fastest = 0.0_f64;
    for part in 0..PARTS {
        let (begun, mut bytes) = (Instant::now(), 0);
        while begun.elapsed() < PART {
            bytes += stream.read(&mut buffer)?;
        }
        if part > 0 {
            fastest = fastest.max(bytes as f64 / begun.elapsed().as_secs_f64());
        }
    }
    Ok(fastest as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_travel_both_ways() {
        let ceiling = Ceiling::measure(&Cores::default()).unwrap();
        for direction in [Direction::Download, Direction::Upload] {
            assert!(ceiling.of(direction).unwrap() > 1_000_000, "{ceiling:?}");
        }
        assert_eq!(ceiling.of(Direction::Echo), None);
    }
}
