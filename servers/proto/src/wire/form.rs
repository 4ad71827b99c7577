//! Files in a multipart form, `multipart/form-data` (RFC 7578, RFC 2046), read as it arrives.
//!
//! The parser reads and counts content at the front of the input; it holds only names. Content of a
//! file that cannot begin a delimiter is written at once. At most one delimiter, or the head of one
//! part, waits in the input, and no byte of a delimiter is ever written.

mod disposition;
#[cfg(test)]
mod tests;

use crate::refusal::Refusal;
use crate::{Buffer, FileName};
use disposition::Disposition;

/// Longest head of a part, in bytes.
const PART_HEAD_BYTES: usize = 8 << 10;
/// Most white space after a delimiter, in bytes.
const PADDING_BYTES: usize = 256;
/// Most header fields of a part.
const PART_HEADERS: usize = 16;
/// Most content besides files, in bytes.
const OTHER_BYTES: usize = 1 << 20;
/// Most files of one form: the answer names them all.
const MAX_FILES: usize = 1000;

const MALFORMED: Refusal = Refusal::Malformed("malformed form");

/// Multipart form, and the position in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// `\r\n--` and the boundary. The very first one may lack its `\r\n`.
    delimiter: Box<[u8]>,
    phase: Phase,
    /// Number of bytes of unprocessed content at the front of the input.
    held: usize,
    /// Number of bytes of the current part's head that were searched for its end.
    scanned: usize,
    /// Number of bytes skipped.
    others: usize,
    files: usize,
    /// Names of the stored files, one in each line.
    names: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the first byte.
    Start,
    /// Before the first delimiter.
    Preamble,
    /// Between a delimiter and the end of its line.
    Delimiter,
    /// In the head of a part.
    Head,
    /// In a part without a file.
    Other,
    File,
    /// After the last delimiter.
    Epilogue,
}

/// Next step with a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Create a file of the assigned name.
    Begin,
    /// Write a number of bytes from the front of the input.
    Write(usize),
    /// Commit the current file.
    End,
    /// Receive more content.
    Incomplete,
    /// Refuse the request.
    Refuse(Refusal),
}

impl Form {
    /// Creates a form of a media type.
    ///
    /// # Errors
    /// The media type is no form's, or has no valid boundary.
    pub(crate) fn new(content_type: &[u8]) -> Result<Self, Refusal> {
        let boundary = disposition::boundary(content_type)?;
        Ok(Self {
            delimiter: [b"\r\n--", &boundary[..]].concat().into(),
            phase: Phase::Start,
            held: 0,
            scanned: 0,
            others: 0,
            files: 0,
            names: String::new(),
        })
    }

    /// Number of bytes of content at the front of the input.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Uncounts the held content, and returns its length.
    pub(crate) fn release(&mut self) -> usize {
        std::mem::take(&mut self.held)
    }

    /// Counts further content that adjoins the held content.
    pub(crate) fn hold(&mut self, len: usize) {
        self.held += len;
    }

    /// Counts content that was written, and so consumed from the input.
    pub(crate) fn written(&mut self, len: usize) {
        self.held -= len;
    }

    /// Stores the name under which the current file was published.
    pub(crate) fn stored(&mut self, name: &FileName) {
        self.names.push_str(name.as_str());
        self.names.push('\n');
    }

    /// Names of the stored files, one in each line.
    pub(crate) fn names(&self) -> &str {
        &self.names
    }

    /// Handles the end of the content.
    ///
    /// # Errors
    /// The form is incomplete, or has no file.
    pub(crate) fn end(&self) -> Result<(), Refusal> {
        match (self.phase == Phase::Epilogue, self.files) {
            (true, 0) => Err(Refusal::Malformed("the form has no file")),
            (true, _) => Ok(()),
            (false, _) => Err(Refusal::Malformed("the form is incomplete")),
        }
    }

