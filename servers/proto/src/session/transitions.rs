//! Transitions between a session's states: the protocol as a table, the same on every wire.

use super::state::{LabState, State};
use crate::{Completion, LabCompletion};
use Event::{Done, Ended, Evicted, Failed, Mail, TimedOut};
use Kind::{
    Aborting, Awaiting, Closing, ClosingDownload, Committing, Creating, CreatingPartial,
    Delivering, Discarding, FinishingSending, Joining, Lingering, Listing, Logging, Opening,
    OpeningPartial, Posting, ReceivingBody, Replying, ReportingStatus, Sending, SendingContinue,
    ShowingNotice, Working, Writing,
};

/// Possible successors of a state after an event. Debug builds check every transition.
///
/// A multipart form and a message to a lab service are received like the body of an upload. After
/// an answer the session awaits the next request. If that is in the input already, the session
/// leaves `Awaiting` as if it had just been received. `Discarding` skips the rest of a refused
/// body.
#[rustfmt::skip]
pub(super) const TRANSITIONS: &[(Kind, Event, &[Kind])] = &[
    (Awaiting, Done, &[Awaiting, Opening, Listing, Creating, CreatingPartial, OpeningPartial,
        SendingContinue, ReceivingBody, Discarding, Replying, ShowingNotice, Logging, Posting,
        Working, ReportingStatus, FinishingSending]),
    // The end of the stream, or a silence, ends a name or message.
    (Awaiting, Ended, &[Opening, Replying, ShowingNotice, Logging, Posting, Closing]),
    (Awaiting, TimedOut, &[Awaiting, Opening, Replying, ShowingNotice, Logging, Posting, Closing]),
    (Awaiting, Mail, &[Delivering]),
    (Awaiting, Evicted, &[Replying]),
    // Downloads.
    (Opening, Done, &[Sending, ClosingDownload]),
    (Opening, Failed, &[Replying]),
    (Sending, Done, &[Sending, ClosingDownload]),
    (Sending, Failed, &[Closing]),
    (Sending, TimedOut, &[Closing]),
    (ClosingDownload, Done, &[Replying, Awaiting, FinishingSending, Closing]),
    (Listing, Done, &[Replying]),
    (Listing, Failed, &[Replying]),
    // Uploads.
    (Creating, Done, &[SendingContinue, ReceivingBody, Writing, Committing, Aborting]),
    (Creating, Failed, &[Discarding, Replying]),
    (CreatingPartial, Done, &[Replying]),
    (CreatingPartial, Failed, &[Replying]),
    (OpeningPartial, Done, &[SendingContinue, ReceivingBody, Writing, Committing, Aborting]),
    (OpeningPartial, Failed, &[Discarding, Replying]),
    (SendingContinue, Done, &[SendingContinue, ReceivingBody, Writing, Committing, Aborting,
        Creating, Discarding, Replying, ShowingNotice, Logging, Posting]),
    (SendingContinue, TimedOut, &[Aborting, Closing]),
    (ReceivingBody, Done, &[ReceivingBody, Writing, Committing, Aborting,
        Creating, Discarding, Replying, ShowingNotice, Logging, Posting]),
    (ReceivingBody, Failed, &[Aborting]),
    (ReceivingBody, Ended, &[Aborting, Replying]),
    (ReceivingBody, TimedOut, &[Aborting, Replying]),
    (Writing, Done, &[Writing, ReceivingBody, Committing, Aborting]),
    (Writing, Failed, &[Aborting]),
    (Committing, Done, &[Replying, Creating, ReceivingBody, Discarding]),
    (Committing, Failed, &[Aborting]),
    (Aborting, Done, &[Discarding, Replying, Closing]),
    (Aborting, Failed, &[Discarding, Replying]),
    // Answers.
    (Discarding, Done, &[Discarding, Replying]),
    (Discarding, Ended, &[Replying]),
    (Discarding, TimedOut, &[Replying]),
    (Replying, Done, &[Replying, Awaiting, ShowingNotice, FinishingSending, Closing]),
    (Replying, TimedOut, &[Closing]),
    (Working, Done, &[Replying]),
    (ReportingStatus, Done, &[Replying]),
    // Lab services.
    (ShowingNotice, Done, &[Awaiting, Replying, FinishingSending, Closing]),
    (Logging, Done, &[Replying]),
    (Logging, Failed, &[Replying]),
    (Joining, Done, &[ShowingNotice]),
    (Posting, Done, &[Replying, Awaiting, FinishingSending, Closing]),
    (Delivering, Done, &[Delivering, Awaiting]),
    (Delivering, Mail, &[Delivering]),
    (Delivering, Evicted, &[Replying]),
    (Delivering, TimedOut, &[Closing]),
    // The end.
    (FinishingSending, Done, &[Lingering]),
    (Lingering, Done, &[Lingering]),
    (Lingering, Ended, &[Closing]),
    (Lingering, TimedOut, &[Closing]),
];

