//! States of a session.

use std::time::Instant;

use crate::refusal::Refusal;
use crate::{Notice, Work};

/// State of a session. Each has exactly one action; `transitions.rs` lists its successors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Waiting for a request's head; `begun` once its first byte has come.
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
    /// `inspects` if nothing is to be written.
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
        then: AfterAbort,
    },
    Discarding {
        refusal: Refusal,
    },
    Replying,
    /// State of a lab service.
    Lab(LabState),
    Working {
        work: Work,
    },
    ReportingStatus,
    FinishingSending,
    /// Discarding bytes until the peer closes, or until a time; `None` is never.
    Lingering {
        until: Option<Instant>,
    },
    Closing,
}

/// States that only lab services reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LabState {
    /// Showing the operator a notice.
    ShowingNotice(Notice),
    /// Storing a line about the message.
    Logging,
    /// Joining the room.
    Joining,
    /// Posting the message to the other members.
    Posting,
    /// Sending another member's message to the peer.
    Delivering,
}

/// Continuation after an upload was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterAbort {
    /// Close: there is no peer to reply to.
    Close,
    Refuse(Refusal),
    /// Report the state of a resumable upload.
    Report,
}
