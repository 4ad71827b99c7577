//! Layout of the blocks of a paper on pages.

use super::line::{Piece, lines, verbatim_lines};
use super::{Block, Paper};
use crate::report::fonts::Face;

/// Size of an A4 page in points.
pub(super) const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 60.0;
const WIDTH: f32 = PAGE.0 - 2.0 * MARGIN;
const BOTTOM: f32 = PAGE.1 - MARGIN - 10.0;

const BODY: Style = Style { size: 10.0, leading: 1.45, shade: Shade::Ink };
const SMALL: Style = Style { size: 8.5, leading: 1.4, shade: Shade::Soft };
const LEAD: Style = Style { size: 12.5, leading: 1.45, shade: Shade::Ink };
const TITLE: Style = Style { size: 20.0, leading: 1.25, shade: Shade::Ink };
const HEADING: Style = Style { size: 14.0, leading: 1.3, shade: Shade::Ink };
const SUBHEADING: Style = Style { size: 10.5, leading: 1.3, shade: Shade::Ink };
const CODE: Style = Style { size: 7.5, leading: 1.35, shade: Shade::Ink };
/// Smallest and largest font size of a table, whose width decides.
const TABLE_SIZES: (f32, f32) = (5.5, 8.5);
const BETWEEN_BLOCKS: f32 = 8.0;
/// Room needed below a heading, so that none is the last line of a page.
const BELOW_HEADING: f32 = 70.0;
const TERM_WIDTH: f32 = 92.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shade {
    Ink,
    Soft,
    Accent,
    Grid,
}

#[derive(Debug, Clone, Copy)]
struct Style {
    size: f32,
    leading: f32,
    shade: Shade,
}

impl Style {
    fn line_height(self) -> f32 {
        self.size * self.leading
    }
}

/// Paper after layout.
#[derive(Debug, Default)]
pub(super) struct Set {
    pub(super) pages: Vec<Vec<Mark>>,
    /// Structure of the content; a parent comes before its children.
    pub(super) nodes: Vec<Node>,
    /// Headings of the outline: text, page and vertical position.
    pub(super) sections: Vec<(String, usize, f32)>,
}

impl Set {
    /// All pieces of text with their faces.
    pub(super) fn texts(&self) -> impl Iterator<Item = (Face, &str)> {
        self.pages.iter().flatten().filter_map(|mark| match mark {
            Mark::Text { face, text, .. } => Some((*face, text.as_str())),
            Mark::Bar { .. } | Mark::Picture { .. } => None,
        })
    }
}

/// Element drawn on a page. Lengths are in points from the upper left corner.
#[derive(Debug)]
pub(super) enum Mark {
    /// Text from `x` on the baseline `y`; without a node it is not part of the content.
    Text {
        x: f32,
        y: f32,
        face: Face,
        size: f32,
        shade: Shade,
        text: String,
        node: Option<usize>,
    },
    /// Filled rectangle.
    Bar {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        shade: Shade,
    },
    Picture {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        block: usize,
        node: usize,
    },
}

/// Node of the structure for screen readers.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) role: Role,
    pub(super) parent: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Heading(u16, String),
    Paragraph,
    Figure(String),
    Caption,
    Table,
    Row,
    Head,
    Cell,
    Code,
}

/// Lays out a paper.
pub(super) fn set(paper: &Paper) -> Set {
    let mut layout = Layout { set: Set::default(), y: MARGIN, figures: 0, tables: 0 };
    layout.set.pages.push(Vec::new());
    layout.front(paper);
    for (index, block) in paper.blocks.iter().enumerate() {
        layout.block(index, block);
    }
    layout.number_pages(&paper.title);
    layout.set
}

struct Layout {
    set: Set,
    y: f32,
    figures: usize,
    tables: usize,
}

impl Layout {
    fn front(&mut self, paper: &Paper) {
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
        self.y += 8.0;
        self.bar(MARGIN, WIDTH, 0.8, Shade::Grid);
        self.y += 6.0;
    }

    fn block(&mut self, index: usize, block: &Block) {
        match block {
            Block::Heading(text) => self.heading(text, 1),
            Block::Subheading(text) => self.heading(text, 2),
            Block::Paragraph(text) => self.paragraph(&[(Face::Regular, text)]),
            Block::Lead(text) => self.lead(text),
            Block::Items(items) => items.iter().for_each(|item| self.item(item)),
            Block::Terms(terms) => terms.iter().for_each(|(term, text)| self.term(term, text)),
            Block::Figure { picture, title, caption } => {
                let size = picture.size();
                self.figure(index, size.height() / size.width(), title, caption);
            }
            Block::Table { caption, columns, rows, notes } => {
                self.table(caption, columns, rows, notes);
            }
            Block::Verbatim(text) => self.verbatim(text),
        }
        self.y += BETWEEN_BLOCKS;
    }

