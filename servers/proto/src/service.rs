//! Lab services: the exercises of socket courses.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::net::SocketAddr;

use crate::wire::http::date;
use crate::{Buffer, Now};

/// Longest message in bytes; the rest is dropped.
pub const MESSAGE_BYTES: usize = 4096;

/// Words of a question for the time; at least one of the first two is needed.
const QUESTION: [&str; 31] = [
    "date", "time", "what", "whats", "is", "s", "it", "the", "current", "now", "right", "today",
    "todays", "day", "and", "or", "of", "at", "this", "moment", "tell", "me", "give", "show",
    "please", "do", "you", "have", "can", "could", "server",
];

/// Service of a server: files, or the answer to a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Service {
    /// Downloads and uploads of files.
    #[default]
    Files,
    /// Answers with the message itself.
    Echo,
    /// Answers with a sentence that quotes the message.
    Hello,
    /// Shows the operator the connection, and closes it without an answer.
    GreetClose,
    /// Answers `Message: ` and the message; shows it to the operator. Over the framed wire it also
    /// stores binary data as files.
    Message,
    /// Answers `I have received: ` and the message, and closes; shows it to the operator.
    Ack,
    /// Answers with the transformed message.
    Transform(Transform),
    /// Answers `what time is it?` and the like with the time.
    Date,
    /// Answers as `Date`, and stores each request in a new numbered file.
    DateLog,
    /// Sends every message to all other members of the room.
    Chat,
}

/// Transformation of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transform {
    /// Reverses its characters, or its bytes if it is not UTF-8.
    Reverse,
    /// Converts it to capital letters.
    Upper,
    /// Counts its characters, or its bytes if it is not UTF-8.
    Length,
    /// Puts a text before it.
    Prefix(String),
}

impl Service {
    /// Returns true for the service of files.
    pub fn is_files(&self) -> bool {
        *self == Self::Files
    }

    /// Returns true if DATA of the framed wire is stored as a file.
    pub(crate) fn stores_data(&self) -> bool {
        matches!(self, Self::Files | Self::Message)
    }

    /// Returns true if the service answers without a message, as for a GET.
    pub(crate) fn answers_without_message(&self) -> bool {
        matches!(self, Self::Date | Self::DateLog)
    }

    /// Answer to a message.
    pub(crate) fn answer<'a>(&'a self, message: &'a [u8], now: Now) -> Answer<'a> {
        let (before, content, after) = match self {
            Self::Hello => {
                ("I got \"", Content::Same(message), "\" from you and I am sending it back.")
            }
            Self::Message => ("Message: ", Content::Same(message), ""),
            Self::Ack => ("I have received: ", Content::Same(message), ""),
            Self::Transform(Transform::Prefix(prefix)) => (&**prefix, Content::Same(message), ""),
            Self::Transform(Transform::Reverse) => ("", Content::Reversed(message), ""),
            Self::Transform(Transform::Upper) => ("", Content::Upper(message), ""),
            Self::Transform(Transform::Length) => ("", Content::Number(characters(message)), ""),
            Self::Date | Self::DateLog if is_question(message) => {
                ("", Content::Date(date::plain(now.unix_s)), "")
            }
            Self::Date | Self::DateLog => (
                "unknown request; for the date and time, send: what time is it?",
                Content::Same(b""),
                "",
            ),
            Self::Echo | Self::Files | Self::GreetClose | Self::Chat => {
                ("", Content::Same(message), "")
            }
        };
        Answer { before, content, after }
    }
}

/// Returns true if a message asks for the date or time, as an empty one does.
fn is_question(message: &[u8]) -> bool {
    let is_separator = |byte: &u8| byte.is_ascii_whitespace() || b"'?!.,:".contains(byte);
    let words = || message.split(is_separator).filter(|word| !word.is_empty());
    let is_one_of = |word: &[u8], known: &[&str]| {
        known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(word))
    };
    words().next().is_none()
        || (words().all(|word| is_one_of(word, &QUESTION))
            && words().any(|word| is_one_of(word, &QUESTION[..2])))
}

fn characters(message: &[u8]) -> u64 {
    std::str::from_utf8(message).map_or(message.len(), |text| text.chars().count()) as u64
}

