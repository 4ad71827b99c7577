//! Reply of a server of the text wire to a line.
//!
//! Such a reply has neither head nor end. A load needs its length, so it is requested once before.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::spec::check::LINE_END;

/// Silence after which a reply is complete.
const SILENCE: Duration = Duration::from_millis(300);
/// Upper bound of a reply.
const MOST_BYTES: usize = 64 << 20;

/// Reply to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineReply {
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// True if the server closed the connection after it.
    pub closes: bool,
}

impl LineReply {
    /// Sends a line on a new connection, and receives until the server closes it or is silent for
    /// 300 ms.
    ///
    /// # Errors
    /// The connection fails, no byte arrives within `timeout`, or the reply is longer than 64 MiB.
    pub fn request(server: SocketAddr, line: &str, timeout: Duration) -> io::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&server, timeout)?;
        stream.write_all([line, LINE_END].concat().as_bytes())?;
        let begun = Instant::now();
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let left = timeout.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
            stream.set_read_timeout(Some(if bytes.is_empty() { left } else { SILENCE }))?;
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(Self { bytes, closes: true }),
                Ok(read) => bytes.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !bytes.is_empty() => {
                    return Ok(Self { bytes, closes: false });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let what = format!("no reply within {} s", timeout.as_secs_f64());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, what));
                }
                // A reset after the reply is a close as well.
                Err(_) if !bytes.is_empty() => return Ok(Self { bytes, closes: true }),
                Err(error) => return Err(error),
            }
            if bytes.len() > MOST_BYTES {
                return Err(io::Error::other("the reply is longer than 64 MiB"));
            }
        }
    }
}