    fn heading(&mut self, text: &str, level: u16) {
        let (style, above) = if level == 1 { (HEADING, 14.0) } else { (SUBHEADING, 4.0) };
        self.need(above + style.line_height() + BELOW_HEADING);
        if self.y > MARGIN {
            self.y += above;
        }
        if level == 1 {
            self.set.sections.push((text.to_owned(), self.set.pages.len() - 1, self.y));
        }
        let node = self.node(Role::Heading(level + 1, text.to_owned()), None);
        self.text(&[(Face::Bold, text)], style, (MARGIN, WIDTH), node);
        self.y -= 3.0;
    }

    fn paragraph(&mut self, runs: &[(Face, &str)]) {
        let node = self.node(Role::Paragraph, None);
        self.text(runs, BODY, (MARGIN, WIDTH), node);
    }

    /// Paragraph with a bar at its left.
    fn lead(&mut self, text: &str) {
        let node = self.node(Role::Paragraph, None);
        let indent = 14.0;
        for line in lines(&[(Face::Regular, text)], LEAD.size, WIDTH - indent) {
            self.need(LEAD.line_height());
            let (y, height) = (self.y, LEAD.line_height());
            self.mark(Mark::Bar { x: MARGIN, y, width: 3.0, height, shade: Shade::Accent });
            self.line(&line, LEAD, MARGIN + indent, node);
        }
    }

    fn item(&mut self, text: &str) {
        let node = self.node(Role::Paragraph, None);
        let rows = lines(&[(Face::Regular, text)], BODY.size, WIDTH - 16.0).len();
        self.keep_together(rows, BODY);
        self.need(BODY.line_height());
        let bullet = Piece { face: Face::Regular, text: "•".to_owned(), x: 0.0 };
        self.line(&[bullet], BODY, MARGIN + 4.0, node);
        self.y -= BODY.line_height();
        self.text(&[(Face::Regular, text)], BODY, (MARGIN + 16.0, WIDTH - 16.0), node);
        self.y += 3.0;
    }

    fn term(&mut self, term: &str, text: &str) {
        let node = self.node(Role::Paragraph, None);
        let names = lines(&[(Face::Regular, term)], BODY.size, TERM_WIDTH - 8.0);
        let texts = lines(&[(Face::Regular, text)], BODY.size, WIDTH - TERM_WIDTH);
        let soft = Style { shade: Shade::Soft, ..BODY };
        self.keep_together(names.len().max(texts.len()), BODY);
        for row in 0..names.len().max(texts.len()) {
            self.need(BODY.line_height());
            let y = self.y;
            if let Some(line) = names.get(row) {
                self.line(line, soft, MARGIN, node);
            }
            self.y = y;
            if let Some(line) = texts.get(row) {
                self.line(line, BODY, MARGIN + TERM_WIDTH, node);
            }
            self.y = y + BODY.line_height();
        }
        self.y += 1.5;
    }

    fn figure(&mut self, block: usize, aspect: f32, title: &str, caption: &str) {
        self.figures += 1;
        let number = format!("Figure {}. ", self.figures);
        let runs = [(Face::Bold, number.as_str()), (Face::Regular, caption)];
        let caption = lines(&runs, SMALL.size, WIDTH);
        let below = 4.0 + caption.len() as f32 * SMALL.line_height();
        let most = BOTTOM - MARGIN - below;
        let height = (WIDTH * aspect).min(most);
        let width = height / aspect;
        self.need(height + below);
        let figure = self.node(Role::Figure(title.to_owned()), None);
        let (x, y) = (MARGIN + (WIDTH - width) / 2.0, self.y);
        self.mark(Mark::Picture { x, y, width, height, block, node: figure });
        self.y += height + 4.0;
        let node = self.node(Role::Caption, None);
        for line in &caption {
            self.line(line, SMALL, MARGIN, node);
        }
        self.y += 6.0;
    }

    fn table(&mut self, caption: &str, columns: &[String], rows: &[Vec<String>], notes: &[String]) {
        self.tables += 1;
        let (style, widths) = table_style(columns, rows);
        let row_height = style.line_height() + 2.0;
        let number = format!("Table {}. ", self.tables);
        let runs = [(Face::Bold, number.as_str()), (Face::Regular, caption)];
        let caption = lines(&runs, SMALL.size, WIDTH);
        let begin = rows.len().min(3) as f32 + 1.0;
        self.need(caption.len() as f32 * SMALL.line_height() + begin * row_height + 8.0);
        let node = self.node(Role::Caption, None);
        for line in &caption {
            self.line(line, SMALL, MARGIN, node);
        }
        self.y += 3.0;
        let table = self.node(Role::Table, None);
        self.bar(MARGIN, WIDTH, 0.8, Shade::Ink);
        self.head(table, columns, style, &widths);
        for values in rows {
            if self.y + row_height > BOTTOM {
                self.new_page();
                self.bar(MARGIN, WIDTH, 0.8, Shade::Ink);
                self.head(table, columns, style, &widths);
            }
            self.row(table, &Role::Cell, values, style, &widths);
        }
        self.bar(MARGIN, WIDTH, 0.8, Shade::Ink);
        self.y += 2.0;
        for note in notes {
            let node = self.node(Role::Paragraph, None);
            let style = Style { size: 7.5, ..SMALL };
            self.text(&[(Face::Regular, note)], style, (MARGIN, WIDTH), node);
        }
        self.y += 6.0;
    }

