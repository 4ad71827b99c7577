//! Options of the paper that `bench report --pdf` writes.

use std::path::PathBuf;

use anyhow::ensure;
use bench_report::report::lab_report::Cover;
use clap::Args;

use crate::cli::appendix;

/// Options of `bench report --pdf`.
#[derive(Debug, Args)]
pub(super) struct PaperArgs {
    /// Title of the paper [default: the question of the plan]
    #[arg(long, value_name = "TEXT", requires = "pdf")]
    title: Option<String>,
    /// Author of the paper; may be repeated
    #[arg(long, value_name = "NAME", requires = "pdf")]
    author: Vec<String>,
    /// Course of the paper
    #[arg(long, value_name = "TEXT", requires = "pdf")]
    course: Option<String>,
    /// Address below the title, such as that of your repository; may be repeated
    #[arg(long, value_name = "URL", requires = "pdf", value_parser = address)]
    link: Vec<String>,
    /// Paper of one page: title, answer, forest plot and set-up
    #[arg(long, requires = "pdf", conflicts_with_all = ["notes", "figure", "source", "transcript", "listing"])]
    brief: bool,
    /// Your own text in Markdown, printed after the result: paragraphs, headings, lists, emphasis,
    /// links and code
    #[arg(long, value_name = "FILE", requires = "pdf")]
    notes: Option<PathBuf>,
    /// PNG or SVG file to add after your text, with a caption: FILE or FILE=CAPTION (repeatable)
    #[arg(long, value_name = "FILE[=CAPTION]", requires = "pdf")]
    figure: Vec<String>,
    /// Source file to append to the paper with the numbers of its lines (repeatable)
    #[arg(long, value_name = "FILE", requires = "pdf")]
    source: Vec<PathBuf>,
    /// Text file to append to the paper, such as one written by `client send --transcript` (repeatable)
    #[arg(long, value_name = "FILE", requires = "pdf")]
    transcript: Vec<PathBuf>,
    /// Listing to append to the paper: a text file, or a folder whose files are listed (repeatable)
    #[arg(long, value_name = "PATH", requires = "pdf")]
    listing: Vec<PathBuf>,
}

impl PaperArgs {
    /// Reads the files of the user.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub(super) fn cover(self) -> anyhow::Result<Cover> {
        let transcripts = self.transcript.iter().map(|path| appendix::transcript(path));
        let listings = self.listing.iter().map(|path| appendix::listing(path));
        Ok(Cover {
            appendices: transcripts.chain(listings).collect::<Result<_, _>>()?,
            notes: self.notes.as_deref().map(appendix::notes).transpose()?,
            pictures: self
                .figure
                .iter()
                .map(|one| appendix::picture(one))
                .collect::<Result<_, _>>()?,
            sources: self
                .source
                .iter()
                .map(|path| appendix::source(path))
                .collect::<Result<_, _>>()?,
            title: self.title,
            authors: self.author,
            course: self.course,
            links: self.link,
            brief: self.brief,
        })
    }
}

/// Address that a reader of a PDF can open.
fn address(text: &str) -> anyhow::Result<String> {
    let is_web = ["http://", "https://"]
        .iter()
        .any(|start| text.strip_prefix(start).is_some_and(|rest| !rest.is_empty()));
    ensure!(is_web, "begin it with http:// or https://");
    ensure!(
        text.chars().all(|letter| letter.is_ascii_graphic()),
        "write spaces and letters beyond ASCII as %XX"
    );
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_web_in_ascii() {
        for good in ["http://a", "https://example.org/a%20b?c=d#e"] {
            assert_eq!(address(good).unwrap(), good);
        }
        for bad in
            ["", "https://", "example.org", "file:///a", "javascript:x", "https://a b", "https://ä"]
        {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
