//! Check that this system permits io_uring.

use std::panic::resume_unwind;

use rustix::io::Errno;

use super::ring::Ring;
use crate::strategy::Unavailable;

/// Creates a ring and drops it, on its own thread: later the kernel interrupts the thread that had
/// a ring, and a `recv` with a timeout then fails with `EINTR`.
pub(super) fn probe() -> Result<(), Unavailable> {
    judge(|| {
        let probed = std::thread::scope(|scope| {
            std::thread::Builder::new()
                .spawn_scoped(scope, || Ring::new().map(|ring| ring.is_complete()))
                .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        match probed {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Errno::OPNOTSUPP),
            Ok(Err(errno)) => Err(errno),
            Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::AGAIN)),
        }
    })
}

/// Reason that a ring cannot be created, and the remedy.
pub(super) fn explain(errno: Errno) -> String {
    let error = std::io::Error::from(errno);
    match errno {
        Errno::NOSYS => "this kernel has no io_uring, or a sandbox hides it: \
                         use Linux 6.0 or later, outside the sandbox"
            .to_owned(),
        Errno::PERM | Errno::ACCESS => "io_uring is forbidden on this system: allow it with \
                                        `sysctl kernel.io_uring_disabled=0`, and in the seccomp \
                                        profile of a container"
            .to_owned(),
        Errno::INVAL | Errno::OPNOTSUPP => {
            format!(
                "this kernel's io_uring lacks a required operation: use Linux 6.0 or later ({error})"
            )
        }
        Errno::NOMEM => format!("{error}: raise the limit on locked memory (ulimit -l)"),
        Errno::MFILE | Errno::NFILE => format!("{error}: raise the limit (ulimit -n)"),
        _ => format!("io_uring cannot be set up: {error}"),
    }
}

fn judge(set_up: impl FnOnce() -> Result<(), Errno>) -> Result<(), Unavailable> {
    set_up()
        .map_err(|errno| Unavailable(format!("{}; or choose another --strategy", explain(errno))))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_probing_thread_is_not_interrupted_later() {
        let (mut reader, _writer) = UnixStream::pair().unwrap();
        reader.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        for _ in 0..20 {
            let _ = probe();
            let error = reader.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
    }

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
