//! States of threads from the events of the kernel's scheduler.

use std::collections::HashMap;
use std::ffi::c_long;

use bench_data::xray::{Lane, State, WakeUp};
use syscall_numbers::native::sys_call_name;

use super::kernel_line::{KernelEvent, Line, Switched, What, parse};

/// Name of the wait of a thread that waits outside of any system call: the kernel loads a page for it, or
/// ends it.
const NO_CALL: &str = "page fault";

/// Threads of a server.
#[derive(Debug, Default)]
pub(super) struct States {
    threads: HashMap<u32, Thread>,
    wake_ups: Vec<WakeUp>,
    /// Incomplete last line.
    rest: String,
    /// Time of the last event.
    last: u64,
    lost: u64,
    unknown_lines: u64,
}

/// Thread and its current state.
#[derive(Debug)]
struct Thread {
    lane: Lane,
    now: Now,
    /// Beginning of the state.
    since: u64,
    /// System call in progress.
    call: Option<c_long>,
    /// True if the number of its process is that of the thread that started it.
    is_new: bool,
}

/// State of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    Unknown,
    Running,
    Runnable,
    Blocked,
    Ended,
}

impl States {
    /// Adds a thread at the beginning of the trace, blocked in a system call if one is given.
    pub(super) fn add(
        &mut self,
        process: u32,
        thread: u32,
        name: &str,
        at: u64,
        call: Option<c_long>,
    ) {
        let now = if call.is_some() { Now::Blocked } else { Now::Unknown };
        let lane = Lane::new(process, thread, name);
        self.threads.insert(thread, Thread { lane, now, since: at, call, is_new: false });
    }

    /// Reads the next part of the kernel's text.
    pub(super) fn feed(&mut self, text: &str) {
        let mut all = std::mem::take(&mut self.rest);
        all.push_str(text);
        let end = all.rfind('\n').map_or(0, |at| at + 1);
        for line in all[..end].lines() {
            match parse(line) {
                Some(Line::Event(event)) => self.handle(event),
                Some(Line::Lost(count)) => self.lose(count),
                Some(Line::Other) => {}
                None => self.unknown_lines += 1,
            }
        }
        self.rest = all.split_off(end);
    }

    /// Number of lost events so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Number of lines so far that were not understood.
    pub(super) fn unknown_lines(&self) -> u64 {
        self.unknown_lines
    }

