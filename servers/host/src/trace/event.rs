//! Events of a trace, and their rows.

use std::io::Write;

use fileserver_proto::{Action, LabAction, Work};

/// First line of a trace: the names of its columns.
pub(super) const HEADER: &str = "process,thread,name,connection,peer_port,kind,from_ns,to_ns\n";

/// Kind of an event: an action of a session, a wait of a thread, or the begin or end of a
/// connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Receive,
    Send,
    /// Handling of a send that the kernel has completed.
    SendCompleted,
    OpenDownload,
    SendFile,
    CloseDownload,
    CreateUpload,
    WriteUpload,
    CreatePartial,
    OpenPartial,
    CommitUpload,
    AbortUpload,
    ListFiles,
    LabNotice,
    LabLog,
    LabJoin,
    LabPost,
    LabCompute,
    LabBlock,
    ReportStatus,
    FinishSending,
    /// A connection was accepted: a point in time.
    Accept,
    /// A connection is closed, and its files with it.
    Close,
    /// Wait for a connection to accept, or for the permission to accept one.
    WaitAccept,
    /// Wait for the readiness of any socket.
    WaitReady,
    /// Wait of a worker for a job, or of a dispatcher for room in the workers' queue.
    WaitQueue,
    /// Submission of operations to a ring and the wait for completions.
    WaitCompletion,
}

impl Kind {
    /// Kind of an action.
    pub(crate) fn of(action: &Action<'_>) -> Self {
        match *action {
            Action::Receive => Self::Receive,
            Action::Send { .. } => Self::Send,
            Action::OpenDownload { .. } => Self::OpenDownload,
            Action::SendFile { .. } => Self::SendFile,
            Action::CloseDownload => Self::CloseDownload,
            Action::CreateUpload { .. } => Self::CreateUpload,
            Action::WriteUpload { .. } => Self::WriteUpload,
            Action::CreatePartial { .. } => Self::CreatePartial,
            Action::OpenPartial { .. } => Self::OpenPartial,
            Action::CommitUpload { .. } => Self::CommitUpload,
            Action::AbortUpload => Self::AbortUpload,
            Action::ListFiles => Self::ListFiles,
            Action::Lab(LabAction::ShowNotice { .. }) => Self::LabNotice,
            Action::Lab(LabAction::LogMessage { .. }) => Self::LabLog,
            Action::Lab(LabAction::JoinRoom) => Self::LabJoin,
            Action::Lab(LabAction::PostMessage { .. }) => Self::LabPost,
            Action::Work { work: Work::Compute { .. } } => Self::LabCompute,
            Action::Work { work: Work::Block { .. } } => Self::LabBlock,
            Action::ReportStatus => Self::ReportStatus,
            Action::FinishSending => Self::FinishSending,
            Action::Close => Self::Close,
        }
    }

    /// Name in a row.
    fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Send => "send",
            Self::SendCompleted => "send-completed",
            Self::OpenDownload => "open-download",
            Self::SendFile => "send-file",
            Self::CloseDownload => "close-download",
            Self::CreateUpload => "create-upload",
            Self::WriteUpload => "write-upload",
            Self::CreatePartial => "create-partial",
            Self::OpenPartial => "open-partial",
            Self::CommitUpload => "commit-upload",
            Self::AbortUpload => "abort-upload",
            Self::ListFiles => "list-files",
            Self::LabNotice => "lab-notice",
            Self::LabLog => "lab-log",
            Self::LabJoin => "lab-join",
            Self::LabPost => "lab-post",
            Self::LabCompute => "lab-compute",
            Self::LabBlock => "lab-block",
            Self::ReportStatus => "report-status",
            Self::FinishSending => "finish-sending",
            Self::Accept => "accept",
            Self::Close => "close",
            Self::WaitAccept => "wait-accept",
            Self::WaitReady => "wait-ready",
            Self::WaitQueue => "wait-queue",
            Self::WaitCompletion => "wait-completion",
        }
    }
}

/// Connection of an event; the default is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TracedConnection {
    /// Number within the process, from 1; 0 for none.
    pub(crate) number: u32,
    /// TCP port of the peer; 0 for none.
    pub(crate) peer_port: u16,
}

/// Event of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    from: u64,
    to: u64,
    connection: u32,
    peer_port: u16,
    kind: Kind,
}

// A buffer has thousands of them.
const _: () = assert!(size_of::<Event>() == 24);

impl Event {
    /// Event with its first and last nanosecond.
    pub(super) fn new(kind: Kind, connection: TracedConnection, (from, to): (u64, u64)) -> Self {
        let TracedConnection { number, peer_port } = connection;
        Self { from, to, connection: number, peer_port, kind }
    }

    /// Appends its row. `thread` is the begin of every row of its thread.
    pub(super) fn write_row(&self, thread: &str, rows: &mut Vec<u8>) {
        let Self { from, to, connection, peer_port, kind } = self;
        let kind = kind.name();
        // A vector takes whatever is written.
        let _ = writeln!(rows, "{thread},{connection},{peer_port},{kind},{from},{to}");
    }
}

/// Appends the row of events that were lost, since the thread's buffer was full.
pub(super) fn write_lost(thread: &str, lost: u64, rows: &mut Vec<u8>) {
    // A vector takes whatever is written.
    let _ = writeln!(rows, "{thread},0,0,lost,{lost},0");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_columns_of_the_header() {
        let mut rows = HEADER.as_bytes().to_vec();
        let connection = TracedConnection { number: 3, peer_port: 40_000 };
        Event::new(Kind::OpenDownload, connection, (1_000, 2_500)).write_row("7,8,main", &mut rows);
        Event::new(Kind::WaitReady, TracedConnection::default(), (2_500, u64::MAX))
            .write_row("7,8,main", &mut rows);
        write_lost("7,9,worker-1", 12, &mut rows);
        assert_eq!(
            String::from_utf8(rows).unwrap(),
            "process,thread,name,connection,peer_port,kind,from_ns,to_ns\n\
             7,8,main,3,40000,open-download,1000,2500\n\
             7,8,main,0,0,wait-ready,2500,18446744073709551615\n\
             7,9,worker-1,0,0,lost,12,0\n"
        );
    }

    #[test]
    fn every_heavy_and_lab_action_has_a_kind_of_its_own() {
        let kinds = [
            Action::Lab(LabAction::JoinRoom),
            Action::Lab(LabAction::LogMessage { len: 1 }),
            Action::Lab(LabAction::PostMessage { len: 1 }),
            Action::Work { work: Work::Compute { us: 1 } },
            Action::Work { work: Work::Block { us: 1 } },
        ]
        .map(|action| Kind::of(&action).name());
        assert_eq!(kinds, ["lab-join", "lab-log", "lab-post", "lab-compute", "lab-block"]);
    }
}
