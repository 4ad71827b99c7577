//! The primitive operations a session asks for, and what can come of each.

use std::sync::Arc;

use crate::service::Notice;
use crate::{FileDescription, FileName};

/// One operation that the driver performs for the session; exactly one is outstanding at a time.
///
/// [`Session::poll_action`](crate::Session::poll_action) returns the same action until its
/// completion is handed in, so a readiness driver may forget an action that would block and ask
/// again on the next event.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'s> {
    /// Read from the socket into the spare room of `io.input` (there is always some).
    ///
    /// Completed by [`Completion::Received`].
    Receive,
    /// Write `io.output` to the socket. `more` says that further output follows at once, so that
    /// the driver may hold a partial segment back.
    ///
    /// Completed by [`Completion::Sent`] after any progress; asked again while output is left.
    Send {
        /// Further output follows without waiting for the peer.
        more: bool,
    },
    /// Open the file of this name for reading and keep it as the session's current download.
    ///
    /// Completed by [`Completion::Opened`].
    OpenDownload {
        /// What to open.
        name: &'s FileName,
    },
    /// Send what is left in `io.output`, then this range of the current download. A driver may
    /// send any part of the range: it is asked again for the rest.
    ///
    /// Completed by [`Completion::FileSent`] after any progress of the *file range*; progress
    /// within `io.output` alone may be completed by `FileSent(Ok(0))`.
    SendFile {
        /// First byte of the range.
        offset: u64,
        /// Length of the range; at least 1.
        len: u64,
    },
    /// Let go of the current download: it is finished or abandoned. Never fails or waits.
    ///
    /// Completed by [`Completion::DownloadClosed`].
    CloseDownload,
    /// Create the temporary file of an upload and keep it as the session's current upload.
    ///
    /// Completed by [`Completion::Created`].
    CreateUpload {
        /// The name the upload is to get; `None` asks for a random one.
        name: Option<&'s FileName>,
        /// The size in bytes, where the peer declared one.
        size_hint: Option<u64>,
    },
    /// Append the first `len` bytes of `io.input` to the current upload and consume them.
    ///
    /// Completed by [`Completion::Written`].
    WriteUpload {
        /// How many bytes; at least 1.
        len: usize,
    },
    /// Create a resumable upload, empty: a temporary that outlives connections. It does not become
    /// the session's current upload.
    ///
    /// Completed by [`Completion::PartialCreated`].
    CreatePartial {
        /// The name the upload is to get; `None` asks for a random one.
        name: Option<&'s FileName>,
        /// The size of the whole in bytes.
        len: u64,
    },
    /// Make a resumable upload the session's current upload, to be appended to.
    ///
    /// Completed by [`Completion::PartialOpened`].
    OpenPartial {
        /// Which.
        id: PartialId,
    },
    /// Publish the current upload under its name, all or nothing.
    ///
    /// Completed by [`Completion::Committed`].
    CommitUpload {
        /// What its whole content must hash to, where the peer said so.
        digest: Option<&'s Digest>,
    },
    /// Let go of the current upload, also after its commit failed: one that is resumable keeps
    /// what it has got, any other leaves no trace. Never fails or waits.
    ///
    /// Completed by [`Completion::Aborted`].
    AbortUpload,
    /// List the files.
    ///
    /// Completed by [`Completion::Listed`].
    ListFiles,
    /// Perform an operation that only the lab services need.
    ///
    /// Completed by [`Completion::Lab`].
    Lab(LabAction),
    /// Work, or block, for a while: the heavy request of the experiments.
    ///
    /// Completed by [`Completion::Worked`].
    Work {
        /// How, and for how long.
        work: Work,
    },
    /// Shut the sending side of the socket down; the peer is still read for a while, so that the
    /// last reply is not destroyed by a reset (a lingering close). Never waits.
    ///
    /// Completed by [`Completion::SendingFinished`].
    FinishSending,
    /// The conversation is over: close the socket and drop the session. Has no completion.
    Close,
}

