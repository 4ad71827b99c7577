//! The report as a paper.

use anyhow::Context;

use crate::analysis::comparison::capitalised;
use crate::analysis::scalability;
use crate::analysis::sentence::{advice, claim};
use crate::report::content::Report;
use crate::report::glossary;
use crate::report::paper::{Block, Group, Paper, markdown};
use crate::report::picture;
use crate::report::setup::{outliers_in_words, servers, setup};
use crate::report::table::{self, Table};

/// Widths of figures, in points: the forest plot, and charts, of which three fit on a page.
const FOREST_WIDTH: f32 = 480.0;
const CHART_WIDTH: f32 = 400.0;
/// Points per pixel of a picture of the user.
const POINTS_PER_PIXEL: f32 = 0.75;
/// Widths of the forest plot of a paper of one page, from the largest: the first that leaves enough
/// room for the set-up.
const BRIEF_WIDTHS: [f32; 6] = [FOREST_WIDTH, 440.0, 400.0, 350.0, 300.0, 250.0];

/// Details of the paper that are not part of the run.
#[derive(Debug, Clone, Default)]
pub struct Cover {
    /// Title; the question of the plan by default.
    pub title: Option<String>,
    /// Authors.
    pub authors: Vec<String>,
    /// Course.
    pub course: Option<String>,
    /// Addresses below the title.
    pub links: Vec<String>,
    /// True for a paper of one page: answer, forest plot and set-up. It has none of the following.
    pub brief: bool,
    /// Text of the user.
    pub notes: Option<UserText>,
    /// Pictures of the user.
    pub pictures: Vec<UserPicture>,
    /// Source files, whose lines are numbered.
    pub sources: Vec<Appendix>,
    /// Transcripts and listings.
    pub appendices: Vec<Appendix>,
}

/// Text of the user in Markdown.
#[derive(Debug, Clone)]
pub struct UserText {
    /// File, for errors.
    pub file: String,
    /// The text.
    pub text: String,
}

