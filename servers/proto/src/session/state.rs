//! States of a session.

use crate::refusal::Refusal;
use crate::{Notice, Work};

/// State of a session. Each has exactly one action; `transitions.rs` lists what may follow it.
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
    SendingContinue,
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
