//! Assembly of a trace from its sources: the server's actions, the kernel's events, the clients' requests.

use std::collections::{BTreeMap, BTreeSet};

use bench_data::servers::target::Target;
use bench_data::xray::{Lane, Level, Request, Span, Step, Trace, WakeUp};
use fileserver::StrategyKind;

use super::actions::Rows;
use super::states::States;
use super::threads::{self, Found};

/// Content of a trace so far, with absolute times.
#[derive(Debug)]
pub(super) struct Recording {
    server: String,
    strategy: Option<StrategyKind>,
    /// States of the threads, if the kernel records them.
    states: Option<States>,
    /// Actions by thread; without states.
    actions: BTreeMap<u32, Lane>,
    lost_actions: u64,
    remarks: Vec<String>,
}

impl Recording {
    /// Recording of a server's actions.
    pub(super) fn new(target: &Target) -> Self {
        Self {
            server: target.name().to_owned(),
            strategy: target.strategy().map(|(kind, _)| kind),
            states: None,
            actions: BTreeMap::new(),
            lost_actions: 0,
            remarks: Vec::new(),
        }
    }

    /// Begins to add the states of threads that the kernel records from now on.
    pub(super) fn begin_states(&mut self, at: u64, found: &[Found]) {
        let states = self.states.insert(States::default());
        for one in found {
            states.add(one.process, one.thread, &one.name, at, one.call);
        }
    }

    /// Adds text of the kernel's trace. The threads it names may have to exist still.
    pub(super) fn add_events(&mut self, text: &str) {
        if let Some(states) = &mut self.states {
            states.feed(text);
            states.find_processes(threads::process_of);
        }
    }

    /// Adds rows of the server's own trace.
    pub(super) fn add_actions(&mut self, rows: Rows) {
        self.lost_actions += rows.lost;
        for row in rows.actions {
            let lane = self.actions.entry(row.thread);
            let lane = lane.or_insert_with(|| Lane::new(row.process, row.thread, &row.name));
            lane.push_step(row.from_ns, row.to_ns, row.peer_port, &row.kind);
        }
    }

    /// Adds a restriction of the trace, as a sentence.
    pub(super) fn remark(&mut self, sentence: String) {
        self.remarks.push(sentence);
    }

    /// Removes everything that ended before a time.
    pub(super) fn forget(&mut self, before: u64) {
        if let Some(states) = &mut self.states {
            states.forget(before);
        }
        for lane in self.actions.values_mut() {
            lane.steps.retain(|step| step.to >= before);
        }
        self.actions.retain(|_, lane| !lane.steps.is_empty());
    }

    /// The part of the trace between two times, relative to the first.
    pub(super) fn trace(&self, from: u64, to: u64, requests: &[Request]) -> Trace {
        let window = Window { from, to };
        let level = if self.states.is_some() { Level::Scheduler } else { Level::Actions };
        let mut trace = Trace::new(&self.server, self.strategy, level);
        trace.end = to.saturating_sub(from);
        trace.lost_events = self.lost_actions;
        trace.remarks.clone_from(&self.remarks);
        let mut lanes = self.actions.clone();
        if let Some(states) = &self.states {
            for lane in states.lanes(to) {
                lanes
                    .entry(lane.thread)
                    // The server knows the names of its threads in full.
                    .and_modify(|known| known.spans.clone_from(&lane.spans))
                    .or_insert(lane);
            }
            trace.lost_events += states.lost();
            trace.remarks.extend(faults(states));
        }
        let lanes = lanes.into_values().map(|lane| window.lane(&lane));
        trace.lanes =
            lanes.filter(|lane| !lane.spans.is_empty() || !lane.steps.is_empty()).collect();
        if let Some(states) = &self.states {
            let shown: BTreeSet<u32> = trace.lanes.iter().map(|lane| lane.thread).collect();
            let wake_ups = states.wake_ups().iter().filter(|wake_up| {
                (from..=to).contains(&wake_up.at) && shown.contains(&wake_up.woken)
            });
            trace.wake_ups = wake_ups
                .map(|wake_up| WakeUp {
                    at: window.within(wake_up.at),
                    by: wake_up.by.filter(|by| shown.contains(by)),
                    woken: wake_up.woken,
                })
                .collect();
        }
        trace.requests = requests.iter().map(|request| window.request(request)).collect();
        trace.finish();
        trace
    }
}

/// Restrictions of the kernel's part.
fn faults(states: &States) -> Vec<String> {
    let mut faults = Vec::new();
    if states.is_empty() {
        faults.push("The kernel recorded no event of the server's threads.".to_owned());
    }
    if states.unknown_lines() > 0 {
        let lines = states.unknown_lines();
        faults.push(format!("Lines of the kernel's trace that were not understood: {lines}."));
    }
    faults
}

