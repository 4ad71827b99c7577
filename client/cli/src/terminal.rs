//! Standard input and output of the commands.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::failure::Failure;
use units::{bytes, percent};

pub(crate) mod input;
pub(crate) mod meter;
pub(crate) mod screen;
pub(crate) mod transcript;
pub(crate) mod units;

/// Writes to standard output; if it is closed, the command ends without a message.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to standard output, like [`print()`].
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ClosedOutput),
        Err(error) => {
            Err(anyhow::Error::new(error).context("cannot write to standard output").into())
        }
        Ok(()) => Ok(()),
    }
}

/// First line of a resumed transfer.
pub(crate) fn resuming(name: &str, done: u64, total: u64) -> String {
    let percent = percent(done, total);
    format!("{name}: resuming at {percent} % ({} of {})\n", bytes(done), bytes(total))
}

/// A word for a shell command, quoted if necessary.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let is_harmless = |c: char| c.is_alphanumeric() || "-._/:=@%+,[]".contains(c);
    if !word.is_empty() && word.chars().all(is_harmless) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}