/// Answer of a service, written into a buffer without an intermediate copy.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    before: &'a str,
    content: Content<'a>,
    after: &'a str,
}

#[derive(Debug)]
enum Content<'a> {
    Same(&'a [u8]),
    Reversed(&'a [u8]),
    Upper(&'a [u8]),
    Number(u64),
    Date([u8; 28]),
}

impl Answer<'_> {
    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        let content = match &self.content {
            Content::Same(message) | Content::Reversed(message) => message.len(),
            Content::Upper(message) => upper(message).map(|(_, len)| len).sum(),
            Content::Number(number) => number.checked_ilog10().map_or(1, |log| log as usize + 1),
            Content::Date(date) => date.len(),
        };
        self.before.len() + content + self.after.len()
    }

    /// Appends the answer to the output.
    pub(crate) fn write(&self, output: &mut Buffer) {
        output.push(self.before.as_bytes());
        match &self.content {
            Content::Same(message) => output.push(message),
            Content::Reversed(message) => match std::str::from_utf8(message) {
                Ok(text) => text.chars().rev().for_each(|c| push_char(output, c)),
                Err(_) => message.iter().rev().for_each(|byte| output.push(&[*byte])),
            },
            Content::Upper(message) => {
                upper(message).for_each(|(bytes, len)| output.push(&bytes[..len]));
            }
            Content::Number(number) => output.push_decimal(*number),
            Content::Date(date) => output.push(date),
        }
        output.push(self.after.as_bytes());
    }
}

fn push_char(output: &mut Buffer, c: char) {
    output.push(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Converts a message to capital letters, one character at a time; bytes that are not UTF-8 stay.
fn upper(message: &[u8]) -> impl Iterator<Item = ([u8; 4], usize)> {
    message.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().flat_map(char::to_uppercase).map(|c| {
            let mut bytes = [0; 4];
            let len = c.encode_utf8(&mut bytes).len();
            (bytes, len)
        });
        valid.chain(chunk.invalid().iter().map(|&byte| ([byte, 0, 0, 0], 1)))
    })
}

/// Message as other members of a room receive it: control characters but tabs are escaped, so that
/// it cannot act on their terminals.
pub fn harmless(message: &[u8]) -> Cow<'_, [u8]> {
    let is_harmless = |text: &str| text.chars().all(|c| !c.is_control() || c == '\t');
    if std::str::from_utf8(message).is_ok_and(is_harmless) {
        return Cow::Borrowed(message);
    }
    let mut text = String::new();
    for (number, piece) in message.split(|&byte| byte == b'\t').enumerate() {
        let tab = if number == 0 { "" } else { "\t" };
        write!(text, "{tab}{}", Printable(piece)).expect("a string takes any text");
    }
    Cow::Owned(text.into_bytes())
}

/// Event that a lab service shows to the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A connection was accepted.
    Connected,
    /// A message was received.
    Received,
    /// The message was sent back.
    SentBack,
}

impl Notice {
    /// Writes the line, without its end, for a `message` of `peer`. Control characters are escaped.
    ///
    /// # Errors
    /// Writing to `output` failed.
    pub fn write(
        self,
        output: &mut impl Write,
        peer: Option<SocketAddr>,
        message: &[u8],
    ) -> fmt::Result {
        match self {
            Self::Connected => write!(output, "Connected by {}", Peer(peer)),
            Self::Received => match peer {
                Some(peer) => write!(output, "{}: {}", peer.ip(), Printable(message)),
                None => write!(output, "{}: {}", Peer(peer), Printable(message)),
            },
            Self::SentBack => {
                write!(output, "Sent back \"{}\" to: {}", Printable(message), Peer(peer))
            }
        }
    }
}

/// Writes the line that `date-log` stores about a request: time, peer and message.
///
/// # Errors
/// Writing to `output` failed.
pub fn write_log_line(
    output: &mut impl Write,
    now: Now,
    peer: Option<SocketAddr>,
    message: &[u8],
) -> fmt::Result {
    let date = date::plain(now.unix_s);
    let date = std::str::from_utf8(&date).unwrap_or_default();
    writeln!(output, "{date} {} {}", Peer(peer), Printable(message))
}

