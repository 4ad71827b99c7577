//! Layout of the blocks of a paper.

use super::layout::{
    BETWEEN_BLOCKS, BODY, FINE, Figure, Layout, MARGIN, Mark, Role, SMALL, Shade, Style, WIDTH,
};
use super::line::{Piece, lines, verbatim_lines};
use super::{Block, Paper, Run};
use crate::report::fonts::Face;

const LEAD: Style = Style { size: 12.5, leading: 1.4, shade: Shade::Ink };
const TITLE: Style = Style { size: 20.0, leading: 1.25, shade: Shade::Ink };
const HEADING: Style = Style { size: 14.0, leading: 1.3, shade: Shade::Ink };
const SUBHEADING: Style = Style { size: 10.5, leading: 1.3, shade: Shade::Ink };
const DEFINITION: Style = Style { size: 8.0, leading: 1.38, shade: Shade::Ink };
const CODE: Style = Style { size: 7.5, leading: 1.35, shade: Shade::Ink };
/// Room above headings of the first and the second level.
const ABOVE_HEADING: [f32; 2] = [10.0, 3.0];
/// Room needed below a heading at the end of a paper or above another heading.
const BELOW_HEADING: f32 = 40.0;
const LEAD_INDENT: f32 = 14.0;
const ITEM_INDENT: f32 = 14.0;
const TERM_WIDTH: f32 = 96.0;
/// Depth from which on lists are not indented further.
const DEEPEST: usize = 6;
/// Height of the highest figure, so that a heading has room above it.
const HIGHEST_FIGURE: f32 = 520.0;
/// Letters of the numbers of a source, with a gap.
const GUTTER: usize = 6;
/// Lines of fixed-width text that stay together below a heading.
const FIRST_LINES: usize = 3;

impl Layout {
    pub(super) fn front(&mut self, paper: &Paper) {
        let node = self.node(Role::Heading(1, paper.title.clone()), None);
        self.text(&[(Face::Bold, &paper.title)], TITLE, (MARGIN, WIDTH), node);
        self.y += 6.0;
        if !paper.authors.is_empty() {
            let node = self.node(Role::Paragraph, None);
            let style = Style { size: 11.5, ..BODY };
            self.text(&[(Face::Regular, &paper.authors.join(", "))], style, (MARGIN, WIDTH), node);
        }
        for line in &paper.below_title {
            let node = self.node(Role::Paragraph, None);
            let style = Style { shade: Shade::Soft, ..BODY };
            self.text(&[(Face::Regular, line)], style, (MARGIN, WIDTH), node);
        }
        paper.links.iter().for_each(|address| self.link(address));
        self.y += 8.0;
        self.bar(MARGIN, WIDTH, 0.8, Shade::Grid);
        self.y += 6.0;
    }

    fn link(&mut self, address: &str) {
        let style = Style { shade: Shade::Accent, ..BODY };
        let paragraph = self.node(Role::Paragraph, None);
        let node = self.node(Role::Link, Some(paragraph));
        for line in lines(&[(Face::Regular, address)], style.size, WIDTH) {
            self.need(style.line_height());
            let (y, height) = (self.y, style.line_height());
            let width = line.iter().map(|piece| piece.face.width(&piece.text, style.size)).sum();
            self.line(&line, style, MARGIN, node);
            let address = address.to_owned();
            self.mark(Mark::Link { x: MARGIN, y, width, height, address, node });
        }
    }

    /// Sets a block; `rest` are the blocks after it.
    pub(super) fn block(&mut self, index: usize, block: &Block, rest: &[Block]) {
        match block {
            Block::Heading(text) => self.heading(text, 1, rest),
            Block::Subheading(text) => self.heading(text, 2, rest),
            Block::Paragraph(text) => self.paragraph(&[(Face::Regular, text)]),
            Block::Rich(runs) => self.paragraph(&faces(runs)),
            Block::Lead(text) => self.lead(text),
            Block::Items(items) => items.iter().for_each(|item| self.item(item)),
            Block::Entry { depth, marker, runs } => {
                self.entry(*depth, marker, runs);
                // Lists are close: their items are blocks of their own.
                if matches!(rest, [Block::Entry { .. }, ..]) {
                    return;
                }
            }
            Block::Terms(terms) => terms.iter().for_each(|(term, text)| self.term(term, text)),
            Block::Definitions(all) => all.iter().for_each(|(term, text)| self.define(term, text)),
            Block::Figure { .. } => {
                self.figures += 1;
                if let Some(figure) = figure_of(index, block, self.figures) {
                    self.figure(figure);
                }
                return;
            }
            Block::Table { caption, columns, groups, notes } => {
                self.table(caption, columns, groups, notes);
            }
            Block::Verbatim(text) => self.verbatim(text, 0),
            Block::Source(text) => self.verbatim(text, GUTTER),
        }
        self.y += BETWEEN_BLOCKS;
    }

