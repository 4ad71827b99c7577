//! Members of a chat room: one sender and the receivers.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};

/// Maximum time until all connections are members.
const OPEN_TIME: Duration = Duration::from_secs(20);
/// Maximum time for the last lines to arrive.
const ARRIVAL_TIME: Duration = Duration::from_secs(5);
/// Pause before the first line.
const PAUSE: Duration = Duration::from_millis(50);
/// Maximum time of one wait.
const SLICE: Duration = Duration::from_millis(20);
/// Maximum recorded latency, an hour.
const LONGEST_NS: u64 = 3600 * 1_000_000_000;

/// Lines to send and their rate.
#[derive(Debug)]
pub(super) struct Pacing {
    pub(super) messages: u32,
    pub(super) interval: Duration,
    pub(super) size_bytes: usize,
}

/// Received lines.
#[derive(Debug)]
pub(super) struct Deliveries {
    /// Latencies of all deliveries, from the time at which the line was due.
    pub(super) latency_ns: Histogram<u64>,
    /// Median over the complete lines of the latency to the last receiver.
    pub(super) everyone_p50_ns: Option<u64>,
    /// Reason of missing deliveries.
    pub(super) trouble: String,
}

/// Connections that are members of one room.
#[derive(Debug)]
pub(super) struct Room {
    sender: TcpStream,
    receivers: Vec<Receiver>,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Receiver {
    stream: mio::net::TcpStream,
    /// Received part of a line.
    partial: Vec<u8>,
    /// Number of complete lines.
    lines: u32,
    is_open: bool,
}

impl Room {
    /// Connects a sender and receivers, and waits until all are members.
    pub(super) fn open(
        address: SocketAddr,
        receivers: usize,
        stop: &AtomicBool,
    ) -> anyhow::Result<Self> {
        let poll = Poll::new().context("cannot create a selector")?;
        let mut room = Self {
            sender: connect(address)?,
            receivers: Vec::with_capacity(receivers),
            poll,
            events: Events::with_capacity(1024),
            buffer: vec![0; 64 << 10],
        };
        room.sender.set_nodelay(true)?;
        for number in 0..receivers {
            let stream = connect(address)?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            room.poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            let partial = Vec::new();
            room.receivers.push(Receiver { stream, partial, lines: 0, is_open: true });
        }
        room.await_members(stop)?;
        Ok(room)
    }

    /// Sends lines until every receiver has one: then all are members.
    fn await_members(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut asked = 0;
        while self.receivers.iter().any(|receiver| receiver.lines == 0) {
            ensure!(!stop.load(Ordering::SeqCst), "interrupted");
            ensure!(self.receivers.iter().all(|r| r.is_open), "the server closed a connection");
            if begun.elapsed() > OPEN_TIME {
                let silent = self.receivers.iter().filter(|r| r.lines == 0).count();
                bail!("{silent} receivers received nothing within {} s", OPEN_TIME.as_secs());
            }
            self.sender
                .write_all(b"are you there?\r\n")
                .context("the server closed the connection of the sender")?;
            asked += 1;
            let waited = Instant::now();
            while waited.elapsed() < 10 * SLICE
                && self.receivers.iter().any(|receiver| receiver.lines == 0)
            {
                self.receive(SLICE, |_, _, _| {})?;
            }
        }
        // Early members receive the later lines as well: discard them all.
        let mut quiet = Instant::now();
        while quiet.elapsed() < PAUSE && self.receivers.iter().any(|r| r.lines < asked) {
            self.receive(SLICE, |_, _, _| quiet = Instant::now())?;
        }
        self.receivers.iter_mut().for_each(|receiver| receiver.lines = 0);
        Ok(())
    }

    /// Sends lines at the given rate, and receives until all have arrived or none arrives for a while.
    pub(super) fn measure(
        &mut self,
        pacing: &Pacing,
        stop: &AtomicBool,
    ) -> anyhow::Result<Deliveries> {
        let mut sender = self.sender.try_clone()?;
        let mut latency_ns = Histogram::new_with_bounds(1, LONGEST_NS, 3)?;
        let mut got = vec![0; pacing.messages as usize];
        let mut last_ns = vec![0; pacing.messages as usize];
        let zero = Instant::now();
        let begin = zero + PAUSE;
        let has_sent = AtomicBool::new(false);
        let mut stray = 0;
        let sent = thread::scope(|scope| {
            let sending = scope.spawn(|| {
                let sent = send(&mut sender, pacing, zero, begin, stop);
                has_sent.store(true, Ordering::Release);
                sent
            });
            let mut last_arrival = Instant::now();
            loop {
                let all_sent = has_sent.load(Ordering::Acquire);
                let is_over =
                    self.receivers.iter().all(|r| !r.is_open || r.lines >= pacing.messages)
                        || (all_sent && last_arrival.elapsed() > ARRIVAL_TIME);
                if stop.load(Ordering::SeqCst) || (all_sent && is_over) {
                    break;
                }
                self.receive(SLICE, |line, nth, now| {
                    last_arrival = now;
                    match due_of(line) {
                        // Lines must arrive complete and in order.
                        Some((number, due_ns)) if number == nth && number < pacing.messages => {
                            let now_ns = now.duration_since(zero).as_nanos() as u64;
                            let ns = now_ns.saturating_sub(due_ns);
                            latency_ns.saturating_record(ns);
                            got[number as usize] += 1;
                            let last: &mut u64 = &mut last_ns[number as usize];
                            *last = (*last).max(ns);
                        }
                        _ => stray += 1,
                    }
                })?;
            }
            Ok::<_, anyhow::Error>(sending.join().expect("the sender does not panic"))
        })?;
        ensure!(!stop.load(Ordering::SeqCst), "interrupted");
        sent.context("the server closed the connection of the sender")?;
        let everyone = self.receivers.len();
        let mut complete: Vec<u64> = last_ns
            .into_iter()
            .zip(got)
            .filter(|(_, got)| *got == everyone)
            .map(|(ns, _)| ns)
            .collect();
        complete.sort_unstable();
        let everyone_p50_ns = complete.get(complete.len() / 2).copied();
        let closed = self.receivers.iter().filter(|receiver| !receiver.is_open).count();
        let trouble =
            format!("{closed} receivers were disconnected, {stray} lines arrived out of order");
        Ok(Deliveries { latency_ns, everyone_p50_ns, trouble })
    }

