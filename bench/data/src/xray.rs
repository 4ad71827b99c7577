//! Pictures of what the threads of a server did while it served a few requests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use fileserver::StrategyKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Name of the file of a picture.
pub const FILE: &str = "xray.json";

/// Traces of several servers under the same arrivals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Load in one sentence, the same for every server.
    pub scene: String,
    /// Title.
    pub title: String,
    /// Command that repeats the measurement.
    pub command: String,
    /// Machine in one line: processor, cores, kernel.
    pub host: String,
    /// Time of the measurement.
    pub measured: Timestamp,
    /// A trace per server, in the order in which they are drawn.
    pub traces: Vec<Trace>,
}

/// Threads of a server and the requests that it served. Times are nanoseconds since the beginning of
/// the trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// Name of the server.
    pub server: String,
    /// Strategy of a built-in server.
    #[serde(with = "strategy")]
    pub strategy: Option<StrategyKind>,
    /// Sources of the trace.
    pub level: Level,
    /// End of the trace.
    pub end: u64,
    /// A lane per thread.
    pub lanes: Vec<Lane>,
    /// Wake-ups of threads, in time order.
    pub wake_ups: Vec<WakeUp>,
    /// Requests, in the order of their due times.
    pub requests: Vec<Request>,
    /// Events that were not recorded because a buffer was full.
    pub lost_events: u64,
    /// Restrictions of the trace, a sentence each.
    pub remarks: Vec<String>,
}

/// Sources of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Actions that the server recorded; states of threads are unknown.
    Actions,
    /// States of threads that the kernel's scheduler recorded, and the actions of a built-in server.
    Scheduler,
}

/// One thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lane {
    /// Number of the thread, unique on the machine.
    pub thread: u32,
    /// Number of its process.
    pub process: u32,
    /// Name of the thread.
    pub name: String,
    /// States of the thread, in time order, without overlap. In gaps the state is unknown.
    pub spans: Vec<Span>,
    /// Actions and waits that the server recorded, sorted by their beginnings. They overlap where a
    /// thread begins an action before an earlier one is complete (`uring`, `tokio`).
    pub steps: Vec<Step>,
}

/// Time for which a thread was in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Beginning.
    pub from: u64,
    /// End.
    pub to: u64,
    /// State of the thread.
    pub state: State,
}

/// State of a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Running the program's own code.
    User,
    /// Running in the kernel, in this system call.
    Kernel(String),
    /// Ready to run, waiting for the core.
    Runnable,
    /// Not ready to run: waiting in this system call, such as `epoll_wait`.
    Blocked(String),
}

/// Action of a session, or a wait of a thread that belongs to no connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Beginning.
    pub from: u64,
    /// End; equal to the beginning for an instant.
    pub to: u64,
    /// TCP port of the client; 0 for a wait that belongs to no connection.
    pub peer_port: u16,
    /// Kind, as in the server's trace: `receive`, `send-file`, `wait-ready`.
    pub kind: String,
}

/// Wake-up of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WakeUp {
    /// Time at which the thread became ready to run.
    pub at: u64,
    /// Thread that woke it; `None` for an interrupt or a thread outside the server.
    pub by: Option<u32>,
    /// Thread that was woken.
    pub woken: u32,
}

/// Request of the load generator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// TCP port of the client's connection.
    pub peer_port: u16,
    /// Name in the picture: `light 3`, `heavy 1`.
    pub label: String,
    /// True for a request with additional work at the server.
    pub heavy: bool,
    /// Time at which the request was due. Its response time starts here.
    pub due: u64,
    /// Time at which the request was passed to the kernel.
    pub sent: u64,
    /// Time at which the end of the reply was seen.
    pub received: u64,
    /// True if the reply was complete and correct.
    pub ok: bool,
}

impl Picture {
    /// Path of the picture in a folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Reads the picture of a folder.
    ///
    /// # Errors
    /// The file is missing, is no picture, or has times out of order.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = Self::path(folder);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let picture: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} does not match results/SCHEMA.md", path.display()))?;
        for trace in &picture.traces {
            trace.check().map_err(|error| {
                anyhow::anyhow!("{}: trace of {}: {error}", path.display(), trace.server)
            })?;
        }
        Ok(picture)
    }

    /// Writes the picture to a folder and returns the path of the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = Self::path(folder);
        let mut text = serde_json::to_string(self)?;
        text.push('\n');
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

