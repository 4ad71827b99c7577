//! Decomposition of a response time: at each instant, the reason why the reply is not there yet.

use bench_data::xray::{Level, Request, State, Step, Trace};
use serde::Serialize;

use super::threads::{Action, Threads, is_receive, waits_for_events};

/// Reason for a part of a response time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The server works for the request.
    OwnCpu,
    /// The thread is ready to run and waits for the core.
    RunQueue,
    /// An action of the request waits: for the disk, a lock, a timer, or room in a socket buffer.
    Blocked,
    /// The thread works for other connections.
    HeadOfLine,
    /// Outside the server: load generator, network, and times at which nothing was recorded.
    Outside,
}

/// Parts of a response time in nanoseconds. They sum to it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Parts {
    /// Work for the request. Without the scheduler's events it contains waiting within actions.
    pub own_cpu: u64,
    /// Waiting for the core.
    pub run_queue: u64,
    /// Waiting within actions of the request.
    pub blocked: u64,
    /// Waiting for the work of other connections on the same thread.
    pub head_of_line: u64,
    /// Network, load generator, and times at which nothing was recorded.
    pub outside: u64,
}

/// Time for which one reason applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) part: Part,
}

impl Part {
    /// All parts, in the order in which they are drawn.
    pub const ALL: [Self; 5] =
        [Self::OwnCpu, Self::Blocked, Self::RunQueue, Self::HeadOfLine, Self::Outside];

    /// Name in tables and legends.
    pub fn name(self, level: Level) -> &'static str {
        match (self, level) {
            (Self::OwnCpu, Level::Scheduler) => "own CPU",
            (Self::OwnCpu, Level::Actions) => "own actions",
            (Self::RunQueue, _) => "run queue",
            (Self::Blocked, _) => "blocked",
            (Self::HeadOfLine, _) => "head of line",
            (Self::Outside, _) => "outside",
        }
    }

    /// Meaning, as a legend.
    pub fn meaning(self, level: Level) -> &'static str {
        match (self, level) {
            (Self::OwnCpu, Level::Scheduler) => "the server works for the request",
            (Self::OwnCpu, Level::Actions) => {
                "actions of the request, with the waiting within them"
            }
            (Self::RunQueue, _) => "its thread is ready and waits for the core",
            (Self::Blocked, _) => "its own action waits (disk, timer, socket buffer)",
            (Self::HeadOfLine, _) => "its thread works for other connections",
            (Self::Outside, Level::Scheduler) => "network and load generator",
            (Self::Outside, Level::Actions) => {
                "network, load generator, and times without a recorded action"
            }
        }
    }
}

impl Parts {
    /// Nanoseconds of one part.
    pub fn of(self, part: Part) -> u64 {
        match part {
            Part::OwnCpu => self.own_cpu,
            Part::RunQueue => self.run_queue,
            Part::Blocked => self.blocked,
            Part::HeadOfLine => self.head_of_line,
            Part::Outside => self.outside,
        }
    }

    /// Sum: the response time.
    pub fn total(self) -> u64 {
        Part::ALL.iter().map(|part| self.of(*part)).sum()
    }

    /// Largest part; of equal ones the first as they are drawn.
    pub fn largest(self) -> Part {
        let later_first = Part::ALL.into_iter().rev();
        later_first.max_by_key(|part| self.of(*part)).unwrap_or(Part::Outside)
    }

    fn add(&mut self, segment: &Segment) {
        let part = match segment.part {
            Part::OwnCpu => &mut self.own_cpu,
            Part::RunQueue => &mut self.run_queue,
            Part::Blocked => &mut self.blocked,
            Part::HeadOfLine => &mut self.head_of_line,
            Part::Outside => &mut self.outside,
        };
        *part += segment.to - segment.from;
    }
}

/// Decomposes the response time of a request.
///
/// Before its sending a request is outside the server. From then on:
/// - While an action of its connection is open on a thread, the state of that thread is the reason. A
///   thread that is blocked in a receive waits for bytes that are still outside.
/// - Otherwise the thread of its next action is the reason: it performs a step of another connection,
///   or runs between two steps of another one (`head_of_line`), or waits for the core (`run_queue`).
///   An action during which its thread began another one is no reason by itself, since the thread
///   was free.
/// - All other times are outside.
pub fn decompose(trace: &Trace, request: &Request) -> Parts {
    parts(&segments(&Threads::of(trace), request))
}

