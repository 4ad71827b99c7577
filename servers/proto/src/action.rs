//! Primitive operations that a session requests, and their results.

use std::sync::Arc;

use crate::service::Notice;
use crate::{FileDescription, FileName};

/// One operation for the driver to perform; exactly one is outstanding at a time.
///
/// [`Session::poll_action`](crate::Session::poll_action) returns the same action until its
/// completion is handed in. A readiness driver may therefore forget an action that would block, and
/// poll again on the next event.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'s> {
    /// Read from the socket into the spare room of `io.input`, which is never empty.
    ///
    /// Completed by [`Completion::Received`].
    Receive,
    /// Write `io.output` to the socket.
    ///
    /// Completed by [`Completion::Sent`] after any progress; requested again while output is left.
    Send {
        /// Further output follows without waiting for the peer, so the driver may hold back a
        /// partial segment.
        more: bool,
    },
    /// Open a file for reading and keep it as the session's current download.
    ///
    /// Completed by [`Completion::Opened`].
    OpenDownload {
        /// Name of the file.
        name: &'s FileName,
    },
    /// Send the rest of `io.output`, then a range of the current download. A driver may send any
    /// part of the range; the rest is requested again.
    ///
    /// Completed by [`Completion::FileSent`] after any progress of the *file range*. Progress
    /// within `io.output` alone may be completed by `FileSent(Ok(0))`.
    SendFile {
        /// First byte of the range.
        offset: u64,
        /// Length of the range; at least 1.
        len: u64,
    },
    /// Close the current download, which is finished or abandoned. Never fails or waits.
    ///
    /// Completed by [`Completion::DownloadClosed`].
    CloseDownload,
    /// Create the temporary file of an upload and keep it as the session's current upload.
    ///
    /// Completed by [`Completion::Created`].
    CreateUpload {
        /// Name for the upload; `None` requests a random one.
        name: Option<&'s FileName>,
        /// Size in bytes, if the peer has declared one.
        size_hint: Option<u64>,
    },
    /// Append the first `len` bytes of `io.input` to the current upload and consume them.
    ///
    /// Completed by [`Completion::Written`].
    WriteUpload {
        /// Number of bytes; at least 1.
        len: usize,
    },
    /// Create an empty resumable upload: a temporary file that outlives connections. The session's
    /// current upload stays as it is.
    ///
    /// Completed by [`Completion::PartialCreated`].
    CreatePartial {
        /// Name for the upload; `None` requests a random one.
        name: Option<&'s FileName>,
        /// Size of the complete upload in bytes.
        len: u64,
    },
    /// Open a resumable upload for appending, as the session's current upload.
    ///
    /// Completed by [`Completion::PartialOpened`].
    OpenPartial {
        /// Identifier of the upload.
        id: PartialId,
    },
    /// Publish the current upload under its name, completely or not at all.
    ///
    /// Completed by [`Completion::Committed`].
    CommitUpload {
        /// Hash of the complete content, if the peer has declared one.
        digest: Option<&'s Digest>,
    },
    /// Release the current upload, also after a failed commit. A resumable upload keeps its
    /// content, which must be made as durable as that of a complete one. Any other upload is removed
    /// without a trace, which never fails.
    ///
    /// Completed by [`Completion::Aborted`].
    AbortUpload,
    /// List the files.
    ///
    /// Completed by [`Completion::Listed`].
    ListFiles,
    /// Perform an operation of a lab service.
    ///
    /// Completed by [`Completion::Lab`].
    Lab(LabAction),
    /// Compute or block for some time: the heavy request of the experiments.
    ///
    /// Completed by [`Completion::Worked`].
    Work {
        /// Kind and duration.
        work: Work,
    },
    /// Describe the present state of the whole server.
    ///
    /// Completed by [`Completion::StatusReported`].
    ReportStatus,
    /// Shut down the sending side of the socket. The session reads on for a while (lingering
    /// close), because a reset could destroy the last reply. Never waits.
    ///
    /// Completed by [`Completion::SendingFinished`].
    FinishSending,
    /// Close the socket and drop the session: the conversation is over. Has no completion.
    Close,
}

/// Result of an [`Action`].
///
/// A broken connection (reset, broken pipe) has no completion. The driver drops the session and the
/// files it holds for it; an unfinished upload vanishes with its temporary file.
#[derive(Debug)]
pub enum Completion {
    /// Bytes were added to `io.input`; 0 means that the peer has ended its stream.
    Received {
        /// Number of bytes added.
        bytes: usize,
    },
    /// Bytes of the body went to the current upload without passing `io.input`, which
    /// [`Session::direct_bytes`](crate::Session::direct_bytes) allows in place of receiving. After a
    /// failure the upload is of no more use.
    Transferred {
        /// Number of bytes taken from the socket; at least 1.
        bytes: u64,
        /// True if all of them were written, or the reason why not.
        written: Result<(), StoreError>,
    },
    /// Some or all of `io.output` was sent.
    Sent,
    /// The download is open, or the reason why it is not.
    Opened(Result<Arc<FileDescription>, StoreError>),
    /// Number of bytes *of the file range* that were sent, or the reason why the file could not be
    /// read (it has shrunk, or reading failed). After a failure the promised length cannot be kept.
    FileSent(Result<u64, StoreError>),
    /// The download is closed.
    DownloadClosed,
    /// The temporary file exists, or the reason why it does not.
    Created(Result<(), StoreError>),
    /// The bytes are written and consumed from `io.input`, or the reason why not. A failure
    /// consumes nothing.
    Written(Result<(), StoreError>),
    /// Identifier of the new resumable upload, or the reason why there is none.
    PartialCreated(Result<PartialId, StoreError>),
    /// State of the opened resumable upload, or the reason why it is not open.
    PartialOpened(Result<PartialInfo, StoreError>),
    /// Place of the published upload, or the reason why it is not published.
    Committed(Result<Stored, StoreError>),
    /// The upload is released; or its content may not survive a power cut.
    Aborted(Result<(), StoreError>),
    /// Files in the order of their names, or the reason why they cannot be listed.
    Listed(Result<Vec<Entry>, StoreError>),
    /// An operation of a lab service is done.
    Lab(LabCompletion),
    /// The work is done.
    Worked,
    /// State of the server, as JSON.
    StatusReported(Box<str>),
    /// The sending side is shut down.
    SendingFinished,
}