/// Address of a peer, if it is still connected.
struct Peer(Option<SocketAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("an unknown address"),
        }
    }
}

/// Text in which control characters and bytes that are not UTF-8 are escaped, so that it cannot act
/// on a terminal.
struct Printable<'a>(&'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c.is_control() {
                    true => write!(f, "{}", c.escape_default())?,
                    false => f.write_char(c)?,
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(service: &Service, message: &[u8]) -> String {
        #[expect(clippy::disallowed_methods, reason = "an instant can't be made up")]
        let now = Now { instant: std::time::Instant::now(), unix_s: 784_111_777 };
        let answer = service.answer(message, now);
        let mut output = Buffer::default();
        answer.write(&mut output);
        assert_eq!(output.len(), answer.len());
        output.filled().escape_ascii().to_string()
    }

    #[test]
    fn every_transform_keeps_characters_whole() {
        let all = |transform, message: &str| {
            let output = answer(&Service::Transform(transform), message.as_bytes());
            output.replace("\\\"", "\"")
        };
        assert_eq!(all(Transform::Reverse, "abc"), "cba");
        assert_eq!(all(Transform::Reverse, "a\u{e9}"), "\\xc3\\xa9a");
        assert_eq!(all(Transform::Upper, "stra\u{df}e 1"), "STRASSE 1");
        assert_eq!(all(Transform::Length, "h\u{e9}llo"), "5");
        assert_eq!(all(Transform::Length, ""), "0");
        assert_eq!(all(Transform::Prefix("> ".to_owned()), "abc"), "> abc");
        let bytes = |transform, message| answer(&Service::Transform(transform), message);
        assert_eq!(bytes(Transform::Reverse, b"a\xffb"), "b\\xffa");
        assert_eq!(bytes(Transform::Upper, b"a\xffb\xc3"), "A\\xffB\\xc3");
        assert_eq!(bytes(Transform::Length, b"a\xffb"), "3");
    }

    #[test]
    fn questions_for_the_time_are_answered() {
        for question in [
            "what time is it?",
            "What time is it",
            " WHAT TIME IS IT ? ",
            "",
            "\r\n",
            "?",
            "date",
            "Time",
            "date and time",
            "What is the current date and time?",
            "What's the time?",
            "what is today's date",
            "what time is it now?",
            "Tell me the time, please.",
        ] {
            let date = answer(&Service::Date, question.as_bytes());
            assert_eq!(date, "Sun Nov 06 08:49:37 UTC 1994", "{question}");
        }
        for other in ["hello", "what is it?", "is it", "what time is dinner", "datetime", "time\0"]
        {
            let answer = answer(&Service::Date, other.as_bytes());
            assert_eq!(answer, "unknown request; for the date and time, send: what time is it?");
        }
    }

    #[test]
    fn messages_to_members_cannot_act_on_a_terminal() {
        for (message, received) in [
            (&b"gr\xc3\xbc\xc3\x9fe\t1"[..], &b"gr\xc3\xbc\xc3\x9fe\t1"[..]),
            (b"a\x1b[2J\tb\rc", b"a\\u{1b}[2J\tb\\rc"),
            (b"a\xffb\x9b1m", b"a\\xffb\\x9b1m"),
            (b"\xc2\x9b1m\x07", b"\\u{9b}1m\\u{7}"),
        ] {
            assert_eq!(*harmless(message), *received, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn notices_cannot_act_on_a_terminal() {
        let peer = "127.0.0.1:4711".parse().ok();
        let line = |notice: Notice, peer, message: &[u8]| {
            let mut line = String::new();
            notice.write(&mut line, peer, message).unwrap();
            line
        };
        assert_eq!(line(Notice::Connected, peer, b""), "Connected by 127.0.0.1:4711");
        assert_eq!(line(Notice::Received, peer, "h\u{e9}".as_bytes()), "127.0.0.1: h\u{e9}");
        assert_eq!(
            line(Notice::SentBack, peer, b"a\x1b[2J\r\nb\xff"),
            "Sent back \"a\\u{1b}[2J\\r\\nb\\xff\" to: 127.0.0.1:4711"
        );
        assert_eq!(line(Notice::Connected, None, b""), "Connected by an unknown address");
    }
}
