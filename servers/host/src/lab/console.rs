//! Operator's console, for the notices of lab services.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fileserver_proto::Notice;

use crate::output::LineQueue;

/// Operator's screen, written line by line; or none.
#[derive(Default)]
pub struct Console(Output);

#[derive(Default)]
enum Output {
    #[default]
    None,
    Queue(LineQueue),
    Direct(Mutex<Box<dyn Write + Send>>),
}

impl Console {
    /// Console that writes to this output by a thread of its own, since a screen that nobody reads
    /// would hold up every connection.
    pub fn on(output: impl Write + Send + 'static) -> Self {
        Self(Output::Queue(LineQueue::on(output, Duration::ZERO)))
    }

    /// Console that writes on the calling thread, to an output that never waits for long.
    pub(crate) fn directly_on(output: impl Write + Send + 'static) -> Self {
        Self(Output::Direct(Mutex::new(Box::new(output))))
    }

    /// True if the console has an output.
    pub(crate) fn is_shown(&self) -> bool {
        !matches!(self.0, Output::None)
    }

    /// Shows a notice. A closed output is ignored.
    pub(crate) fn show(&self, notice: Notice, peer: Option<SocketAddr>, message: &[u8]) {
        let mut line = String::new();
        notice.write(&mut line, peer, message).expect("a string takes any text");
        line.push('\n');
        self.show_line(&line);
    }

    /// Shows a complete line, with its line end.
    pub(crate) fn show_line(&self, line: &str) {
        match &self.0 {
            Output::None => {}
            Output::Queue(queue) => {
                queue.write_line(|lines| lines.extend_from_slice(line.as_bytes()));
            }
            Output::Direct(output) => {
                let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
            }
        }
    }

    /// Waits until everything is shown, but no longer than this.
    pub(crate) fn flush(&self, at_most: Duration) {
        if let Output::Queue(queue) = &self.0 {
            queue.flush(at_most);
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Console").field(&self.is_shown()).finish()
    }
}
