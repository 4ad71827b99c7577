//! Threads of a trace, indexed for questions about one instant.

use std::collections::HashMap;

use bench_data::xray::{Lane, Request, State, Step, Trace};

/// System calls in which a thread waits for events of all its connections.
const EVENT_WAITS: [&str; 4] = ["epoll_wait", "epoll_pwait", "epoll_pwait2", "io_uring_enter"];

/// Threads, actions and requests of a trace.
#[derive(Debug)]
pub(super) struct Threads<'t> {
    /// In the order of the lanes.
    pub(super) all: Vec<Thread<'t>>,
    /// Actions by the port of the client, sorted by their beginnings.
    actions: HashMap<u16, Vec<Action<'t>>>,
    /// Requests by the port of the client, with their positions in the trace, sorted by the times at
    /// which they were sent.
    requests: HashMap<u16, Vec<(usize, &'t Request)>>,
}

/// One thread.
#[derive(Debug)]
pub(super) struct Thread<'t> {
    pub(super) lane: &'t Lane,
    /// Steps that the thread itself performs, one after the other.
    pub(super) running: Vec<&'t Step>,
    /// Steps during which the thread began another one: they wait in the kernel or in the runtime.
    pub(super) pending: Vec<&'t Step>,
}

/// Action for a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Action<'t> {
    /// Position of the thread.
    pub(super) thread: usize,
    pub(super) step: &'t Step,
    /// True if the thread began another action meanwhile.
    pub(super) is_pending: bool,
}

impl<'t> Threads<'t> {
    pub(super) fn of(trace: &'t Trace) -> Self {
        let all: Vec<Thread<'t>> = trace.lanes.iter().map(Thread::of).collect();
        let mut actions: HashMap<u16, Vec<Action<'t>>> = HashMap::new();
        for (thread, one) in all.iter().enumerate() {
            for (steps, is_pending) in [(&one.running, false), (&one.pending, true)] {
                for &step in steps.iter().filter(|step| step.peer_port != 0) {
                    let action = Action { thread, step, is_pending };
                    actions.entry(step.peer_port).or_default().push(action);
                }
            }
        }
        for list in actions.values_mut() {
            list.sort_by_key(|action| (action.step.from, action.step.to));
        }
        let mut requests: HashMap<u16, Vec<(usize, &'t Request)>> = HashMap::new();
        for (index, request) in trace.requests.iter().enumerate() {
            requests.entry(request.peer_port).or_default().push((index, request));
        }
        for list in requests.values_mut() {
            list.sort_by_key(|(_, request)| request.sent);
        }
        Self { all, actions, requests }
    }

    /// Actions of the request's connection between its sending and its reply. A receive that is still
    /// open at the reply waits for the next request.
    pub(super) fn actions_of(&self, request: &Request) -> Vec<Action<'t>> {
        let of_connection = self.actions.get(&request.peer_port).into_iter().flatten();
        let within = of_connection.filter(|Action { step, .. }| {
            let waits_for_next = is_receive(&step.kind) && step.to > request.received;
            step.to >= request.sent && step.from < request.received && !waits_for_next
        });
        within.copied().collect()
    }

    /// Position of the request that a step belongs to: the last one sent before, for a receive, the
    /// end of the step, or else its beginning. A receive that is still open at the reply belongs to none.
    pub(super) fn owner(&self, step: &Step) -> Option<usize> {
        let of_connection = self.requests.get(&step.peer_port)?;
        let is_receive = is_receive(&step.kind);
        let by = if is_receive { step.to } else { step.from };
        let sent = of_connection.partition_point(|(_, request)| request.sent <= by);
        let (index, request) = of_connection[..sent].last()?;
        let is_within = if is_receive { by <= request.received } else { by < request.received };
        is_within.then_some(*index)
    }
}

impl<'t> Thread<'t> {
    fn of(lane: &'t Lane) -> Self {
        let (mut running, mut pending) = (Vec::new(), Vec::new());
        for (index, step) in lane.steps.iter().enumerate() {
            // A thread performs one step at a time.
            let next = lane.steps.get(index + 1);
            if next.is_some_and(|next| next.from < step.to) {
                pending.push(step);
            } else {
                running.push(step);
            }
        }
        Self { lane, running, pending }
    }

