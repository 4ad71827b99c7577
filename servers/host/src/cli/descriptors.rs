//! Connections that the process's file descriptors suffice for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of the server itself, with some to spare.
const RESERVED: usize = 32;
/// Descriptors of one connection: its socket and a file.
const PER_CONNECTION: usize = 2;
/// Descriptors from which the server's own are taken from those for files.
const MANY: usize = 100 * RESERVED;
/// Limit to assume if the system has none.
const UNLIMITED: usize = 1 << 20;

/// Raises the soft limit on descriptors to the hard one, and returns it.
pub(super) fn raise_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    allowed.map_or(UNLIMITED, |allowed| usize::try_from(allowed).unwrap_or(UNLIMITED))
}

/// Connection limit: as wanted, or as many as never run out of descriptors.
///
/// # Errors
/// The descriptors do not suffice.
pub(super) fn max_connections(descriptors: usize, wanted: Option<usize>) -> anyhow::Result<usize> {
    let left = descriptors.saturating_sub(RESERVED);
    anyhow::ensure!(
        left >= PER_CONNECTION,
        "the limit of {descriptors} descriptors is too low: a server needs at least {}; \
         raise it, for example with: ulimit -n 1024",
        RESERVED + PER_CONNECTION
    );
    let Some(wanted) = wanted else {
        // Open files are shared, so among many connections some are left for the server's own.
        let half = descriptors / PER_CONNECTION;
        return Ok(if half >= MANY { half } else { left / PER_CONNECTION });
    };
    anyhow::ensure!(
        wanted <= left,
        "--max-connections {wanted} needs {} descriptors, but the limit is {descriptors}; \
         raise it (ulimit -n {}) or choose at most {left}",
        wanted + RESERVED,
        wanted + RESERVED
    );
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_leaves_a_descriptor_for_the_file_of_each_connection() {
        assert_eq!(max_connections(20_000, None).unwrap(), 10_000);
        assert_eq!(max_connections(1024, None).unwrap(), 496);
        assert_eq!(max_connections(34, None).unwrap(), 1);
    }

    #[test]
    fn too_few_descriptors_are_refused_with_the_remedy() {
        assert_eq!(max_connections(1032, Some(1000)).unwrap(), 1000);
        let error = max_connections(1024, Some(1000)).unwrap_err().to_string();
        assert!(error.contains("ulimit -n 1032") && error.contains("at most 992"), "{error}");
        let error = max_connections(16, None).unwrap_err().to_string();
        assert!(error.contains("limit of 16") && error.contains("ulimit -n"), "{error}");
    }
}
