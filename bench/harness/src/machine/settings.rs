//! Settings of the kernel that a run changes and restores at its end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use bench_data::record::environment::KernelSettings;
use program::message::print_error;
use rustix::fs::{Access, access};

use crate::machine::cores::Cores;

const CONGESTION_CONTROL: &str = "proc/sys/net/ipv4/tcp_congestion_control";
const AVAILABLE: &str = "proc/sys/net/ipv4/tcp_available_congestion_control";
const SOCK_FLOW_ENTRIES: &str = "proc/sys/net/core/rps_sock_flow_entries";
const FLOW_COUNT: &str = "sys/class/net/lo/queues/rx-0/rps_flow_cnt";
/// Device that keeps all cores out of idle states from which they would wake up too late, as long as it is
/// open (the kernel's `Documentation/power/pm_qos_interface.rst`).
const WAKE_UP_LIMIT: &str = "dev/cpu_dma_latency";
const STEERED_TO: &str = "sys/class/net/lo/queues/rx-0/rps_cpus";

/// Flows that the kernel distinguishes while it steers packets: more than a run has connections, so that
/// two of them rarely share an entry.
const FLOWS: &str = "32768";

/// A file of the kernel and the value to write to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    path: PathBuf,
    value: String,
    flag: &'static str,
}

/// Changed settings; dropped, they have their former values again.
#[derive(Debug, Default)]
pub(crate) struct ChangedSettings {
    /// Files with their former values, in the order of the changes.
    before: Vec<(PathBuf, String)>,
    /// Open device that keeps the cores awake; `None` without permission, and if not wanted.
    awake: Option<File>,
}

/// Checks that settings can be changed, and changes nothing.
///
/// # Errors
/// The kernel lacks a setting or a value, or the permission to change it is missing.
pub(crate) fn check(settings: &KernelSettings, cores: &Cores) -> anyhow::Result<()> {
    check_below(Path::new("/"), settings, cores)
}

fn check_below(root: &Path, settings: &KernelSettings, cores: &Cores) -> anyhow::Result<()> {
    for change in changes(root, settings, cores)? {
        let (path, flag) = (change.path.display(), change.flag);
        match access(&change.path, Access::WRITE_OK).map_err(io::Error::from) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("{flag}: this kernel, or this network namespace, lacks {path}")
            }
            Err(error) => bail!(
                "{flag}: cannot change {path} ({error}): run as root, such as with sudo, or leave \
                 the flag out"
            ),
        }
    }
    Ok(())
}

impl ChangedSettings {
    /// Changes settings until the returned value is dropped, and prints their former values.
    ///
    /// # Errors
    /// As of [`check`], or the kernel refuses a value. Nothing remains changed then.
    pub(crate) fn of(settings: &KernelSettings, cores: &Cores) -> anyhow::Result<Self> {
        let changed = Self::below(Path::new("/"), settings, cores)?;
        for (path, before) in &changed.before {
            let now = fs::read_to_string(path).unwrap_or_default();
            let (path, now) = (path.display(), now.trim());
            let _ = writeln!(
                io::stderr(),
                "until the end of the run: {path} is {now}, before: {before}"
            );
        }
        Ok(changed)
    }

    /// Longest time in microseconds that an idle core may take to wake up; `None` without a limit.
    pub(crate) fn wake_up_limit_us(&self) -> Option<u32> {
        self.awake.is_some().then_some(0)
    }

    fn below(root: &Path, settings: &KernelSettings, cores: &Cores) -> anyhow::Result<Self> {
        check_below(root, settings, cores)?;
        let mut changed = Self::default();
        for Change { path, value, flag } in changes(root, settings, cores)? {
            let context = || format!("{flag}: cannot set {} to {value}", path.display());
            let before = fs::read_to_string(&path).with_context(context)?;
            fs::write(&path, &value).with_context(context)?;
            changed.before.push((path, before.trim().to_owned()));
        }
        if !settings.idle_states {
            changed.awake = keep_awake(&root.join(WAKE_UP_LIMIT));
        }
        Ok(changed)
    }
}

impl Drop for ChangedSettings {
    fn drop(&mut self) {
        for (path, before) in self.before.drain(..).rev() {
            if let Err(error) = fs::write(&path, &before) {
                let path = path.display();
                print_error(format_args!(
                    "cannot restore {path} ({error}): as root, `echo {before} > {path}`"
                ));
            }
        }
    }
}

/// Keeps idle cores polling until the device is closed; `None` without permission or device. A virtual
/// core that sleeps has to be woken by the host: that takes longer than a small request, and a different
/// time in each minute.
fn keep_awake(device: &Path) -> Option<File> {
    let mut file = File::options().write(true).open(device).ok()?;
    file.write_all(&0_i32.to_ne_bytes()).ok()?;
    Some(file)
}

/// Changes that settings need, in order.
fn changes(root: &Path, settings: &KernelSettings, cores: &Cores) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    if let Some(name) = &settings.congestion_control {
        let read = |file| {
            let text = fs::read_to_string(root.join(file));
            text.with_context(|| format!("--congestion-control: cannot read /{file}"))
        };
        let (now, available) = (read(CONGESTION_CONTROL)?, read(AVAILABLE)?);
        let mut available = available.split_whitespace();
        ensure!(
            available.clone().any(|known| known == name),
            "--congestion-control {name}: the kernel does not have it; choose from {}, or load its \
             module first (such as modprobe tcp_{name})",
            available.by_ref().collect::<Vec<_>>().join(", ")
        );
        if now.trim() != name {
            changes.push(Change {
                path: root.join(CONGESTION_CONTROL),
                value: name.clone(),
                flag: "--congestion-control",
            });
        }
    }
    if settings.loopback_rfs {
        let both = [&cores.server[..], &cores.generator[..]].concat();
        ensure!(
            !both.is_empty(),
            "--loopback-rfs: server and load generator share one core, so there is nothing to steer"
        );
        let flows = FLOWS.to_owned();
        for (file, value) in
            [(SOCK_FLOW_ENTRIES, flows.clone()), (FLOW_COUNT, flows), (STEERED_TO, mask(&both))]
        {
            changes.push(Change { path: root.join(file), value, flag: "--loopback-rfs" });
        }
    }
    Ok(changes)
}

