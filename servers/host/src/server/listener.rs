//! Listener, and the accepting of connections from its queue.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SocketFlags;
use socket2::{Domain, SockRef, Socket, Type};

/// Unsent bytes that a connection may hold before it takes no more. Bytes in flight are not
/// limited, so a long round-trip time loses nothing.
///
/// Without it a socket takes a whole file at once, and the kernel sends it in pieces, each of which
/// wakes a peer that has finished the one before. With it the peer's acknowledgements fetch the
/// next bytes. 64 connections, 1 MiB, server and peer on a core each (`bench run --sizes 1MiB
/// --connections 64`): `selector` 2,600 requests/s without, 6,200 with it; 32 KiB the same, 64 KiB
/// 5,000, 128 KiB no gain.
const UNSENT_BYTES: u32 = 16 << 10;

/// The same for a socket that blocks: more than one segment holds.
///
/// A segment may end early, for want of places for further pages. Where it then holds more than the
/// limit, Linux sends it, finds room, takes the wait for one for memory, and sleeps up to 200 ms
/// or until the peer's delayed acknowledgement (`sk_stream_wait_memory`; 40 ms in one of 115 replies
/// of 64 KiB). A call that does not wait returns instead, and the next one goes on.
const BLOCKING_UNSENT_BYTES: u32 = 128 << 10;

/// Bound and listening socket.
#[derive(Debug, Clone)]
pub struct Listener {
    listener: Arc<TcpListener>,
    backlog: i32,
}

/// Reason that no connection was accepted.
#[derive(Debug)]
pub enum AcceptError {
    /// The accept queue is empty, and the listener does not block, or not any longer.
    WouldBlock,
    /// The connection waiting was lost before it was accepted; the next may be fine.
    Lost,
    /// Out of descriptors or memory: pause until a connection closes, or a while.
    Exhausted(io::Error),
    /// The listener was closed, or failed for another reason.
    Ended(io::Error),
}

impl Listener {
    /// Binds and listens; port 0 takes a free port.
    ///
    /// # Errors
    /// The address is in use, not local, or not permitted.
    pub fn bind(addr: SocketAddr, backlog: i32) -> io::Result<Self> {
        Self::listen(socket(addr)?, addr, backlog)
    }

    /// Listener that another process has bound and passed to this one.
    ///
    /// # Errors
    /// The descriptor is no stream socket. (It may have stopped listening.)
    pub(crate) fn inherited(listener: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(listener);
        if socket.r#type()? != socket2::Type::STREAM {
            return Err(Errno::PROTOTYPE.into());
        }
        // Only a sibling would need the backlog.
        Ok(Self { listener: Arc::new(socket.into()), backlog: 0 })
    }

    /// Another listener on the same address: the kernel distributes new connections over both by a
    /// hash of their addresses.
    ///
    /// # Errors
    /// Error of the operating system.
    pub fn sibling(&self) -> io::Result<Self> {
        let own = SockRef::from(&self.listener);
        own.set_reuse_port(true)?;
        let addr = self.local_addr()?;
        let socket = socket(addr)?;
        socket.set_reuse_port(true)?;
        Self::listen(socket, addr, self.backlog)
    }

    fn listen(socket: Socket, addr: SocketAddr, backlog: i32) -> io::Result<Self> {
        socket.bind(&addr.into())?;
        socket.listen(backlog)?;
        Ok(Self { listener: Arc::new(socket.into()), backlog })
    }

    /// Bound address, with the actual port.
    ///
    /// # Errors
    /// Error of the operating system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Makes [`accept`](Self::accept) return at once while the accept queue is empty.
    ///
    /// # Errors
    /// Error of the operating system.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        self.listener.set_nonblocking(true)
    }

    /// Limits the time that [`accept`](Self::accept) blocks, in every process that shares the socket.
    /// Accepted connections inherit the limit as their receive timeout, until they set another.
    ///
    /// # Errors
    /// Error of the operating system.
    pub(crate) fn set_accept_timeout(&self, timeout: Duration) -> io::Result<()> {
        SockRef::from(&self.listener).set_read_timeout(Some(timeout))
    }

    /// Accepts the next connection; blocks unless the listener is non-blocking.
    ///
    /// # Errors
    /// Classified by the caller's reaction.
    pub fn accept(&self, flags: SocketFlags) -> Result<OwnedFd, AcceptError> {
        loop {
            match rustix::net::accept_with(&self.listener, flags | SocketFlags::CLOEXEC) {
                Ok(socket) => {
                    if !flags.contains(SocketFlags::NONBLOCK) {
                        // Fails only if the peer is gone.
                        let socket = SockRef::from(&socket);
                        let _ = socket.set_tcp_notsent_lowat(BLOCKING_UNSENT_BYTES);
                    }
                    return Ok(socket);
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Length limit of the accept queue, as requested.
    pub(crate) fn backlog(&self) -> usize {
        usize::try_from(self.backlog).unwrap_or(0)
    }

    /// Stops listening: a blocked [`accept`](Self::accept) returns [`AcceptError::Ended`], and
    /// further clients are refused.
    pub fn close(&self) {
        // Fails only if the socket no longer listens.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
    }
}

impl From<Errno> for AcceptError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::AGAIN => Self::WouldBlock,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => {
                Self::Exhausted(errno.into())
            }
            Errno::INVAL | Errno::BADF | Errno::NOTSOCK | Errno::OPNOTSUPP => {
                Self::Ended(errno.into())
            }
            // Linux reports errors of the new connection here: accept(2), "Error handling".
            _ => Self::Lost,
        }
    }
}

/// Socket whose accepted connections inherit options for a file server.
///
/// `TCP_NODELAY`: replies are composed before they are sent, so waiting to fill a segment would
/// only add delay. `TCP_NOTSENT_LOWAT`: see [`UNSENT_BYTES`].
fn socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    Ok(socket)
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// A socket that blocks must not reach its limit within one segment: see
    /// [`BLOCKING_UNSENT_BYTES`]. The stalls themselves are counted by `scripts/check-stalls.py`.
    #[test]
    fn a_blocking_socket_holds_more_than_a_segment_unsent() {
        const LARGEST_SEGMENT: u32 = 64 << 10;
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        for (flags, is_blocking) in [(SocketFlags::empty(), true), (SocketFlags::NONBLOCK, false)] {
            let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let socket = listener.accept(flags).unwrap();
            let unsent = SockRef::from(&socket).tcp_notsent_lowat().unwrap();
            assert_eq!(unsent > LARGEST_SEGMENT, is_blocking, "{unsent}");
        }
    }
}
