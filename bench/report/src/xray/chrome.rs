//! Trace in the event format of Chrome, which Perfetto opens.

use bench_data::xray::{Level, Picture, State, Step, Trace};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::parts::{Part, parts, segments};
use super::threads::Threads;

/// Kinds of tracks per server. Each is a process of its own, since blocks of a track must be nested,
/// and actions and states are not.
const TRACKS: [&str; 3] = ["requests", "actions", "thread states"];

#[derive(Debug, Serialize)]
struct File<'p> {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
    #[serde(rename = "displayTimeUnit")]
    unit: &'static str,
    #[serde(rename = "otherData")]
    other: Other<'p>,
}

#[derive(Debug, Serialize)]
struct Other<'p> {
    title: &'p str,
    scene: &'p str,
    command: &'p str,
    host: &'p str,
    measured: String,
}

/// Event; times in microseconds.
#[derive(Debug, Serialize)]
struct Event {
    name: String,
    cat: &'static str,
    ph: &'static str,
    ts: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    pid: usize,
    tid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// `e` binds the end of an arrow to the block around it instead of the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    bp: Option<&'static str>,
    /// Scope of an instant: `t` for thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    args: Map<String, Value>,
}

/// Events of a picture as JSON: blocks (`X`), pending actions (`b`, `e`), wake-ups (`s`, `f`, `i`), and
/// names (`M`).
pub fn chrome_trace(picture: &Picture) -> String {
    let mut events = Vec::new();
    for (index, trace) in picture.traces.iter().enumerate() {
        let first = index * TRACKS.len() + 1;
        for (offset, track) in TRACKS.iter().enumerate() {
            let name = format!("{}: {track}", trace.server);
            events.push(Event::name("process_name", first + offset, 0, &name));
        }
        add_requests(&mut events, trace, first);
        add_actions(&mut events, trace, first + 1);
        if trace.level == Level::Scheduler {
            add_states(&mut events, trace, first + 2);
            add_wake_ups(&mut events, trace, index, first + 2);
        }
    }
    let other = Other {
        title: &picture.title,
        scene: &picture.scene,
        command: &picture.command,
        host: &picture.host,
        measured: picture.measured.to_string(),
    };
    let file = File { events, unit: "ns", other };
    let mut text = serde_json::to_string(&file).expect("all keys are strings");
    text.push('\n');
    text
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

impl Event {
    fn new(ph: &'static str, cat: &'static str, name: &str, pid: usize, tid: u64) -> Self {
        Self {
            name: name.to_owned(),
            cat,
            ph,
            ts: 0.0,
            dur: None,
            pid,
            tid,
            id: None,
            bp: None,
            s: None,
            args: Map::new(),
        }
    }

    /// Name of a process or a thread.
    fn name(kind: &str, pid: usize, tid: u64, name: &str) -> Self {
        let mut event = Self::new("M", "__metadata", kind, pid, tid);
        event.args.insert("name".to_owned(), json!(name));
        event
    }

    fn at(self, nanoseconds: u64) -> Self {
        Self { ts: microseconds(nanoseconds), ..self }
    }

    fn lasting(self, from: u64, to: u64) -> Self {
        Self { dur: Some(microseconds(to - from)), ..self.at(from) }
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.args.insert(key.to_owned(), value);
        self
    }
}

/// A track per request, since requests overlap.
fn add_requests(events: &mut Vec<Event>, trace: &Trace, pid: usize) {
    let threads = Threads::of(trace);
    for (index, request) in trace.requests.iter().enumerate() {
        let tid = index as u64 + 1;
        events.push(Event::name("thread_name", pid, tid, &request.label));
        let segments = segments(&threads, request);
        let parts = parts(&segments);
        let mut event = Event::new("X", "request", &request.label, pid, tid)
            .lasting(request.due, request.received)
            .with("peer_port", json!(request.peer_port))
            .with("ok", json!(request.ok))
            .with("sent_us", json!(microseconds(request.sent)));
        for part in Part::ALL {
            let key = format!("{} (us)", part.name(trace.level));
            event = event.with(&key, json!(microseconds(parts.of(part))));
        }
        events.push(event);
        for segment in segments {
            let name = segment.part.name(trace.level);
            let event = Event::new("X", "part", name, pid, tid);
            events.push(event.lasting(segment.from, segment.to));
        }
    }
}

fn add_actions(events: &mut Vec<Event>, trace: &Trace, pid: usize) {
    let threads = Threads::of(trace);
    let mut pending = 0;
    for thread in &threads.all {
        let tid = u64::from(thread.lane.thread);
        events.push(Event::name("thread_name", pid, tid, &thread.lane.name));
        let described = |event: Event, step: &Step| match threads.owner(step) {
            Some(request) => event.with("request", json!(trace.requests[request].label)),
            None if step.peer_port != 0 => event.with("peer_port", json!(step.peer_port)),
            None => event,
        };
        for step in &thread.running {
            let event = Event::new("X", "action", &step.kind, pid, tid);
            events.push(described(event.lasting(step.from, step.to), step));
        }
        for step in &thread.pending {
            pending += 1;
            let id = Some(format!("{pid}.{pending}"));
            let event = |ph| {
                let event = Event::new(ph, "pending", &step.kind, pid, tid);
                Event { id: id.clone(), ..event }
            };
            events.push(described(event("b").at(step.from), step));
            events.push(event("e").at(step.to));
        }
    }
}

fn add_states(events: &mut Vec<Event>, trace: &Trace, pid: usize) {
    for lane in &trace.lanes {
        let tid = u64::from(lane.thread);
        events.push(Event::name("thread_name", pid, tid, &lane.name));
        for span in &lane.spans {
            let name = match &span.state {
                State::User => "user code".to_owned(),
                State::Kernel(call) => format!("kernel: {call}"),
                State::Runnable => "waiting for the core".to_owned(),
                State::Blocked(call) => format!("blocked: {call}"),
            };
            events.push(Event::new("X", "state", &name, pid, tid).lasting(span.from, span.to));
        }
    }
}

fn add_wake_ups(events: &mut Vec<Event>, trace: &Trace, index: usize, pid: usize) {
    for (number, wake_up) in trace.wake_ups.iter().enumerate() {
        let woken = u64::from(wake_up.woken);
        let event = |ph, tid| Event::new(ph, "wake-up", "wake-up", pid, tid).at(wake_up.at);
        match wake_up.by {
            Some(by) => {
                let id = Some(format!("{index}.{number}"));
                events.push(Event { id: id.clone(), ..event("s", u64::from(by)) });
                events.push(Event { id, bp: Some("e"), ..event("f", woken) });
            }
            None => events.push(Event { s: Some("t"), ..event("i", woken) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    fn events(traces: Vec<Trace>) -> Vec<Value> {
        let text = chrome_trace(&example::picture(traces));
        let file: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(file["displayTimeUnit"], "ns");
        file["traceEvents"].as_array().unwrap().clone()
    }

    #[test]
    fn events_have_microseconds_threads_and_names() {
        let events = events(vec![example::selector(), example::threaded()]);
        let find = |name: &str, pid: u64| {
            events.iter().find(|event| event["name"] == name && event["pid"] == pid).unwrap()
        };
        let work = find("work-block", 2);
        assert_eq!((work["ts"].as_f64(), work["dur"].as_f64()), (Some(1_100.0), Some(20_000.0)));
        assert_eq!(work["args"]["request"], "heavy 1");
        assert_eq!(find("kernel: sendfile", 6)["tid"], 22);
        let light = find("light 1", 4);
        assert_eq!((light["ph"].as_str(), light["dur"].as_f64()), (Some("X"), Some(150.0)));
        assert_eq!(light["args"]["run queue (us)"], 20.0);
        let names: Vec<_> = events
            .iter()
            .filter(|event| event["name"] == "process_name")
            .map(|event| event["args"]["name"].as_str().unwrap())
            .collect();
        let expected = ["selector: requests", "selector: actions", "selector: thread states"];
        assert_eq!(names[..3], expected);
        let kinds = |ph: &str| events.iter().filter(|event| event["ph"] == ph).count();
        assert_eq!((kinds("s"), kinds("f"), kinds("i")), (1, 1, 1));
    }

    #[test]
    fn blocks_of_a_track_are_nested() {
        for seed in 0..50 {
            let mut open: Vec<(u64, u64, f64, f64)> = Vec::new();
            for event in events(vec![example::random(seed)]) {
                if event["ph"] != "X" {
                    continue;
                }
                let number = |key: &str| event[key].as_u64().unwrap();
                let from = event["ts"].as_f64().unwrap();
                let to = from + event["dur"].as_f64().unwrap();
                let (pid, tid) = (number("pid"), number("tid"));
                let crosses = |other: &&(u64, u64, f64, f64)| {
                    let (start, end) = (other.2, other.3);
                    let tolerance = 1e-6;
                    (other.0, other.1) == (pid, tid)
                        && start + tolerance < from
                        && from + tolerance < end
                        && end + tolerance < to
                };
                assert_eq!(open.iter().find(crosses), None, "seed {seed}: {event}");
                open.push((pid, tid, from, to));
            }
        }
    }
}
