//! Properties of the file system that depend on its type and mount options.

use std::fs;
use std::os::fd::AsFd;

use rustix::fs::{major, minor};

/// Types of file systems (`statfs(2)`).
const TMPFS: i64 = 0x0102_1994;
const EXT4: i64 = 0xef53;

/// Properties of the file system of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mount {
    /// True if the file system may allocate blocks after writing, so that reserving space can make
    /// writing cheaper. On tmpfs it allocates the pages, which writing then looks for again.
    pub(super) delays_allocation: bool,
    /// True if the file system writes a file out that is renamed over another one (ext4, unless
    /// mounted with `noauto_da_alloc`).
    pub(super) writes_out_renamed: bool,
}

impl Mount {
    pub(super) fn of(folder: impl AsFd) -> Self {
        let kind = rustix::fs::fstatfs(&folder).map_or(0, |space| space.f_type);
        Self {
            delays_allocation: kind != TMPFS,
            writes_out_renamed: kind == EXT4 && !has_option(folder, "noauto_da_alloc"),
        }
    }
}

/// True if the file system of the folder is known to be mounted with this option.
fn has_option(folder: impl AsFd, option: &str) -> bool {
    let Ok(stat) = rustix::fs::fstat(folder) else { return false };
    let device = format!("{}:{}", major(stat.st_dev), minor(stat.st_dev));
    fs::read_to_string("/proc/self/mountinfo")
        .is_ok_and(|mounts| options(&mounts, &device).any(|its| its == option))
}

/// Options of the file system on this device, from the lines of `/proc/self/mountinfo`.
fn options<'m>(mounts: &'m str, device: &str) -> impl Iterator<Item = &'m str> {
    let is_its = move |line: &&str| line.split(' ').nth(2) == Some(device);
    // All mounts of one file system have its options.
    let mount = mounts.lines().find(is_its).unwrap_or_default();
    mount.rsplit(' ').next().unwrap_or_default().split(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
43 27 7:0 / /a\\040b rw,noauto_da_alloc shared:1 - ext4 /dev/loop0 rw
44 27 7:1 / /b rw,relatime shared:1 master:2 - ext4 /dev/loop1 rw,noauto_da_alloc
";

    #[test]
    fn options_are_those_of_the_file_system_not_of_the_mount() {
        let all = |device| options(MOUNTS, device).collect::<Vec<_>>();
        assert_eq!(all("254:0"), ["rw", "discard"]);
        assert_eq!(all("7:0"), ["rw"]);
        assert_eq!(all("7:1"), ["rw", "noauto_da_alloc"]);
        assert_eq!(all("9:9"), [""]);
    }
}
