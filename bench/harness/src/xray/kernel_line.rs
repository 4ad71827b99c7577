//! Lines of the kernel's trace: the text of `trace_pipe`, as `Documentation/trace/ftrace.rst` describes it.

use std::ffi::c_long;

use super::clock::SECOND;

/// Line of the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'l> {
    /// Event.
    Event(KernelEvent<'l>),
    /// Number of events lost here by a full buffer; 1 if the kernel does not know it.
    Lost(u64),
    /// Comment, or an empty line.
    Other,
}

/// Event with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KernelEvent<'l> {
    /// Time in nanoseconds; the kernel prints microseconds.
    pub(super) at: u64,
    /// Thread that was running; 0 for an idle core.
    pub(super) thread: u32,
    /// Name of this thread.
    pub(super) name: &'l str,
    /// True if it had been interrupted: the event is not its own.
    pub(super) is_interrupt: bool,
    pub(super) what: What<'l>,
}

/// Kind of an event, with its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What<'l> {
    /// The core passes from one thread to another.
    Switch {
        /// Thread that stops running.
        from: Switched<'l>,
        /// State in which it stops: `R` ready to run, `S` and `D` waiting, `X` and `Z` ended.
        state: &'l str,
        /// Thread that starts running.
        to: Switched<'l>,
    },
    /// A thread becomes ready to run.
    Waking(Switched<'l>),
    /// A new thread becomes ready to run.
    WakingNew(Switched<'l>),
    /// A thread ends. The kernel forgets it then, and may leave out its last switch.
    Ending(Switched<'l>),
    /// A system call begins.
    Enter(c_long),
    /// A system call ends.
    Exit(c_long),
}

/// Thread that an event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Switched<'l> {
    pub(super) thread: u32,
    pub(super) name: &'l str,
}

/// Event that a trace records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TracedEvent {
    /// Folder of the event below `events`.
    pub(super) system: &'static str,
    pub(super) name: &'static str,
    /// The name as it is in a line.
    mark: &'static str,
}

/// Events of a trace.
pub(super) const EVENTS: [TracedEvent; 6] = [
    TracedEvent { system: "sched", name: "sched_switch", mark: ": sched_switch: " },
    TracedEvent { system: "sched", name: "sched_waking", mark: ": sched_waking: " },
    TracedEvent { system: "sched", name: "sched_wakeup_new", mark: ": sched_wakeup_new: " },
    TracedEvent { system: "raw_syscalls", name: "sys_enter", mark: ": sys_enter: " },
    TracedEvent { system: "raw_syscalls", name: "sys_exit", mark: ": sys_exit: " },
    TracedEvent { system: "sched", name: "sched_process_exit", mark: ": sched_process_exit: " },
];

/// Parses a line; `None` if it has another form.
pub(super) fn parse(line: &str) -> Option<Line<'_>> {
    if line.trim().is_empty() || line.starts_with('#') {
        return Some(Line::Other);
    }
    if let Some((cpu, lost)) = line.split_once(" [LOST ")
        && cpu.starts_with("CPU:")
    {
        let count = lost.strip_suffix("EVENTS]")?.trim();
        return Some(Line::Lost(if count.is_empty() { 1 } else { count.parse().ok()? }));
    }
    let (place, name, values) = EVENTS.iter().find_map(|event| {
        line.split_once(event.mark).map(|(place, values)| (place, event.name, values))
    })?;
    // "     server-1234    [001] d.h2.  5124.123456": name and number, core, flags, time.
    let (place, time) = place.rsplit_once(char::is_whitespace)?;
    let (thread, flags) = place.rsplit_once('[')?;
    let flags = flags.split_once(']')?.1.trim();
    let (thread_name, thread) = without_process(thread).rsplit_once('-')?;
    let event = KernelEvent {
        at: nanoseconds(time)?,
        thread: thread.parse().ok()?,
        name: thread_name.trim_start(),
        // Third flag: within a hard or a soft interrupt, or none of them (`.`).
        is_interrupt: flags.chars().nth(2).is_some_and(|flag| flag != '.'),
        what: what(name, values.trim_end())?,
    };
    Some(Line::Event(event))
}

/// Name and number of a thread without the number of its process, which some settings add in parentheses.
fn without_process(thread: &str) -> &str {
    let thread = thread.trim_end();
    match thread.rsplit_once('(') {
        Some((thread, process)) if process.ends_with(')') => thread.trim_end(),
        Some(_) | None => thread,
    }
}

/// Time in seconds with six decimals.
fn nanoseconds(time: &str) -> Option<u64> {
    let (seconds, micros) = time.split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    let (seconds, micros): (u64, u64) = (seconds.parse().ok()?, micros.parse().ok()?);
    Some(seconds * SECOND + micros * 1_000)
}

fn what<'l>(name: &str, values: &'l str) -> Option<What<'l>> {
    match name {
        "sched_switch" => {
            let (from, to) = values.split_once(" ==> next_comm=")?;
            let (from, state) = from.rsplit_once(" prev_state=")?;
            let from = switched(from.strip_prefix("prev_comm=")?, " prev_pid=")?;
            Some(What::Switch { from, state, to: switched(to, " next_pid=")? })
        }
        "sched_waking" => switched(values.strip_prefix("comm=")?, " pid=").map(What::Waking),
        "sched_wakeup_new" => switched(values.strip_prefix("comm=")?, " pid=").map(What::WakingNew),
        "sched_process_exit" => switched(values.strip_prefix("comm=")?, " pid=").map(What::Ending),
        "sys_enter" => call(values).map(What::Enter),
        "sys_exit" => call(values).map(What::Exit),
        _ => None,
    }
}