    fn heading(&mut self, text: &str, level: u16, rest: &[Block]) {
        let style = if level == 1 { HEADING } else { SUBHEADING };
        let above = ABOVE_HEADING[usize::from(level) - 1];
        let runs = [(Face::Bold, text)];
        let own = lines(&runs, style.size, WIDTH).len() as f32 * style.line_height();
        self.need(above + own + BETWEEN_BLOCKS + self.beginning(rest));
        if self.y > MARGIN {
            self.y += above;
        }
        if level == 1 {
            self.set.sections.push((text.to_owned(), self.set.pages.len() - 1, self.y));
        }
        let node = self.node(Role::Heading(level + 1, text.to_owned()), None);
        self.text(&runs, style, (MARGIN, WIDTH), node);
        self.y -= 4.0;
    }

    /// Room that the beginning of some blocks needs on the page of their heading.
    fn beginning(&self, blocks: &[Block]) -> f32 {
        let start = |runs: &[(Face, &str)], style: Style, width: f32| {
            style.beginning(lines(runs, style.size, width).len())
        };
        let Some((first, rest)) = blocks.split_first() else { return BELOW_HEADING };
        match first {
            Block::Heading(_) => BELOW_HEADING,
            Block::Subheading(_) => {
                let own = ABOVE_HEADING[1] + SUBHEADING.line_height() + BETWEEN_BLOCKS;
                own + self.beginning(rest)
            }
            Block::Paragraph(text) => start(&[(Face::Regular, text)], BODY, WIDTH),
            Block::Rich(runs) => start(&faces(runs), BODY, WIDTH),
            Block::Lead(text) => start(&[(Face::Regular, text)], LEAD, WIDTH - LEAD_INDENT),
            Block::Items(items) => {
                let first = items.first().map_or("", String::as_str);
                start(&[(Face::Regular, first)], FINE, WIDTH - ITEM_INDENT)
            }
            Block::Entry { depth, runs, .. } => {
                start(&faces(runs), BODY, WIDTH - indent_of(*depth))
            }
            Block::Terms(terms) => terms.first().map_or(0.0, |(term, text)| {
                let [names, texts] = term_lines(term, text);
                FINE.beginning(names.len().max(texts.len()))
            }),
            Block::Definitions(all) => all.first().map_or(0.0, |(term, text)| {
                start(&[(Face::Bold, term), (Face::Regular, text)], DEFINITION, WIDTH)
            }),
            // A figure may wait for the next page, so that the text after it follows the heading.
            Block::Figure { .. } => match rest.iter().position(|one| !is_figure(one)) {
                Some(next) if !matches!(rest[next], Block::Heading(_)) => {
                    self.beginning(&rest[next..])
                }
                _ => figure_of(0, first, self.figures + 1).map_or(0.0, |one| one.least_height()),
            },
            Block::Table { caption, columns, groups, .. } => {
                self.beginning_of_table(caption, columns, groups)
            }
            Block::Verbatim(_) | Block::Source(_) => FIRST_LINES as f32 * CODE.line_height() + 4.0,
        }
    }

    fn paragraph(&mut self, runs: &[(Face, &str)]) {
        let node = self.node(Role::Paragraph, None);
        self.text(runs, BODY, (MARGIN, WIDTH), node);
    }

    /// Paragraph with a bar at its left.
    fn lead(&mut self, text: &str) {
        let node = self.node(Role::Paragraph, None);
        let lines = lines(&[(Face::Regular, text)], LEAD.size, WIDTH - LEAD_INDENT);
        self.need(LEAD.beginning(lines.len()));
        for line in &lines {
            self.need(LEAD.line_height());
            let (y, height) = (self.y, LEAD.line_height());
            self.mark(Mark::Bar { x: MARGIN, y, width: 3.0, height, shade: Shade::Accent });
            self.line(line, LEAD, MARGIN + LEAD_INDENT, node);
        }
    }

    fn item(&mut self, text: &str) {
        let node = self.node(Role::Paragraph, None);
        let column = (MARGIN + ITEM_INDENT, WIDTH - ITEM_INDENT);
        self.marked_text(Some((MARGIN + 3.0, "•")), &[(Face::Regular, text)], FINE, column, node);
        self.y += 1.5;
    }

