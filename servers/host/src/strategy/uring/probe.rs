//! Whether this system grants io_uring.

use rustix::io::Errno;

use super::ring::Ring;
use crate::strategy::Unavailable;

/// Sets a ring up and gives it back.
pub(super) fn probe() -> Result<(), Unavailable> {
    judge(|| match Ring::new(1)?.is_complete() {
        true => Ok(()),
        false => Err(Errno::OPNOTSUPP),
    })
}

/// Why a ring cannot be had, and what to do about it.
pub(super) fn explain(errno: Errno) -> String {
    let error = std::io::Error::from(errno);
    match errno {
        Errno::NOSYS => "this kernel has no io_uring, or a sandbox hides it: \
                         run Linux 6.0 or later, outside the sandbox"
            .to_owned(),
        Errno::PERM | Errno::ACCESS => "io_uring is forbidden here: allow it with \
                                        `sysctl kernel.io_uring_disabled=0`, and in the seccomp \
                                        profile of a container"
            .to_owned(),
        Errno::INVAL | Errno::OPNOTSUPP => {
            format!("this kernel's io_uring lacks what is needed: run Linux 6.0 or later ({error})")
        }
        Errno::NOMEM => format!("{error}: raise the limit on locked memory (ulimit -l)"),
        Errno::MFILE | Errno::NFILE => format!("{error}: raise the limit (ulimit -n)"),
        _ => format!("io_uring cannot be set up: {error}"),
    }
}

fn judge(set_up: impl FnOnce() -> Result<(), Errno>) -> Result<(), Unavailable> {
    set_up().map_err(|errno| {
        Unavailable(format!("{}; or choose another strategy with --strategy", explain(errno)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_cause_and_a_remedy() {
        for (errno, cause, remedy) in [
            (Errno::NOSYS, "no io_uring", "Linux 6.0"),
            (Errno::PERM, "forbidden", "kernel.io_uring_disabled=0"),
            (Errno::ACCESS, "forbidden", "seccomp"),
            (Errno::INVAL, "lacks", "Linux 6.0"),
            (Errno::OPNOTSUPP, "lacks", "Linux 6.0"),
            (Errno::NOMEM, "memory", "ulimit -l"),
            (Errno::MFILE, "open files", "ulimit -n"),
            (Errno::IO, "cannot be set up", "--strategy"),
        ] {
            let refusal = judge(|| Err(errno)).unwrap_err().to_string();
            for part in [cause, remedy, "--strategy"] {
                assert!(refusal.contains(part), "{refusal}");
            }
        }
        assert_eq!(judge(|| Ok(())), Ok(()));
    }
}
