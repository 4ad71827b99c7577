//! Sending to a socket: composed output, and files by each path.

mod pipe;

use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use fileserver_proto::{Buffer, StoreError};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

use crate::server::send_path::{COPY_BYTES, SendPath, SentBytes};
use crate::store::{Download, Part};

/// Most bytes that one step sends on a thread that serves many connections.
///
/// 64 connections, 1 MiB, `selector` (as for the listener's `UNSENT_BYTES`): 128 KiB 6,200
/// requests/s, 256 KiB 7,000.
pub(crate) const STEP_BYTES: u64 = 256 << 10;
/// Most bytes that one step sends on a thread that serves one connection. `threaded`: 128 KiB 5,700
/// requests/s, 1 MiB 7,000.
pub(crate) const LONE_STEP_BYTES: u64 = 1 << 20;
/// Most bytes that one step reads into a buffer and sends from there.
pub(crate) const COPY_STEP_BYTES: u64 = 64 << 10;
/// Size up to which content is copied behind its head instead of sent as a second piece: one piece
/// costs the kernel less than two.
const JOINED_BYTES: usize = 4 << 10;

/// Failure to send a part of a file.
pub(crate) enum SendFileError {
    Socket(Errno),
    Store(StoreError),
}

impl From<Errno> for SendFileError {
    fn from(errno: Errno) -> Self {
        Self::Socket(errno)
    }
}

/// Sends the output, or a part of it. `more` if further output follows at once.
pub(crate) fn send(socket: BorrowedFd<'_>, output: &mut Buffer, more: bool) -> Result<(), Errno> {
    let flags = if more { SendFlags::MORE } else { SendFlags::empty() };
    send_flagged(socket, output, flags)
}

/// Sends as much of the output as possible without waiting, even on a blocking socket.
pub(crate) fn send_now(socket: BorrowedFd<'_>, output: &mut Buffer) -> Result<(), Errno> {
    send_flagged(socket, output, SendFlags::DONTWAIT)
}

fn send_flagged(
    socket: BorrowedFd<'_>,
    output: &mut Buffer,
    flags: SendFlags,
) -> Result<(), Errno> {
    let sent = rustix::net::send(socket, output.filled(), flags | SendFlags::NOSIGNAL)?;
    output.consume(sent);
    Ok(())
}

/// Sends the output, then `len` bytes of the file from `offset` on, or a part of both. Returns the
/// number of bytes of the file, counted by path. The caller limits `len` to a step.
pub(crate) fn send_file(
    socket: BorrowedFd<'_>,
    output: &mut Buffer,
    download: &Download,
    (offset, len): (u64, u64),
    path: SendPath,
    count: &mut SentBytes,
) -> Result<u64, SendFileError> {
    let by_kernel = match source(download, (offset, len), path) {
        Source::Memory(part) => {
            let sent = send_with(socket, output, part)?;
            count.memory += sent;
            return Ok(sent);
        }
        Source::Copy => return send_copy(socket, output, download, offset, len, count),
        Source::Kernel(path) => path,
    };
    if !output.is_empty() {
        send(socket, output, true)?;
        if !output.is_empty() {
            return Ok(0);
        }
    }
    let (sent, counted) = match by_kernel {
        SendPath::Splice => {
            (pipe::splice(socket, download.file(), offset, len as usize), &mut count.splice)
        }
        SendPath::Auto | SendPath::Copy | SendPath::Memory | SendPath::Sendfile => {
            let mut position = offset;
            let sent =
                rustix::fs::sendfile(socket, download.file(), Some(&mut position), len as usize);
            (sent, &mut count.sendfile)
        }
    };
    match sent {
        Ok(0) => Err(SendFileError::Store(StoreError::Failed)),
        Ok(sent) => {
            *counted += sent as u64;
            Ok(sent as u64)
        }
        // The file system does not support it.
        Err(Errno::INVAL | Errno::NOSYS) => send_copy(socket, output, download, offset, len, count),
        Err(errno) => Err(errno.into()),
    }
}

/// Source of a part of a file.
enum Source<'d> {
    /// Memory of the server.
    Memory(&'d [u8]),
    /// A buffer that the part is read into.
    Copy,
    /// Memory of the kernel, by this path.
    Kernel(SendPath),
}

