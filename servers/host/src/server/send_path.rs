//! Paths of a file's bytes to a socket.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

/// Size up to which `auto` sends a file from memory. Here the costs cross: a request costs 8.2 µs from memory and 8.9 by `sendfile` at 4 KiB, 9.7 and 9.2 at 16 KiB, 12.0 and
/// 9.9 at 32 KiB (selector, AMD EPYC, Linux 6.18; `docs/marks.md`).
const AUTO_MEMORY_BYTES: u64 = 16 << 10;
/// Size up to which `memory` sends a file from memory.
const MEMORY_BYTES: u64 = 1 << 20;
/// Size up to which a file that is not in memory is read and written together with its head.
pub(crate) const COPY_BYTES: u64 = 16 << 10;

/// Path of files to the socket. [`SentBytes`] counts the bytes by path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, ValueEnum)]
pub enum SendPath {
    /// Small files from memory, large ones by sendfile
    #[default]
    Auto,
    /// Read into a buffer, then written to the socket
    Copy,
    /// Files of up to 1 MiB are cached in memory while they are open; larger ones use sendfile
    Memory,
    /// By the kernel, from the file to the socket
    Sendfile,
    /// By the kernel, from the file into a pipe and from there to the socket
    Splice,
}

impl SendPath {
    /// All choices.
    pub const ALL: [Self; 5] = [Self::Auto, Self::Copy, Self::Memory, Self::Sendfile, Self::Splice];

    /// Name in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Copy => "copy",
            Self::Memory => "memory",
            Self::Sendfile => "sendfile",
            Self::Splice => "splice",
        }
    }

    /// Size of the largest file whose content is kept in memory.
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

/// Bytes of files by the path they took.
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
    /// Bytes by all paths.
    pub fn total(&self) -> u64 {
        self.copy + self.memory + self.sendfile + self.splice
    }

    /// Path that carried most bytes; `None` if none were sent.
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