/// Sums of segments.
pub(super) fn parts(segments: &[Segment]) -> Parts {
    let mut parts = Parts::default();
    for segment in segments {
        parts.add(segment);
    }
    parts
}

/// Partition of the time from the due time to the reply; neighbours have different reasons.
pub(super) fn segments(threads: &Threads<'_>, request: &Request) -> Vec<Segment> {
    let actions = threads.actions_of(request);
    let mut cuts = vec![request.due, request.sent, request.received];
    cuts.extend(actions.iter().flat_map(|action| [action.step.from, action.step.to]));
    let mut involved: Vec<usize> = actions.iter().map(|action| action.thread).collect();
    involved.sort_unstable();
    involved.dedup();
    for thread in involved {
        threads.all[thread].changes(request.sent, request.received, &mut cuts);
    }
    cuts.retain(|cut| (request.due..=request.received).contains(cut));
    cuts.sort_unstable();
    cuts.dedup();
    let mut segments: Vec<Segment> = Vec::new();
    for pair in cuts.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let part = part_at(threads, request, &actions, from);
        match segments.last_mut() {
            Some(last) if last.part == part => last.to = to,
            Some(_) | None => segments.push(Segment { from, to, part }),
        }
    }
    segments
}

fn part_at(threads: &Threads<'_>, request: &Request, actions: &[Action<'_>], at: u64) -> Part {
    if at < request.sent {
        return Part::Outside;
    }
    let is_open = |action: &&Action<'_>| action.step.from <= at && at < action.step.to;
    let performed = actions.iter().filter(|action| !action.is_pending).find(is_open);
    if let Some(action) = performed {
        return during(action.step, threads.all[action.thread].state(at), request);
    }
    let pending = actions.iter().filter(|action| action.is_pending).find(is_open);
    let next = actions.iter().find(|action| action.step.from > at);
    match pending.or(next) {
        Some(action) => meanwhile(threads, request, action.thread, pending, at),
        None => Part::Outside,
    }
}

/// Reason while the thread performs an action of the request.
fn during(step: &Step, state: Option<&State>, request: &Request) -> Part {
    match state {
        Some(State::Blocked(_)) if is_receive(&step.kind) => Part::Outside,
        Some(State::Blocked(_)) => Part::Blocked,
        Some(State::Runnable) => Part::RunQueue,
        Some(State::User | State::Kernel(_)) => Part::OwnCpu,
        // It began to wait for the request before this was sent.
        None if is_receive(&step.kind) && step.from < request.sent => Part::Outside,
        None => Part::OwnCpu,
    }
}