fn source(download: &Download, (offset, len): (u64, u64), path: SendPath) -> Source<'_> {
    match path {
        SendPath::Auto | SendPath::Memory => match download.content(path.memory_bytes()) {
            Some(content) => {
                let end = content.len() as u64;
                Source::Memory(&content[offset.min(end) as usize..(offset + len).min(end) as usize])
            }
            None if download.info().len <= COPY_BYTES => Source::Copy,
            None => Source::Kernel(SendPath::Sendfile),
        },
        SendPath::Copy => Source::Copy,
        SendPath::Sendfile | SendPath::Splice => Source::Kernel(path),
    }
}

/// Part of a file, ready to be sent.
pub(crate) enum Loaded {
    /// Copied behind the output: this many bytes.
    Behind(u64),
    /// To be sent after the output.
    Beside(Part),
}

/// Prepares a part of the file for a driver that sends it later; `None` if its path uses no memory
/// of the server. Counts the bytes that are copied behind the output.
pub(crate) fn load_file(
    output: &mut Buffer,
    download: &Download,
    (offset, len): (u64, u64),
    path: SendPath,
    count: &mut SentBytes,
) -> Option<Result<Loaded, StoreError>> {
    let part = (offset, len.min(COPY_STEP_BYTES));
    match source(download, part, path) {
        Source::Memory([]) => Some(Err(StoreError::Failed)),
        Source::Memory(content) if content.len() <= JOINED_BYTES => {
            output.push(content);
            count.memory += content.len() as u64;
            Some(Ok(Loaded::Behind(content.len() as u64)))
        }
        Source::Memory(_) => {
            download.part(path.memory_bytes(), part).map(|part| Ok(Loaded::Beside(part)))
        }
        Source::Copy => {
            let (offset, len) = part;
            let read = read_behind(output, download, offset, len);
            count.copy += *read.as_ref().unwrap_or(&0);
            Some(read.map(Loaded::Behind))
        }
        Source::Kernel(_) => None,
    }
}

/// Sends the output and a part of the file that is read behind it.
fn send_copy(
    socket: BorrowedFd<'_>,
    output: &mut Buffer,
    download: &Download,
    offset: u64,
    len: u64,
    count: &mut SentBytes,
) -> Result<u64, SendFileError> {
    let head = output.len();
    read_behind(output, download, offset, len.min(COPY_STEP_BYTES))
        .map_err(SendFileError::Store)?;
    let sent = rustix::net::send(socket, output.filled(), SendFlags::NOSIGNAL);
    let sent = take_off(output, head, sent)?;
    count.copy += sent;
    Ok(sent)
}

/// Reads a part of the file behind the output.
fn read_behind(
    output: &mut Buffer,
    download: &Download,
    offset: u64,
    len: u64,
) -> Result<u64, StoreError> {
    let len = len as usize;
    output.reserve(len);
    match rustix::io::pread(download.file(), &mut output.spare()[..len], offset) {
        Ok(0) => Err(StoreError::Failed),
        Ok(read) => {
            output.commit(read);
            Ok(read as u64)
        }
        Err(errno) => {
            tracing::warn!("reading a file failed: {errno}");
            Err(StoreError::Failed)
        }
    }
}

/// Sends the output and this content in one call.
fn send_with(
    socket: BorrowedFd<'_>,
    output: &mut Buffer,
    content: &[u8],
) -> Result<u64, SendFileError> {
    let head = output.len();
    let sent = if content.len() <= JOINED_BYTES {
        output.push(content);
        rustix::net::send(socket, output.filled(), SendFlags::NOSIGNAL)
    } else {
        let pieces = [IoSlice::new(output.filled()), IoSlice::new(content)];
        let mut nothing = SendAncillaryBuffer::default();
        rustix::net::sendmsg(socket, &pieces, &mut nothing, SendFlags::NOSIGNAL)
    };
    Ok(take_off(output, head, sent)?)
}

/// Removes the sent bytes from the output, and all content behind the head: the unsent rest of it
/// is read again. Returns the number of content bytes sent.
fn take_off(output: &mut Buffer, head: usize, sent: Result<usize, Errno>) -> Result<u64, Errno> {
    output.truncate(head);
    let sent = sent?;
    output.consume(sent.min(head));
    Ok(sent.saturating_sub(head) as u64)
}
