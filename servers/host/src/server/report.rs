//! Counts of a server at its end.

use std::fmt;
use std::str::FromStr;

use super::send_path::SentBytes;

/// Counts of a server at its end.
///
/// Written and read as the line that a server prints at its end, for programs: `ended connections=2
/// requests=5 …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServeReport {
    /// Connections accepted.
    pub connections: u64,
    /// Requests answered on connections that have ended.
    pub requests: u64,
    /// Connections closed unserved because no thread could be created.
    pub refused: u64,
    /// Connections ended by a panic.
    pub panics: u64,
    /// Connections broken off at the end of the drain.
    pub broken: u64,
    /// Bytes of files sent on connections that have ended, by path.
    pub sent: SentBytes,
}

/// First word of the line.
const ENDED: &str = "ended";

impl ServeReport {
    /// Counts and their names in the line.
    fn counts(&mut self) -> [(&'static str, &mut u64); 9] {
        let Self { connections, requests, refused, panics, broken, sent } = self;
        let SentBytes { copy, memory, sendfile, splice } = sent;
        [
            ("connections", connections),
            ("requests", requests),
            ("refused", refused),
            ("panics", panics),
            ("broken", broken),
            ("copy_bytes", copy),
            ("memory_bytes", memory),
            ("sendfile_bytes", sendfile),
            ("splice_bytes", splice),
        ]
    }

    /// Adds the counts of another process.
    pub(crate) fn add(&mut self, mut other: Self) {
        for ((_, count), (_, more)) in self.counts().into_iter().zip(other.counts()) {
            *count += *more;
        }
    }
}

impl fmt::Display for ServeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ENDED)?;
        let mut report = *self;
        report.counts().iter().try_for_each(|(name, count)| write!(f, " {name}={count}"))
    }
}

/// Line that is no server's last line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the last line of a server: '{0}'")]
pub struct ReportError(String);

impl FromStr for ServeReport {
    type Err = ReportError;

    /// Reads the line. Unknown counts are skipped, missing ones are 0.
    fn from_str(line: &str) -> Result<Self, ReportError> {
        let error = || ReportError(line.to_owned());
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some(ENDED) {
            return Err(error());
        }
        let mut report = Self::default();
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(error)?;
            let value = value.parse().map_err(|_| error())?;
            let mut counts = report.counts();
            if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == name) {
                **count = value;
            }
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let sent = SentBytes { copy: 6, memory: 7, sendfile: 8, splice: 9 };
        let report =
            ServeReport { connections: 1, requests: 2, refused: 3, panics: 4, broken: 5, sent };
        assert_eq!(report.to_string().parse(), Ok(report));
        assert_eq!(
            "ended requests=5 later=1".parse(),
            Ok(ServeReport { requests: 5, ..ServeReport::default() })
        );
        for line in ["", "served 5 requests", "ended 5", "ended requests=many"] {
            assert!(line.parse::<ServeReport>().is_err(), "{line}");
        }
    }
}
