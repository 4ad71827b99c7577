//! One connection's state machine.

mod lab;
mod phase;
mod record;
mod request;
mod state;
mod transitions;
mod upload;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use phase::Phase;
pub use record::Record;

use crate::exchange::{Persist, Reply, Sink};
use crate::refusal::Refusal;
use crate::wire::Codec;
use crate::wire::body::Body;
use crate::{Action, Completion, Digest, FileName, IoBuffers, Now, Service, Settings, Wire};
use record::Recorder;
use state::{AfterAbort, LabState, State};
use transitions::{Event, Kind};

use upload::piece_refusal;

/// Most bytes skipped of a refused upload to keep the connection usable.
const SKIPPED_BYTES: u64 = 1 << 20;

/// State machine of one connection.
///
/// # The contract with drivers
///
/// - A driver polls the next [`Action`] with [`poll_action`](Self::poll_action), performs it, and
///   passes its [`Completion`] to [`handle_completion`](Self::handle_completion), until
///   [`Action::Close`]. Exactly one action is outstanding; polling again before its completion
///   returns the same one. Every call gets the same buffers' content; two empty buffers may be
///   exchanged for others.
/// - [`Action::Receive`] is requested only while `io.input` has spare room: a full buffer has been
///   grown. [`Action::Send`] always has something to send. [`Action::SendFile`] sends the rest of
///   `io.output` first; at least one byte of its range is left.
/// - [`Action::CloseDownload`] follows every download that was sent to its promised end. An
///   [`Action::Close`] during a download cuts it off: the driver resets the connection, so that the
///   peer does not mistake the received part for the whole.
/// - [`Action::AbortUpload`] follows every upload that was created or opened and not committed,
///   also after a failed commit, before the next request or the close. A driver that drops a
///   session after its connection broke releases upload and download itself.
/// - [`handle_timeout`](Self::handle_timeout) and [`begin_drain`](Self::begin_drain) may withdraw
///   the outstanding action, whose completion must then not be reported: poll again after either.
///   Only actions that wait for the peer are withdrawn.
/// - After [`LabAction::JoinRoom`](crate::LabAction::JoinRoom), other members' messages are passed
///   to [`handle_mail`](Self::handle_mail) while the session [`takes_mail`](Self::takes_mail).
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    codec: Codec,
    state: State,
    /// Name in the current request; empty for an upload without a name.
    name: FileName,
    /// Rest of the current request's body.
    body: Body,
    /// Time that is left for the body's next bytes.
    body_time: Duration,
    /// Destination of the body.
    sink: Sink,
    /// Hash that the content of an upload must have.
    digest: Option<Box<Digest>>,
    /// An upload is open.
    uploading: bool,
    persist: Persist,
    draining: bool,
    /// The current request's bytes so far came in one piece of more than one byte, so that no
    /// person is typing them.
    one_piece: bool,
    /// The peer has ended its stream.
    peer_ended: bool,
    /// The input may begin with another request, and has not been searched for it.
    undecoded: bool,
    deadline: Option<Instant>,
    requests: u64,
    /// Records of requests, if they are wanted.
    recorder: Option<Box<Recorder>>,
}

impl Session {
    /// Creates a session for a connection accepted now.
    pub fn new(settings: Arc<Settings>, now: Now) -> Self {
        let state = lab::first_state(&settings.service);
        let waits = matches!(state, State::Awaiting { .. });
        let deadline = now.instant.checked_add(settings.timeouts.idle).filter(|_| waits);
        Self {
            codec: Codec::new(&settings),
            settings,
            state,
            name: FileName::default(),
            body: Body::EMPTY,
            body_time: Duration::ZERO,
            sink: Sink::File,
            digest: None,
            uploading: false,
            persist: Persist::Keep,
            draining: false,
            one_piece: false,
            peer_ended: false,
            undecoded: false,
            deadline,
            requests: 0,
            recorder: None,
        }
    }

