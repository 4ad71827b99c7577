//! Requests and replies, independent of the wire.

use crate::refusal::Refusal;
use crate::service::Answer;
use crate::wire::body::Body;
use crate::wire::form::Form;
use crate::{Digest, Entry, FileName, PartialId, PartialInfo, Stored, Work};

/// Result of decoding the bytes received so far. A name is passed in the session's own
/// [`FileName`], so that a request allocates nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// The request's head is incomplete.
    Incomplete,
    /// A request; its head is consumed from the input.
    Request { request: Request, persist: Persist },
    /// A request to be answered by an error; its decoded part is consumed. `body` is the rest, to
    /// be skipped if the connection is to stay usable.
    Refused { refusal: Refusal, body: Body, persist: Persist },
}

/// Operation that a peer requests.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Set the name of the next upload.
    NameUpload,
    /// Send the file of the name, subject to the conditions the codec has stored.
    Download,
    /// List the files.
    List,
    /// Describe the allowed requests.
    Options,
    /// Process a body. A peer that `expects_continue` holds it back until it receives `100
    /// Continue`.
    Upload { sink: Sink, body: Body, expects_continue: bool, digest: Option<Box<Digest>> },
    /// Create a resumable upload of the name, or of a random one if it is empty.
    CreatePartial { len: u64 },
    /// Report the state of a resumable upload.
    InspectPartial { append: Box<Append> },
    /// Compute or block for some time.
    Work(Work),
    /// Describe the server's state.
    Status,
}

/// Destination of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    /// File of the name, or of a random one if it is empty.
    File,
    /// Files whose names are in the body.
    Form(Box<Form>),
    /// Next piece of a resumable upload.
    Partial(Box<Append>),
    /// Message to a lab service. Its first `held` bytes have arrived; they are at the start of the
    /// input.
    Message { held: u16 },
}

/// Place of a piece in a resumable upload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Append {
    pub(crate) id: PartialId,
    /// State of the upload: first as the peer declares it, then as the store reports it.
    pub(crate) info: PartialInfo,
}

/// Fate of the connection after this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persist {
    /// Another request may follow.
    Keep,
    /// No request follows, as the peer has declared.
    PeerCloses,
    /// No request follows, and the peer may not know. Its bytes are skipped for a while, because a
    /// reset could destroy the answer.
    Close,
}

/// Reply for a codec to encode.
#[derive(Debug)]
pub(crate) enum Reply<'a> {
    /// The upload name is accepted.
    NameAccepted,
    /// Files, and the server's name for the page.
    Listing { entries: &'a [Entry], server_name: &'a str },
    /// Allowed requests, and the size limit of uploads.
    Options { upload_bytes: u64 },
    /// The upload exists.
    Stored(&'a Stored),
    /// The form's files exist; `names` has one in each line.
    FormStored { names: &'a str },
    /// The resumable upload is created.
    PartialCreated(PartialId),
    /// State of the resumable upload.
    Partial(PartialInfo),
    /// The resumable upload is complete, and exists as a file.
    PartialStored { stored: &'a Stored, len: u64 },
    /// A lab service's answer to a message.
    Answer(&'a Answer<'a>),
    /// The message was posted to the other members.
    Posted,
    /// Another member's message.
    Mail(&'a [u8]),
    /// The work is done.
    Worked,
    /// State of the server, as JSON.
    Status(&'a str),
    /// The request has failed; `name` is the file concerned, or empty. The files in `stored`, one
    /// in each line, were stored before and are kept.
    Refused { refusal: Refusal, name: &'a FileName, stored: &'a str },
}
