//! Recording by the kernel: an instance of its tracing file system that belongs to this process alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use program::message::print_error;
use rustix::fs::{Access, Mode, OFlags, access, open};

use super::kernel_line::EVENTS;

/// Places at which the file system is mounted.
const PLACES: [&str; 2] = ["sys/kernel/tracing", "sys/kernel/debug/tracing"];

/// First part of the name of an instance; the process id follows.
const PREFIX: &str = "bench-xray-";

/// Process numbers that the kernel itself uses.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// Memory of all buffers, and its limits for each core, in KiB.
const BUFFERS_KIB: usize = 64 << 10;
const LEAST_KIB: usize = 1 << 10;
const MOST_KIB: usize = 16 << 10;

/// Number of attempts to remove an instance, a pause apart: the kernel may still use it for a moment.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// Tracing file system in which recordings are possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tracefs {
    root: PathBuf,
}

impl Tracefs {
    /// Finds the tracing file system.
    ///
    /// # Errors
    /// Reason why recording is not possible, with the remedy.
    pub(super) fn find() -> Result<Self, String> {
        let namespace = fs::read_link("/proc/self/ns/pid");
        if namespace.is_ok_and(|link| link != Path::new(FIRST_NAMESPACE)) {
            return Err(
                "the process numbers of this container are not those of the kernel: run it \
                        outside, or in the host's namespace (docker run --pid=host)"
                    .to_owned(),
            );
        }
        Self::below(Path::new("/"))
    }

    fn below(top: &Path) -> Result<Self, String> {
        let mut is_denied = false;
        for place in PLACES {
            let root = top.join(place);
            match access(root.join("instances"), Access::WRITE_OK).map_err(io::Error::from) {
                Ok(()) => return Self { root }.with_events(),
                Err(error) => is_denied |= error.kind() == ErrorKind::PermissionDenied,
            }
        }
        Err(if is_denied {
            "only root may use the kernel's tracing: repeat the command as root, such as with sudo"
                .to_owned()
        } else {
            format!(
                "there is no tracing file system at /{}: as root, mount it by `mount -t tracefs \
                 tracefs /{}`",
                PLACES[0], PLACES[0]
            )
        })
    }

    /// Checks that the kernel has all files of a recording.
    fn with_events(self) -> Result<Self, String> {
        let events = EVENTS.map(|event| format!("events/{}/{}", event.system, event.name));
        let further = ["set_event_pid".to_owned(), "options/event-fork".to_owned()];
        match events.iter().chain(&further).find(|file| !self.root.join(file).exists()) {
            Some(missing) => Err(format!(
                "this kernel lacks {missing}: it needs version 4.7 or later with \
                 CONFIG_FTRACE_SYSCALLS"
            )),
            None => Ok(self),
        }
    }
}

/// Recording of the events of some threads and of those that they start. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct KernelTrace {
    /// Closed before the folder is removed.
    pipe: File,
    folder: Instance,
}