    /// Next operation for the driver; the same one until its completion is handled.
    pub fn poll_action(&mut self, io: &mut IoBuffers) -> Action<'_> {
        match self.state {
            State::Awaiting { .. }
            | State::ReceivingBody
            | State::Discarding { .. }
            | State::Lingering { .. } => {
                io.input.ensure_spare();
                Action::Receive
            }
            State::Opening => Action::OpenDownload { name: &self.name },
            State::Sending { offset, end } => Action::SendFile { offset, len: end - offset },
            State::ClosingDownload => Action::CloseDownload,
            State::Listing => Action::ListFiles,
            State::Creating { .. } => Action::CreateUpload {
                name: chosen_name(&self.name),
                size_hint: self.body.left().filter(|_| self.sink == Sink::File),
            },
            State::CreatingPartial { len } => {
                Action::CreatePartial { name: chosen_name(&self.name), len }
            }
            State::OpeningPartial { .. } => Action::OpenPartial { id: self.append().id },
            State::Writing { len } => Action::WriteUpload { len },
            State::Committing => Action::CommitUpload { digest: self.digest.as_deref() },
            State::Aborting { .. } => Action::AbortUpload,
            State::SendingContinue | State::Replying => Action::Send { more: false },
            State::Lab(state) => self.lab_action(state),
            State::Working { work } => Action::Work { work },
            State::ReportingStatus => Action::ReportStatus,
            State::FinishingSending => Action::FinishSending,
            State::Closing => Action::Close,
        }
    }

    /// Handles the result of the outstanding action.
    ///
    /// # Panics
    /// The completion is not one of the outstanding action.
    pub fn handle_completion(&mut self, io: &mut IoBuffers, done: Completion, now: Now) {
        let (from, event) = (Kind::of(self.state), Event::of(&done));
        self.complete(io, done, now);
        self.check_transition(from, event);
        self.decode_next(io, now);
    }

    fn complete(&mut self, io: &mut IoBuffers, done: Completion, now: Now) {
        match (self.state, done) {
            (State::Awaiting { begun }, Completion::Received { bytes: 0 }) => {
                self.peer_ended = true;
                self.decode(io, begun, now);
                // Complete requests are answered even after the peer's end; half a request is
                // dropped.
                if matches!(self.state, State::Awaiting { .. }) && !self.undecoded {
                    self.close();
                }
            }
            // The peer may have closed its sending side alone, and wait for the reply.
            (State::ReceivingBody, Completion::Received { bytes: 0 }) => {
                self.peer_ended = true;
                self.abandon_body(io, Refusal::Incomplete, now);
            }
            (State::Discarding { refusal }, Completion::Received { bytes: 0 }) => {
                self.peer_ended = true;
                self.persist = Persist::Close;
                self.refuse(io, refusal, now);
            }
            (State::Lingering { .. }, Completion::Received { bytes: 0 }) => self.close(),
            (State::Awaiting { begun }, Completion::Received { .. }) => {
                self.decode(io, begun, now);
            }
            (State::ReceivingBody, Completion::Received { bytes }) => {
                self.count_body_time(bytes as u64, now);
                self.read_body(io, now);
            }
            (State::ReceivingBody, Completion::Transferred { bytes, written }) => {
                self.count_body_time(bytes, now);
                self.transferred(io, bytes, written, now);
            }
            (State::Discarding { refusal }, Completion::Received { bytes }) => {
                self.count_body_time(bytes as u64, now);
                self.discard(io, refusal, now);
            }
            (State::Lingering { until }, Completion::Received { bytes }) => {
                io.input.clear();
                let time = self.time_after(bytes as u64, self.settings.timeouts.linger, now);
                self.linger(until, time, now);
            }

            (State::Opening, Completion::Opened(Ok(file))) => {
                let keeps = self.keeps();
                let part = self.codec.file(&mut io.output, &self.name, &file, keeps, now);
                self.note_reply(io);
                if part.is_empty() {
                    self.proceed(State::ClosingDownload);
                } else {
                    self.state = State::Sending { offset: part.start, end: part.end };
                    self.wait(self.settings.timeouts.stall, now);
                }
            }
            (State::Sending { offset, end }, Completion::FileSent(Ok(bytes))) => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.sent(bytes);
                }
                let offset = (offset + bytes).min(end);
                if offset == end {
                    self.proceed(State::ClosingDownload);
                } else {
                    self.state = State::Sending { offset, end };
                    self.wait(self.settings.timeouts.stall, now);
                }
            }
            (State::Sending { .. }, Completion::FileSent(Err(_))) => {
                self.close();
            }
            (State::ClosingDownload, Completion::DownloadClosed) => {
                self.send_reply(io, now);
            }
            (State::Listing, Completion::Listed(Ok(entries))) => {
                let settings = Arc::clone(&self.settings);
                let server_name = &settings.server_name;
                self.reply(io, &Reply::Listing { entries: &entries, server_name }, now);
            }

            (State::Creating { expects_continue }, Completion::Created(Ok(()))) => {
                self.uploading = true;
                self.ask_for_body(io, expects_continue, now);
            }
            (State::Creating { expects_continue }, Completion::Created(Err(error))) => {
                self.close_if_body_held_back(expects_continue);
                self.refuse(io, Refusal::Store(error), now);
            }
            (State::CreatingPartial { .. }, Completion::PartialCreated(Ok(id))) => {
                self.reply(io, &Reply::PartialCreated(id), now);
            }
            (
                State::OpeningPartial { inspects, expects_continue },
                Completion::PartialOpened(Ok(info)),
            ) => {
                self.uploading = true;
                let declared = std::mem::replace(&mut self.append_mut().info, info);
                if inspects {
                    self.proceed(State::Aborting { then: AfterAbort::Report });
                } else if let Some(refusal) = piece_refusal(declared, info, &self.body) {
                    self.close_if_body_held_back(expects_continue);
                    self.proceed(State::Aborting { then: AfterAbort::Refuse(refusal) });
                } else {
                    self.body.limit(info.len.saturating_sub(info.offset));
                    self.ask_for_body(io, expects_continue, now);
                }
            }
            (
                State::OpeningPartial { expects_continue, .. },
                Completion::PartialOpened(Err(error)),
            ) => {
                self.close_if_body_held_back(expects_continue);
                self.refuse(io, Refusal::Store(error), now);
            }
            (State::Writing { len }, Completion::Written(Ok(()))) => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.received(len);
                }
                match &mut self.sink {
                    Sink::File => self.body.consumed(len),
                    Sink::Form(form) => form.written(len),
                    Sink::Partial(append) => {
                        self.body.consumed(len);
                        append.info.offset += len as u64;
                    }
                    Sink::Message { .. } => unreachable!("a message is not written anywhere"),
                }
                self.read_body(io, now);
            }
            (State::Committing, Completion::Committed(Ok(stored))) => {
                self.uploading = false;
                self.stored(io, &stored, now);
            }
            (State::Writing { .. }, Completion::Written(Err(error)))
            | (State::Committing, Completion::Committed(Err(error))) => {
                self.abort(io, AfterAbort::Refuse(Refusal::Store(error)), now);
            }
            (State::Aborting { then }, Completion::Aborted(released)) => {
                self.uploading = false;
                // The reported offset must outlast a power cut.
                let then = match (then, released) {
                    (AfterAbort::Report, Err(error)) => AfterAbort::Refuse(Refusal::Store(error)),
                    (then, _) => then,
                };
                self.abort(io, then, now);
            }

            (State::CreatingPartial { .. }, Completion::PartialCreated(Err(error)))
            | (State::Opening, Completion::Opened(Err(error)))
            | (State::Listing, Completion::Listed(Err(error))) => {
                self.refuse(io, Refusal::Store(error), now);
            }
            (
                State::SendingContinue | State::Replying | State::Lab(LabState::Delivering),
                Completion::Sent,
            ) if !io.output.is_empty() => self.wait(self.settings.timeouts.stall, now),
            (State::SendingContinue, Completion::Sent) => self.read_body(io, now),
            (State::Replying, Completion::Sent) => self.replied(io, now),
            (State::FinishingSending, Completion::SendingFinished) => {
                let until = now.instant.checked_add(self.settings.timeouts.linger_total);
                self.linger(until, self.settings.timeouts.linger, now);
            }
            (State::ReportingStatus, Completion::StatusReported(status)) => {
                self.reply(io, &Reply::Status(&status), now);
            }
            (State::Working { .. }, Completion::Worked) => self.reply(io, &Reply::Worked, now),
            (State::Lab(state), done) => self.handle_lab_completion(io, state, done, now),
            (state, done) => panic!("{done:?} is no completion of {state:?}"),
        }
    }

    /// Most bytes that the driver may move from the socket straight to the current upload, in place
    /// of [`Action::Receive`] and while `io.input` is empty; 0 if it may not.
    pub fn direct_bytes(&self) -> u64 {
        match (self.state, &self.sink) {
            (State::ReceivingBody, Sink::File | Sink::Partial(_)) => self.body.left().unwrap_or(0),
            _ => 0,
        }
    }

    /// Time of the next [`handle_timeout`](Self::handle_timeout); `None` while the session waits
    /// for the store.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Handles the passing of time. Has no effect before [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, io: &mut IoBuffers, now: Now) {
        if self.deadline.is_none_or(|deadline| now.instant < deadline) {
            return;
        }
        let from = Kind::of(self.state);
        self.deadline = None;
        match self.state {
            State::Awaiting { begun: true }
                if self.codec.may_end_by_silence(&self.settings.service) =>
            {
                self.end_by_silence(io, now);
            }
            State::Awaiting { begun: true }
                if self.one_piece
                    && self.codec.may_be_name(io.input.filled(), &self.settings.service) =>
            {
                self.decode_until(io, true, true, now);
            }
            State::Awaiting { begun: true } => {
                self.codec.guess(io.input.filled(), &self.settings.service);
                self.persist = Persist::Close;
                self.name.clear();
                self.refuse(io, Refusal::TimedOut, now);
            }
            State::ReceivingBody => {
                self.persist = Persist::Close;
                self.abort(io, AfterAbort::Refuse(Refusal::TimedOut), now);
            }
            State::Discarding { refusal } => {
                self.persist = Persist::Close;
                self.refuse(io, refusal, now);
            }
            State::SendingContinue => self.abort(io, AfterAbort::Close, now),
            State::Awaiting { begun: false }
            | State::Sending { .. }
            | State::Replying
            | State::Lab(LabState::Delivering)
            | State::Lingering { .. } => self.close(),
            // The store has no deadline.
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
            | State::ReportingStatus
            | State::FinishingSending
            | State::Closing => {}
        }
        self.check_transition(from, Event::TimedOut);
        self.decode_next(io, now);
    }

    /// Finishes the current request, if any, and then closes. An idle session closes at once.
    pub fn begin_drain(&mut self) {
        self.draining = true;
        if self.is_idle() {
            self.close();
        }
    }

    /// Checks, in debug builds, that the current state may follow an event.
    fn check_transition(&self, from: Kind, event: Event) {
        let to = Kind::of(self.state);
        debug_assert!(
            transitions::is_listed(from, event, to),
            "{from:?} leads to {to:?} when {event:?}, which the table of transitions lacks"
        );
    }

    /// Returns true if the session waits for the first byte of a request, so that closing it loses
    /// nothing. After the name of an upload has been sent, it is not idle.
    pub fn is_idle(&self) -> bool {
        self.state == State::Awaiting { begun: false } && !self.codec.holds_upload_name()
    }

    /// Number of completely answered requests, successful or not.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The wire in use; `None` until it is known.
    pub fn wire(&self) -> Option<Wire> {
        self.codec.wire()
    }

    /// Enters a state that does not wait for the peer.
    fn proceed(&mut self, state: State) {
        self.state = state;
        self.deadline = None;
    }

    /// Sets the deadline for the next request. Members of a room have none.
    fn wait_for_request(&mut self, now: Now) {
        self.wait(self.settings.timeouts.idle, now);
        if self.settings.service == Service::Chat {
            self.deadline = None;
        }
    }

    /// Sets the deadline of the peer.
    fn wait(&mut self, duration: Duration, now: Now) {
        self.deadline = now.instant.checked_add(duration);
    }

    /// Sets the deadline for the next bytes of a body.
    fn wait_for_body(&mut self, now: Now) {
        self.wait(self.body_time, now);
    }

    /// Counts the time that the peer took for some bytes of a body, and the time they add.
    fn count_body_time(&mut self, bytes: u64, now: Now) {
        self.body_time = self.time_after(bytes, self.settings.timeouts.stall, now);
    }

    /// Time left until the deadline, and the time that some bytes add at the least rate, up to `most`.
    fn time_after(&self, bytes: u64, most: Duration, now: Now) -> Duration {
        let left = self.deadline.map_or(most, |at| at.saturating_duration_since(now.instant));
        let added = match self.settings.timeouts.body_rate {
            0 => most,
            rate => Duration::from_micros(bytes.saturating_mul(1_000_000) / rate),
        };
        left.saturating_add(added).min(most)
    }

    /// Discards for some time what arrives, because closing the socket now would reset the
    /// connection, and a reset could destroy the last reply.
    fn linger(&mut self, until: Option<Instant>, time: Duration, now: Now) {
        self.state = State::Lingering { until };
        self.wait(time, now);
        self.deadline = match (self.deadline, until) {
            (Some(deadline), Some(until)) => Some(deadline.min(until)),
            (deadline, until) => deadline.or(until),
        };
    }

    fn close(&mut self) {
        self.proceed(State::Closing);
    }
}

/// The name, unless the server is to choose a random one.
fn chosen_name(name: &FileName) -> Option<&FileName> {
    (!name.as_str().is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_stays_small() {
        let bytes = size_of::<Session>();
        assert!(bytes < 250, "{bytes} bytes");
    }
}
