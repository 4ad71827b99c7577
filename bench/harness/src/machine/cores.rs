//! Cores of server and load generator.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Cores of each side; empty: chosen by the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cores {
    /// Cores of the server.
    pub server: Vec<usize>,
    /// Cores of the load generator.
    pub generator: Vec<usize>,
}

impl Cores {
    /// First available core for the server, and the next ones, one per thread, for the generator; no
    /// pinning with a single core.
    pub fn apart(generator_threads: usize) -> Self {
        let allowed = allowed();
        match allowed.split_first() {
            Some((first, rest)) if !rest.is_empty() => Self {
                server: vec![*first],
                generator: rest.iter().copied().take(generator_threads).collect(),
            },
            _ => Self::default(),
        }
    }
}

/// Pins the calling thread, and the processes that it starts, to cores until dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// Pins the calling thread; an empty list changes nothing.
    pub(crate) fn to(cores: &[usize]) -> io::Result<Self> {
        let before = sched_getaffinity(None)?;
        if !cores.is_empty() {
            let mut set = CpuSet::new();
            cores.iter().for_each(|core| set.set(*core));
            sched_setaffinity(None, &set)?;
        }
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // If the cores are no longer available, the thread stays where it is.
        let _ = sched_setaffinity(None, &self.before);
    }
}

fn allowed() -> Vec<usize> {
    sched_getaffinity(None)
        .map(|set| (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_cores_of_their_own_or_none() {
        let cores = Cores::apart(2);
        assert!(cores.server.iter().all(|core| !cores.generator.contains(core)));
        assert_eq!(cores.server.is_empty(), cores.generator.is_empty());
        assert_eq!(cores.server.is_empty(), allowed().len() < 2);
    }

    #[test]
    fn a_thread_returns_to_where_it_was() {
        let before = allowed();
        let pinned = Pinned::to(&before[..1]).unwrap();
        assert_eq!(allowed(), before[..1]);
        drop(pinned);
        assert_eq!(allowed(), before);
    }
}
