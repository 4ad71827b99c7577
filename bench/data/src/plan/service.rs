//! Services that a load requests.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::load::Direction;
use crate::load::byte_size::ByteSize;

/// Service of the compared servers. All except files exist only over the wire `text`, where each request
/// is a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LoadService {
    /// Files; with --wire text, the reply to the name of a file is its bytes, then the connection closes
    Files,
    /// The reply to a line is the same line
    Echo,
    /// The reply is a sentence
    Hello,
    /// The reply is the line, transformed
    Transform,
    /// The reply is the time; only its length is checked
    Date,
}

/// Length of a line, where none is given: a typed line.
const LINE_SIZE: ByteSize = ByteSize::new(64);

/// Request of the service `date`.
const DATE_REQUEST: &str = "what time is it?";

/// Length of the end of a line.
const LINE_END_BYTES: u64 = 2;

impl LoadService {
    /// Name in flags, plans and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Echo => "echo",
            Self::Hello => "hello",
            Self::Transform => "transform",
            Self::Date => "date",
        }
    }

    /// Direction of its loads over the wire `text`.
    pub fn direction(self) -> Direction {
        match self {
            Self::Files => Direction::Download,
            Self::Echo | Self::Hello | Self::Transform | Self::Date => Direction::Echo,
        }
    }

    /// Length of the request lines, where none is given; `None` if requests name files.
    pub fn line_size(self) -> Option<ByteSize> {
        match self {
            Self::Files => None,
            Self::Echo | Self::Hello | Self::Transform => Some(LINE_SIZE),
            Self::Date => Some(ByteSize::new(DATE_REQUEST.len() as u64 + LINE_END_BYTES)),
        }
    }

    /// Request line of a length, without its end; `None` if the load does not need to learn the reply.
    pub fn line(self, size: ByteSize) -> Option<String> {
        let length = usize::try_from(size.bytes().saturating_sub(LINE_END_BYTES)).unwrap_or(0);
        match self {
            Self::Files | Self::Echo => None,
            Self::Hello | Self::Transform => Some(('a'..='z').cycle().take(length).collect()),
            Self::Date => Some(DATE_REQUEST.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_have_the_given_length() {
        let size = LoadService::Hello.line_size().unwrap();
        assert_eq!(LoadService::Hello.line(size).unwrap().len(), 62);
        let size = LoadService::Date.line_size().unwrap();
        assert_eq!(LoadService::Date.line(size).as_deref(), Some("what time is it?"));
        assert_eq!((LoadService::Echo.line(size), LoadService::Files.line_size()), (None, None));
    }
}
