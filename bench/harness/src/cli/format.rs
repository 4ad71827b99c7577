//! Format of standard output.

use bench_report::documents::json;
use clap::ValueEnum;
use serde::Serialize;

use crate::cli::process::say;

/// Format of standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// Tables and sentences
    #[default]
    Text,
    /// One JSON document, described in docs/json.md; messages go to standard error
    Json,
}

/// Writes a document to standard output.
pub(super) fn say_json(document: &impl Serialize) {
    say(&json(document));
}
