//! The actions that need no socket: whichever way a strategy moves bytes, these are the same.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::task::Waker;

use fileserver_proto::{Action, Completion, IoBuffers, LabAction, LabCompletion, StoreError};

use super::work;
use crate::lab::room::Membership;
use crate::server::send_path::SentBytes;
use crate::server::state::{ServerState, now};
use crate::store::{Download, Upload};

/// What a connection has besides its session and its socket.
#[derive(Debug, Default)]
pub(crate) struct Local {
    pub(crate) download: Option<Download>,
    /// How much of files was sent, by whoever drives the socket.
    pub(crate) sent: SentBytes,
    pub(crate) upload: Option<Upload>,
    /// Where other members' messages come, once it has joined the room.
    pub(super) membership: Option<Box<Membership>>,
}

/// What came of an action.
pub(crate) enum Performed {
    /// It is done; so many body bytes were written.
    Done(Completion, u64),
    /// It is for whoever drives the socket.
    Socket(SocketAction),
}

/// An action that needs the socket; as the session's [`Action`] of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketAction {
    Receive,
    Send { more: bool },
    SendFile { offset: u64, len: u64 },
    FinishSending,
    Close,
}

impl Local {
    /// Performs an action, unless it needs the socket to be read or written. `waker` is asked for
    /// what has the connection stepped again, where it joins the room.
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
                self.upload = None;
                Completion::Aborted
            }
            Action::ListFiles => Completion::Listed(server.store.list()),
            Action::Lab(action) => {
                Completion::Lab(self.perform_lab(action, server, io, socket, waker))
            }
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
                if let Some(membership) = &self.membership {
                    membership.post(&io.input.filled()[..len]);
                }
                LabCompletion::Posted
            }
        }
    }
}

/// Who is at the other end; `None` where it is gone.
fn peer(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    let address = rustix::net::getpeername(socket).ok()??;
    SocketAddr::try_from(address).ok()
}
