//! Limit of open files of this process.

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of descriptors to a number, if it is lower. `fewer` names in the plural what can be
/// reduced instead.
///
/// # Errors
/// The hard limit is lower.
pub(crate) fn raise(needed: u64, fewer: &str) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "{needed} descriptors are needed, but the limit is {}: raise it with ulimit -n, or choose \
         fewer {fewer}",
        limit.maximum.unwrap_or(0)
    );
    let raised = Rlimit { current: Some(needed), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("cannot raise the descriptor limit")
}
