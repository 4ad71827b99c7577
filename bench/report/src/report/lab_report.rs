//! The report as a paper.

use crate::analysis::comparison::capitalised;
use crate::analysis::scalability;
use crate::analysis::sentence::advice;
use crate::report::content::Report;
use crate::report::glossary;
use crate::report::paper::{Block, Paper};
use crate::report::picture;
use crate::report::setup::{outliers_in_words, servers, setup};
use crate::report::table;

/// Details of the paper that are not part of the run.
#[derive(Debug, Clone, Default)]
pub struct Cover {
    /// Title; the question of the plan by default.
    pub title: Option<String>,
    /// Authors.
    pub authors: Vec<String>,
    /// Course.
    pub course: Option<String>,
    /// Transcripts and listings.
    pub appendices: Vec<Appendix>,
}

/// Text at the end of a paper, set verbatim.
#[derive(Debug, Clone)]
pub struct Appendix {
    /// Heading above the text.
    pub heading: String,
    /// The text.
    pub text: String,
}

/// Paper of a run.
///
/// # Errors
/// A chart cannot be set.
pub fn paper(report: &Report, cover: &Cover) -> anyhow::Result<Paper> {
    let Report { contents, analysis, .. } = report;
    let mut blocks = vec![Block::Heading("Result".to_owned())];
    blocks.push(Block::Lead(analysis.answer.clone()));
    if let Some(plot) = &report.forest {
        blocks.push(Block::Figure {
            picture: Box::new(picture::tree(&plot.svg)?),
            title: plot.title.clone(),
            caption: plot.caption.clone(),
        });
    }
    blocks.push(Block::Subheading("Which one for my case?".to_owned()));
    let advice = advice::words(&analysis.advice).into_iter().map(|one| {
        let parts =
            [one.choice, one.alike, one.lead, one.cost].into_iter().filter(|part| !part.is_empty());
        (one.situation.to_owned(), parts.collect::<Vec<_>>().join("; "))
    });
    blocks.push(Block::Terms(advice.collect()));
    blocks.push(Block::Subheading("Validity".to_owned()));
    blocks.push(Block::Paragraph(analysis.validity.clone()));
    blocks.push(Block::Items(analysis.notes.clone()));
    blocks.push(Block::Heading("Set-up".to_owned()));
    let named = |(name, value): (&str, String)| (name.to_owned(), value);
    blocks.push(Block::Terms(setup(report).into_iter().map(named).collect()));
    blocks.push(Block::Subheading("The servers".to_owned()));
    blocks.push(Block::Terms(
        servers(contents).into_iter().map(|server| (server.name, server.known)).collect(),
    ));
    let several = analysis.sections.len() > 1;
    for (section, figures) in report.sections() {
        if several {
            blocks.push(Block::Heading(capitalised(&section.name)));
            blocks.push(Block::Paragraph(section.question.clone()));
        } else {
            blocks.push(Block::Heading("Figures".to_owned()));
        }
        blocks.push(Block::Paragraph(section.answer.clone()));
        blocks.extend(section.cost.clone().map(Block::Paragraph));
        for figure in figures {
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
    if !analysis.claims.is_empty() {
        blocks.push(Block::Heading("Published claims".to_owned()));
        blocks.push(Block::Paragraph(
            "Direction and magnitude of each claim are judged apart, for this machine.".to_owned(),
        ));
        for one in &analysis.claims {
            blocks.push(Block::Subheading(one.claim.to_owned()));
            let conclusion = one.conclusion();
            blocks.push(Block::Paragraph(format!(
                "{}. {conclusion} {} {}",
                one.source, one.measured, one.test
            )));
        }
    }
    blocks.push(Block::Heading("Tables".to_owned()));
    blocks.push(Block::Paragraph(table::NOTE.to_owned()));
    for table in table::tables(&analysis.summary, &analysis.baseline) {
        let remarks = table.rows.iter().filter(|row| !row.remark.is_empty());
        blocks.push(Block::Table {
            caption: format!("{}.", table.heading),
            columns: table.columns.iter().map(|name| (*name).to_owned()).collect(),
            notes: remarks.map(|row| format!("{}: {}", row.values[0], row.remark)).collect(),
            rows: table.rows.into_iter().map(|row| row.values).collect(),
        });
    }
    let outliers = outliers_in_words(contents);
    if !outliers.is_empty() {
        blocks.push(Block::Heading("Outliers".to_owned()));
        blocks.push(Block::Paragraph(
            "Trials far from the others of their server and load. They are included in the medians."
                .to_owned(),
        ));
        blocks.push(Block::Items(outliers));
    }
    blocks.push(Block::Heading("Methods".to_owned()));
    blocks.push(Block::Items(glossary::methods(&contents.plan)));
    blocks.push(Block::Subheading("Terms".to_owned()));
    let terms = glossary::GLOSSARY.map(|(term, text)| (term.to_owned(), text.to_owned()));
    blocks.push(Block::Terms(terms.to_vec()));
    for appendix in &cover.appendices {
        blocks.push(Block::Heading(appendix.heading.clone()));
        blocks.push(Block::Verbatim(appendix.text.clone()));
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