/// Bit mask of cores: hexadecimal words of 32 bits, the highest cores first.
fn mask(cores: &[usize]) -> String {
    let last = cores.iter().max().map_or(0, |last| last / 32);
    let word = |index: usize| {
        let bits = cores.iter().filter(|core| *core / 32 == index);
        bits.fold(0_u32, |word, core| word | 1 << (core % 32))
    };
    let words: Vec<_> = (0..=last).rev().map(|index| format!("{:08x}", word(index))).collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 5] = [
        (CONGESTION_CONTROL, "bbr\n"),
        (AVAILABLE, "reno bbr cubic\n"),
        (SOCK_FLOW_ENTRIES, "0\n"),
        (FLOW_COUNT, "16\n"),
        (STEERED_TO, "0\n"),
    ];

    /// Folder with the kernel's files.
    fn kernel() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, value) in FILES {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, value).unwrap();
        }
        root
    }

    fn values(root: &Path) -> Vec<String> {
        let read = |(file, _): &(&str, &str)| fs::read_to_string(root.join(file));
        FILES.iter().map(|file| read(file).unwrap_or_default().trim().to_owned()).collect()
    }

    fn both() -> (KernelSettings, Cores) {
        let settings = KernelSettings {
            congestion_control: Some("cubic".to_owned()),
            loopback_rfs: true,
            ..KernelSettings::default()
        };
        (settings, Cores { server: vec![0], generator: vec![1] })
    }

    #[test]
    fn settings_are_changed_and_restored() {
        let (root, (settings, cores)) = (kernel(), both());
        let before = values(root.path());
        check_below(root.path(), &settings, &cores).unwrap();
        assert_eq!(values(root.path()), before, "a check changes nothing");
        let changed = ChangedSettings::below(root.path(), &settings, &cores).unwrap();
        let expected = ["cubic", "reno bbr cubic", FLOWS, FLOWS, "00000003"];
        assert_eq!(values(root.path()), expected);
        drop(changed);
        assert_eq!(values(root.path()), before);
    }

    #[test]
    fn a_failure_in_between_leaves_nothing_changed() {
        let (root, (settings, cores)) = (kernel(), both());
        // It exists, but cannot be written as a file.
        let last = root.path().join(STEERED_TO);
        fs::remove_file(&last).unwrap();
        fs::create_dir(&last).unwrap();
        let before = values(root.path());
        let error = ChangedSettings::below(root.path(), &settings, &cores).unwrap_err();
        assert!(error.to_string().starts_with("--loopback-rfs: cannot set "), "{error}");
        assert_eq!(values(root.path()), before);
    }

    #[test]
    fn what_the_kernel_lacks_is_refused_by_name() {
        let (root, (settings, cores)) = (kernel(), both());
        let vegas =
            KernelSettings { congestion_control: Some("vegas".to_owned()), ..settings.clone() };
        let error = check_below(root.path(), &vegas, &cores).unwrap_err().to_string();
        assert!(error.contains("choose from reno, bbr, cubic"), "{error}");
        let error = check_below(root.path(), &settings, &Cores::default()).unwrap_err();
        assert!(error.to_string().contains("share one core"), "{error}");
        fs::remove_file(root.path().join(SOCK_FLOW_ENTRIES)).unwrap();
        let error = check_below(root.path(), &settings, &cores).unwrap_err().to_string();
        assert!(error.contains("lacks ") && error.ends_with(SOCK_FLOW_ENTRIES), "{error}");
    }

    #[test]
    fn what_the_kernel_already_has_is_not_written() {
        let (root, (_, cores)) = (kernel(), both());
        let same = KernelSettings {
            congestion_control: Some("bbr".to_owned()),
            ..KernelSettings::default()
        };
        for settings in [same, KernelSettings::default()] {
            let changed = ChangedSettings::below(root.path(), &settings, &cores).unwrap();
            assert_eq!(changed.before, []);
        }
    }

    #[test]
    fn cores_are_kept_awake_where_that_is_permitted_and_wanted() {
        let (root, (_, cores)) = (kernel(), both());
        let change = |settings| ChangedSettings::below(root.path(), &settings, &cores).unwrap();
        assert_eq!(change(KernelSettings::default()).wake_up_limit_us(), None, "no device");
        let device = root.path().join(WAKE_UP_LIMIT);
        fs::create_dir_all(device.parent().unwrap()).unwrap();
        fs::write(&device, "").unwrap();
        let asleep = KernelSettings { idle_states: true, ..KernelSettings::default() };
        assert_eq!(change(asleep).wake_up_limit_us(), None);
        assert!(fs::read(&device).unwrap().is_empty());
        assert_eq!(change(KernelSettings::default()).wake_up_limit_us(), Some(0));
        assert_eq!(fs::read(&device).unwrap(), [0; 4]);
    }

    #[test]
    fn masks_have_words_of_32_bits() {
        assert_eq!(mask(&[0]), "00000001");
        assert_eq!(mask(&[1, 31]), "80000002");
        assert_eq!(mask(&[0, 33]), "00000002,00000001");
    }
}
