//! Which cores the server and the generator run on.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores of each side; empty where the system is to decide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cores {
    /// The server's.
    pub server: Vec<usize>,
    /// The generator's.
    pub generator: Vec<usize>,
}

impl Cores {
    /// The first core that this process may use for the server and the next ones, one for each
    /// thread, for the generator, if there are two cores at all.
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

/// Keeps the calling thread, and the processes it starts meanwhile, on some cores until dropped.
#[derive(Debug)]
pub(crate) struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// Moves the calling thread; no cores leave it where it is.
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
        // The cores were allowed a moment ago; should they be gone, staying is no harm.
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