    /// True if no event was recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.last == 0
    }

    /// Enters the processes of threads that were started during the trace; `process` returns that of a thread.
    pub(super) fn find_processes(&mut self, process: impl Fn(u32) -> Option<u32>) {
        for thread in self.threads.values_mut().filter(|thread| thread.is_new) {
            if let Some(found) = process(thread.lane.thread) {
                thread.lane.process = found;
                thread.is_new = false;
            }
        }
    }

    /// Lanes with all states up to a time.
    pub(super) fn lanes(&self, until: u64) -> Vec<Lane> {
        let lanes = self.threads.values().map(|thread| {
            let mut lane = thread.lane.clone();
            if let Some(state) = thread.state() {
                lane.push_span(thread.since, until, state);
            }
            lane
        });
        lanes.collect()
    }

    /// Wake-ups of the server's threads.
    pub(super) fn wake_ups(&self) -> &[WakeUp] {
        &self.wake_ups
    }

    /// Removes states that ended before a time, and threads that have no others.
    pub(super) fn forget(&mut self, before: u64) {
        for thread in self.threads.values_mut() {
            thread.lane.spans.retain(|span| span.to >= before);
        }
        self.threads.retain(|_, thread| thread.now != Now::Ended || !thread.lane.spans.is_empty());
        self.wake_ups.retain(|wake_up| wake_up.at >= before);
    }

    fn handle(&mut self, event: KernelEvent<'_>) {
        let at = event.at;
        self.last = at;
        match event.what {
            What::Switch { from, state, to } => {
                let next = match state.chars().next() {
                    Some('R') => Now::Runnable,
                    Some('X' | 'Z') => Now::Ended,
                    Some(_) | None => Now::Blocked,
                };
                if let Some(thread) = self.named(from) {
                    thread.pass(at, next, thread.call);
                }
                if let Some(thread) = self.named(to) {
                    thread.pass(at, Now::Running, thread.call);
                }
            }
            What::Waking(woken) => self.wake(event, woken),
            What::WakingNew(woken) => {
                // Only a thread of the server starts others of it.
                if let Some(process) = self.threads.get(&event.thread).map(|one| one.lane.process) {
                    self.start(process, woken, at);
                    self.wake(event, woken);
                }
            }
            What::Ending(ending) => {
                if let Some(thread) = self.named(ending) {
                    thread.pass(at, Now::Ended, None);
                }
            }
            What::Enter(call) => {
                self.caller(event).pass(at, Now::Running, Some(call));
            }
            What::Exit(call) => {
                let thread = self.caller(event);
                // The beginning of the call is missing in a new thread, and after lost events.
                if thread.call.is_none() && call >= 0 {
                    thread.call = Some(call);
                }
                thread.pass(at, Now::Running, None);
            }
        }
    }

    /// Thread of the server that an event names; updates its name, which it may have changed.
    fn named(&mut self, switched: Switched<'_>) -> Option<&mut Thread> {
        let thread = self.threads.get_mut(&switched.thread)?;
        if thread.lane.name != switched.name {
            switched.name.clone_into(&mut thread.lane.name);
        }
        Some(thread)
    }

    fn start(&mut self, process: u32, woken: Switched<'_>, at: u64) {
        let lane = Lane::new(process, woken.thread, woken.name);
        let thread = Thread { lane, now: Now::Blocked, since: at, call: None, is_new: true };
        self.threads.insert(woken.thread, thread);
    }

    /// Thread that makes a system call. The kernel records calls of the server's threads only.
    fn caller(&mut self, event: KernelEvent<'_>) -> &mut Thread {
        self.threads.entry(event.thread).or_insert_with(|| Thread {
            lane: Lane::new(event.thread, event.thread, event.name),
            now: Now::Unknown,
            since: event.at,
            call: None,
            is_new: true,
        })
    }

    fn wake(&mut self, event: KernelEvent<'_>, woken: Switched<'_>) {
        let is_own = !event.is_interrupt && self.threads.contains_key(&event.thread);
        let Some(thread) = self.named(woken) else { return };
        match thread.now {
            Now::Blocked | Now::Unknown => {
                thread.pass(event.at, Now::Runnable, thread.call);
                let by = is_own.then_some(event.thread);
                self.wake_ups.push(WakeUp { at: event.at, by, woken: woken.thread });
            }
            // A thread that was about to block goes on.
            Now::Running | Now::Runnable | Now::Ended => {}
        }
    }

    /// After a gap no state is known until its thread has another event.
    fn lose(&mut self, count: u64) {
        self.lost += count;
        let at = self.last;
        self.threads.values_mut().for_each(|thread| thread.pass(at, Now::Unknown, None));
    }
}

impl Thread {
    /// Current state, if it is known.
    fn state(&self) -> Option<State> {
        match self.now {
            Now::Unknown | Now::Ended => None,
            Now::Running => Some(self.call.map_or(State::User, |call| State::Kernel(name(call)))),
            Now::Runnable => Some(State::Runnable),
            Now::Blocked => {
                Some(State::Blocked(self.call.map_or_else(|| NO_CALL.to_owned(), name)))
            }
        }
    }

    /// Ends the current state and begins the next one. A thread that has ended has no other.
    fn pass(&mut self, at: u64, next: Now, call: Option<c_long>) {
        if self.now == Now::Ended {
            return;
        }
        if let Some(state) = self.state() {
            self.lane.push_span(self.since, at, state);
        }
        (self.now, self.since, self.call) = (next, at, call);
    }
}

