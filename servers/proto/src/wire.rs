//! The ways to write the same requests in bytes.

pub mod framed;

/// A way to write requests and replies in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    /// Typed, length-prefixed messages (big-endian).
    Framed,
    /// HTTP/1.1 and HTTP/1.0.
    Http,
    /// A line naming a file, as a person types it into telnet.
    Text,
}

impl Wire {
    /// Every wire, in the order they are sniffed.
    pub const ALL: [Self; 3] = [Self::Framed, Self::Http, Self::Text];

    /// The one spelling used in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Framed => "framed",
            Self::Http => "http",
            Self::Text => "text",
        }
    }
}
