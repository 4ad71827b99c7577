//! Reasons to refuse a request, with the text that every wire sends.

use crate::{NameError, StoreError};

/// Reason why a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Name(NameError),
    /// The bytes break the wire's grammar.
    #[error("{0}")]
    Malformed(&'static str),
    /// The message is well-formed but not allowed here.
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
    #[error("the size of the upload is not declared")]
    LengthRequired,
    #[error("the stream ended before the request did")]
    Incomplete,
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
    #[error("the host is not known to this server (see --allow-host)")]
    HostUnknown,
    #[error("uploads from pages of other origins are refused")]
    CrossOrigin,
    #[error("uploads with conditions are not supported")]
    ConditionalUpload,
    #[error("the content coding is not supported")]
    CodingUnsupported,
    #[error("a form must be sent as multipart/form-data")]
    NotAForm,
    #[error("a piece of an upload must be sent as application/offset+octet-stream")]
    NotAPiece,
    #[error("the version of the upload protocol is not supported")]
    TusVersion,
    #[error("the offset is not the end of the upload")]
    OffsetMismatch,
    #[error("this service takes text messages only")]
    TextOnly,
    #[error("this service takes text messages and data only")]
    TextOrDataOnly,
    #[error("the text is not UTF-8")]
    TextNotUtf8,
    #[error("this service answers at / only")]
    NotServedHere,
    #[error("disconnected: messages were read too slowly")]
    ReadsTooSlowly,
}
