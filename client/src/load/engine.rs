//! The ways in which the generator's threads talk to the kernel.

use std::io;

use super::SpecError;

/// Which engine to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// `uring` where the kernel grants it, else `epoll`.
    #[default]
    Auto,
    /// This one; where the kernel refuses it, the load is not run.
    Only(Engine),
}

/// A way to talk to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Readiness: `epoll_wait`, then a system call for each thing to send or receive.
    Epoll,
    /// Completions: io_uring, one system call for a batch of requests.
    Uring,
}

impl Engine {
    /// Its one spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::Uring => "uring",
        }
    }
}

impl EngineChoice {
    /// The engine that runs where this is chosen.
    ///
    /// # Errors
    /// [`SpecError::Engine`] where the kernel refuses the only one allowed.
    pub fn resolve(self) -> Result<Engine, SpecError> {
        match (self, probe_uring()) {
            (Self::Auto, Ok(())) => Ok(Engine::Uring),
            (Self::Auto, Err(_)) => Ok(Engine::Epoll),
            (Self::Only(Engine::Uring), Err(source)) => Err(SpecError::Engine(source)),
            (Self::Only(engine), _) => Ok(engine),
        }
    }
}

/// Whether the kernel grants what the io_uring engine needs.
fn probe_uring() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
