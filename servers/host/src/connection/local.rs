//! Actions that need no socket, common to all strategies.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::task::Waker;
use std::time::Instant;

use fileserver_proto::service::harmless;
use fileserver_proto::{Action, Completion, IoBuffers, LabAction, LabCompletion, StoreError};

use super::work;
use crate::lab::room::Membership;
use crate::server::send_path::SentBytes;
use crate::server::state::{ServerState, now};
use crate::server::status::status;
use crate::store::{Download, Upload};

/// State of a connection besides its session and its socket.
#[derive(Debug, Default)]
pub(crate) struct Local {
    pub(crate) download: Option<Download>,
    /// Bytes of files sent, counted by the driver of the socket.
    pub(crate) sent: SentBytes,
    /// Bytes of uploads written.
    pub(crate) received: u64,
    pub(crate) upload: Option<Upload>,
    /// Membership of the chat room, once it has joined.
    pub(super) membership: Option<Box<Membership>>,
}

/// Result of an action.
pub(crate) enum Performed {
    /// Completed; this many body bytes were written.
    Done(Completion, u64),
    /// To be performed by the driver of the socket.
    Socket(SocketAction),
}

/// Action that needs the socket; see the session's [`Action`] of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketAction {
    Receive,
    Send { more: bool },
    SendFile { offset: u64, len: u64 },
    FinishSending,
    Close,
}

impl Local {
    /// Performs an action, unless it needs the socket. `waker` makes the connection's waker when it
    /// joins the chat room.
    pub(crate) fn perform(
        &mut self,
        action: &Action<'_>,
        server: &ServerState,
        io: &mut IoBuffers,
        socket: BorrowedFd<'_>,
        waker: impl FnOnce() -> Waker,
    ) -> Performed {
        let mut moved = 0;
        let done = match *action {
            Action::Receive => return Performed::Socket(SocketAction::Receive),
            Action::Send { more } => return Performed::Socket(SocketAction::Send { more }),
            Action::SendFile { offset, len } => {
                return Performed::Socket(SocketAction::SendFile { offset, len });
            }
            Action::FinishSending => return Performed::Socket(SocketAction::FinishSending),
            Action::Close => return Performed::Socket(SocketAction::Close),
            Action::OpenDownload { name } => {
                Completion::Opened(server.store.open_download(name).map(|download| {
                    let description = download.description();
                    self.download = Some(download);
                    description
                }))
            }
            Action::CloseDownload => {
                self.download = None;
                Completion::DownloadClosed
            }
            Action::CreateUpload { name, size_hint } => {
                Completion::Created(server.store.create_upload(name, size_hint).map(|upload| {
                    self.upload = Some(upload);
                }))
            }
            Action::WriteUpload { len } => {
                moved = len as u64;
                let written = match &mut self.upload {
                    Some(upload) => upload.write(&io.input.filled()[..len]),
                    None => Err(StoreError::Failed),
                };
                if written.is_ok() {
                    self.received += len as u64;
                    io.input.consume(len);
                }
                Completion::Written(written)
            }
            Action::CreatePartial { name, len } => {
                Completion::PartialCreated(server.store.create_partial(name, len))
            }
            Action::OpenPartial { id } => {
                Completion::PartialOpened(server.store.open_partial(id).map(|(upload, info)| {
                    self.upload = Some(upload);
                    info
                }))
            }
            Action::CommitUpload { digest } => Completion::Committed(match self.upload.take() {
                Some(upload) => upload.commit(digest),
                None => Err(StoreError::Failed),
            }),
            Action::AbortUpload => {
                Completion::Aborted(self.upload.take().map_or(Ok(()), Upload::release))
            }
            Action::ListFiles => Completion::Listed(server.store.list()),
            Action::Lab(action) => {
                Completion::Lab(self.perform_lab(action, server, io, socket, waker))
            }
            Action::ReportStatus => Completion::StatusReported(status(server).into()),
            Action::Work { work } => {
                work::perform(work);
                Completion::Worked
            }
        };
        Performed::Done(done, moved)
    }

    /// Performs a lab service's action.
    fn perform_lab(
        &mut self,
        action: LabAction,
        server: &ServerState,
        io: &IoBuffers,
        socket: BorrowedFd<'_>,
        waker: impl FnOnce() -> Waker,
    ) -> LabCompletion {
        match action {
            LabAction::ShowNotice { notice, len } => {
                if server.console.is_shown() {
                    server.console.show(notice, peer(socket), &io.input.filled()[..len]);
                }
                LabCompletion::NoticeShown
            }
            LabAction::LogMessage { len } => {
                let message = &io.input.filled()[..len];
                LabCompletion::Logged(server.store.log(now(), peer(socket), message))
            }
            LabAction::JoinRoom => {
                self.membership = Some(Box::new(server.room.join(waker())));
                LabCompletion::Joined
            }
            LabAction::PostMessage { len } => {
                if let Some(membership) = &mut self.membership {
                    membership.post(&harmless(&io.input.filled()[..len]), Instant::now());
                }
                LabCompletion::Posted
            }
        }
    }

    /// Time before which the next message may not be posted.
    pub(super) fn held_until(&self, action: &Action<'_>, now: Instant) -> Option<Instant> {
        if !matches!(action, Action::Lab(LabAction::PostMessage { .. })) {
            return None;
        }
        self.membership.as_ref()?.paused_until().filter(|until| now < *until)
    }
}

/// Address of the peer; `None` if it is gone.
pub(super) fn peer(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    let address = rustix::net::getpeername(socket).ok()??;
    SocketAddr::try_from(address).ok()
}
