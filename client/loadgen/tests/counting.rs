//! Counting rules on real sockets, against what the server recorded itself.
//!
//! Both sides read the same clock. The server's record bounds each figure from both sides, with
//! [`SLACK`] at the edges of the window for the way of the bytes. They are a program of their own, so
//! that no loads without pauses run beside them.

#[macro_use]
mod support;

use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fileserver_proto::Wire;
use loadgen::content::Content;
use loadgen::{
    Arrival, ConnectionUse, Direction, Engine, EngineChoice, LoadReport, LoadSpec, RequestFile,
    ThinkTime, Verification, run,
};
use testkit::mock::{Mock, Peer, ok};

/// Body bytes: three bodies fit into the window.
const BYTES: usize = 8 << 20;
/// Parts of a body, one every [`PACE`].
const PARTS: usize = 64;
const PACE: Duration = Duration::from_millis(10);
const SLACK: Duration = Duration::from_millis(60);

of_each_engine! {
    bytes_of_downloads_are_counted_as_they_arrive
    bytes_of_uploads_are_counted_as_the_server_reads
    starved_connections_are_counted_and_wait
    the_requests_in_progress_agree_with_kept_connections
    the_requests_in_progress_agree_with_a_connection_each
}

fn spec(engine: Engine, mock: &Mock) -> LoadSpec {
    LoadSpec {
        target: mock.address,
        wire: Wire::Http,
        direction: Direction::Download,
        files: vec![RequestFile::new("a.bin", BYTES as u64)],
        connections: 2,
        threads: 1,
        engine: EngineChoice::Only(engine),
        cores: Vec::new(),
        connection_use: ConnectionUse::KeepAlive,
        arrival: Arrival::Closed { think: ThinkTime::None },
        warm_up: Duration::from_millis(300),
        longest_warm_up: Duration::from_millis(300),
        duration: Duration::from_secs(2),
        timeout: Duration::from_secs(20),
        drain: Duration::from_secs(10),
        verification: Verification::Off,
        seed: 7,
    }
}

fn measure(spec: &LoadSpec) -> LoadReport {
    run(spec, &AtomicBool::new(false), None).unwrap()
}

/// Times in which the server handled something, and its amount.
#[derive(Debug, Default, Clone)]
struct Record(Arc<Mutex<Vec<(SystemTime, SystemTime, u64)>>>);

impl Record {
    fn add(&self, begun: SystemTime, amount: usize) {
        self.0.lock().unwrap().push((begun, SystemTime::now(), amount as u64));
    }

    /// Least and greatest amount within the window of a report.
    fn within(&self, report: &LoadReport) -> std::ops::RangeInclusive<u64> {
        let (from, to) = (report.window_began_at, report.window_began_at + report.window);
        let record = self.0.lock().unwrap();
        let sum = |is_within: &dyn Fn(SystemTime, SystemTime) -> bool| {
            let within = record.iter().filter(|(begun, ended, _)| is_within(*begun, *ended));
            within.map(|(.., amount)| amount).sum()
        };
        sum(&|begun, ended| begun >= from + SLACK && ended <= to - SLACK)..=sum(&|begun, ended| {
            ended >= from - SLACK && begun <= to + SLACK
        })
    }
}

/// Does `each` for every part of a body, at an even pace.
fn paced(mut each: impl FnMut(usize) -> std::io::Result<()>) -> std::io::Result<()> {
    let begun = std::time::Instant::now();
    for part in 0..PARTS {
        let due = PACE * part as u32;
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        each(part)?;
    }
    Ok(())
}

fn agree(report: &LoadReport, bytes: &Record, replies: &Record) {
    let (bytes, replies) = (bytes.within(report), replies.within(report));
    assert!(bytes.contains(&report.body_bytes), "{} of {bytes:?} bytes", report.body_bytes);
    assert!(replies.contains(&report.requests), "{} of {replies:?} replies", report.requests);
    // Whole bodies within the window would be far fewer bytes.
    assert!(report.body_bytes > 4 * BYTES as u64, "{} bytes", report.body_bytes);
    assert_eq!((report.unanswered, report.errors.total()), (0, 0));
}

