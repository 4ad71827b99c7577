//! Requests and replies as the session sees them, whichever wire carries them.

use crate::refusal::Refusal;
use crate::service::Answer;
use crate::wire::body::Body;
use crate::wire::form::Form;
use crate::{Digest, Entry, FileName, PartialId, PartialInfo, Stored, Work};

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
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The next upload shall get the name.
    Announce,
    /// The file of the name, or what the codec has noted of it.
    Download,
    /// The names of all files.
    List,
    /// What may be asked.
    Options,
    /// Do something with a body. A peer that `expects_continue` holds it back until it is told to
    /// go on.
    Upload { sink: Sink, body: Body, expects_continue: bool, digest: Option<Box<Digest>> },
    /// Begin a resumable upload of the name, or of a random one where it is empty.
    CreatePartial { len: u64 },
    /// How much there is of a resumable upload.
    InspectPartial { append: Box<Append> },
    /// Work for a while.
    Work(Work),
}

/// What becomes of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    /// A file of the name or, where it is empty, of a random one.
    File,
    /// Several files, which the body itself names.
    Form(Box<Form>),
    /// The next piece of a resumable upload.
    Partial(Box<Append>),
    /// A lab service's message: the first `held` bytes of the input are what is there of it.
    Message { held: u16 },
}

/// Where in a resumable upload a piece belongs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Append {
    pub(crate) id: PartialId,
    /// What the peer takes the upload's state for, then what it is.
    pub(crate) info: PartialInfo,
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
    /// The files, and what the server calls itself.
    Listing { entries: &'a [Entry], server_name: &'a str },
    /// What may be asked, and how large an upload may be.
    Options { upload_bytes: u64 },
    /// The upload exists.
    Stored(&'a Stored),
    /// The form's files exist under these names, a line each.
    FormStored { names: &'a str },
    /// The resumable upload is begun.
    PartialCreated(PartialId),
    /// So much there is of the resumable upload.
    Partial(PartialInfo),
    /// The resumable upload is whole and exists as a file.
    PartialStored { stored: &'a Stored, len: u64 },
    /// What a lab service says to a message.
    Answer(&'a Answer<'a>),
    /// The message is with the other members.
    Posted,
    /// Another member's message.
    Mail(&'a [u8]),
    /// The work is done.
    Worked,
    /// The request failed; `name` is what it was about, or empty. What was `stored` before that
    /// stays: a name in each line.
    Refused { refusal: Refusal, name: &'a FileName, stored: &'a str },
}
