//! The ways that a file's bytes take to a socket.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// A file of up to this size is sent from memory unless told otherwise. Here the ways cross: a
/// request costs 8.2 µs from memory and 8.9 by `sendfile` at 4 KiB, 9.7 and 9.2 at 16 KiB, 12.0 and
/// 9.9 at 32 KiB (selector, AMD EPYC, Linux 6.18; `docs/marks.md`).
const AUTO_MEMORY_BYTES: u64 = 16 << 10;
/// A file of up to this size is sent from memory where that is asked for.
const MEMORY_BYTES: u64 = 1 << 20;
/// What cannot be kept in memory is read and written together with its head up to this size; what
/// is larger goes by `sendfile`.
pub(crate) const COPY_BYTES: u64 = 16 << 10;

/// Which way files are sent. What it comes to is counted in [`SentBytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum)]
pub enum SendPath {
    /// From memory what is small, by sendfile what is large
    #[default]
    Auto,
    /// Read and written, through a buffer of the server's
    Copy,
    /// From memory what is small: kept as long as the file is kept open; else as auto
    Memory,
    /// By the kernel, from the file to the socket
    Sendfile,
    /// By the kernel, from the file into a pipe and from there to the socket
    Splice,
}

impl SendPath {
    /// The choice, and then every path to choose.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Copy, Self::Memory, Self::Sendfile, Self::Splice];

    /// The one spelling used in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Copy => "copy",
            Self::Memory => "memory",
            Self::Sendfile => "sendfile",
            Self::Splice => "splice",
        }
    }

    /// The size of the largest file whose content it keeps in memory.
    pub(crate) fn memory_bytes(self) -> u64 {
        match self {
            Self::Auto => AUTO_MEMORY_BYTES,
            Self::Memory => MEMORY_BYTES,
            Self::Copy | Self::Sendfile | Self::Splice => 0,
        }
    }
}

impl fmt::Display for SendPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for SendPath {
    type Err = UnknownSendPath;

    fn from_str(name: &str) -> Result<Self, UnknownSendPath> {
        Self::ALL
            .into_iter()
            .find(|path| path.name() == name)
            .ok_or_else(|| UnknownSendPath(name.to_owned()))
    }
}

/// Name of no send path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown send path '{0}': choose from {list}", list = SendPath::ALL.map(SendPath::name).join(", "))]
pub struct UnknownSendPath(String);

/// How many bytes of files went by each path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SentBytes {
    /// Read and written.
    pub copy: u64,
    /// From memory.
    pub memory: u64,
    /// By `sendfile`.
    pub sendfile: u64,
    /// By `splice`, through a pipe.
    pub splice: u64,
}

impl SentBytes {
    /// The path that carried most; `None` where nothing was sent.
    pub fn main_path(&self) -> Option<SendPath> {
        let paths = [
            (self.copy, SendPath::Copy),
            (self.memory, SendPath::Memory),
            (self.sendfile, SendPath::Sendfile),
            (self.splice, SendPath::Splice),
        ];
        let (most, path) = paths.into_iter().max_by_key(|(bytes, _)| *bytes)?;
        (most > 0).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for path in SendPath::ALL {
            assert_eq!(path.to_string().parse(), Ok(path));
        }
        let error = "fast".parse::<SendPath>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown send path 'fast': choose from auto, copy, memory, sendfile, splice"
        );
    }
}