fn bytes_of_downloads_are_counted_as_they_arrive(engine: Engine) {
    let (bytes, replies) = (Record::default(), Record::default());
    let (sent, answered) = (bytes.clone(), replies.clone());
    let mut body = vec![0; BYTES];
    Content::of_name("a.bin").fill(0, &mut body);
    let mock = Mock::start(move |peer| {
        loop {
            peer.read_http_head()?;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
            peer.stream.write_all(head.as_bytes())?;
            let len = BYTES / PARTS;
            let mut begun = SystemTime::now();
            paced(|part| {
                begun = SystemTime::now();
                peer.stream.write_all(&body[part * len..][..len])?;
                sent.add(begun, len);
                Ok(())
            })?;
            answered.add(begun, 1);
        }
    });
    agree(&measure(&spec(engine, &mock)), &bytes, &replies);
}

fn bytes_of_uploads_are_counted_as_the_server_reads(engine: Engine) {
    let (bytes, replies) = (Record::default(), Record::default());
    let (read, answered) = (bytes.clone(), replies.clone());
    let mock = Mock::start(move |peer: &mut Peer| {
        loop {
            peer.read_http_head()?;
            paced(|_| {
                let begun = SystemTime::now();
                peer.read_exact(BYTES / PARTS)?;
                read.add(begun, BYTES / PARTS);
                Ok(())
            })?;
            let begun = SystemTime::now();
            peer.stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")?;
            answered.add(begun, 1);
        }
    });
    let direction = Direction::Upload;
    agree(&measure(&LoadSpec { direction, ..spec(engine, &mock) }), &bytes, &replies);
}

fn starved_connections_are_counted_and_wait(engine: Engine) {
    let served = AtomicBool::new(false);
    let mock = Mock::start(move |peer| {
        if served.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return peer.wait_for_close();
        }
        loop {
            peer.read_http_head()?;
            peer.stream.write_all(&ok(b"abc"))?;
        }
    });
    let report = measure(&LoadSpec {
        files: vec![RequestFile::new("a.bin", 3)],
        connections: 5,
        duration: Duration::from_millis(500),
        drain: Duration::from_millis(100),
        ..spec(engine, &mock)
    });
    assert_eq!((report.connections_served, report.connections_starved), (1, 4));
    // The served one may be waiting as well when the time is over.
    assert!((4..=5).contains(&report.unanswered), "{}", report.unanswered);
    // Warm-up and window, less the time until the first requests are sent.
    assert!(report.response_ns.max() >= 750_000_000, "{}", report.response_ns.max());
}

fn the_requests_in_progress_agree_with_kept_connections(engine: Engine) {
    the_requests_in_progress_agree(engine, ConnectionUse::KeepAlive);
}

fn the_requests_in_progress_agree_with_a_connection_each(engine: Engine) {
    the_requests_in_progress_agree(engine, ConnectionUse::PerRequest);
}

fn the_requests_in_progress_agree(engine: Engine, connection_use: ConnectionUse) {
    let mock = Mock::http(|_| {
        std::thread::sleep(Duration::from_millis(5));
        Some(ok(b"abc"))
    });
    let report = measure(&LoadSpec {
        files: vec![RequestFile::new("a.bin", 3)],
        connections: 8,
        connection_use,
        ..spec(engine, &mock)
    });
    let (little, slack) = (report.little.unwrap(), report.little_slack);
    assert!((little - 1.0).abs() <= slack + 0.02, "{connection_use:?}: {little}, {slack}");
    let edges = 8.0 / report.requests as f64;
    assert!(slack > edges, "{slack}");
    assert_eq!((report.unanswered, report.connections_starved), (0, 0));
}