/// Picture of the user.
#[derive(Debug, Clone)]
pub struct UserPicture {
    /// File, for errors.
    pub file: String,
    /// Caption.
    pub caption: String,
    /// PNG or SVG.
    pub data: Vec<u8>,
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
/// A chart cannot be set, or a text or a picture of the user cannot be used.
pub fn paper(report: &Report, cover: &Cover) -> anyhow::Result<Paper> {
    let of = |mut blocks: Vec<Block>| {
        blocks.retain(|block| !is_empty(block));
        with_cover(report, cover, blocks)
    };
    if !cover.brief {
        return Ok(of(blocks(report, cover)?));
    }
    let mut paper = of(brief(report, BRIEF_WIDTHS[0])?);
    for width in &BRIEF_WIDTHS[1..] {
        if paper.pages() == 1 {
            break;
        }
        paper = of(brief(report, *width)?);
    }
    Ok(paper)
}

fn with_cover(report: &Report, cover: &Cover, blocks: Vec<Block>) -> Paper {
    let contents = &report.contents;
    let date = contents.environment.started_at.strftime("%e %B %Y").to_string();
    let date = format!("Measured {}", date.trim());
    Paper {
        title: cover.title.clone().unwrap_or_else(|| contents.plan.question.clone()),
        authors: cover.authors.clone(),
        below_title: cover.course.iter().cloned().chain([date]).collect(),
        links: cover.links.clone(),
        blocks,
    }
}

fn is_empty(block: &Block) -> bool {
    match block {
        Block::Items(items) => items.is_empty(),
        Block::Terms(terms) | Block::Definitions(terms) => terms.is_empty(),
        Block::Heading(_)
        | Block::Subheading(_)
        | Block::Paragraph(_)
        | Block::Rich(_)
        | Block::Lead(_)
        | Block::Entry { .. }
        | Block::Figure { .. }
        | Block::Table { .. }
        | Block::Verbatim(_)
        | Block::Source(_) => false,
    }
}

fn brief(report: &Report, width: f32) -> anyhow::Result<Vec<Block>> {
    let mut blocks = vec![Block::Lead(report.analysis.answer.clone())];
    blocks.extend(forest(report, width)?);
    blocks.push(Block::Paragraph(report.analysis.validity.clone()));
    blocks.push(Block::Subheading("Set-up".to_owned()));
    blocks.push(Block::Terms(owned(setup(report))));
    Ok(blocks)
}

fn blocks(report: &Report, cover: &Cover) -> anyhow::Result<Vec<Block>> {
    let mut blocks = result(report)?;
    blocks.extend(of_user(cover)?);
    blocks.push(Block::Heading("Set-up".to_owned()));
    blocks.push(Block::Terms(owned(setup(report))));
    blocks.push(Block::Subheading("The servers".to_owned()));
    let servers = servers(&report.contents).into_iter();
    blocks.push(Block::Terms(servers.map(|server| (server.name, server.described)).collect()));
    blocks.extend(experiments(report)?);
    blocks.extend(claims(report));
    blocks.push(Block::Heading("Tables".to_owned()));
    blocks.extend(tables(report));
    let outliers = outliers_in_words(&report.contents);
    if !outliers.is_empty() {
        let explained =
            "Trials far from the others of their server and load; the medians include them.";
        blocks.push(Block::Subheading("Outliers".to_owned()));
        blocks.push(Block::Items([vec![explained.to_owned()], outliers].concat()));
    }
    blocks.push(Block::Heading("Methods".to_owned()));
    blocks.push(Block::Items(glossary::methods(&report.contents.plan)));
    blocks.push(Block::Subheading("Terms".to_owned()));
    let terms = glossary::of(report).into_iter();
    let terms = terms.map(|(term, text)| (format!("{term}:"), text.to_owned()));
    blocks.push(Block::Definitions(terms.collect()));
    for source in &cover.sources {
        blocks.push(Block::Heading(source.heading.clone()));
        blocks.push(Block::Source(source.text.clone()));
    }
    for appendix in &cover.appendices {
        blocks.push(Block::Heading(appendix.heading.clone()));
        blocks.push(Block::Verbatim(appendix.text.clone()));
    }
    Ok(blocks)
}

/// Answer, forest plot, recommendations and validity.
fn result(report: &Report) -> anyhow::Result<Vec<Block>> {
    let analysis = &report.analysis;
    let mut blocks =
        vec![Block::Heading("Result".to_owned()), Block::Lead(analysis.answer.clone())];
    blocks.extend(forest(report, FOREST_WIDTH)?);
    let measured: Vec<_> = advice::words(&analysis.advice)
        .into_iter()
        .filter(|one| one.section.is_some())
        .map(|one| {
            let parts = [one.choice, one.alike, one.lead, one.cost].into_iter();
            let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
            (one.situation.to_owned(), parts.join("; "))
        })
        .collect();
    if !measured.is_empty() {
        blocks.push(Block::Subheading("Which one for my case?".to_owned()));
        blocks.push(Block::Terms(measured));
        blocks.extend(advice::without_measurement(&analysis.advice).map(Block::Paragraph));
    }
    blocks.push(Block::Subheading("Validity".to_owned()));
    let validity = std::iter::once(&analysis.validity).chain(&analysis.notes);
    blocks.push(Block::Items(validity.cloned().collect()));
    Ok(blocks)
}

fn forest(report: &Report, width: f32) -> anyhow::Result<Option<Block>> {
    let Some(plot) = &report.forest else { return Ok(None) };
    Ok(Some(Block::Figure {
        // The answer above is its title.
        picture: Box::new(picture::tree(&plot.wide)?),
        title: plot.title.clone(),
        caption: plot.caption.clone(),
        width,
    }))
}

/// Text and pictures of the user.
fn of_user(cover: &Cover) -> anyhow::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    if let Some(notes) = &cover.notes {
        let cannot = || format!("cannot use {}", notes.file);
        blocks = markdown::blocks(&notes.text).with_context(cannot)?;
    }
    let has_any = !blocks.is_empty() || !cover.pictures.is_empty();
    if has_any && !matches!(blocks.first(), Some(Block::Heading(_))) {
        blocks.insert(0, Block::Heading("Notes".to_owned()));
    }
    for picture in &cover.pictures {
        let tree = picture::of_user(&picture.data)
            .with_context(|| format!("cannot use {}", picture.file))?;
        blocks.push(Block::Figure {
            width: tree.size().width() * POINTS_PER_PIXEL,
            picture: Box::new(tree),
            title: picture.caption.clone(),
            caption: picture.caption.clone(),
        });
    }
    Ok(blocks)
}

