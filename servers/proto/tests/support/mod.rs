//! A driver without sockets, files or a clock. It performs a session's actions in memory and checks
//! at each step that the session keeps its contract.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test uses its part")]

pub mod case;
pub mod replies;
mod store;
pub mod transcript;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fileserver_proto::{
    Action, Completion, IoBuffers, LabAction, LabCompletion, Notice, Now, Service, Session,
    Settings, StoreError, Wire, WirePin, Work,
};

pub use store::{Faults, MemoryStore, Partial, digest_of};

/// The date that every http reply carries at the start of a conversation.
pub const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const DATE_UNIX_S: u64 = 784_111_777;

/// Limit of actions for each byte received or sent; a session that exceeds it does not come to an
/// end.
const ACTIONS_PER_BYTE: usize = 8;

/// A session, its peer's bytes on the way, and its store.
pub struct Conversation {
    pub session: Session,
    pub store: MemoryStore,
    /// Everything the session sent.
    pub output: Vec<u8>,
    /// The session closed the connection.
    pub closed: bool,
    /// The session closed during a download: the peer sees a reset.
    pub cut_off: bool,
    /// The session has shut down its sending side.
    pub finished_sending: bool,
    /// Notices shown to the operator.
    pub console: Vec<String>,
    /// Messages about which lines were stored.
    pub logged: Vec<String>,
    /// Storing a line fails.
    pub log_fails: bool,
    /// Messages posted to the other members of the room.
    pub posted: Vec<String>,
    pub worked: Vec<Work>,
    joined: bool,
    /// Members of a room have no idle timeout.
    listens: bool,
    /// Most bytes sent at a time.
    pub send_bytes: usize,
    /// The driver moves the rest of a body straight to its file where it may.
    pub transfers: bool,
    /// Number of bytes after which the peer reads no more.
    pub blocked_after: Option<usize>,
    downloading: bool,
    io: IoBuffers,
    arrived: VecDeque<Vec<u8>>,
    ended: bool,
    now: Now,
    start: Now,
    actions: usize,
    actions_allowed: usize,
}

/// Result of a whole conversation, as its peer and the store see it.
#[derive(PartialEq, Eq)]
pub struct Outcome {
    pub output: Vec<u8>,
    pub store: MemoryStore,
    pub requests: u64,
    pub wire: Option<Wire>,
    pub console: Vec<String>,
    pub logged: Vec<String>,
    pub posted: Vec<String>,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} requests by {:?}, answered by", self.requests, self.wire)?;
        writeln!(f, "{}", self.output.escape_ascii())?;
        for (name, content) in &self.store.files {
            writeln!(f, "{name}: {}", content.escape_ascii())?;
        }
        writeln!(f, "{:?} {:?} {:?}", self.console, self.logged, self.posted)?;
        writeln!(f, "{} aborted of {:?}", self.store.aborted, self.store.size_hints)
    }
}

pub fn pinned(wire: Wire) -> Settings {
    Settings { wire: WirePin::Pinned(wire), ..Settings::default() }
}