    /// Processes the held content; all but the content of files is consumed.
    pub(crate) fn next(&mut self, input: &mut Buffer, name: &mut FileName) -> Step {
        loop {
            let held = &input.filled()[..self.held];
            let (skipped, phase) = match self.phase {
                Phase::Start => {
                    let dashes = &self.delimiter[2..];
                    let len = held.len().min(dashes.len());
                    match held[..len] == dashes[..len] {
                        true if len == dashes.len() => (len, Phase::Delimiter),
                        true => return Step::Incomplete,
                        false => (0, Phase::Preamble),
                    }
                }
                Phase::Preamble | Phase::Other => match find(held, &self.delimiter) {
                    Found::At(at) => (at + self.delimiter.len(), Phase::Delimiter),
                    Found::NotBefore(0) => return Step::Incomplete,
                    Found::NotBefore(len) => (len, self.phase),
                },
                Phase::Delimiter => match rest_of_line(held) {
                    Ok(Some(next)) => next,
                    Ok(None) => return Step::Incomplete,
                    Err(refusal) => return Step::Refuse(refusal),
                },
                Phase::Head => match self.head(held, name) {
                    Ok(None) => return Step::Incomplete,
                    Ok(Some((len, is_file))) => {
                        self.scanned = 0;
                        if is_file {
                            self.files += 1;
                            self.consume(input, len);
                            self.phase = Phase::File;
                            return Step::Begin;
                        }
                        // The content may be empty, so that its end follows the head at once.
                        (len, Phase::Other)
                    }
                    Err(refusal) => return Step::Refuse(refusal),
                },
                Phase::File => match find(held, &self.delimiter) {
                    // A file is complete only if its delimiter is valid up to the line end.
                    Found::At(0) => match rest_of_line(&held[self.delimiter.len()..]) {
                        Ok(Some(_)) => {
                            self.consume(input, self.delimiter.len());
                            self.phase = Phase::Delimiter;
                            return Step::End;
                        }
                        Ok(None) => return Step::Incomplete,
                        Err(refusal) => return Step::Refuse(refusal),
                    },
                    Found::NotBefore(0) => return Step::Incomplete,
                    Found::At(len) | Found::NotBefore(len) => return Step::Write(len),
                },
                Phase::Epilogue if held.is_empty() => return Step::Incomplete,
                Phase::Epilogue => (held.len(), Phase::Epilogue),
            };
            self.others += skipped;
            if self.others > OTHER_BYTES {
                return Step::Refuse(Refusal::Malformed(
                    "the form has more than 1 MiB besides files",
                ));
            }
            self.consume(input, skipped);
            self.phase = phase;
        }
    }

    /// Decodes a part's head, once it is complete. Returns its length, and whether a file follows,
    /// whose name is then assigned.
    fn head(&mut self, held: &[u8], name: &mut FileName) -> Result<Option<(usize, bool)>, Refusal> {
        // A part may have no header field.
        let end = if held.starts_with(b"\r\n") {
            Some(2)
        } else {
            let rest = &held[self.scanned.min(held.len())..];
            rest.windows(4).position(|four| four == b"\r\n\r\n").map(|at| self.scanned + at + 4)
        };
        let Some(end) = end else {
            self.scanned = held.len().saturating_sub(3);
            return match held.len() >= PART_HEAD_BYTES {
                true => Err(Refusal::Malformed("the head of a form's part is too long")),
                false => Ok(None),
            };
        };
        if end > PART_HEAD_BYTES {
            return Err(Refusal::Malformed("the head of a form's part is too long"));
        }
        let mut headers = [httparse::EMPTY_HEADER; PART_HEADERS];
        let headers = match httparse::parse_headers(&held[..end], &mut headers) {
            Ok(httparse::Status::Complete((len, headers))) if len == end => headers,
            _ => return Err(MALFORMED),
        };
        let disposition = Disposition::read(headers)?;
        let Some(filename) = disposition.filename else { return Ok(Some((end, false))) };
        if self.files == MAX_FILES {
            return Err(Refusal::Malformed("the form has more than 1000 files"));
        }
        // Some browsers send complete paths.
        let last = filename.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default();
        name.assign(last).map_err(Refusal::Name)?;
        Ok(Some((end, true)))
    }

    fn consume(&mut self, input: &mut Buffer, len: usize) {
        input.consume(len);
        self.held -= len;
    }
}

/// Decodes the rest of a delimiter's line: its length, and the next phase. `None` if it is
/// incomplete.
fn rest_of_line(bytes: &[u8]) -> Result<Option<(usize, Phase)>, Refusal> {
    let padding = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if padding > PADDING_BYTES {
        return Err(MALFORMED);
    }
    match &bytes[padding..] {
        [b'\r', b'\n', ..] => Ok(Some((padding + 2, Phase::Head))),
        [b'-', b'-', ..] if padding == 0 => Ok(Some((2, Phase::Epilogue))),
        [] | [b'\r'] => Ok(None),
        [b'-'] if padding == 0 => Ok(None),
        _ => Err(MALFORMED),
    }
}

enum Found {
    /// Start of the delimiter.
    At(usize),
    /// Earliest possible start of the delimiter.
    NotBefore(usize),
}

/// Searches for a delimiter, which may be incomplete.
fn find(bytes: &[u8], delimiter: &[u8]) -> Found {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == delimiter[0]) {
        let at = from + at;
        let rest = &bytes[at..];
        if rest.starts_with(delimiter) {
            return Found::At(at);
        }
        if delimiter.starts_with(rest) {
            return Found::NotBefore(at);
        }
        from = at + 1;
    }
    Found::NotBefore(bytes.len())
}
