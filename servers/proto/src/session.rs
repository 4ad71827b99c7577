//! One connection's state machine.

mod service;
mod upload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::exchange::{Decoded, Persist, Reply, Request, Sink};
use crate::refusal::Refusal;
use crate::wire::Codec;
use crate::wire::body::{Body, Part};
use crate::{
    Action, Completion, Digest, FileName, IoBuffers, Notice, Now, Service, Settings, Wire, Work,
};
use service::LabState;
use upload::{misfit, stored_names};

/// How many bytes of a refused upload, and of a lingering close, are skipped at most.
const SKIPPED_BYTES: u64 = 1 << 20;

/// One connection's state machine.
///
/// # The contract with drivers
///
/// - A driver asks [`poll_action`](Self::poll_action), performs the [`Action`], hands its
///   [`Completion`] to [`handle_completion`](Self::handle_completion), and asks again, until
///   [`Action::Close`]. Exactly one action is outstanding; asking again before it is completed
///   gives the same one. The same buffers' content is lent to every call; buffers that are both
///   empty may be exchanged for others.
/// - [`Action::Receive`] is asked only while `io.input` has spare room: a full buffer has been
///   grown. [`Action::SendFile`] sends what is left in `io.output` first, and at least one byte of
///   the range is left whenever it is asked. [`Action::Send`] always has something to send.
/// - [`Action::CloseDownload`] follows every download that was sent as far as it was promised. An
///   [`Action::Close`] while one is open cuts it off: the driver resets the connection, so that
///   the peer does not take what it got for the whole.
/// - [`Action::AbortUpload`] follows every upload that was created or opened and not committed
///   (also where committing failed), before the session turns to another request or closes. A
///   driver that drops a session after its connection broke lets go of both by itself.
/// - [`handle_timeout`](Self::handle_timeout) and [`begin_drain`](Self::begin_drain) may withdraw
///   the outstanding action: ask anew after either. What came of a withdrawn action isn't told.
///   Only actions that wait for the peer are ever withdrawn.
/// - After [`LabAction::JoinRoom`](crate::LabAction::JoinRoom), other members' messages are handed
///   to [`handle_mail`](Self::handle_mail) while the session [`takes_mail`](Self::takes_mail).
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    codec: Codec,
    state: State,
    /// What the present request is about; empty for an upload without a name.
    name: FileName,
    /// What is still to come of the present request's body.
    body: Body,
    /// What becomes of it.
    sink: Sink,
    /// What the content of an upload must hash to.
    digest: Option<Box<Digest>>,
    /// There is a current upload.
    uploading: bool,
    persist: Persist,
    draining: bool,
    /// What has come of a request came in one piece, of more than one byte: no person types so.
    one_piece: bool,
    /// The peer sends nothing more.
    peer_ended: bool,
    /// The input may begin with another request, and was not searched for it.
    undecoded: bool,
    deadline: Option<Instant>,
    requests: u64,
}

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
enum State {
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

/// What follows once an upload is let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// There is nobody left to be told.
    Close,
    Refuse(Refusal),
    /// The peer is told how far a resumable upload has got.
    Report,
}

impl Session {
    /// A session for a connection accepted now.
    pub fn new(settings: Arc<Settings>, now: Now) -> Self {
        let state = service::first_state(&settings.service);
        let waits = matches!(state, State::Awaiting { .. });
        let deadline = now.instant.checked_add(settings.timeouts.idle).filter(|_| waits);
        Self {
            codec: Codec::new(&settings),
            settings,
            state,
            name: FileName::default(),
            body: Body::EMPTY,
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
        }
    }

