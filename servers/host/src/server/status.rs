//! State of the whole server as JSON, for `GET /.status`.

use std::fmt::Write as _;

use fileserver_proto::Phase;

use super::report::ServeReport;
use super::state::ServerState;

/// Present state of the whole server.
pub(crate) fn status(server: &ServerState) -> String {
    let elsewhere = server.status_elsewhere.as_ref().and_then(|source| (source.0)());
    elsewhere.unwrap_or_else(|| of_threads(server))
}

/// Present state of a server whose threads share memory.
fn of_threads(server: &ServerState) -> String {
    let open = server.tallies.sums();
    let mut report = server.counters.report();
    report.requests += open.requests;
    let states: Vec<_> =
        Phase::ALL.iter().zip(open.phases).map(|(phase, count)| (phase.name(), count)).collect();
    let bytes = Bytes {
        sent: server.counters.sent_bytes() + open.sent,
        received: Some(server.counters.received_bytes() + open.received),
    };
    // The kernel's count; 0 if it cannot be read.
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    let workers = [("threads", threads as u64)];
    json(server, &states, &report, &bytes, &workers)
}

/// Bytes of files, on open and ended connections.
pub(crate) struct Bytes {
    pub(crate) sent: u64,
    /// `None` if it is unknown.
    pub(crate) received: Option<u64>,
}

/// Composes the document. Names are plain words, so that nothing needs an escape.
pub(crate) fn json(
    server: &ServerState,
    states: &[(&str, u64)],
    report: &ServeReport,
    bytes: &Bytes,
    workers: &[(&str, u64)],
) -> String {
    let object = |members: &[(&str, u64)]| {
        let mut text = String::from("{");
        for (number, (name, value)) in members.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(text, "{comma}\"{name}\":{value}").expect("a string takes any text");
        }
        text + "}"
    };
    let open = states.iter().map(|(_, count)| count).sum();
    let connections = [
        ("open", open),
        ("limit", server.limit.max() as u64),
        ("accepted", report.connections),
        ("refused", report.refused),
        ("panics", report.panics),
        ("broken", report.broken),
    ];
    let mut text = format!(
        "{{\"strategy\":\"{}\",\"uptime_s\":{:.3},\"connections\":{},\"states\":{}",
        server.settings.server_name,
        server.started.elapsed().as_secs_f64(),
        object(&connections),
        object(states),
    );
    for (name, value) in workers {
        write!(text, ",\"{name}\":{value}").expect("a string takes any text");
    }
    let mut members = vec![("sent", bytes.sent)];
    members.extend(bytes.received.map(|received| ("received", received)));
    write!(
        text,
        ",\"queues\":{},\"requests\":{},\"bytes\":{}}}",
        object(&[("workers", server.counters.queued_jobs())]),
        report.requests,
        object(&members),
    )
    .expect("a string takes any text");
    text
}