    fn entry(&mut self, depth: usize, marker: &str, runs: &[Run]) {
        let node = self.node(Role::Paragraph, None);
        let indent = indent_of(depth);
        let wide = Face::Regular.width(marker, BODY.size);
        let marker = (MARGIN + indent - wide - 5.0, marker);
        let column = (MARGIN + indent, WIDTH - indent);
        self.marked_text(Some(marker), &faces(runs), BODY, column, node);
        self.y += 2.0;
    }

    fn term(&mut self, term: &str, text: &str) {
        let node = self.node(Role::Paragraph, None);
        let [names, texts] = term_lines(term, text);
        let rows = names.len().max(texts.len());
        self.need(FINE.beginning(rows));
        for row in 0..rows {
            self.need(FINE.line_height());
            let y = self.y;
            if let Some(line) = names.get(row) {
                self.line(line, SMALL, MARGIN, node);
            }
            self.y = y;
            if let Some(line) = texts.get(row) {
                self.line(line, FINE, MARGIN + TERM_WIDTH, node);
            }
            self.y = y + FINE.line_height();
        }
        self.y += 1.0;
    }

    /// Paragraph that begins with its term.
    fn define(&mut self, term: &str, text: &str) {
        let node = self.node(Role::Paragraph, None);
        let term = format!("{term} ");
        let runs = [(Face::Bold, term.as_str()), (Face::Regular, text)];
        self.text(&runs, DEFINITION, (MARGIN, WIDTH), node);
        self.y += 1.5;
    }

    /// Fixed-width text; its lines have numbers if there is a gutter of so many letters.
    fn verbatim(&mut self, text: &str, gutter: usize) {
        let letter = Face::Mono.width("m", CODE.size);
        let letters = (WIDTH / letter) as usize - gutter;
        let left = MARGIN + gutter as f32 * letter;
        let node = self.node(Role::Code, None);
        let lines = verbatim_lines(text, letters);
        self.need(FIRST_LINES.min(lines.len()) as f32 * CODE.line_height() + 4.0);
        self.bar(MARGIN, WIDTH, 0.4, Shade::Grid);
        self.y += 3.0;
        for line in lines {
            self.need(CODE.line_height());
            if let Some(number) = line.number.filter(|_| gutter > 0) {
                self.line_number(number, left - 2.0 * letter);
            }
            if line.text.is_empty() {
                self.y += CODE.line_height();
                continue;
            }
            let piece = Piece { face: Face::Mono, text: line.text, x: 0.0 };
            self.line(&[piece], CODE, left, node);
        }
        self.y += 3.0;
        self.bar(MARGIN, WIDTH, 0.4, Shade::Grid);
    }

    /// Number of a line, which is no part of the content: copied text has none.
    fn line_number(&mut self, number: usize, right: f32) {
        let (y, text, face, size) =
            (self.baseline(CODE), number.to_string(), Face::Mono, CODE.size);
        let x = right - face.width(&text, size);
        self.mark(Mark::Text { x, y, face, size, shade: Shade::Soft, text, node: None });
    }
}

/// The figure of a block with its number.
fn figure_of(index: usize, block: &Block, number: usize) -> Option<Figure> {
    let Block::Figure { picture, title, caption, width } = block else { return None };
    let number = format!("Figure {number}. ");
    let runs = [(Face::Bold, number.as_str()), (Face::Regular, caption.as_str())];
    let aspect = picture.size().height() / picture.size().width();
    Some(Figure {
        block: index,
        width: width.min(WIDTH).min(HIGHEST_FIGURE / aspect),
        aspect,
        title: title.clone(),
        caption: lines(&runs, SMALL.size, WIDTH),
    })
}

fn is_figure(block: &Block) -> bool {
    matches!(block, Block::Figure { .. })
}

fn faces(runs: &[Run]) -> Vec<(Face, &str)> {
    runs.iter().map(|run| (run.style.into(), run.text.as_str())).collect()
}

fn indent_of(depth: usize) -> f32 {
    16.0 * depth.min(DEEPEST) as f32
}

/// Lines of a term and of its description.
fn term_lines(term: &str, text: &str) -> [Vec<Vec<Piece>>; 2] {
    [
        lines(&[(Face::Regular, term)], FINE.size, TERM_WIDTH - 8.0),
        lines(&[(Face::Regular, text)], FINE.size, WIDTH - TERM_WIDTH),
    ]
}