    /// The next operation for the driver; the same one until its completion is handed in.
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
                name: given(&self.name),
                size_hint: self.body.left().filter(|_| self.sink == Sink::File),
            },
            State::CreatingPartial { len } => {
                Action::CreatePartial { name: given(&self.name), len }
            }
            State::OpeningPartial { .. } => Action::OpenPartial { id: self.append().id },
            State::Writing { len } => Action::WriteUpload { len },
            State::Committing => Action::CommitUpload { digest: self.digest.as_deref() },
            State::Aborting { .. } => Action::AbortUpload,
            State::Inviting | State::Replying => Action::Send { more: false },
            State::Lab(state) => self.lab_action(state),
            State::Working { work } => Action::Work { work },
            State::FinishingSending => Action::FinishSending,
            State::Closing => Action::Close,
        }
    }

    /// Takes in what came of the outstanding action.
    ///
    /// # Panics
    /// If the completion is not one of the outstanding action.
    pub fn handle_completion(&mut self, io: &mut IoBuffers, done: Completion, now: Now) {
        match (self.state, done) {
            (State::Awaiting { begun }, Completion::Received { bytes: 0 }) => {
                self.peer_ended = true;
                self.decode(io, begun, now);
                self.decode_next(io, now);
                // What the peer asked for before its end it still gets; half a request is none.
                if let State::Awaiting { .. } = self.state {
                    self.close();
                }
            }
            (State::ReceivingBody, Completion::Received { bytes: 0 }) => {
                self.peer_ended = true;
                self.abort(io, Then::Close, now);
            }
            (
                State::Discarding { .. } | State::Lingering { .. },
                Completion::Received { bytes: 0 },
            ) => self.close(),
            (State::Awaiting { begun }, Completion::Received { .. }) => {
                self.decode(io, begun, now);
            }
            (State::ReceivingBody, Completion::Received { .. }) => self.read_body(io, now),
            (State::Discarding { refusal }, Completion::Received { .. }) => {
                self.discard(io, refusal, now);
            }
            (State::Lingering { budget }, Completion::Received { .. }) => {
                let received = io.input.len() as u64;
                io.input.clear();
                match budget.checked_sub(received) {
                    Some(budget) => self.state = State::Lingering { budget },
                    None => self.close(),
                }
            }

            (State::Opening, Completion::Opened(Ok(file))) => {
                let keeps = self.keeps();
                let part = self.codec.file(&mut io.output, &self.name, &file, keeps, now);
                if part.is_empty() {
                    self.proceed(State::ClosingDownload);
                } else {
                    self.state = State::Sending { offset: part.start, end: part.end };
                    self.wait(self.settings.timeouts.stall, now);
                }
            }
            (State::Sending { offset, end }, Completion::FileSent(Ok(bytes))) => {
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
                self.forgo_held_back_body(expects_continue);
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
                let asked = std::mem::replace(&mut self.append_mut().info, info);
                if inspects {
                    self.proceed(State::Aborting { then: Then::Report });
                } else if let Some(misfit) = misfit(asked, info, &self.body) {
                    self.forgo_held_back_body(expects_continue);
                    self.proceed(State::Aborting { then: Then::Refuse(misfit) });
                } else {
                    self.body.limit(info.len.saturating_sub(info.offset));
                    self.ask_for_body(io, expects_continue, now);
                }
            }
            (
                State::OpeningPartial { expects_continue, .. },
                Completion::PartialOpened(Err(error)),
            ) => {
                self.forgo_held_back_body(expects_continue);
                self.refuse(io, Refusal::Store(error), now);
            }
            (State::Writing { len }, Completion::Written(Ok(()))) => {
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
                self.abort(io, Then::Refuse(Refusal::Store(error)), now);
            }
            (State::Aborting { then }, Completion::Aborted) => {
                self.uploading = false;
                self.abort(io, then, now);
            }

            (State::CreatingPartial { .. }, Completion::PartialCreated(Err(error)))
            | (State::Opening, Completion::Opened(Err(error)))
            | (State::Listing, Completion::Listed(Err(error))) => {
                self.refuse(io, Refusal::Store(error), now);
            }
            (
                State::Inviting | State::Replying | State::Lab(LabState::Delivering),
                Completion::Sent,
            ) if !io.output.is_empty() => self.wait(self.settings.timeouts.stall, now),
            (State::Inviting, Completion::Sent) => self.read_body(io, now),
            (State::Replying, Completion::Sent) => self.replied(io, now),
            (State::FinishingSending, Completion::SendingFinished) => {
                self.state = State::Lingering { budget: SKIPPED_BYTES };
                self.wait(self.settings.timeouts.linger, now);
            }
            (State::Working { .. }, Completion::Worked) => self.reply(io, &Reply::Worked, now),
            (State::Lab(state), done) => self.handle_lab_completion(io, state, done, now),
            (state, done) => panic!("{done:?} is no completion of {state:?}"),
        }
        self.decode_next(io, now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` while the session
    /// waits for the store rather than for its peer.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Tells that time has passed. Does nothing before the instant of
    /// [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, io: &mut IoBuffers, now: Now) {
        if self.deadline.is_none_or(|deadline| now.instant < deadline) {
            return;
        }
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
                self.abort(io, Then::Refuse(Refusal::TimedOut), now);
            }
            State::Discarding { refusal } => {
                self.persist = Persist::Close;
                self.refuse(io, refusal, now);
            }
            State::Inviting => self.abort(io, Then::Close, now),
            State::Awaiting { begun: false }
            | State::Sending { .. }
            | State::Replying
            | State::Lab(LabState::Delivering)
            | State::Lingering { .. } => self.close(),
            // These wait for the store and have no deadline.
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
            | State::FinishingSending
            | State::Closing => {}
        }
        self.decode_next(io, now);
    }

    /// Finishes the request in progress, if any, and then closes; an idle session closes at once.
    pub fn begin_drain(&mut self) {
        self.draining = true;
        if self.is_idle() {
            self.close();
        }
    }

    /// Whether the session waits for the first byte of a request: closing it now loses nothing.
    /// An upload whose name was announced counts as begun.
    pub fn is_idle(&self) -> bool {
        self.state == State::Awaiting { begun: false } && !self.codec.is_between()
    }

    /// How many requests were answered completely, successfully or not.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The wire in use, once it is known.
    pub fn wire(&self) -> Option<Wire> {
        self.codec.wire()
    }

    /// Searches the input as long as requests are complete without any action. This is a loop:
    /// a peer can send so many of them at once that recursion would overflow the stack.
    fn decode_next(&mut self, io: &mut IoBuffers, now: Now) {
        while std::mem::take(&mut self.undecoded) {
            self.decode(io, false, now);
        }
    }

    /// Looks for the next request in the input.
    fn decode(&mut self, io: &mut IoBuffers, was_begun: bool, now: Now) {
        self.decode_until(io, was_begun, self.peer_ended, now);
    }

    /// The same; at the `end` what has come is taken for whole.
    fn decode_until(&mut self, io: &mut IoBuffers, was_begun: bool, end: bool, now: Now) {
        let settings = &*self.settings;
        match self.codec.decode(&mut io.input, &mut self.name, settings, end) {
            Decoded::Incomplete => {
                let begun = !io.input.is_empty();
                self.state = State::Awaiting { begun };
                match (was_begun, begun) {
                    // Each piece of a line begins its silence anew.
                    (_, true) if self.codec.may_end_by_silence(&self.settings.service) => {
                        self.wait(self.settings.timeouts.quiet, now);
                    }
                    (false, true) => {
                        let input = io.input.filled();
                        self.one_piece = input.len() > 1
                            && self.codec.may_be_name(input, &self.settings.service);
                        let timeouts = &self.settings.timeouts;
                        let patience = match self.one_piece {
                            true => timeouts.head.min(timeouts.quiet_name),
                            false => timeouts.head,
                        };
                        self.wait(patience, now);
                    }
                    // There is more to the name than that piece.
                    (true, true) if std::mem::take(&mut self.one_piece) => {
                        self.wait(self.settings.timeouts.head, now);
                    }
                    // What had come turned out to be no request: an empty line, a telnet command.
                    (true, false) => self.wait_for_request(now),
                    (false, false) | (true, true) => {}
                }
            }
            Decoded::Request { request, persist } => {
                self.persist = persist;
                self.begin(io, request, now);
            }
            Decoded::Refused { refusal, body, persist } => {
                self.persist = persist;
                self.body = body;
                self.name.clear();
                self.refuse(io, refusal, now);
            }
        }
    }

    /// Starts the exchange that a request asks for.
    fn begin(&mut self, io: &mut IoBuffers, request: Request, now: Now) {
        self.body = Body::EMPTY;
        match request {
            Request::Announce => self.reply(io, &Reply::Announced, now),
            Request::Download => self.proceed(State::Opening),
            Request::List => {
                self.name.clear();
                self.proceed(State::Listing);
            }
            Request::Options => {
                let upload_bytes = self.settings.limits.upload_bytes;
                self.reply(io, &Reply::Options { upload_bytes }, now);
            }
            Request::Upload { sink, body, expects_continue, digest } => {
                (self.sink, self.body, self.digest) = (sink, body, digest);
                if let Sink::Message { .. } = self.sink {
                    return self.begin_message(io, expects_continue, now);
                }
                if body.left().is_some_and(|left| left > self.settings.limits.upload_bytes) {
                    self.forgo_held_back_body(expects_continue);
                    return self.refuse(io, Refusal::TooLarge, now);
                }
                match self.sink {
                    Sink::File => self.proceed(State::Creating { expects_continue }),
                    Sink::Form(_) | Sink::Message { .. } => {
                        self.ask_for_body(io, expects_continue, now);
                    }
                    Sink::Partial(_) => {
                        self.proceed(State::OpeningPartial { inspects: false, expects_continue });
                    }
                }
            }
            Request::CreatePartial { len } => self.proceed(State::CreatingPartial { len }),
            Request::InspectPartial { append } => {
                self.sink = Sink::Partial(append);
                self.proceed(State::OpeningPartial { inspects: true, expects_continue: false });
            }
            Request::Work(work) => self.proceed(State::Working { work }),
        }
    }

    /// Skips what is at hand of a refused body, and refuses when all of it is skipped.
    fn discard(&mut self, io: &mut IoBuffers, refusal: Refusal, now: Now) {
        if let Part::Content(len) = self.body.next(&mut io.input, 0) {
            io.input.consume(len);
            self.body.consumed(len);
        }
        if self.body == Body::EMPTY {
            let stored = stored_names(&self.sink);
            let reply = Reply::Refused { refusal, name: &self.name, stored };
            self.codec.reply(&mut io.output, &reply, self.keeps(), now);
            self.send_reply(io, now);
        } else {
            self.state = State::Discarding { refusal };
            self.wait(self.settings.timeouts.stall, now);
        }
    }

    /// Answers with an error, after the rest of the request is skipped where that keeps the
    /// connection usable at a bounded cost.
    fn refuse(&mut self, io: &mut IoBuffers, refusal: Refusal, now: Now) {
        match &mut self.sink {
            Sink::Form(form) => self.body.put_back(form.release()),
            Sink::Message { .. } => self.drop_message(io),
            Sink::File | Sink::Partial(_) => {}
        }
        if self.body.left().is_none_or(|left| left > SKIPPED_BYTES) {
            self.persist = Persist::Close;
        }
        if self.persist == Persist::Close {
            self.body = Body::EMPTY;
        }
        self.discard(io, refusal, now);
    }

    /// After a refusal, a peer that was to be told when to send its body may send it or not:
    /// nobody can tell what its next bytes are.
    fn forgo_held_back_body(&mut self, expects_continue: bool) {
        if expects_continue && self.body != Body::EMPTY {
            self.persist = Persist::Close;
        }
    }

    /// Lets go of the current upload, if there is one, before whatever comes `then`.
    fn abort(&mut self, io: &mut IoBuffers, then: Then, now: Now) {
        if self.uploading {
            return self.proceed(State::Aborting { then });
        }
        match then {
            Then::Close => self.close(),
            Then::Refuse(refusal) => self.refuse(io, refusal, now),
            Then::Report => {
                let info = self.append().info;
                self.reply(io, &Reply::Partial(info), now);
            }
        }
    }

    fn reply(&mut self, io: &mut IoBuffers, reply: &Reply<'_>, now: Now) {
        self.codec.reply(&mut io.output, reply, self.keeps(), now);
        self.send_reply(io, now);
    }

    /// Sends what is left of the reply.
    fn send_reply(&mut self, io: &mut IoBuffers, now: Now) {
        if io.output.is_empty() {
            self.replied(io, now);
        } else {
            self.state = State::Replying;
            self.wait(self.settings.timeouts.stall, now);
        }
    }

    /// The request is answered: on to the next, or to the end.
    fn replied(&mut self, io: &mut IoBuffers, now: Now) {
        if self.settings.service == Service::Hello
            && let Sink::Message { .. } = self.sink
        {
            return self.proceed(State::Lab(LabState::ShowingNotice(Notice::SentBack)));
        }
        self.finish_request(io, now);
    }

    /// Nothing is left to be done about the request.
    fn finish_request(&mut self, io: &mut IoBuffers, now: Now) {
        self.requests += 1;
        (self.sink, self.digest) = (Sink::File, None);
        if self.keeps() {
            self.state = State::Awaiting { begun: false };
            self.wait_for_request(now);
            self.undecoded = true;
        } else if self.peer_ended || (self.persist == Persist::PeerCloses && io.input.is_empty()) {
            self.close();
        } else {
            io.input.clear();
            self.proceed(State::FinishingSending);
        }
    }

    /// Whether another request may follow the present one.
    fn keeps(&self) -> bool {
        self.persist == Persist::Keep && !self.draining
    }

    /// Enters a state that waits for nothing that the peer does.
    fn proceed(&mut self, state: State) {
        self.state = state;
        self.deadline = None;
    }

    /// Gives the peer its time between requests. Members of a room may listen for as long as they
    /// like.
    fn wait_for_request(&mut self, now: Now) {
        self.wait(self.settings.timeouts.idle, now);
        if self.settings.service == Service::Chat {
            self.deadline = None;
        }
    }

    /// Gives the peer so long from now.
    fn wait(&mut self, duration: Duration, now: Now) {
        self.deadline = now.instant.checked_add(duration);
    }

    fn close(&mut self) {
        self.proceed(State::Closing);
    }
}

/// A name, unless it is to be chosen at random.
fn given(name: &FileName) -> Option<&FileName> {
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