impl Conversation {
    pub fn new(settings: Settings, store: MemoryStore) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an instant can't be made up; it only moves on"
        )]
        let now = Now { instant: Instant::now(), unix_s: DATE_UNIX_S };
        let listens = settings.service == Service::Chat;
        Self {
            session: Session::new(Arc::new(settings), now),
            store,
            output: Vec::new(),
            closed: false,
            cut_off: false,
            finished_sending: false,
            console: Vec::new(),
            logged: Vec::new(),
            log_fails: false,
            posted: Vec::new(),
            worked: Vec::new(),
            joined: false,
            listens,
            send_bytes: usize::MAX,
            transfers: false,
            blocked_after: None,
            downloading: false,
            io: IoBuffers::with_capacity(64, 64),
            arrived: VecDeque::new(),
            ended: false,
            now,
            start: now,
            actions: 0,
            actions_allowed: 100,
        }
    }

    /// A conversation with room to receive `bytes` bytes at once.
    pub fn with_room(settings: Settings, store: MemoryStore, bytes: usize) -> Self {
        Self { io: IoBuffers::with_capacity(bytes, 64), ..Self::new(settings, store) }
    }

    /// Outcome of the whole conversation with a peer that sends these pieces and then ends its
    /// stream.
    pub fn outcome<'a>(
        settings: Settings,
        store: MemoryStore,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Outcome {
        Self::new(settings, store).outcome_of(pieces)
    }

    /// The same of this conversation.
    pub fn outcome_of<'a>(mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        for piece in pieces {
            self.deliver(piece);
        }
        self.end();
        assert!(self.closed, "a session closes after its peer has");
        Outcome {
            requests: self.session.requests(),
            wire: self.session.wire(),
            console: self.console,
            logged: self.logged,
            posted: self.posted,
            output: self.output,
            store: self.store,
        }
    }

    /// Delivers a piece of the peer's bytes; the session runs until it needs more.
    pub fn deliver(&mut self, bytes: &[u8]) -> &mut Self {
        assert!(!bytes.is_empty(), "an empty piece would be the end of the stream");
        self.arrived.push_back(bytes.to_owned());
        self.actions_allowed += bytes.len() * ACTIONS_PER_BYTE;
        self.run()
    }

    /// Ends the peer's stream.
    pub fn end(&mut self) -> &mut Self {
        self.ended = true;
        self.run()
    }

    /// Lets time pass, with all its timeouts.
    pub fn pass(&mut self, duration: Duration) -> &mut Self {
        let target = self.now.instant + duration;
        while let Some(deadline) = self.session.poll_timeout().filter(|&at| at <= target)
            && !self.closed
        {
            self.set_time(deadline);
            self.session.handle_timeout(&mut self.io, self.now);
            assert_ne!(self.session.poll_timeout(), Some(deadline), "a deadline is met once");
            self.run();
        }
        self.set_time(target);
        self.session.handle_timeout(&mut self.io, self.now);
        self.run()
    }

    /// Hands over another member's message.
    pub fn mail(&mut self, message: &[u8]) -> &mut Self {
        self.actions_allowed += message.len() * ACTIONS_PER_BYTE + 10;
        self.run();
        if !self.closed && self.session.takes_mail() {
            self.session.handle_mail(&mut self.io, message, self.now);
        }
        self.run()
    }

    /// Reports that the mailbox has overflowed.
    pub fn evict(&mut self) -> &mut Self {
        self.session.handle_eviction(&mut self.io, self.now);
        self.run()
    }

    pub fn drain(&mut self) -> &mut Self {
        self.session.begin_drain();
        self.run()
    }

    /// Output since the last call.
    pub fn take_output(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.output)).into_owned()
    }

    fn set_time(&mut self, instant: Instant) {
        let elapsed = instant - self.start.instant;
        self.now = Now { instant, unix_s: self.start.unix_s + elapsed.as_secs() };
    }

    /// Performs actions until one must wait for the peer.
    fn run(&mut self) -> &mut Self {
        while !self.closed && self.step() {
            self.actions += 1;
            assert!(self.actions <= self.actions_allowed, "{} actions", self.actions);
        }
        self
    }

    fn step(&mut self) -> bool {
        let first = format!("{:?}", self.session.poll_action(&mut self.io));
        let held = self.io.input.len();
        let deadline = self.session.poll_timeout();
        let action = self.session.poll_action(&mut self.io);
        assert_eq!(first, format!("{action:?}"), "the same action until it is completed");
        let waits_for_peer =
            matches!(action, Action::Receive | Action::Send { .. } | Action::SendFile { .. });
        if !(self.listens && action == Action::Receive) {
            assert_eq!(deadline.is_some(), waits_for_peer, "the deadline of {action:?}");
        }

        let done = match action {
            Action::Receive => {
                let room = self.io.input.spare();
                assert!(!room.is_empty(), "room to receive into");
                let Some(mut piece) = self.arrived.pop_front() else {
                    if !self.ended {
                        return false;
                    }
                    self.session.handle_completion(
                        &mut self.io,
                        Completion::Received { bytes: 0 },
                        self.now,
                    );
                    return true;
                };
                // As a driver does that moves the rest of a body straight to its file.
                let direct = piece.len().min(self.session.direct_bytes() as usize);
                if self.transfers && held == 0 && direct > 0 {
                    let rest = piece.split_off(direct);
                    if !rest.is_empty() {
                        self.arrived.push_front(rest);
                    }
                    let done = Completion::Transferred {
                        bytes: direct as u64,
                        written: self.store.write(&piece),
                    };
                    self.session.handle_completion(&mut self.io, done, self.now);
                    return true;
                }
                let bytes = piece.len().min(room.len());
                room[..bytes].copy_from_slice(&piece[..bytes]);
                if bytes < piece.len() {
                    self.arrived.push_front(piece.split_off(bytes));
                }
                self.io.input.commit(bytes);
                Completion::Received { bytes }
            }
            Action::Send { .. } => {
                assert!(!self.io.output.is_empty(), "something to send");
                if self.room() == 0 {
                    return false;
                }
                self.send_output();
                Completion::Sent
            }
            Action::SendFile { offset, len } => {
                assert!(len > 0, "something of the file to send");
                if self.room() == 0 {
                    return false;
                }
                if !self.io.output.is_empty() {
                    self.send_output();
                    Completion::FileSent(Ok(0))
                } else {
                    let len = len.min(self.room() as u64);
                    Completion::FileSent(self.store.read(offset, len).map(|content| {
                        self.output.extend_from_slice(&content);
                        self.actions_allowed += content.len() * ACTIONS_PER_BYTE;
                        len
                    }))
                }
            }
            Action::OpenDownload { name } => {
                let opened = self.store.open(name);
                self.downloading = opened.is_ok();
                Completion::Opened(opened)
            }
            Action::CloseDownload => {
                self.store.close();
                self.downloading = false;
                Completion::DownloadClosed
            }
            Action::CreateUpload { name, size_hint } => {
                Completion::Created(self.store.create(name, size_hint))
            }
            Action::WriteUpload { len } => {
                assert!((1..=held).contains(&len), "{len} of {held} bytes to write");
                let written = self.store.write(&self.io.input.filled()[..len]);
                if written.is_ok() {
                    self.io.input.consume(len);
                }
                Completion::Written(written)
            }
            Action::CreatePartial { name, len } => {
                Completion::PartialCreated(self.store.create_partial(name, len))
            }
            Action::OpenPartial { id } => Completion::PartialOpened(self.store.open_partial(id)),
            Action::CommitUpload { digest } => Completion::Committed(self.store.commit(digest)),
            Action::AbortUpload => Completion::Aborted(self.store.abort()),
            Action::ListFiles => Completion::Listed(self.store.list()),
            Action::Lab(action) => Completion::Lab(self.perform_lab(action)),
            Action::Work { work } => {
                self.worked.push(work);
                Completion::Worked
            }
            Action::ReportStatus => Completion::StatusReported("{}".into()),
            Action::FinishSending => {
                assert!(self.io.output.is_empty(), "nothing is left to send");
                self.finished_sending = true;
                Completion::SendingFinished
            }
            Action::Close => {
                if self.downloading {
                    self.store.close();
                    self.cut_off = true;
                }
                self.store.assert_nothing_is_held();
                self.closed = true;
                return true;
            }
        };
        self.session.handle_completion(&mut self.io, done, self.now);
        true
    }

    fn perform_lab(&mut self, action: LabAction) -> LabCompletion {
        match action {
            LabAction::ShowNotice { notice, len } => {
                assert!(len == 0 || notice != Notice::Connected, "nobody has said anything yet");
                let mut line = String::new();
                let peer = "192.0.2.1:4711".parse().ok();
                notice.write(&mut line, peer, &self.io.input.filled()[..len]).unwrap();
                self.console.push(line);
                LabCompletion::NoticeShown
            }
            LabAction::LogMessage { len } => {
                let message = String::from_utf8_lossy(&self.io.input.filled()[..len]);
                self.logged.push(message.into_owned());
                LabCompletion::Logged(match self.log_fails {
                    true => Err(StoreError::Full),
                    false => Ok(()),
                })
            }
            LabAction::JoinRoom => {
                assert!(!self.joined, "a session joins once");
                self.joined = true;
                LabCompletion::Joined
            }
            LabAction::PostMessage { len } => {
                assert!(self.joined && len > 0, "a member posts something");
                let message = String::from_utf8_lossy(&self.io.input.filled()[..len]);
                self.posted.push(message.into_owned());
                LabCompletion::Posted
            }
        }
    }

    /// Number of bytes that the peer takes now.
    fn room(&self) -> usize {
        let room = self.blocked_after.map_or(usize::MAX, |after| after - self.output.len());
        room.min(self.send_bytes)
    }

    fn send_output(&mut self) {
        assert!(!self.finished_sending, "nothing is sent after the end");
        let len = self.io.output.len().min(self.room());
        self.output.extend_from_slice(&self.io.output.filled()[..len]);
        self.io.output.consume(len);
        self.actions_allowed += len * ACTIONS_PER_BYTE;
    }
}