    fn head(&mut self, table: usize, columns: &[String], style: Style, widths: &[f32]) {
        self.row(table, &Role::Head, columns, style, widths);
        self.bar(MARGIN, WIDTH, 0.4, Shade::Ink);
    }

    /// Table row: the first column (names) is aligned left, the others right.
    fn row(&mut self, table: usize, role: &Role, values: &[String], style: Style, widths: &[f32]) {
        let row = self.node(Role::Row, Some(table));
        let mut right = MARGIN;
        let face = face_of(role);
        for (index, (value, width)) in values.iter().zip(widths).enumerate() {
            let node = self.node(role.clone(), Some(row));
            let x = match index {
                0 => MARGIN,
                _ => right + width - face.width(value, style.size),
            };
            right += width;
            let y = self.y;
            self.y += 1.0;
            self.line(&[Piece { face, text: value.clone(), x: 0.0 }], style, x, node);
            self.y = y;
        }
        self.y += style.line_height() + 2.0;
    }

    fn verbatim(&mut self, text: &str) {
        let letters = (WIDTH / Face::Mono.width("m", CODE.size)) as usize;
        let node = self.node(Role::Code, None);
        self.bar(MARGIN, WIDTH, 0.4, Shade::Grid);
        self.y += 3.0;
        for line in verbatim_lines(text, letters) {
            self.need(CODE.line_height());
            if line.is_empty() {
                self.y += CODE.line_height();
                continue;
            }
            self.line(&[Piece { face: Face::Mono, text: line, x: 0.0 }], CODE, MARGIN, node);
        }
        self.y += 3.0;
        self.bar(MARGIN, WIDTH, 0.4, Shade::Grid);
    }

    /// Running text in a column `(x, width)`.
    fn text(&mut self, runs: &[(Face, &str)], style: Style, column: (f32, f32), node: usize) {
        let lines = lines(runs, style.size, column.1);
        self.keep_together(lines.len(), style);
        for line in lines {
            self.need(style.line_height());
            self.line(&line, style, column.0, node);
        }
    }

    fn line(&mut self, pieces: &[Piece], style: Style, x: f32, node: usize) {
        // Centres lowercase letters without ascenders in the line.
        let y = self.y + style.line_height() / 2.0 + style.size * 0.36;
        for piece in pieces {
            let Piece { face, text, x: from } = piece.clone();
            let Style { size, shade, .. } = style;
            self.mark(Mark::Text { x: x + from, y, face, size, shade, text, node: Some(node) });
        }
        self.y += style.line_height();
    }

    fn bar(&mut self, x: f32, width: f32, height: f32, shade: Shade) {
        self.mark(Mark::Bar { x, y: self.y, width, height, shade });
        self.y += height;
    }

    /// Begins a new page if this one has less room than `height`.
    fn need(&mut self, height: f32) {
        if self.y + height > BOTTOM && self.y > MARGIN {
            self.new_page();
        }
    }

    /// Avoids a page break within up to five lines.
    fn keep_together(&mut self, lines: usize, style: Style) {
        if lines <= 5 {
            self.need(lines as f32 * style.line_height());
        }
    }

    fn new_page(&mut self) {
        self.set.pages.push(Vec::new());
        self.y = MARGIN;
    }

    fn number_pages(&mut self, title: &str) {
        let pages = self.set.pages.len();
        let (y, size, face, shade) = (PAGE.1 - MARGIN + 12.0, 8.0, Face::Regular, Shade::Soft);
        let room = WIDTH - 60.0;
        let title = lines(&[(face, title)], size, room).swap_remove(0);
        let title = title.into_iter().map(|piece| piece.text).collect::<String>();
        for (index, page) in self.set.pages.iter_mut().enumerate() {
            let number = format!("{} / {pages}", index + 1);
            let x = MARGIN + WIDTH - face.width(&number, size);
            for (x, text) in [(MARGIN, title.clone()), (x, number)] {
                page.push(Mark::Text { x, y, face, size, shade, text, node: None });
            }
        }
    }

    fn node(&mut self, role: Role, parent: Option<usize>) -> usize {
        self.set.nodes.push(Node { role, parent });
        self.set.nodes.len() - 1
    }