    /// Receives lines within `patience`; `arrived` is called with each line, the number of earlier
    /// lines of its receiver, and the time.
    fn receive(
        &mut self,
        patience: Duration,
        mut arrived: impl FnMut(&[u8], u32, Instant),
    ) -> anyhow::Result<()> {
        match self.poll.poll(&mut self.events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled.context("cannot wait for receivers")?,
        }
        for event in &self.events {
            let receiver = &mut self.receivers[event.token().0];
            receiver.read_lines(&mut self.buffer, &mut arrived);
        }
        Ok(())
    }
}

impl Receiver {
    fn read_lines(&mut self, buffer: &mut [u8], arrived: &mut impl FnMut(&[u8], u32, Instant)) {
        while self.is_open {
            let mut input = match self.stream.read(buffer) {
                Ok(0) => {
                    self.is_open = false;
                    return;
                }
                Ok(read) => &buffer[..read],
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => {
                    self.is_open = false;
                    return;
                }
            };
            let now = Instant::now();
            while let Some(end) = input.iter().position(|&byte| byte == b'\n') {
                let (line, rest) = input.split_at(end + 1);
                if self.partial.is_empty() {
                    arrived(line, self.lines, now);
                } else {
                    self.partial.extend_from_slice(line);
                    arrived(&self.partial, self.lines, now);
                    self.partial.clear();
                }
                self.lines += 1;
                input = rest;
            }
            self.partial.extend_from_slice(input);
        }
    }
}

fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    TcpStream::connect_timeout(&address, OPEN_TIME)
        .with_context(|| format!("cannot connect to {address}"))
}

/// Sends each line when it is due, or at once if late.
fn send(
    stream: &mut TcpStream,
    pacing: &Pacing,
    zero: Instant,
    begin: Instant,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    for number in 0..pacing.messages {
        let due = begin + pacing.interval * number;
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|l| !l.is_zero()) {
            if stop.load(Ordering::SeqCst) {
                return Ok(());
            }
            thread::sleep(left.min(SLICE));
        }
        let due_ns = due.duration_since(zero).as_nanos() as u64;
        stream.write_all(&line(number, due_ns, pacing.size_bytes))?;
    }
    Ok(())
}

/// Line of exactly `size_bytes` that contains its number and its due time.
fn line(number: u32, due_ns: u64, size_bytes: usize) -> Vec<u8> {
    let mut line = format!("{number} {due_ns} ").into_bytes();
    line.resize(size_bytes.saturating_sub(2).max(line.len()), b'.');
    line.extend_from_slice(b"\r\n");
    line
}

/// Number and due time of such a line.
fn due_of(line: &[u8]) -> Option<(u32, u64)> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_line_tells_when_it_was_due() {
        let line = line(7, 123_456, 64);
        assert_eq!(line.len(), 64);
        assert!(line.ends_with(b".\r\n"));
        assert_eq!(due_of(&line), Some((7, 123_456)));
        assert_eq!(due_of(b"are you there?\r\n"), None);
    }
    /// Room that forwards each line to all others after a delay.
    fn slow_room(delay: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut sender = listener.accept().unwrap().0;
            let mut others: Vec<TcpStream> = Vec::new();
            others.push(listener.accept().unwrap().0);
            others.push(listener.accept().unwrap().0);
            let mut buffer = vec![0; 4096];
            while let Ok(read @ 1..) = sender.read(&mut buffer) {
                thread::sleep(delay);
                for other in &mut others {
                    other.write_all(&buffer[..read]).unwrap();
                }
            }
        });
        address
    }

    #[test]
    fn a_delivery_takes_as_long_as_the_room_does() {
        let delay = Duration::from_millis(30);
        let stop = AtomicBool::new(false);
        let mut room = Room::open(slow_room(delay), 2, &stop).unwrap();
        let pacing = Pacing { messages: 3, interval: 2 * delay, size_bytes: 64 };
        let deliveries = room.measure(&pacing, &stop).unwrap();
        assert_eq!(deliveries.latency_ns.len(), 6);
        // The histogram keeps three digits.
        assert!(deliveries.latency_ns.min() >= 29_900_000, "{}", deliveries.latency_ns.min());
        assert!(deliveries.everyone_p50_ns >= Some(30_000_000));
    }
}
