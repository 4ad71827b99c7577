//! Messages to the operator on standard error.

use std::fmt::Display;
use std::io::{self, Write};

use anstream::AutoStream;
use clap::builder::styling::{AnsiColor, Style, Styles};

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Prints `error: TEXT` as a line, in the colours of errors about arguments.
pub fn print_error(text: impl Display) {
    print_labelled("error", text);
}

/// Prints an error under another label than `error`, such as the name of the program.
pub fn print_labelled(label: &str, text: impl Display) {
    print(label, Styles::styled().get_error(), text);
}

/// Prints `warning: TEXT` as a line.
pub fn print_warning(text: impl Display) {
    print("warning", &WARNING, text);
}

fn print(label: &str, style: &Style, text: impl Display) {
    let mut stderr = AutoStream::auto(io::stderr().lock());
    // A closed standard error does not change the outcome.
    let _ = writeln!(stderr, "{style}{label}:{style:#} {text}");
}