/// Name of a system call.
fn name(call: c_long) -> String {
    sys_call_name(call).map_or_else(|| format!("system call {call}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use bench_data::xray::Span;

    use super::*;

    #[cfg(target_arch = "x86_64")]
    const RECV: c_long = 45;
    #[cfg(target_arch = "aarch64")]
    const RECV: c_long = 207;

    /// Server with the processes 100 (threads 100 and 101) on core 1.
    struct Recorder {
        states: States,
    }

    impl Recorder {
        fn new() -> Self {
            let mut states = States::default();
            states.add(100, 100, "server", 0, Some(RECV));
            states.add(100, 101, "worker", 0, None);
            Self { states }
        }

        fn line(&mut self, thread: &str, flags: &str, micros: u64, event: &str) {
            let line = format!("  {thread}  [001] {flags}     0.{micros:06}: {event}\n");
            self.states.feed(&line);
        }

        fn switch(&mut self, micros: u64, from: (&str, u32), state: &str, to: (&str, u32)) {
            let event = format!(
                "sched_switch: prev_comm={} prev_pid={} prev_prio=120 prev_state={state} ==> \
                 next_comm={} next_pid={} next_prio=120",
                from.0, from.1, to.0, to.1
            );
            self.line(&format!("{}-{}", from.0, from.1), "d..2.", micros, &event);
        }

        fn waking(&mut self, by: &str, flags: &str, micros: u64, woken: (&str, u32)) {
            let event =
                format!("sched_waking: comm={} pid={} prio=120 target_cpu=001", woken.0, woken.1);
            self.line(by, flags, micros, &event);
        }

        fn lane(&self, thread: u32) -> Lane {
            let lanes = self.states.lanes(1_000_000);
            lanes.into_iter().find(|lane| lane.thread == thread).unwrap()
        }
    }

    const IDLE: (&str, u32) = ("swapper/1", 0);
    const SERVER: (&str, u32) = ("server", 100);
    const WORKER: (&str, u32) = ("worker", 101);

    fn span(from: u64, to: u64, state: State) -> Span {
        Span { from: from * 1_000, to: to * 1_000, state }
    }

    fn recv() -> String {
        "recvfrom".to_owned()
    }

    #[test]
    fn a_call_that_blocks_is_split_at_the_switches() {
        let mut recorder = Recorder::new();
        recorder.waking("<idle>-0", "dNs4.", 10, SERVER);
        recorder.switch(15, IDLE, "R", SERVER);
        recorder.line("server-100", ".....", 20, &format!("sys_exit: NR {RECV} = 7"));
        recorder.line(
            "server-100",
            ".....",
            50,
            &format!("sys_enter: NR {RECV} (5, 0, 0, 0, 0, 0)"),
        );
        recorder.switch(60, SERVER, "S", IDLE);
        let expected = [
            span(0, 10, State::Blocked(recv())),
            span(10, 15, State::Runnable),
            span(15, 20, State::Kernel(recv())),
            span(20, 50, State::User),
            span(50, 60, State::Kernel(recv())),
            span(60, 1_000, State::Blocked(recv())),
        ];
        assert_eq!(recorder.lane(100).spans, expected);
        assert_eq!(recorder.states.wake_ups(), [WakeUp { at: 10_000, by: None, woken: 100 }]);
    }

    #[test]
    fn a_preempted_thread_stays_ready_to_run() {
        let mut recorder = Recorder::new();
        recorder.switch(10, IDLE, "R", SERVER);
        recorder.line("server-100", ".....", 20, &format!("sys_exit: NR {RECV} = 7"));
        recorder.waking("server-100", "d..2.", 30, WORKER);
        recorder.switch(40, SERVER, "R+", WORKER);
        recorder.switch(70, WORKER, "X", SERVER);
        let spans = recorder.lane(100).spans;
        let expected = [
            span(20, 40, State::User),
            span(40, 70, State::Runnable),
            span(70, 1_000, State::User),
        ];
        assert_eq!(spans[2..], expected);
        let expected = [span(30, 40, State::Runnable), span(40, 70, State::User)];
        assert_eq!(recorder.lane(101).spans, expected);
        assert_eq!(recorder.states.wake_ups(), [WakeUp { at: 30_000, by: Some(100), woken: 101 }]);
    }

    #[test]
    fn a_new_thread_has_a_lane_and_foreign_ones_have_none() {
        let mut recorder = Recorder::new();
        let new = "sched_wakeup_new: comm=server pid=102 prio=120 target_cpu=001";
        recorder.line("server-100", "d..1.", 10, new);
        recorder.line("client-900", "d..1.", 11, &new.replace("102", "901"));
        recorder.switch(20, ("client", 900), "S", ("server", 102));
        // The name is set by the thread itself.
        recorder.switch(30, ("connection", 102), "D", ("client", 900));
        recorder.waking("client-900", "d..2.", 40, ("client", 901));
        let lane = recorder.lane(102);
        assert_eq!((lane.process, lane.name.as_str()), (100, "connection"));
        let expected = [
            span(10, 20, State::Runnable),
            span(20, 30, State::User),
            span(30, 1_000, State::Blocked(NO_CALL.to_owned())),
        ];
        assert_eq!(lane.spans, expected);
        assert_eq!(recorder.states.lanes(50_000).len(), 3);
        assert_eq!(recorder.states.wake_ups(), [WakeUp { at: 10_000, by: Some(100), woken: 102 }]);
        recorder.states.find_processes(|thread| (thread == 102).then_some(102));
        assert_eq!((recorder.lane(102).process, recorder.lane(100).process), (102, 100));
    }

    #[test]
    fn a_thread_that_ends_has_no_further_state() {
        let mut recorder = Recorder::new();
        recorder.switch(10, IDLE, "R", WORKER);
        let ends = "sched_process_exit: comm=worker pid=101 prio=120";
        recorder.line("worker-101", ".....", 30, ends);
        let expected = [span(10, 30, State::User)];
        assert_eq!(recorder.lane(101).spans, expected);
        // The last switch, if the kernel records it.
        recorder.switch(35, WORKER, "R", SERVER);
        recorder.switch(40, SERVER, "R", WORKER);
        recorder.switch(50, WORKER, "X", IDLE);
        assert_eq!(recorder.lane(101).spans, expected);
    }

    #[test]
    fn lost_events_leave_a_gap() {
        let mut recorder = Recorder::new();
        recorder.switch(10, IDLE, "R", SERVER);
        recorder.states.feed("CPU:1 [LOST 30 EVENTS]\nnonsense\n");
        recorder.line("server-100", ".....", 50, "sys_enter: NR 999999 (0, 0, 0, 0, 0, 0)");
        recorder.line("server-100", ".....", 60, "sys_exit: NR 999999 = 0");
        let expected = [
            span(0, 10, State::Blocked(recv())),
            span(50, 60, State::Kernel("system call 999999".to_owned())),
            span(60, 1_000, State::User),
        ];
        assert_eq!(recorder.lane(100).spans, expected);
        assert_eq!((recorder.states.lost(), recorder.states.unknown_lines()), (30, 1));
    }

    #[test]
    fn a_line_may_arrive_in_two_parts() {
        let mut recorder = Recorder::new();
        let line = "  server-100  [001] .....     0.000020: sys_exit: NR 3 = 0\n";
        let (first, second) = line.split_at(30);
        recorder.states.feed(first);
        assert!(recorder.states.is_empty());
        recorder.states.feed(second);
        assert!(!recorder.states.is_empty());
        assert_eq!(recorder.states.unknown_lines(), 0);
    }

    #[test]
    fn old_states_are_forgotten_and_the_current_one_is_kept() {
        let mut recorder = Recorder::new();
        recorder.switch(10, IDLE, "R", SERVER);
        recorder.switch(20, SERVER, "S", WORKER);
        recorder.switch(30, WORKER, "X", IDLE);
        recorder.states.forget(100_000);
        assert_eq!(recorder.lane(100).spans, [span(20, 1_000, State::Blocked(recv()))]);
        assert_eq!(recorder.states.lanes(1_000_000).len(), 1);
    }
}
