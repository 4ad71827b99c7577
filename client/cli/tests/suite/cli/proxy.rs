//! Proxy that interrupts connections.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Forwards connections to a server and interrupts one after a number of bytes; stops when dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    acceptor: Option<JoinHandle<()>>,
}

struct Inner {
    upstream: Mutex<SocketAddr>,
    /// Bytes until the next interruption.
    left: AtomicI64,
    /// True if bytes from the server are counted.
    is_downward: AtomicBool,
    stop: AtomicBool,
}

impl Proxy {
    /// Forwards without interruptions.
    pub(crate) fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            upstream: Mutex::new(upstream),
            left: AtomicI64::new(i64::MAX),
            is_downward: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let accepting = inner.clone();
        let acceptor = std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.stop.load(Ordering::Relaxed) {
                    return;
                }
                let client = client.unwrap();
                let Ok(server) = TcpStream::connect(*accepting.upstream.lock().unwrap()) else {
                    continue;
                };
                for is_downward in [false, true] {
                    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    let (from, to) = if is_downward { (to, from) } else { (from, to) };
                    let inner = accepting.clone();
                    std::thread::spawn(move || inner.pass(is_downward, &from, &to));
                }
            }
        });
        Self { address, inner, acceptor: Some(acceptor) }
    }

    /// Interrupts once, after this number of bytes to the server.
    pub(crate) fn break_upward(&self, bytes: i64) {
        self.inner.is_downward.store(false, Ordering::Relaxed);
        self.inner.left.store(bytes, Ordering::Relaxed);
    }

    /// Interrupts once, after this number of bytes from the server.
    pub(crate) fn break_downward(&self, bytes: i64) {
        self.inner.is_downward.store(true, Ordering::Relaxed);
        self.inner.left.store(bytes, Ordering::Relaxed);
    }

    /// Forwards to another server from now on.
    pub(crate) fn lead_to(&self, upstream: SocketAddr) {
        *self.inner.upstream.lock().unwrap() = upstream;
    }
}

impl Inner {
    /// Forwards bytes until an end or an interruption, then closes both sides.
    fn pass(&self, is_downward: bool, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        let mut block = vec![0; 16 << 10];
        loop {
            let read = from.read(&mut block).unwrap_or(0);
            let mut passed = read;
            if is_downward == self.is_downward.load(Ordering::Relaxed) {
                let left = self.left.fetch_sub(read as i64, Ordering::Relaxed);
                if left < read as i64 {
                    passed = left.max(0) as usize;
                }
            }
            let written = to.write_all(&block[..passed]);
            if passed < read {
                self.left.store(i64::MAX, Ordering::Relaxed);
            }
            if passed < read || read == 0 || written.is_err() {
                // The other direction ends with it.
                let _ = to.shutdown(Shutdown::Both);
                return from.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        self.acceptor.take().unwrap().join().unwrap();
    }
}