impl Trace {
    /// Trace without content.
    pub fn new(server: &str, strategy: Option<StrategyKind>, level: Level) -> Self {
        Self {
            server: server.to_owned(),
            strategy,
            level,
            end: 0,
            lanes: Vec::new(),
            wake_ups: Vec::new(),
            requests: Vec::new(),
            lost_events: 0,
            remarks: Vec::new(),
        }
    }

    /// Lane of a thread, added without a name if it is new.
    pub fn lane(&mut self, process: u32, thread: u32) -> &mut Lane {
        let known = self.lanes.iter().position(|lane| lane.thread == thread);
        let index = known.unwrap_or_else(|| {
            self.lanes.push(Lane::new(process, thread, ""));
            self.lanes.len() - 1
        });
        &mut self.lanes[index]
    }

    /// Sorts lanes, steps, wake-ups and requests, and extends the end to the last of all times.
    pub fn finish(&mut self) {
        self.lanes.sort_by_key(|lane| (lane.process, lane.thread));
        for lane in &mut self.lanes {
            lane.spans.sort_by_key(|span| span.from);
            lane.steps.sort_by_key(|step| (step.from, step.to));
        }
        self.wake_ups.sort_by_key(|wake_up| wake_up.at);
        self.requests.sort_by_key(|request| (request.due, request.sent));
        let spans = self.lanes.iter().flat_map(|lane| lane.spans.iter().map(|span| span.to));
        let steps = self.lanes.iter().flat_map(|lane| lane.steps.iter().map(|step| step.to));
        let wake_ups = self.wake_ups.iter().map(|wake_up| wake_up.at);
        let requests = self.requests.iter().map(|request| request.received);
        let last = spans.chain(steps).chain(wake_ups).chain(requests).max();
        self.end = self.end.max(last.unwrap_or(0));
    }

    /// Checks the order of all times.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self) -> Result<(), String> {
        for lane in &self.lanes {
            let thread = lane.thread;
            if lane.spans.iter().any(|span| span.from > span.to) {
                return Err(format!("a state of thread {thread} ends before it begins"));
            }
            if lane.spans.windows(2).any(|two| two[0].to > two[1].from) {
                return Err(format!("states of thread {thread} overlap or are not sorted"));
            }
            if lane.steps.iter().any(|step| step.from > step.to) {
                return Err(format!("an action of thread {thread} ends before it begins"));
            }
            if lane.steps.windows(2).any(|two| two[0].from > two[1].from) {
                return Err(format!("actions of thread {thread} are not sorted"));
            }
        }
        let mut threads: Vec<_> = self.lanes.iter().map(|lane| lane.thread).collect();
        threads.sort_unstable();
        if let Some(two) = threads.windows(2).find(|two| two[0] == two[1]) {
            return Err(format!("thread {} has two lanes", two[0]));
        }
        match self.requests.iter().find(|one| one.due > one.sent || one.sent > one.received) {
            Some(request) => Err(format!("times of request {} are not in order", request.label)),
            None => Ok(()),
        }
    }
}

impl Lane {
    /// Lane without content.
    pub fn new(process: u32, thread: u32, name: &str) -> Self {
        Self { thread, process, name: name.to_owned(), spans: Vec::new(), steps: Vec::new() }
    }

    /// Appends a state that follows all others in time. It extends an equal state that it adjoins. An
    /// empty span, and the part of a span before the end of the last one, is left out.
    pub fn push_span(&mut self, from: u64, to: u64, state: State) {
        let last = self.spans.last_mut();
        let from = from.max(last.as_ref().map_or(0, |span| span.to));
        if from >= to {
            return;
        }
        match last {
            Some(span) if span.to == from && span.state == state => span.to = to,
            Some(_) | None => self.spans.push(Span { from, to, state }),
        }
    }

    /// Appends an action.
    pub fn push_step(&mut self, from: u64, to: u64, peer_port: u16, kind: &str) {
        self.steps.push(Step { from, to, peer_port, kind: kind.to_owned() });
    }
}

impl Request {
    /// Response time in nanoseconds: from the due time to the end of the reply.
    pub fn response_time(&self) -> u64 {
        self.received.saturating_sub(self.due)
    }
}

