//! Where the operator is shown what lab services have to say.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use fileserver_proto::Notice;

/// The operator's screen, a line at a time; or none.
#[derive(Default)]
pub struct Console(Option<Mutex<Box<dyn Write + Send>>>);

impl Console {
    /// Shows everything on this.
    pub fn on(output: impl Write + Send + 'static) -> Self {
        Self(Some(Mutex::new(Box::new(output))))
    }

    /// Whether anybody looks.
    pub(crate) fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// Shows a line. That nobody may read it any more is none of the server's business.
    pub(crate) fn show(&self, notice: Notice, peer: Option<SocketAddr>, message: &[u8]) {
        let mut line = String::new();
        notice.write(&mut line, peer, message).expect("a string takes any text");
        line.push('\n');
        self.show_line(&line);
    }

    /// Shows a line that another process has worded, with its end.
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