    fn mark(&mut self, mark: Mark) {
        self.set.pages.last_mut().expect("there is always a page").push(mark);
    }
}

fn face_of(role: &Role) -> Face {
    if *role == Role::Head { Face::Bold } else { Face::Regular }
}

/// Style of a table and its column widths: the widths needed, plus an equal share of the rest.
fn table_style(columns: &[String], rows: &[Vec<String>]) -> (Style, Vec<f32>) {
    let gap = 0.9;
    let needs: Vec<f32> = (0..columns.len())
        .map(|index| {
            let head = Face::Bold.width(&columns[index], 1.0);
            let values = rows.iter().filter_map(|row| row.get(index));
            values.map(|value| Face::Regular.width(value, 1.0)).fold(head, f32::max) + gap
        })
        .collect();
    let all: f32 = needs.iter().sum();
    let size = (WIDTH / all).clamp(TABLE_SIZES.0, TABLE_SIZES.1);
    let spare = ((WIDTH - all * size) / columns.len() as f32).max(0.0);
    let style = Style { size, leading: 1.4, shade: Shade::Ink };
    (style, needs.iter().map(|need| need * size + spare).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper(blocks: Vec<Block>) -> Paper {
        Paper { title: "T".to_owned(), authors: vec!["A".to_owned()], below_title: vec![], blocks }
    }

    /// Page of each occurrence of a text.
    fn found(set: &Set, wanted: &str) -> Vec<usize> {
        let texts = |page: &Vec<Mark>| {
            page.iter()
                .filter(|mark| matches!(mark, Mark::Text { text, .. } if text == wanted))
                .count()
        };
        let pages = set.pages.iter().map(texts).enumerate();
        pages.flat_map(|(page, count)| std::iter::repeat_n(page, count)).collect()
    }

    #[test]
    fn everything_stays_within_the_margins() {
        let rows = (0..200).map(|n| vec![format!("server {n}"), "1.00M".repeat(3)]).collect();
        let set = set(&paper(vec![
            Block::Paragraph("word ".repeat(2000)),
            Block::Table {
                caption: "C".to_owned(),
                columns: vec!["server".to_owned(), "rate".to_owned()],
                rows,
                notes: vec!["note ".repeat(100)],
            },
            Block::Verbatim("line\n".repeat(300) + &"x".repeat(500)),
            Block::Terms(vec![("term ".repeat(9), "text ".repeat(200))]),
        ]));
        assert!(set.pages.len() > 8);
        for mark in set.pages.iter().flatten() {
            if let Mark::Text { x, y, face, size, text, .. } = mark {
                let end = x + face.width(text.trim_end(), *size);
                assert!(*x >= MARGIN - 0.1 && end <= MARGIN + WIDTH + 0.1, "{text}: {x} to {end}");
                assert!(*y > MARGIN && *y < PAGE.1 - MARGIN + 13.0, "{text}: {y}");
            }
        }
    }

    #[test]
    fn a_table_repeats_its_head_on_each_page_and_pages_are_numbered() {
        let rows: Vec<_> = (0..150).map(|n| vec![format!("row {n}")]).collect();
        let columns = vec!["name".to_owned()];
        let caption = "C".to_owned();
        let set = set(&paper(vec![Block::Table { caption, columns, rows, notes: vec![] }]));
        assert_eq!(found(&set, "name"), (0..set.pages.len()).collect::<Vec<_>>());
        assert_eq!(found(&set, &format!("2 / {}", set.pages.len())), [1]);
        assert_eq!(found(&set, "row 149"), [set.pages.len() - 1]);
    }

    #[test]
    fn no_heading_is_the_last_line_of_a_page() {
        for lines in 30..60 {
            let set = set(&paper(vec![
                Block::Verbatim("x\n".repeat(lines * 2)),
                Block::Heading("Heading".to_owned()),
                Block::Paragraph("after".to_owned()),
            ]));
            assert_eq!(found(&set, "Heading"), found(&set, "after"), "{lines}");
            assert_eq!(set.sections[0].1, found(&set, "Heading")[0]);
        }
    }

    #[test]
    fn a_figure_keeps_its_caption() {
        let picture = "<svg width=\"800\" height=\"400\" xmlns=\"http://www.w3.org/2000/svg\"/>";
        for lines in 30..60 {
            let set = set(&paper(vec![
                Block::Verbatim("x\n".repeat(lines)),
                Block::Figure {
                    picture: Box::new(crate::report::picture::tree(picture).unwrap()),
                    title: "Picture".to_owned(),
                    caption: "shown".to_owned(),
                },
            ]));
            let is_picture = |mark: &Mark| matches!(mark, Mark::Picture { .. });
            let page = set.pages.iter().position(|page| page.iter().any(is_picture));
            assert_eq!(found(&set, "shown"), [page.unwrap()], "{lines}");
        }
    }
}