/// One operation of a lab service. Its message, if any, is the first `len` bytes of `io.input`,
/// which stay there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabAction {
    /// Show the operator a notice on the server's console.
    ///
    /// Completed by [`LabCompletion::NoticeShown`].
    ShowNotice {
        /// Event to show.
        notice: Notice,
        /// Length of the message in bytes; 0 for a notice without one.
        len: usize,
    },
    /// Store a line about the message in a new numbered file;
    /// [`service::write_log_line`](crate::service::write_log_line) writes its text.
    ///
    /// Completed by [`LabCompletion::Logged`].
    LogMessage {
        /// Length of the message in bytes.
        len: usize,
    },
    /// Join the server's room. From then on, other members' messages are handed to
    /// [`Session::handle_mail`](crate::Session::handle_mail). Never fails or waits.
    ///
    /// Completed by [`LabCompletion::Joined`].
    JoinRoom,
    /// Post the message to every other member of the room. Never fails or waits: a member whose
    /// mailbox is full is dropped.
    ///
    /// Completed by [`LabCompletion::Posted`].
    PostMessage {
        /// Length of the message in bytes; at least 1.
        len: usize,
    },
}

/// Result of a [`LabAction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabCompletion {
    /// The notice is shown, or the console is off.
    NoticeShown,
    /// The line is stored, or the reason why not.
    Logged(Result<(), StoreError>),
    /// The connection has a mailbox.
    Joined,
    /// The message is in every other member's mailbox.
    Posted,
}

/// Kind and duration of a heavy request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Keeps a processor busy.
    Compute {
        /// Microseconds of processor time.
        us: u32,
    },
    /// Blocks the thread, as a slow disk or a database would.
    Block {
        /// Microseconds of wall-clock time.
        us: u32,
    },
}

/// Place of a published upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Name of the file, which may differ from the requested one.
    pub name: FileName,
    /// The upload has replaced a file of that name.
    pub replaced: bool,
}

/// Identifier of a resumable upload. Knowing it is the permission to append, so it is hard to
/// guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartialId(pub u128);

/// State of a resumable upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialInfo {
    /// Size of the complete upload in bytes.
    pub len: u64,
    /// Number of bytes stored so far.
    pub offset: u64,
}

/// A SHA-256 hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

/// Attributes of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// Length in bytes.
    pub len: u64,
    /// Time of the last change of the content.
    pub modified: Modified,
    /// Inode number. File system clocks are coarse: a file and its replacement may have the same
    /// time and length, but never the same inode.
    pub inode: u64,
}

/// A modification time as file systems keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Modified {
    /// Seconds since 1970-01-01 UTC.
    pub unix_s: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

/// One file of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name relative to the root.
    pub name: FileName,
    /// Length in bytes.
    pub len: u64,
    /// Time of the last change of the content.
    pub modified: Modified,
}

/// Reason why the store refuses an operation. Each wire has its own text or status for each reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No such file.
    #[error("no such file")]
    NotFound,
    /// The name denotes something other than a regular file: a folder, device, FIFO or link.
    #[error("not a regular file")]
    NotAFile,
    /// The operating system denied access.
    #[error("permission denied")]
    Denied,
    /// The folder of an upload does not exist.
    #[error("no such folder")]
    NoFolder,
    /// The name is taken, and the server is configured not to choose another.
    #[error("name already taken")]
    NameTaken,
    /// The name, perhaps with a `_copyN` added, is longer than the file system allows.
    #[error("name too long")]
    NameTooLong,
    /// No space, or a quota is exhausted.
    #[error("no space left")]
    Full,
    /// Out of descriptors or memory for the moment; a later attempt may succeed.
    #[error("server overloaded")]
    Overloaded,
    /// The content does not match the peer's digest.
    #[error("the content does not match its digest")]
    DigestMismatch,
    /// Another connection is writing the same resumable upload.
    #[error("the upload is being written by another request")]
    Busy,
    /// Any other failure; the driver has logged the details.
    #[error("storage failure")]
    Failed,
}

impl StoreError {
    const ALL: [Self; 11] = [
        Self::NotFound,
        Self::NotAFile,
        Self::Denied,
        Self::NoFolder,
        Self::NameTaken,
        Self::NameTooLong,
        Self::Full,
        Self::Overloaded,
        Self::DigestMismatch,
        Self::Busy,
        Self::Failed,
    ];

    /// The error in the text of a refusal: the error's own text, and perhaps a colon and a name.
    /// `None` for any other reason.
    pub fn from_reason(reason: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|error| {
            let rest = reason.strip_prefix(&error.to_string());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_recognised_in_the_text_of_its_refusal() {
        for error in StoreError::ALL {
            assert_eq!(StoreError::from_reason(&error.to_string()), Some(error));
            assert_eq!(StoreError::from_reason(&format!("{error}: a: b")), Some(error));
            assert_eq!(StoreError::from_reason(&format!("{error}s")), None);
        }
        assert_eq!(StoreError::from_reason(""), None);
    }
}
