//! Operator's console, for the notices of lab services.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use fileserver_proto::Notice;

/// Operator's screen, written line by line; or none.
#[derive(Default)]
pub struct Console(Option<Mutex<Box<dyn Write + Send>>>);

impl Console {
    /// Console that writes to this output.
    pub fn on(output: impl Write + Send + 'static) -> Self {
        Self(Some(Mutex::new(Box::new(output))))
    }

    /// Whether the console has an output.
    pub(crate) fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// Shows a notice. A closed output is ignored.
    pub(crate) fn show(&self, notice: Notice, peer: Option<SocketAddr>, message: &[u8]) {
        let mut line = String::new();
        notice.write(&mut line, peer, message).expect("a string takes any text");
        line.push('\n');
        self.show_line(&line);
    }

    /// Shows a line composed by another process, with its line end.
    pub(crate) fn show_line(&self, line: &str) {
        let Some(output) = &self.0 else { return };
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Console").field(&self.is_shown()).finish()
    }
}