/// What came of an [`Action`].
///
/// A connection that breaks (reset, broken pipe) has no completion: the driver drops the session
/// and whatever file it held for it; an unfinished upload vanishes with its temporary.
#[derive(Debug)]
pub enum Completion {
    /// That many bytes were added to `io.input`; 0 means the peer has finished sending.
    Received {
        /// Bytes added.
        bytes: usize,
    },
    /// Some or all of `io.output` went out.
    Sent,
    /// The download is open, or why not.
    Opened(Result<Arc<FileDescription>, StoreError>),
    /// That many bytes *of the file range* went out, or the file could not give them (it shrank,
    /// or reading failed), after which the promised length cannot be kept.
    FileSent(Result<u64, StoreError>),
    /// The download is closed.
    DownloadClosed,
    /// The temporary exists, or why not.
    Created(Result<(), StoreError>),
    /// The bytes are written and consumed from `io.input`, or why not; a failure consumes nothing.
    Written(Result<(), StoreError>),
    /// The resumable upload exists, or why it does not.
    PartialCreated(Result<PartialId, StoreError>),
    /// The resumable upload is open, or why not.
    PartialOpened(Result<PartialInfo, StoreError>),
    /// Where the upload now exists, or why it does not.
    Committed(Result<Stored, StoreError>),
    /// The upload is let go of.
    Aborted,
    /// The files, in the order of their names.
    Listed(Result<Vec<Entry>, StoreError>),
    /// An operation of a lab service is done.
    Lab(LabCompletion),
    /// The work is done.
    Worked,
    /// The sending side is shut.
    SendingFinished,
}

/// One operation of a lab service. A message it names is the first `len` bytes of `io.input`, which
/// stay there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabAction {
    /// Show the operator a notice on the server's console.
    ///
    /// Completed by [`LabCompletion::NoticeShown`].
    ShowNotice {
        /// The event.
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
    /// Become a member of the server's room. From now on, other members' messages are handed to
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

/// What a heavy request does, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Keeps a processor busy for so many microseconds of its time.
    Compute {
        /// Microseconds of processor time.
        us: u32,
    },
    /// Blocks the thread, as a slow disk or a database would, for so many microseconds.
    Block {
        /// Microseconds by the clock.
        us: u32,
    },
}

/// Where an upload now exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its name, perhaps another than was asked for.
    pub name: FileName,
    /// Whether it took the place of a file of that name.
    pub replaced: bool,
}

/// Names a resumable upload. Whoever knows it may append to it, so it is hard to guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartialId(pub u128);

/// What a session needs to know of a resumable upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialInfo {
    /// The size of the whole in bytes.
    pub len: u64,
    /// How many bytes of it are there.
    pub offset: u64,
}

/// A SHA-256 hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

/// What a session needs to know of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// Length in bytes.
    pub len: u64,
    /// When the content last changed.
    pub modified: Modified,
    /// The file's number (inode): clocks of file systems tick slowly, so a file and the one that
    /// replaced it may have the same time and length, but never the same number.
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
    /// Its name, relative to the root.
    pub name: FileName,
    /// Length in bytes.
    pub len: u64,
    /// When the content last changed.
    pub modified: Modified,
}

/// Why the store refused. Each wire has its own words and status for every one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No such file.
    #[error("no such file")]
    NotFound,
    /// The name leads to something that is not a regular file: a folder, device, FIFO or link.
    #[error("not a regular file")]
    NotAFile,
    /// The operating system denied access.
    #[error("permission denied")]
    Denied,
    /// The folder an upload should go to does not exist.
    #[error("no such folder")]
    NoFolder,
    /// The name is taken and the server was told not to choose another.
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
    /// The content is not what the peer's digest says.
    #[error("the content does not match its digest")]
    DigestMismatch,
    /// Another connection is writing the same resumable upload.
    #[error("the upload is being written by another request")]
    Busy,
    /// Anything else; the driver has logged the details.
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