/// Thread of `NAME pid=NUMBER …`. The name may contain spaces.
fn switched<'l>(text: &'l str, number: &str) -> Option<Switched<'l>> {
    let (name, rest) = text.rsplit_once(number)?;
    let thread = rest.split(' ').next()?.parse().ok()?;
    Some(Switched { thread, name })
}

/// Number of the system call of `NR 45 (…)` or `NR 45 = 7`.
fn call(values: &str) -> Option<c_long> {
    values.strip_prefix("NR ")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str) -> KernelEvent<'_> {
        match parse(line) {
            Some(Line::Event(event)) => event,
            other => panic!("{other:?}: {line}"),
        }
    }

    #[test]
    fn a_switch_names_both_threads_and_a_state() {
        let line = "          server-4711    [001] d..2.  5124.123456: sched_switch: prev_comm=server \
                    prev_pid=4711 prev_prio=120 prev_state=S ==> next_comm=swapper/1 next_pid=0 \
                    next_prio=120";
        let event = event(line);
        assert_eq!((event.at, event.thread, event.name), (5_124_123_456_000, 4711, "server"));
        assert!(!event.is_interrupt);
        let from = Switched { thread: 4711, name: "server" };
        let to = Switched { thread: 0, name: "swapper/1" };
        assert_eq!(event.what, What::Switch { from, state: "S", to });
    }

    #[test]
    fn a_name_may_contain_spaces_brackets_and_hyphens() {
        let line = " tokio [a] - b-7   ( 6) [000] .....     0.000001: sched_switch: \
                    prev_comm=tokio [a] - b prev_pid=7 prev_prio=120 prev_state=R+ ==> next_comm=x y \
                    next_pid=8 next_prio=120";
        let event = event(line);
        assert_eq!((event.at, event.thread, event.name), (1_000, 7, "tokio [a] - b"));
        let from = Switched { thread: 7, name: "tokio [a] - b" };
        let to = Switched { thread: 8, name: "x y" };
        assert_eq!(event.what, What::Switch { from, state: "R+", to });
    }

    #[test]
    fn wake_ups_have_a_waker_or_an_interrupt() {
        let values = "comm=server pid=4711 prio=120 target_cpu=001";
        let woken = Switched { thread: 4711, name: "server" };
        for (flags, is_interrupt) in [("dNh3.", true), ("d.s4.", true), ("d..2.", false)] {
            let line = format!("  <idle>-0   [001] {flags}  12.000000: sched_waking: {values}");
            let event = event(&line);
            assert_eq!((event.thread, event.is_interrupt), (0, is_interrupt), "{line}");
            assert_eq!(event.what, What::Waking(woken));
        }
        let line = format!("  main-1   [001] .....  12.000000: sched_wakeup_new: {values}");
        assert_eq!(event(&line).what, What::WakingNew(woken));
    }

    #[test]
    fn the_end_of_a_thread_is_an_event() {
        let line = "  worker a-12  [001] .....  12.000000: sched_process_exit: comm=worker a pid=12 \
                    prio=120 group_dead=false";
        assert_eq!(event(line).what, What::Ending(Switched { thread: 12, name: "worker a" }));
    }

    #[test]
    fn system_calls_have_their_numbers() {
        let place = "  server-4711    [001] .....  5124.123456";
        let line = format!("{place}: sys_enter: NR 45 (5, 7f0a, 4000, 0, 0, 0)");
        assert_eq!(event(&line).what, What::Enter(45));
        let line = format!("{place}: sys_exit: NR 45 = -11");
        assert_eq!(event(&line).what, What::Exit(45));
        // A signal restarts a call under this number.
        let line = format!("{place}: sys_exit: NR -1 = -1");
        assert_eq!(event(&line).what, What::Exit(-1));
    }

    #[test]
    fn lost_events_are_counted() {
        assert_eq!(parse("CPU:1 [LOST 4096 EVENTS]"), Some(Line::Lost(4096)));
        assert_eq!(parse("CPU:0 [LOST EVENTS]"), Some(Line::Lost(1)));
    }

    #[test]
    fn other_lines_are_comments_or_not_understood() {
        for comment in ["", "# tracer: nop", "##### CPU 1 buffer started ####"] {
            assert_eq!(parse(comment), Some(Line::Other), "{comment}");
        }
        for wrong in [
            "nonsense",
            "CPU:1 [LOST some EVENTS]",
            "  a-1  [000] .....  1.5: sys_exit: NR 1 = 0",
            "  a-1  [000] .....  1.000005: sys_exit: 1",
            "  a-b  [000] .....  1.000005: sys_exit: NR 1 = 0",
            "  a-1  [000] .....  1.000005: sched_process_exec: filename=x",
            "  a-1  [000] .....  1.000005: sched_waking: comm=x prio=1",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
