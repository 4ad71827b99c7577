//! A server whose every reply is scripted by the test.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// A server with a thread per connection; stops when dropped.
pub struct Mock {
    /// Address it listens on.
    pub address: SocketAddr,
    /// Requests read completely, over all connections.
    pub requests: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Mock {
    /// Runs `serve` for each connection.
    pub fn start<F>(serve: F) -> Self
    where
        F: Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (serve, counter, stopped) = (Arc::new(serve), requests.clone(), stop.clone());
        let acceptor = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (serve, requests) = (serve.clone(), counter.clone());
                let mut peer = Peer { stream: stream.unwrap(), requests, pending: Vec::new() };
                // A peer that disconnects ends its thread with an error.
                std::thread::spawn(move || serve(&mut peer));
            }
        });
        Self { address, requests, stop, acceptor: Some(acceptor) }
    }

    /// Answers each GET with the result of `reply` for the request's number, counted over all
    /// connections; `None` sends nothing.
    pub fn http<F>(reply: F) -> Self
    where
        F: Fn(u64) -> Option<Vec<u8>> + Send + Sync + 'static,
    {
        Self::start(move |peer| {
            loop {
                let number = peer.read_http_head()?.0;
                match reply(number) {
                    Some(reply) => peer.stream.write_all(&reply)?,
                    None => return peer.wait_for_close(),
                }
            }
        })
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        self.acceptor.take().unwrap().join().unwrap();
    }
}

/// One connection of the server.
pub struct Peer {
    /// Its socket.
    pub stream: TcpStream,
    requests: Arc<AtomicU64>,
    pending: Vec<u8>,
}

impl Peer {
    /// Reads a request head; returns its number and text.
    pub fn read_http_head(&mut self) -> io::Result<(u64, String)> {
        let end = loop {
            if let Some(at) = self.pending.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more()?;
        };
        let head = self.pending.drain(..end).collect();
        Ok((self.count(), String::from_utf8(head).unwrap()))
    }

    /// Reads exactly `len` bytes.
    pub fn read_exact(&mut self, len: usize) -> io::Result<Vec<u8>> {
        while self.pending.len() < len {
            self.read_more()?;
        }
        Ok(self.pending.drain(..len).collect())
    }

    /// Reads until the client closes its direction.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut all = std::mem::take(&mut self.pending);
        self.stream.read_to_end(&mut all)?;
        Ok(all)
    }

    /// Counts a request; returns the number of earlier ones.
    pub fn count(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits, without a reply, until the client closes.
    pub fn wait_for_close(&mut self) -> io::Result<()> {
        while self.read_more().is_ok() {}
        Ok(())
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.pending.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}

/// A reply of status 200 with this body.
pub fn ok(body: &[u8]) -> Vec<u8> {
    let mut reply =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    reply.extend_from_slice(body);
    reply
}
