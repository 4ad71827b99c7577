//! Width of the terminal, for texts that people read.

use std::env;
use std::io;
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

/// Width where it is unknown: the usual one of a terminal.
const USUAL: usize = 80;
/// Least width: in a narrower terminal, lines of this width are easier to read than columns of single words.
const LEAST: usize = 40;

/// Letters per line of standard output.
pub(crate) fn columns_of_stdout() -> usize {
    columns(io::stdout())
}

/// Letters per line of standard error.
pub(crate) fn columns_of_stderr() -> usize {
    columns(io::stderr())
}

fn columns(stream: impl AsFd) -> usize {
    let terminal = tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
    let variable = env::var("COLUMNS").ok();
    chosen(terminal, variable.as_deref())
}

/// Width of the terminal if there is one, else that of the variable `COLUMNS`. Serial lines have the width 0.
fn chosen(terminal: Option<usize>, variable: Option<&str>) -> usize {
    let given = variable.and_then(|text| text.trim().parse().ok());
    let known = [terminal, given].into_iter().flatten().find(|columns| *columns > 0);
    known.unwrap_or(USUAL).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_decides_then_the_variable_then_custom() {
        assert_eq!(chosen(Some(120), Some("100")), 120);
        assert_eq!(chosen(None, Some("100")), 100);
        assert_eq!(chosen(Some(0), Some(" 100 ")), 100);
        for variable in [None, Some(""), Some("wide"), Some("-1"), Some("0")] {
            assert_eq!(chosen(None, variable), 80, "{variable:?}");
        }
        assert_eq!(chosen(Some(20), None), 40);
    }
}