/// Reason while the request waits for a thread, or for the end of a pending action.
fn meanwhile(
    threads: &Threads<'_>,
    request: &Request,
    thread: usize,
    pending: Option<&Action<'_>>,
    at: u64,
) -> Part {
    let thread = &threads.all[thread];
    let state = thread.state(at);
    if !state.is_some_and(waits_for_events) {
        let step = thread.step(at).map(|step| step.peer_port);
        let is_between = step.is_none() && matches!(state, Some(State::User | State::Kernel(_)));
        let port = if is_between { thread.works_for(at) } else { step };
        match port.filter(|port| *port != 0) {
            Some(port) if port == request.peer_port => return Part::OwnCpu,
            Some(_) => return Part::HeadOfLine,
            None => {}
        }
        if state == Some(&State::Runnable) {
            return Part::RunQueue;
        }
    }
    match pending {
        Some(action) if !is_receive(&action.step.kind) => Part::Blocked,
        Some(_) | None => Part::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{self, MS, US};
    use super::*;

    fn of(trace: &Trace, label: &str) -> Parts {
        let request = trace.requests.iter().find(|request| request.label == label).unwrap();
        let parts = decompose(trace, request);
        assert_eq!(parts.total(), request.response_time(), "{label}");
        parts
    }

    #[test]
    fn a_block_on_the_same_thread_is_head_of_line() {
        let trace = example::selector();
        let expected = Parts {
            own_cpu: 100 * US,
            head_of_line: 19_200 * US,
            outside: 50 * US,
            ..Parts::default()
        };
        assert_eq!(of(&trace, "light 1"), expected);
        let expected =
            Parts { own_cpu: 130 * US, blocked: 20 * MS, outside: 50 * US, ..Parts::default() };
        assert_eq!(of(&trace, "heavy 1"), expected);
    }

    #[test]
    fn a_block_on_another_thread_is_not() {
        let trace = example::threaded();
        let expected =
            Parts { own_cpu: 100 * US, run_queue: 20 * US, outside: 30 * US, ..Parts::default() };
        assert_eq!(of(&trace, "light 1"), expected);
        assert_eq!(of(&trace, "heavy 1").blocked, 20 * MS);
    }

    #[test]
    fn without_the_scheduler_only_actions_are_known() {
        let trace = example::without_scheduler(example::selector());
        let expected = Parts {
            own_cpu: 80 * US,
            head_of_line: 19_130 * US,
            outside: 140 * US,
            ..Parts::default()
        };
        assert_eq!(of(&trace, "light 1"), expected);
        let heavy = of(&trace, "heavy 1");
        assert_eq!((heavy.blocked, heavy.run_queue), (0, 0));
        assert_eq!(heavy.own_cpu, 20_040 * US);
        let trace = example::without_scheduler(example::threaded());
        let light = of(&trace, "light 1");
        assert_eq!((light.own_cpu, light.outside), (70 * US, 80 * US));
    }

    #[test]
    fn a_request_that_is_not_sent_yet_is_outside() {
        let mut trace = example::selector();
        trace.requests[1].due = 0;
        let early = of(&trace, "light 1");
        assert_eq!(early.outside, 50 * US + 2 * MS);
    }

    #[test]
    fn a_thread_that_waits_for_events_delays_nobody() {
        let mut trace = Trace::new("uring", None, Level::Scheduler);
        let lane = trace.lane(1, 1);
        lane.push_span(0, 10, State::User);
        lane.push_span(10, 60, State::Blocked("io_uring_enter".to_owned()));
        lane.push_span(60, 100, State::User);
        // Connection 8 has a pending send, connection 7 a pending receive, then both are served.
        lane.push_step(5, 70, 8, "send");
        lane.push_step(6, 60, 7, "receive");
        lane.push_step(8, 60, 0, "wait-completion");
        lane.push_step(62, 66, 8, "open-download");
        lane.push_step(80, 90, 7, "send-file");
        let request = Request {
            peer_port: 7,
            label: "light 1".to_owned(),
            heavy: false,
            due: 20,
            sent: 20,
            received: 95,
            ok: true,
        };
        trace.requests.push(request);
        let expected = Parts { own_cpu: 10, head_of_line: 20, outside: 45, ..Parts::default() };
        assert_eq!(of(&trace, "light 1"), expected);
    }

    #[test]
    fn the_parts_of_any_trace_sum_to_the_response_time() {
        for seed in 0..300 {
            let trace = example::random(seed);
            assert_eq!(trace.check(), Ok(()), "seed {seed}");
            let threads = Threads::of(&trace);
            for request in &trace.requests {
                let segments = segments(&threads, request);
                let parts = parts(&segments);
                assert_eq!(parts.total(), request.response_time(), "seed {seed}");
                assert_eq!(parts, decompose(&trace, request), "seed {seed}");
                let joined = segments.windows(2).all(|two| two[0].to == two[1].from);
                assert!(joined, "seed {seed}");
                if trace.level == Level::Actions {
                    assert_eq!(parts.run_queue, 0, "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn the_largest_part_of_equal_ones_is_drawn_first() {
        let parts = Parts { blocked: 5, head_of_line: 5, outside: 1, ..Parts::default() };
        assert_eq!(parts.largest(), Part::Blocked);
        assert_eq!(Parts::default().largest(), Part::OwnCpu);
    }
}
