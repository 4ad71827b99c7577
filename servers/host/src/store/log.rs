//! Numbered files of one line each, for the logging lab service.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use fileserver_proto::service::write_log_line;
use fileserver_proto::{Now, StoreError};
use rustix::fs::{AtFlags, Dir, OFlags};
use rustix::io::Errno;

use super::{Store, Upload, error, open_beneath};

/// Number that is most likely free next; unknown before the first line.
#[derive(Debug, Default)]
pub(super) struct Numbers(Mutex<Option<u64>>);

/// Most files of the log: each further one removes the oldest, so that no client can fill the disk.
const MAX_FILES: u64 = 10_000;

/// Writes the line to a temporary, then gives it the next number's name in one exclusive step. If
/// another thread or process is first, it takes the following number.
pub(super) fn store(
    store: &Store,
    now: Now,
    peer: Option<SocketAddr>,
    message: &[u8],
) -> Result<(), StoreError> {
    let mut line = String::new();
    write_log_line(&mut line, now, peer, message).expect("a string takes any text");
    let mut file = Upload::create(store, None, None)?;
    file.write(line.as_bytes())?;
    file.sync()?;
    let mut next = store.log_numbers.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut number = match *next {
        Some(number) if continues(&store.root, number) => number,
        _ => first_free(&store.root)
            .map_err(|errno| error::in_general(errno, "reading the folder of the log's files"))?,
    };
    while !file.publish(&name(number))? {
        number += 1;
    }
    *next = Some(number + 1);
    drop(next);
    if let Some(oldest) = number.checked_sub(MAX_FILES) {
        remove(&store.root, oldest);
    }
    file.sync_folder()
}

fn name(number: u64) -> String {
    format!("log{number}.txt")
}

/// True if the file before this number exists. Otherwise other processes may have removed it and
/// those after it.
fn continues(root: impl AsFd, number: u64) -> bool {
    let Some(before) = number.checked_sub(1) else { return true };
    rustix::fs::statat(root, name(before), AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

fn remove(root: impl AsFd, number: u64) {
    match rustix::fs::unlinkat(root, name(number), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => tracing::warn!("cannot remove {}: {errno}", name(number)),
    }
}

/// Number after the highest in a folder.
fn first_free(root: impl AsFd) -> Result<u64, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = Dir::new(open_beneath(root, ".", flags)?)?;
    let mut first = 0;
    while let Some(entry) = dir.read() {
        let entry = entry?;
        if let Some(number) = entry.file_name().to_str().ok().and_then(number) {
            first = first.max(number.saturating_add(1));
        }
    }
    Ok(first)
}

/// Number in the name of a log file; `None` for other files.
fn number(file: &str) -> Option<u64> {
    let digits = file.strip_prefix("log")?.strip_suffix(".txt")?;
    let number = digits.parse().ok()?;
    (name(number) == file).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_log_have_numbers() {
        assert_eq!(number("log0.txt"), Some(0));
        assert_eq!(number("log120.txt"), Some(120));
        for other in ["log.txt", "log01.txt", "log+1.txt", "log1.txt.bak", "log-1.txt", "blog1.txt"]
        {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