/// Serde form of a strategy: its name, or null.
mod strategy {
    use fileserver::StrategyKind;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<StrategyKind>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(StrategyKind::name).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<StrategyKind>, D::Error> {
        let name = Option::<String>::deserialize(from)?;
        let strategy = name.map(|name| name.parse::<StrategyKind>());
        strategy.transpose().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace() -> Trace {
        let mut trace = Trace::new("selector", Some(StrategyKind::Selector), Level::Scheduler);
        let lane = trace.lane(7, 8);
        lane.name = "server".to_owned();
        lane.push_span(0, 10, State::User);
        lane.push_span(10, 20, State::Kernel("recvfrom".to_owned()));
        lane.push_span(20, 25, State::Runnable);
        lane.push_span(25, 90, State::Blocked("epoll_wait".to_owned()));
        lane.push_step(8, 21, 40_000, "receive");
        lane.push_step(2, 3, 0, "wait-ready");
        trace.wake_ups.push(WakeUp { at: 20, by: None, woken: 8 });
        let request = Request {
            peer_port: 40_000,
            label: "light 1".to_owned(),
            heavy: false,
            due: 1,
            sent: 2,
            received: 95,
            ok: true,
        };
        trace.requests.push(request);
        trace.finish();
        trace
    }

    fn picture() -> Picture {
        Picture {
            scene: "1 request".to_owned(),
            title: "A picture".to_owned(),
            command: "bench xray".to_owned(),
            host: "a machine".to_owned(),
            measured: Timestamp::UNIX_EPOCH,
            traces: vec![trace(), Trace::new("nginx", None, Level::Actions)],
        }
    }

    #[test]
    fn a_picture_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = picture().write(folder.path()).unwrap();
        assert_eq!(path, folder.path().join("xray.json"));
        assert_eq!(Picture::read(folder.path()).unwrap(), picture());
        let text = fs::read_to_string(path).unwrap();
        for part in [
            r#""strategy":"selector","level":"scheduler","end":95"#,
            r#""strategy":null,"level":"actions""#,
            r#""state":"user""#,
            r#""state":{"kernel":"recvfrom"}"#,
            r#""state":{"blocked":"epoll_wait"}"#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_file_that_is_no_picture_is_refused_with_its_path_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = || format!("{:#}", Picture::read(folder.path()).unwrap_err());
        assert!(refusal().contains("cannot read"), "{}", refusal());
        fs::write(folder.path().join(FILE), "{}").unwrap();
        assert!(refusal().contains("does not match results/SCHEMA.md"), "{}", refusal());
        let mut wrong = picture();
        wrong.traces[0].requests[0].sent = 96;
        wrong.write(folder.path()).unwrap();
        let expected = "trace of selector: times of request light 1 are not in order";
        assert!(refusal().contains(expected), "{}", refusal());
    }

    #[test]
    fn finishing_sorts_and_extends_the_end() {
        let trace = trace();
        assert_eq!(trace.end, 95);
        assert_eq!(trace.lanes[0].steps[0].kind, "wait-ready");
        assert_eq!(trace.check(), Ok(()));
        let mut two = trace.clone();
        two.lanes.push(two.lanes[0].clone());
        assert_eq!(two.check(), Err("thread 8 has two lanes".to_owned()));
        let mut overlap = trace;
        overlap.lanes[0].spans[0].to = 11;
        let message = "states of thread 8 overlap or are not sorted";
        assert_eq!(overlap.check(), Err(message.to_owned()));
    }

    #[test]
    fn adjoining_equal_states_are_one_span() {
        let mut lane = Lane::new(1, 1, "a");
        lane.push_span(0, 5, State::User);
        lane.push_span(5, 5, State::Runnable);
        lane.push_span(5, 9, State::User);
        lane.push_span(7, 12, State::Runnable);
        lane.push_span(3, 11, State::User);
        let span = |from, to, state| Span { from, to, state };
        assert_eq!(lane.spans, [span(0, 9, State::User), span(9, 12, State::Runnable)]);
    }

    #[test]
    fn the_response_time_starts_at_the_due_time() {
        assert_eq!(trace().requests[0].response_time(), 94);
    }
}