impl KernelTrace {
    /// Prepares a recording. It has begun when [`Self::start`] returns.
    ///
    /// # Errors
    /// The kernel refuses a setting.
    pub(super) fn create(tracefs: &Tracefs) -> anyhow::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let instances = tracefs.root.join("instances");
        remove_abandoned(&instances);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = instances.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&path)
            .with_context(|| format!("cannot create the recording {}", path.display()))?;
        // From here on dropping the value removes it.
        let folder = Instance { path };
        folder.put("tracing_on", "0")?;
        folder.put("trace_clock", "mono")?;
        let cores = fs::read_dir(folder.path.join("per_cpu")).map_or(1, Iterator::count);
        let each = (BUFFERS_KIB / cores.max(1)).clamp(LEAST_KIB, MOST_KIB);
        folder.put("buffer_size_kb", &each.to_string())?;
        // New threads and processes of the server are recorded as well.
        folder.put("options/event-fork", "1")?;
        let pipe = open(
            folder.path.join("trace_pipe"),
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let pipe = pipe.map_err(io::Error::from).context("cannot open the kernel's trace")?;
        Ok(Self { pipe: File::from(pipe), folder })
    }

    /// Begins to record the events of threads.
    ///
    /// # Errors
    /// The kernel refuses a setting.
    pub(super) fn start(&self, threads: &[u32]) -> anyhow::Result<()> {
        let numbers: Vec<_> = threads.iter().map(u32::to_string).collect();
        // First the threads: without any, the events of the whole machine would be recorded.
        self.folder.put("set_event_pid", &numbers.join(" "))?;
        for event in EVENTS {
            self.folder.put(&format!("events/{}/{}/enable", event.system, event.name), "1")?;
        }
        self.folder.put("tracing_on", "1")
    }

    /// Stops recording; recorded events can still be read.
    ///
    /// # Errors
    /// The kernel refuses the setting.
    pub(super) fn stop(&self) -> anyhow::Result<()> {
        self.folder.put("tracing_on", "0")
    }

    /// Takes the text of all events since the last call.
    ///
    /// # Errors
    /// The trace cannot be read.
    pub(super) fn read(&mut self) -> anyhow::Result<String> {
        let mut text = Vec::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            match self.pipe.read(&mut piece) {
                Ok(0) => break,
                Ok(len) => text.extend_from_slice(&piece[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot read the kernel's trace"),
            }
        }
        // Names of threads can be any bytes.
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Folder of an instance; dropped, it is removed.
#[derive(Debug)]
struct Instance {
    path: PathBuf,
}

impl Instance {
    fn put(&self, file: &str, value: &str) -> anyhow::Result<()> {
        write(&self.path.join(file), value)
            .with_context(|| format!("the kernel refuses '{value}' for {file} of its tracing"))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.put("tracing_on", "0");
        if let Err(error) = remove(&self.path) {
            let path = self.path.display();
            print_error(format_args!("cannot remove {path} ({error}): as root, `rmdir {path}`"));
        }
    }
}

/// Writes to a file of the kernel, which exists already.
fn write(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(value.as_bytes())
}

fn remove(path: &Path) -> io::Result<()> {
    let mut attempt = 1;
    loop {
        // The kernel removes an instance with all of its files.
        match fs::remove_dir(path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && attempt < ATTEMPTS => {
                attempt += 1;
                thread::sleep(PAUSE);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            result => return result,
        }
    }
}

/// Removes the instances of killed processes. The kernel refuses it for those in use.
fn remove_abandoned(instances: &Path) {
    for entry in fs::read_dir(instances).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
        let Some(pid) = owner.and_then(|(pid, _)| pid.parse::<u32>().ok()) else { continue };
        if !Path::new(&format!("/proc/{pid}")).exists() {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::xray::kernel_line::parse;

    fn tracefs(events: &[&str]) -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join(PLACES[0]);
        fs::create_dir_all(root.join("instances")).unwrap();
        fs::create_dir_all(root.join("options")).unwrap();
        fs::write(root.join("options/event-fork"), "0").unwrap();
        fs::write(root.join("set_event_pid"), "").unwrap();
        for event in events {
            fs::create_dir_all(root.join("events").join(event)).unwrap();
        }
        top
    }

    #[test]
    fn a_missing_file_system_and_a_missing_event_are_named_with_the_remedy() {
        let empty = tempfile::tempdir().unwrap();
        let reason = Tracefs::below(empty.path()).unwrap_err();
        assert!(reason.contains("mount -t tracefs tracefs /sys/kernel/tracing"), "{reason}");
        let some = tracefs(&["sched/sched_switch", "sched/sched_waking", "sched/sched_wakeup_new"]);
        let reason = Tracefs::below(some.path()).unwrap_err();
        assert!(reason.contains("lacks events/raw_syscalls/sys_enter"), "{reason}");
        let all = EVENTS.map(|event| format!("{}/{}", event.system, event.name));
        let all = tracefs(&all.each_ref().map(String::as_str));
        assert_eq!(Tracefs::below(all.path()).unwrap().root, all.path().join(PLACES[0]));
    }

    #[test]
    fn instances_of_ended_processes_are_removed_and_no_others() {
        let instances = tempfile::tempdir().unwrap();
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let create = |name: String| {
            let path = instances.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let abandoned = create(format!("{PREFIX}{}-0", ended.id()));
        let others = [create(format!("{PREFIX}1-0")), create("mine".to_owned())];
        remove_abandoned(instances.path());
        assert!(!abandoned.exists());
        assert!(others.iter().all(|other| other.exists()));
    }

    #[test]
    fn the_kernel_records_the_threads_that_are_named_and_no_trace_is_left() {
        let test = "the_kernel_records_the_threads_that_are_named_and_no_trace_is_left";
        let tracefs = match Tracefs::find() {
            Ok(tracefs) => tracefs,
            Err(reason) => return testkit::skip_unless("REQUIRE_TRACEFS", test, reason),
        };
        let mut trace = KernelTrace::create(&tracefs).unwrap();
        let path = trace.folder.path.clone();
        assert!(path.is_dir());
        let mut child =
            Command::new("sh").args(["-c", "read line"]).stdin(Stdio::piped()).spawn().unwrap();
        trace.start(&[child.id()]).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        trace.stop().unwrap();
        let text = trace.read().unwrap();
        let marked = format!("-{} ", child.id());
        assert!(text.contains(&marked) && text.contains(": sys_enter: NR "), "{text}");
        let understood = text.lines().all(|line| parse(line).is_some());
        assert!(understood, "{text}");
        drop(trace);
        assert!(!path.exists());
    }
}