/// Returns true if [`TRANSITIONS`] lists a transition.
pub(super) fn is_listed(from: Kind, event: Event, to: Kind) -> bool {
    #[cfg(test)]
    tests::REACHED.with_borrow_mut(|reached| reached.insert((from, event, to)));
    TRANSITIONS.iter().any(|row| (row.0, row.1) == (from, event) && row.2.contains(&to))
}

macro_rules! kinds {
    ($($kind:ident: $state:pat,)*) => {
        /// A [`State`] without its data.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Kind {
            $($kind,)*
        }

        impl Kind {
            pub(super) fn of(state: State) -> Self {
                match state {
                    $($state => Self::$kind,)*
                }
            }
        }
    };
}

kinds! {
    Awaiting: State::Awaiting { .. },
    Opening: State::Opening,
    Sending: State::Sending { .. },
    ClosingDownload: State::ClosingDownload,
    Listing: State::Listing,
    Creating: State::Creating { .. },
    CreatingPartial: State::CreatingPartial { .. },
    OpeningPartial: State::OpeningPartial { .. },
    SendingContinue: State::SendingContinue,
    ReceivingBody: State::ReceivingBody,
    Writing: State::Writing { .. },
    Committing: State::Committing,
    Aborting: State::Aborting { .. },
    Discarding: State::Discarding { .. },
    Replying: State::Replying,
    ShowingNotice: State::Lab(LabState::ShowingNotice(_)),
    Logging: State::Lab(LabState::Logging),
    Joining: State::Lab(LabState::Joining),
    Posting: State::Lab(LabState::Posting),
    Delivering: State::Lab(LabState::Delivering),
    Working: State::Working { .. },
    ReportingStatus: State::ReportingStatus,
    FinishingSending: State::FinishingSending,
    Lingering: State::Lingering { .. },
    Closing: State::Closing,
}

/// An event that may change a session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// The outstanding action, or a part of it, is done.
    Done,
    /// The outstanding action has failed.
    Failed,
    /// The peer has ended its stream.
    Ended,
    /// The deadline has passed.
    TimedOut,
    /// Another member's message has arrived.
    Mail,
    /// The mailbox has overflowed.
    Evicted,
}

impl Event {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are successes")]
    pub(super) fn of(done: &Completion) -> Self {
        match done {
            Completion::Received { bytes: 0 } => Ended,
            Completion::Opened(Err(_))
            | Completion::FileSent(Err(_))
            | Completion::Created(Err(_))
            | Completion::Written(Err(_))
            | Completion::Transferred { written: Err(_), .. }
            | Completion::PartialCreated(Err(_))
            | Completion::Aborted(Err(_))
            | Completion::PartialOpened(Err(_))
            | Completion::Committed(Err(_))
            | Completion::Listed(Err(_))
            | Completion::Lab(LabCompletion::Logged(Err(_))) => Failed,
            _ => Done,
        }
    }
}

#[cfg(test)]
mod tests;