/// Answers and charts of the experiments, each with its question if there are several.
fn experiments(report: &Report) -> anyhow::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let several = report.analysis.sections.len() > 1;
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
                caption: figure.caption.clone(),
                width: CHART_WIDTH,
            });
        }
        if let Some(scalability) = section.scalability.as_ref().filter(|one| !one.rows.is_empty()) {
            blocks.push(Block::Table {
                caption: format!("The Universal Scalability Law: {}.", scalability.heading),
                columns: scalability::COLUMNS.map(str::to_owned).to_vec(),
                groups: vec![Group {
                    heading: String::new(),
                    rows: scalability.rows.clone(),
                    remarks: Vec::new(),
                }],
                notes: vec![scalability.refusals(), scalability.reading.clone()],
            });
        }
    }
    Ok(blocks)
}

/// Claims that the run can test.
fn claims(report: &Report) -> Vec<Block> {
    let (testable, others): (Vec<_>, Vec<_>) =
        report.analysis.claims.iter().partition(|claim| claim.is_testable());
    if testable.is_empty() {
        return Vec::new();
    }
    let each = testable.iter().map(|one| (one.claim.to_owned(), claim::in_paper(one)));
    vec![
        Block::Heading("Published claims".to_owned()),
        Block::Paragraph(claim::introduction(others.len())),
        Block::Definitions(each.collect()),
    ]
}

/// Tables of all loads. Consecutive ones with the same columns become one, with a group of rows for
/// each load.
fn tables(report: &Report) -> Vec<Block> {
    let mut merged: Vec<Vec<Table>> = Vec::new();
    for table in table::tables(&report.analysis.summary, &report.analysis.baseline) {
        match merged.last_mut().filter(|tables| tables[0].columns == table.columns) {
            Some(tables) => tables.push(table),
            None => merged.push(vec![table]),
        }
    }
    let mut blocks = Vec::new();
    let last = merged.len().saturating_sub(1);
    let mut notes = vec![table::NOTE.to_owned()];
    if merged.iter().flatten().any(Table::has_kernel_memory) {
        notes.push(table::KERNEL_NOTE.to_owned());
    }
    for (index, tables) in merged.into_iter().enumerate() {
        let columns = tables[0].columns.iter().map(|name| (*name).to_owned()).collect();
        let caption = table::caption(&tables);
        let groups = tables.into_iter().map(group).collect();
        let notes = if index == last { notes.clone() } else { Vec::new() };
        blocks.push(Block::Table { caption, columns, groups, notes });
    }
    blocks
}

fn group(table: Table) -> Group {
    let remarks = table.rows.iter().filter(|row| !row.remark.is_empty());
    let remarks: Vec<_> = remarks.map(|row| format!("{}: {}", row.values[0], row.remark)).collect();
    Group {
        heading: table.heading,
        remarks: if remarks.is_empty() { Vec::new() } else { vec![remarks.join("; ")] },
        rows: table.rows.into_iter().map(|row| row.values).collect(),
    }
}

fn owned(pairs: Vec<(&'static str, impl Into<String>)>) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect()
}
