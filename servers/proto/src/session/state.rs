//! States of a session.

use crate::refusal::Refusal;
use crate::{Notice, Work};

/// Where the session stands. Each state has exactly one action, and that action's completion leads
/// to the next state: this table is the protocol, whatever wire writes it.
///
/// | state | action | next |
/// | --- | --- | --- |
/// | `Awaiting` | Receive | a whole head: `Opening`, `Listing`, `Creating`, `CreatingPartial`, `OpeningPartial`, `Replying`, for a form `Inviting` or the body, or a refusal |
/// | `Opening` | OpenDownload | `Sending`; without content `ClosingDownload` |
/// | `Sending` | SendFile | when all is sent `ClosingDownload`; when the file fails `Closing` |
/// | `ClosingDownload` | CloseDownload | `Replying` what is left |
/// | `Listing` | ListFiles | `Replying` |
/// | `Creating` | CreateUpload | `Inviting` where the peer waits for it; the body |
/// | `CreatingPartial` | CreatePartial | `Replying` |
/// | `OpeningPartial` | OpenPartial | as `Creating`; where only its state is asked for, or the piece does not fit, `Aborting` |
/// | `Inviting` | Send | the body |
/// | `ReceivingBody` | Receive | the body |
/// | `Writing` | WriteUpload | the body |
/// | `Committing` | CommitUpload | `Replying`; in a form the body |
/// | `Aborting` | AbortUpload | a refusal, `Closing`, or `Replying` how far a resumable upload got |
/// | `Discarding` | Receive | when the refused body is skipped: `Replying` |
/// | `Replying` | Send | `Awaiting`, or the end; `Lab(ShowingNotice)` that a message was sent back |
/// | `Lab(ShowingNotice)` | ShowNotice | of a connection `Awaiting` or `FinishingSending`; of a message `Replying`; that it was sent back as after `Replying` |
/// | `Lab(Logging)` | LogMessage | `Replying` |
/// | `Lab(Joining)` | JoinRoom | `Lab(ShowingNotice)` of the connection |
/// | `Lab(Posting)` | PostMessage | `Replying`, or as after it |
/// | `Lab(Delivering)` | Send | `Awaiting` |
/// | `Working` | Work | `Replying` |
/// | `FinishingSending` | FinishSending | `Lingering` |
/// | `Lingering` | Receive | `Closing` |
/// | `Closing` | Close | |
///
/// *The body*: `Writing` for content at hand, `Committing` after its end, `Aborting` where it is
/// faulty or was but a piece, else `ReceivingBody`; in a form `Creating` where a file begins and
/// `Committing` where it ends, `Replying` after the end. *A refusal*: `Discarding` where a known, small rest of the body
/// is to come, else `Replying`. A message to a lab service is gathered as a body is; then it is
/// `Lab(ShowingNotice)`, `Lab(Logging)` or `Lab(Posting)` where the service does that, else `Replying`. *The end*: `FinishingSending`, or `Closing` where the peer has
/// ended its stream or has promised to send nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// For a request's head; `begun` once its first byte is there.
    Awaiting {
        begun: bool,
    },
    Opening,
    Sending {
        offset: u64,
        end: u64,
    },
    ClosingDownload,
    Listing,
    Creating {
        expects_continue: bool,
    },
    CreatingPartial {
        len: u64,
    },
    /// `inspects` where nothing is to be written.
    OpeningPartial {
        inspects: bool,
        expects_continue: bool,
    },
    Inviting,
    ReceivingBody,
    Writing {
        len: usize,
    },
    Committing,
    Aborting {
        then: Then,
    },
    Discarding {
        refusal: Refusal,
    },
    Replying,
    /// At something that only lab services do.
    Lab(LabState),
    Working {
        work: Work,
    },
    FinishingSending,
    Lingering {
        budget: u64,
    },
    Closing,
}

/// States that only lab services reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LabState {
    /// The operator is shown a notice.
    ShowingNotice(Notice),
    /// A line about the message is stored.
    Logging,
    /// The connection becomes a member of the room.
    Joining,
    /// The message goes to the other members.
    Posting,
    /// Another member's message is sent to the peer.
    Delivering,
}

/// What follows once an upload is let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// There is nobody left to be told.
    Close,
    Refuse(Refusal),
    /// The peer is told how far a resumable upload has got.
    Report,
}
