//! Requests and replies as the session sees them, whichever wire carries them.

use crate::wire::body::Body;
use crate::{Entry, FileInfo, FileName, NameError, StoreError};

/// What a codec made of the bytes received so far. A name travels beside it, in the session's own
/// [`FileName`], so that a request allocates nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// The request's head is not whole yet.
    Incomplete,
    /// A request; its head is consumed from the input.
    Request { request: Request, persist: Persist },
    /// Something that gets an error for an answer; what was understood of it is consumed. `body`
    /// is what remains of it to be skipped where the connection is to stay usable.
    Refused { refusal: Refusal, body: Body, persist: Persist },
}

/// What a peer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// The next upload shall get the name.
    Announce,
    /// The file of the name; without `content` only what can be said about it.
    Download { content: bool },
    /// The names of all files.
    List,
    /// Store what follows, under the name or, where it is empty, under a random one.
    Upload {
        body: Body,
        /// The peer holds the body back until it is told to go on.
        expects_continue: bool,
    },
}

/// Whether the connection carries another request after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persist {
    /// It does.
    Keep,
    /// The peer has promised not to send another.
    PeerCloses,
    /// It does not, and the peer may not know: what it still sends is skipped for a while, so
    /// that the answer is not destroyed by a reset.
    Close,
}

/// What a codec has to put into bytes.
#[derive(Debug)]
pub(crate) enum Reply<'a> {
    /// The announced name is good.
    Announced,
    /// What precedes a file's content.
    File { name: &'a FileName, info: FileInfo },
    /// The files.
    Listing { entries: &'a [Entry] },
    /// The upload exists under this name.
    Stored { name: &'a FileName },
    /// The request failed; `name` is what it was about, or empty.
    Refused { refusal: Refusal, name: &'a FileName },
}

/// Why a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Name(NameError),
    /// The bytes break the wire's grammar.
    #[error("{0}")]
    Malformed(&'static str),
    /// A well-formed message that means nothing here.
    #[error("unexpected message type")]
    UnexpectedMessage,
    #[error("unknown message type")]
    UnknownMessage,
    #[error("the text is longer than 4096 bytes")]
    TextTooLong,
    #[error("the line is longer than 4096 bytes")]
    LineTooLong,
    #[error("the upload is larger than this server accepts")]
    TooLarge,
    #[error("the size of the upload is not told")]
    LengthRequired,
    #[error("timed out")]
    TimedOut,
    #[error("the request line is too long")]
    TargetTooLong,
    #[error("the header section is too large")]
    HeadersTooLarge,
    #[error("the method is not allowed")]
    MethodNotAllowed,
    #[error("the method is unknown")]
    MethodUnknown,
    #[error("the transfer coding is unknown")]
    TransferCodingUnknown,
    #[error("the expectation is unknown")]
    ExpectationUnknown,
    #[error("the HTTP version is not supported")]
    VersionNotSupported,
}
