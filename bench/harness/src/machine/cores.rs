//! Cores of server and load generator.

use std::io;

use bench_data::plan::Plan;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Cores of each side; empty: chosen by the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cores {
    /// Cores of the server, of which a load may use only the first ones.
    pub server: Vec<usize>,
    /// Cores of the load generator.
    pub generator: Vec<usize>,
}

impl Cores {
    /// First available core for the server, and the next ones, one per thread, for the generator; no
    /// pinning with a single core.
    pub fn apart(generator_threads: usize) -> Self {
        Self::split(&allowed(), 1, generator_threads)
    }

    /// Cores for the loads of a plan: the server's are as many as its largest number.
    pub fn of(plan: &Plan) -> Self {
        Self::split(&allowed(), plan.most_server_cores(), plan.generator_threads)
    }

    fn split(allowed: &[usize], server: usize, generator: usize) -> Self {
        match allowed.split_at_checked(server) {
            Some((own, rest)) if !rest.is_empty() => Self {
                server: own.to_vec(),
                generator: rest.iter().copied().take(generator).collect(),
            },
            _ => Self::default(),
        }
    }

    /// Cores of the server under a load that gives it so many.
    pub fn of_server(&self, count: usize) -> &[usize] {
        &self.server[..count.min(self.server.len())]
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

/// Number of cores that this process may use.
pub(crate) fn available() -> usize {
    allowed().len()
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
    fn a_server_of_several_cores_leaves_others_to_the_generator() {
        let cores = Cores::split(&[0, 2, 4, 6, 8], 2, 2);
        assert_eq!(cores, Cores { server: vec![0, 2], generator: vec![4, 6] });
        assert_eq!((cores.of_server(1), cores.of_server(2)), (&[0][..], &[0, 2][..]));
        assert_eq!(Cores::split(&[0, 1], 2, 1), Cores::default());
        assert_eq!(Cores::default().of_server(1), [] as [usize; 0]);
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