    /// State at an instant; `None` if unknown.
    pub(super) fn state(&self, at: u64) -> Option<&'t State> {
        let begun = self.lane.spans.partition_point(|span| span.from <= at);
        let last = self.lane.spans[..begun].last()?;
        (at < last.to).then_some(&last.state)
    }

    /// Step that the thread performs at an instant.
    pub(super) fn step(&self, at: u64) -> Option<&'t Step> {
        let begun = self.running.partition_point(|step| step.from <= at);
        self.running[..begun].last().copied().filter(|step| at < step.to)
    }

    /// Port of the client for which the thread works between two steps: that of the last step, or after
    /// a wait that of the next one.
    pub(super) fn works_for(&self, at: u64) -> Option<u16> {
        let begun = self.running.partition_point(|step| step.from <= at);
        let around = [self.running[..begun].last(), self.running.get(begun)];
        around.into_iter().flatten().map(|step| step.peer_port).find(|port| *port != 0)
    }

    /// Appends the times between two instants at which a state or a step begins or ends.
    pub(super) fn changes(&self, from: u64, to: u64, changes: &mut Vec<u64>) {
        let spans = &self.lane.spans;
        let first = spans.partition_point(|span| span.to <= from);
        for span in spans[first..].iter().take_while(|span| span.from < to) {
            changes.extend([span.from, span.to]);
        }
        let first = self.running.partition_point(|step| step.to <= from);
        for step in self.running[first..].iter().take_while(|step| step.from < to) {
            changes.extend([step.from, step.to]);
        }
    }

    /// Nanoseconds for which the thread ran, or performed actions other than receives, which mostly
    /// wait.
    pub(super) fn busy(&self) -> u64 {
        let runs = |state: &State| matches!(state, State::User | State::Kernel(_));
        let spans = self.lane.spans.iter().filter(|span| runs(&span.state));
        let acts = |step: &&&Step| step.peer_port != 0 && !is_receive(&step.kind);
        let steps = self.running.iter().filter(acts);
        let ran: u64 = spans.map(|span| span.to - span.from).sum();
        ran.max(steps.map(|step| step.to - step.from).sum())
    }

    /// Time from which a step is more than waiting: the end of the last blocked state within it.
    pub(super) fn unblocked(&self, step: &Step) -> u64 {
        let spans = &self.lane.spans;
        let begun = spans.partition_point(|span| span.from < step.to);
        let within = spans[..begun].iter().rev().take_while(|span| span.to > step.from);
        let mut blocked = within.filter(|span| matches!(span.state, State::Blocked(_)));
        blocked.next().map_or(step.from, |span| span.to.min(step.to))
    }
}

/// Returns true if a kind of step waits for bytes of the client.
pub(super) fn is_receive(kind: &str) -> bool {
    kind.starts_with("receive")
}

/// Returns true if a thread in this state waits for events, so that none of its steps occupies it.
pub(super) fn waits_for_events(state: &State) -> bool {
    match state {
        State::Blocked(call) => EVENT_WAITS.contains(&call.as_str()),
        State::User | State::Kernel(_) | State::Runnable => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::xray::Level;

    #[test]
    fn a_step_during_which_another_one_begins_is_pending() {
        let mut trace = Trace::new("uring", None, Level::Actions);
        let lane = trace.lane(1, 1);
        lane.push_step(0, 50, 7, "receive");
        lane.push_step(10, 20, 8, "open-download");
        lane.push_step(20, 30, 8, "send");
        lane.push_step(40, 50, 0, "wait-completion");
        let threads = Threads::of(&trace);
        let thread = &threads.all[0];
        assert_eq!(thread.pending.len(), 1);
        assert_eq!(thread.step(15).unwrap().kind, "open-download");
        assert_eq!(thread.step(20).unwrap().kind, "send");
        assert_eq!(thread.step(35), None);
        assert_eq!(thread.works_for(35), Some(8));
        assert_eq!(thread.works_for(50), None);
        assert_eq!(thread.busy(), 20);
    }

    #[test]
    fn a_step_belongs_to_the_request_that_was_sent_before_it() {
        let mut trace = Trace::new("threaded", None, Level::Actions);
        let request = |label: &str, sent, received| Request {
            peer_port: 7,
            label: label.to_owned(),
            heavy: false,
            due: sent,
            sent,
            received,
            ok: true,
        };
        trace.requests = vec![request("light 1", 10, 30), request("light 2", 40, 60)];
        let lane = trace.lane(1, 1);
        for (from, to, kind) in
            [(0, 12, "receive"), (14, 45, "send"), (46, 50, "receive"), (52, 58, "send")]
        {
            lane.push_step(from, to, 7, kind);
        }
        lane.push_step(60, 90, 7, "close");
        let threads = Threads::of(&trace);
        let owners: Vec<_> = trace.lanes[0].steps.iter().map(|step| threads.owner(step)).collect();
        assert_eq!(owners, [Some(0), Some(0), Some(1), Some(1), None]);
    }
}
