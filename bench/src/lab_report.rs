//! The report as a paper to hand in.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::guide;
use crate::paper::{Block, Paper};
use crate::picture;
use crate::publish::Published;
use crate::report::{outliers_in_words, servers, setup};
use crate::run_folder::Contents;
use crate::scalability;
use crate::table;

/// What the reader gives, beside the run.
#[derive(Debug, Clone, Default)]
pub struct Cover {
    /// Title, in place of the plan's question.
    pub title: Option<String>,
    /// Who hands it in.
    pub authors: Vec<String>,
    /// For which course.
    pub course: Option<String>,
    /// Transcripts of programs: files.
    pub transcripts: Vec<PathBuf>,
    /// Listings: files, or folders to list.
    pub listings: Vec<PathBuf>,
}

/// The paper of a run.
///
/// # Errors
/// A transcript or listing cannot be read.
pub fn paper(contents: &Contents, published: &Published, cover: &Cover) -> anyhow::Result<Paper> {
    let mut blocks = vec![Block::Heading("Result".to_owned())];
    blocks.push(Block::Lead(published.verdict.sentence.clone()));
    blocks.push(Block::Items(published.verdict.notes.clone()));
    blocks.push(Block::Heading("Set-up".to_owned()));
    let named = |(name, value): (&str, String)| (name.to_owned(), value);
    blocks.push(Block::Terms(setup(contents, published).into_iter().map(named).collect()));
    blocks.push(Block::Subheading("The servers".to_owned()));
    blocks.push(Block::Terms(
        servers(contents).into_iter().map(|server| (server.name, server.known)).collect(),
    ));
    let several = published.sections.len() > 1;
    for section in &published.sections {
        if several {
            blocks.push(Block::Heading(capitalised(&section.name)));
            blocks.push(Block::Paragraph(section.question.clone()));
            blocks.push(Block::Paragraph(section.answer.clone()));
        } else {
            blocks.push(Block::Heading("Figures".to_owned()));
        }
        blocks.extend(section.why.clone().map(Block::Paragraph));
        for figure in &section.figures {
            blocks.push(Block::Figure {
                picture: Box::new(picture::tree(&figure.svg)?),
                title: figure.title.clone(),
                caption: format!("{}. {}", figure.title, figure.caption),
            });
        }
        if let Some(scalability) = &section.scalability {
            blocks.push(Block::Table {
                caption: format!("The Universal Scalability Law: {}.", scalability.heading),
                columns: scalability::COLUMNS.map(str::to_owned).to_vec(),
                rows: scalability.rows.clone(),
                notes: vec![scalability.refusals(), scalability.reading.clone()],
            });
        }
    }
    if !published.claims.is_empty() {
        blocks.push(Block::Heading("Published claims".to_owned()));
        for one in &published.claims {
            blocks.push(Block::Subheading(one.claim.to_owned()));
            let judgement = capitalised(one.judgement.name());
            blocks.push(Block::Paragraph(format!(
                "{}. {judgement}: {} {}",
                one.source, one.measured, one.test
            )));
        }
    }
    blocks.push(Block::Heading("Tables".to_owned()));
    for table in table::tables(&published.summary, &published.baseline) {
        let remarks = table.rows.iter().filter(|(_, remark)| !remark.is_empty());
        blocks.push(Block::Table {
            caption: format!("{}: medians over the rounds.", table.heading),
            columns: table::COLUMNS.map(str::to_owned).to_vec(),
            notes: remarks.map(|(values, remark)| format!("{}: {remark}", values[0])).collect(),
            rows: table.rows.into_iter().map(|(values, _)| values).collect(),
        });
    }
    let outliers = outliers_in_words(contents);
    if !outliers.is_empty() {
        blocks.push(Block::Heading("Outliers".to_owned()));
        blocks.push(Block::Paragraph(
            "Trials far from the others of their server and load. They are listed and not dropped."
                .to_owned(),
        ));
        blocks.push(Block::Items(outliers));
    }
    blocks.push(Block::Heading("Methods".to_owned()));
    blocks.push(Block::Items(guide::methods(&contents.plan)));
    blocks.push(Block::Subheading("Terms".to_owned()));
    let terms = guide::GLOSSARY.map(|(term, text)| (term.to_owned(), text.to_owned()));
    blocks.push(Block::Terms(terms.to_vec()));
    for path in &cover.transcripts {
        blocks.push(Block::Heading(format!("Transcript: {}", name(path))));
        blocks.push(Block::Verbatim(read(path)?));
    }
    for path in &cover.listings {
        blocks.push(Block::Heading(format!("Listing: {}", name(path))));
        blocks.push(Block::Verbatim(if path.is_dir() { list(path)? } else { read(path)? }));
    }
    blocks.retain(|block| !matches!(block, Block::Items(items) if items.is_empty()));
    let date = contents.environment.started_at.strftime("%e %B %Y").to_string();
    let date = format!("Measured {}", date.trim());
    Ok(Paper {
        title: cover.title.clone().unwrap_or_else(|| contents.plan.question.clone()),
        authors: cover.authors.clone(),
        below_title: cover.course.iter().cloned().chain([date]).collect(),
        blocks,
    })
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// As `ls -la` shows it.
fn list(folder: &Path) -> anyhow::Result<String> {
    let listed =
        Command::new("ls").args(["-la", "--"]).arg(folder).env("LC_ALL", "C.UTF-8").output();
    let listed = listed.context("cannot run ls; give a file that holds the listing")?;
    ensure!(
        listed.status.success(),
        "cannot list {}: {}",
        folder.display(),
        String::from_utf8_lossy(&listed.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&listed.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_with_modes_sizes_and_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("meme copy.png"), [0; 1234]).unwrap();
        let listing = list(folder.path()).unwrap();
        let line = listing.lines().find(|line| line.ends_with("meme copy.png")).unwrap();
        assert!(line.starts_with("-rw") && line.contains(" 1234 "), "{line}");
        assert!(list(&folder.path().join("none")).is_err());
    }
}
