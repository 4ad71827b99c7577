//! Threads of a server at the beginning of a recording.

use std::ffi::c_long;
use std::fs;

use procfs::process::Process;

/// Thread of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) process: u32,
    pub(super) thread: u32,
    pub(super) name: String,
    /// System call in which it waits.
    pub(super) call: Option<c_long>,
}

/// Threads of all processes. Those that end meanwhile are left out.
pub(super) fn of(processes: &[Process]) -> Vec<Found> {
    let mut found = Vec::new();
    for process in processes {
        for task in process.tasks().into_iter().flatten().flatten() {
            let numbers = (u32::try_from(process.pid), u32::try_from(task.tid));
            let (Ok(process), Ok(thread)) = numbers else { continue };
            let read = |file: &str| {
                fs::read_to_string(format!("/proc/{process}/task/{thread}/{file}"))
                    .unwrap_or_default()
            };
            let name = read("comm").trim_end().to_owned();
            found.push(Found { process, thread, name, call: waits_in(&read("syscall")) });
        }
    }
    found
}

/// Process of a thread that still exists.
pub(super) fn process_of(thread: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
}

/// System call of the text of `/proc/PID/syscall`: a number and arguments; `running`, or -1 outside of calls.
fn waits_in(text: &str) -> Option<c_long> {
    let number: c_long = text.split_whitespace().next()?.parse().ok()?;
    (number >= 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_waiting_thread_has_a_system_call() {
        assert_eq!(waits_in("232 0x4 0x7f 0x400 0xffff 0x0 0x8 0x7ffd 0x7f0b\n"), Some(232));
        assert_eq!(waits_in("running\n"), None);
        assert_eq!(waits_in("-1 0x7ffd 0x7f0b\n"), None);
        assert_eq!(waits_in(""), None);
    }

    #[test]
    fn every_thread_of_a_process_is_found() {
        let (send, receive) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let waiting = thread::Builder::new().name("waiting one".to_owned()).spawn(move || {
            send.send(rustix::thread::gettid()).unwrap();
            let _ = ended.recv();
        });
        let thread = receive.recv().unwrap().as_raw_pid().cast_unsigned();
        let found = of(&[Process::myself().unwrap()]);
        let own = std::process::id();
        let one = found.iter().find(|found| found.thread == thread).unwrap();
        assert_eq!((one.process, one.name.as_str()), (own, "waiting one"));
        assert_eq!(process_of(thread), Some(own));
        drop(end);
        waiting.unwrap().join().unwrap();
    }
}