/// Part of a recording.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: u64,
    to: u64,
}

impl Window {
    /// Time within the window, relative to its beginning.
    fn within(self, at: u64) -> u64 {
        at.clamp(self.from, self.to.max(self.from)) - self.from
    }

    fn lane(self, lane: &Lane) -> Lane {
        let mut cut = Lane::new(lane.process, lane.thread, &lane.name);
        let spans = lane.spans.iter().map(|span| Span {
            from: self.within(span.from),
            to: self.within(span.to),
            state: span.state.clone(),
        });
        cut.spans = spans.filter(|span| span.from < span.to).collect();
        let steps = lane.steps.iter().filter(|step| step.to >= self.from && step.from <= self.to);
        cut.steps = steps
            .map(|step| Step {
                from: self.within(step.from),
                to: self.within(step.to),
                ..step.clone()
            })
            .collect();
        cut
    }

    fn request(self, request: &Request) -> Request {
        Request {
            due: self.within(request.due),
            sent: self.within(request.sent),
            received: self.within(request.received),
            ..request.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use bench_data::xray::State;

    use super::super::actions::ActionRow;
    use super::*;

    fn row(thread: u32, kind: &str, from_ns: u64, to_ns: u64) -> ActionRow {
        ActionRow {
            process: 7,
            thread,
            name: "connection 1".to_owned(),
            connection: 1,
            peer_port: 40_000,
            kind: kind.to_owned(),
            from_ns,
            to_ns,
        }
    }

    fn recording() -> Recording {
        let mut recording = Recording::new(&Target::Strategy(StrategyKind::Threaded));
        let found =
            |thread, name: &str| Found { process: 7, thread, name: name.to_owned(), call: None };
        recording.begin_states(0, &[found(7, "server"), found(8, "connection")]);
        recording.add_events(
            "  server-7  [000] .....  0.000100: sys_exit: NR 0 = 1\n\
             \x20 connection-8  [000] .....  0.000200: sys_exit: NR 0 = 1\n\
             \x20 server-7  [000] d..2.  0.000300: sched_waking: comm=connection pid=8 prio=120 \
             target_cpu=000\n\
             CPU:0 [LOST 3 EVENTS]\n",
        );
        let actions = vec![row(8, "accept", 50_000, 50_000), row(8, "receive", 90_000, 260_000)];
        recording.add_actions(Rows { actions, lost: 2, is_cut: false });
        recording.remark("A sentence.".to_owned());
        recording
    }

    #[test]
    fn a_window_is_cut_out_of_all_sources() {
        let request = Request {
            peer_port: 40_000,
            label: "light 1".to_owned(),
            heavy: false,
            due: 110_000,
            sent: 120_000,
            received: 270_000,
            ok: true,
        };
        let trace = recording().trace(100_000, 280_000, &[request]);
        assert_eq!((trace.level, trace.end, trace.lost_events), (Level::Scheduler, 180_000, 5));
        assert_eq!(trace.remarks, ["A sentence."]);
        let [server, connection] = &trace.lanes[..] else { panic!("{:?}", trace.lanes) };
        assert_eq!((server.thread, server.name.as_str()), (7, "server"));
        assert_eq!(server.spans, [Span { from: 0, to: 180_000, state: State::User }]);
        // The server's own name is longer than the kernel's.
        assert_eq!((connection.thread, connection.name.as_str()), (8, "connection 1"));
        assert_eq!(connection.spans, [Span { from: 100_000, to: 180_000, state: State::User }]);
        let [step] = &connection.steps[..] else { panic!("{:?}", connection.steps) };
        assert_eq!((step.kind.as_str(), step.from, step.to), ("receive", 0, 160_000));
        let one = &trace.requests[0];
        assert_eq!((one.due, one.sent, one.received), (10_000, 20_000, 170_000));
        assert_eq!(trace.check(), Ok(()));
    }

    #[test]
    fn a_server_without_the_kernels_trace_has_its_actions() {
        let mut recording = Recording::new(&Target::Strategy(StrategyKind::Selector));
        recording.add_actions(Rows {
            actions: vec![row(8, "receive", 10, 20), row(8, "send", 30, 40)],
            ..Rows::default()
        });
        recording.forget(25);
        let trace = recording.trace(0, 100, &[]);
        assert_eq!((trace.level, trace.strategy), (Level::Actions, Some(StrategyKind::Selector)));
        assert_eq!(trace.lanes[0].steps.len(), 1);
        assert!(trace.lanes[0].spans.is_empty() && trace.wake_ups.is_empty());
        recording.forget(41);
        assert!(recording.trace(0, 100, &[]).lanes.is_empty());
    }
}
