//! Phases of a connection, for statistics.

use super::Session;
use super::state::State;

/// Phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Between requests.
    Idle,
    /// Receiving a request's head or body.
    Receiving,
    /// Performing an operation that does not wait for the peer.
    Working,
    /// Sending a reply.
    Sending,
    /// Ending the connection.
    Closing,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 5] =
        [Self::Idle, Self::Receiving, Self::Working, Self::Sending, Self::Closing];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Receiving => "receiving",
            Self::Working => "working",
            Self::Sending => "sending",
            Self::Closing => "closing",
        }
    }
}

impl Session {
    /// Present phase.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Awaiting { begun: false } => Phase::Idle,
            State::Awaiting { begun: true } | State::ReceivingBody | State::Discarding { .. } => {
                Phase::Receiving
            }
            State::Opening
            | State::ClosingDownload
            | State::Listing
            | State::Creating { .. }
            | State::CreatingPartial { .. }
            | State::OpeningPartial { .. }
            | State::Writing { .. }
            | State::Committing
            | State::Aborting { .. }
            | State::Lab(_)
            | State::Working { .. }
            | State::ReportingStatus => Phase::Working,
            State::Sending { .. } | State::SendingContinue | State::Replying => Phase::Sending,
            State::FinishingSending | State::Lingering { .. } | State::Closing => Phase::Closing,
        }
    }
}
