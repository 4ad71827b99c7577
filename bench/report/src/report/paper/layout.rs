//! Layout of a paper on pages: the flow of text, and figures that wait for room.

use std::collections::VecDeque;

use super::line::{Piece, lines};
use super::{Paper, TextStyle};
use crate::report::fonts::Face;

/// Size of an A4 page in points.
pub(super) const PAGE: (f32, f32) = (595.0, 842.0);
pub(super) const MARGIN: f32 = 48.0;
pub(super) const WIDTH: f32 = PAGE.0 - 2.0 * MARGIN;
pub(super) const BOTTOM: f32 = PAGE.1 - MARGIN - 10.0;

pub(super) const BODY: Style = Style { size: 9.5, leading: 1.45, shade: Shade::Ink };
/// Lists, terms and everything else that is looked up rather than read.
pub(super) const FINE: Style = Style { size: 8.2, leading: 1.38, shade: Shade::Ink };
pub(super) const SMALL: Style = Style { size: 8.2, leading: 1.38, shade: Shade::Soft };
pub(super) const NOTE: Style = Style { size: 7.5, leading: 1.38, shade: Shade::Soft };
pub(super) const BETWEEN_BLOCKS: f32 = 7.0;
/// Longest paragraph, in lines, that is not broken between pages.
const UNBROKEN: usize = 5;
/// Share of its height to which a figure shrinks so that it fits on the page.
const LEAST_SHARE: f32 = 0.85;
/// Room between a figure and its caption, and below the caption.
const AROUND_CAPTION: (f32, f32) = (4.0, 5.0);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shade {
    Ink,
    Soft,
    Accent,
    Grid,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) size: f32,
    /// Height of a line as a multiple of the size.
    pub(super) leading: f32,
    pub(super) shade: Shade,
}

impl Style {
    pub(super) fn line_height(self) -> f32 {
        self.size * self.leading
    }

    /// Room that the beginning of a text of so many lines needs.
    pub(super) fn beginning(self, lines: usize) -> f32 {
        let together = if lines <= UNBROKEN { lines } else { 2 };
        together as f32 * self.line_height()
    }
}

impl From<TextStyle> for Face {
    fn from(style: TextStyle) -> Self {
        match style {
            TextStyle::Plain => Self::Regular,
            TextStyle::Emphasis => Self::Italic,
            TextStyle::Strong => Self::Bold,
            TextStyle::Code => Self::Mono,
        }
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
            Mark::Bar { .. } | Mark::Picture { .. } | Mark::Link { .. } => None,
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
    /// Rectangle that opens an address.
    Link {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        address: String,
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
    Link,
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
    let mut layout =
        Layout { set: Set::default(), y: MARGIN, figures: 0, tables: 0, waiting: VecDeque::new() };
    layout.set.pages.push(Vec::new());
    layout.front(paper);
    for (index, block) in paper.blocks.iter().enumerate() {
        layout.block(index, block, &paper.blocks[index + 1..]);
    }
    while !layout.waiting.is_empty() {
        layout.new_page();
    }
    layout.number_pages(&paper.title);
    layout.set
}

pub(super) struct Layout {
    pub(super) set: Set,
    /// Vertical position on the last page.
    pub(super) y: f32,
    /// Figures and tables so far.
    pub(super) figures: usize,
    pub(super) tables: usize,
    /// Figures without room on the pages so far.
    waiting: VecDeque<Figure>,
}

/// Figure to be placed.
pub(super) struct Figure {
    /// Index of its block.
    pub(super) block: usize,
    /// Largest width, and height divided by width.
    pub(super) width: f32,
    pub(super) aspect: f32,
    pub(super) title: String,
    pub(super) caption: Vec<Vec<Piece>>,
}

impl Figure {
    /// Height of the caption with the room around it.
    fn below(&self) -> f32 {
        self.caption.len() as f32 * SMALL.line_height() + AROUND_CAPTION.0
    }

    /// Room for the smallest form of the figure.
    pub(super) fn least_height(&self) -> f32 {
        LEAST_SHARE * self.width * self.aspect + self.below()
    }
}

impl Layout {
    /// Places a figure, or lets it wait for the next page.
    pub(super) fn figure(&mut self, figure: Figure) {
        match self.picture_height(&figure).filter(|_| self.waiting.is_empty()) {
            Some(height) => self.place(figure, height),
            None => self.waiting.push_back(figure),
        }
    }

    /// Height of a picture on this page; `None` if there is too little room. An empty page takes every
    /// figure.
    fn picture_height(&self, figure: &Figure) -> Option<f32> {
        let natural = figure.width * figure.aspect;
        let room = BOTTOM - self.y - figure.below();
        let fits = room >= LEAST_SHARE * natural || self.y <= MARGIN;
        fits.then(|| natural.min(room))
    }

    fn place(&mut self, figure: Figure, height: f32) {
        let node = self.node(Role::Figure(figure.title), None);
        let width = height / figure.aspect;
        let (x, y) = (MARGIN + (WIDTH - width) / 2.0, self.y);
        self.mark(Mark::Picture { x, y, width, height, block: figure.block, node });
        self.y += height + AROUND_CAPTION.0;
        let node = self.node(Role::Caption, None);
        for line in &figure.caption {
            self.line(line, SMALL, MARGIN, node);
        }
        self.y += AROUND_CAPTION.1 + BETWEEN_BLOCKS;
    }

    /// Running text in a column `(x, width)`.
    pub(super) fn text(
        &mut self,
        runs: &[(Face, &str)],
        style: Style,
        column: (f32, f32),
        node: usize,
    ) {
        self.marked_text(None, runs, style, column, node);
    }

    /// Running text in a column `(x, width)` with a marker at its own place in the first line.
    pub(super) fn marked_text(
        &mut self,
        marker: Option<(f32, &str)>,
        runs: &[(Face, &str)],
        style: Style,
        column: (f32, f32),
        node: usize,
    ) {
        let lines = lines(runs, style.size, column.1);
        let count = lines.len();
        for (index, line) in lines.iter().enumerate() {
            // Neither the first nor the last line is alone on a page.
            let room = match index {
                0 => style.beginning(count),
                _ if count > UNBROKEN && index + 2 == count => style.beginning(2),
                _ => style.line_height(),
            };
            self.need(room);
            if let Some((x, text)) = marker.filter(|_| index == 0) {
                let piece = Piece { face: Face::Regular, text: text.to_owned(), x: 0.0 };
                self.line(&[piece], style, x, node);
                self.y -= style.line_height();
            }
            self.line(line, style, column.0, node);
        }
    }

    pub(super) fn line(&mut self, pieces: &[Piece], style: Style, x: f32, node: usize) {
        let y = self.baseline(style);
        for piece in pieces {
            let Piece { face, text, x: from } = piece.clone();
            let Style { size, shade, .. } = style;
            self.mark(Mark::Text { x: x + from, y, face, size, shade, text, node: Some(node) });
        }
        self.y += style.line_height();
    }

    /// Baseline of the next line: centres lowercase letters without ascenders in it.
    pub(super) fn baseline(&self, style: Style) -> f32 {
        self.y + style.line_height() / 2.0 + style.size * 0.36
    }

    pub(super) fn bar(&mut self, x: f32, width: f32, height: f32, shade: Shade) {
        self.mark(Mark::Bar { x, y: self.y, width, height, shade });
        self.y += height;
    }

    /// Begins a new page if this one has less room than `height`.
    pub(super) fn need(&mut self, height: f32) {
        // Waiting figures may fill the new page as well.
        while self.y > MARGIN && self.y + height > BOTTOM {
            self.new_page();
        }
    }

    pub(super) fn new_page(&mut self) {
        self.set.pages.push(Vec::new());
        self.y = MARGIN;
        while let Some(figure) = self.waiting.pop_front() {
            match self.picture_height(&figure) {
                Some(height) => self.place(figure, height),
                None => return self.waiting.push_front(figure),
            }
        }
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

    pub(super) fn node(&mut self, role: Role, parent: Option<usize>) -> usize {
        self.set.nodes.push(Node { role, parent });
        self.set.nodes.len() - 1
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        self.set.pages.last_mut().expect("there is always a page").push(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::paper::{Block, Group, Run};

    fn paper(blocks: Vec<Block>) -> Paper {
        Paper {
            title: "T".to_owned(),
            authors: vec!["A".to_owned()],
            below_title: vec![],
            links: vec![],
            blocks,
        }
    }

    fn figure(caption: &str) -> Block {
        let picture = "<svg width=\"800\" height=\"400\" xmlns=\"http://www.w3.org/2000/svg\"/>";
        Block::Figure {
            picture: Box::new(crate::report::picture::tree(picture).unwrap()),
            title: "Picture".to_owned(),
            caption: caption.to_owned(),
            width: 400.0,
        }
    }

    fn table(rows: impl Iterator<Item = Vec<String>>, columns: &[&str]) -> Block {
        Block::Table {
            caption: "C".to_owned(),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            groups: vec![Group {
                heading: String::new(),
                rows: rows.collect(),
                remarks: vec!["remark ".repeat(40)],
            }],
            notes: vec!["note ".repeat(100)],
        }
    }

    fn text(text: &str) -> Block {
        Block::Paragraph(text.to_owned())
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

    /// Page of each picture.
    fn pictures(set: &Set) -> Vec<usize> {
        let count = |page: &Vec<Mark>| {
            page.iter().filter(|mark| matches!(mark, Mark::Picture { .. })).count()
        };
        let pages = set.pages.iter().map(count).enumerate();
        pages.flat_map(|(page, count)| std::iter::repeat_n(page, count)).collect()
    }

    /// Lowest end of the content of each page, without the page numbers.
    fn ends(set: &Set) -> Vec<f32> {
        let end = |mark: &Mark| match mark {
            Mark::Text { node: None, .. } => 0.0,
            Mark::Text { y, .. } => *y,
            Mark::Bar { y, height, .. }
            | Mark::Picture { y, height, .. }
            | Mark::Link { y, height, .. } => y + height,
        };
        set.pages.iter().map(|page| page.iter().map(end).fold(0.0, f32::max)).collect()
    }

    #[test]
    fn everything_stays_within_the_margins() {
        let rows = (0..200).map(|n| vec![format!("server {n}"), "1.00M".repeat(3)]);
        let run = |style, text: &str| Run { style, text: text.repeat(60) };
        let runs = vec![run(TextStyle::Strong, "bold "), run(TextStyle::Code, "code,")];
        let long = "text ".repeat(200);
        let mut paper = paper(vec![
            Block::Paragraph("word ".repeat(2000)),
            Block::Rich(runs.clone()),
            Block::Entry { depth: 20, marker: "10.".to_owned(), runs },
            table(rows, &["server", "rate"]),
            Block::Verbatim("line\n".repeat(300) + &"x".repeat(500)),
            Block::Source("line\n".repeat(1200) + &"y".repeat(500)),
            Block::Terms(vec![("term ".repeat(9), long.clone())]),
            Block::Definitions(vec![("term".to_owned(), long)]),
            figure(&"caption ".repeat(60)),
        ]);
        paper.links = vec![format!("https://example.org/{}", "path".repeat(60))];
        let set = set(&paper);
        assert!(set.pages.len() > 8);
        let mut addresses = 0;
        for mark in set.pages.iter().flatten() {
            match mark {
                Mark::Text { x, y, face, size, text, .. } => {
                    let end = x + face.width(text.trim_end(), *size);
                    let is_within = *x >= MARGIN - 0.1 && end <= MARGIN + WIDTH + 0.1;
                    assert!(is_within, "{text}: {x} to {end}");
                    assert!(*y > MARGIN && *y < PAGE.1 - MARGIN + 13.0, "{text}: {y}");
                }
                Mark::Link { x, width, address, .. } => {
                    assert!(*x >= MARGIN && x + width <= MARGIN + WIDTH + 0.1);
                    assert_eq!(*address, paper.links[0], "each line opens the whole address");
                    addresses += 1;
                }
                Mark::Bar { .. } | Mark::Picture { .. } => {}
            }
        }
        assert!(addresses > 1, "the address has several lines");
        assert!(ends(&set).iter().all(|end| *end <= BOTTOM + 1.0));
    }

    #[test]
    fn a_table_repeats_its_head_on_each_page_and_pages_are_numbered() {
        let set = set(&paper(vec![table((0..150).map(|n| vec![format!("row {n}")]), &["name"])]));
        assert_eq!(found(&set, "name"), (0..set.pages.len()).collect::<Vec<_>>());
        assert_eq!(found(&set, &format!("2 / {}", set.pages.len())), [1]);
        assert_eq!(found(&set, "row 149"), [set.pages.len() - 1]);
    }

    #[test]
    fn a_group_of_a_table_stays_with_its_heading() {
        for lines in 30..70 {
            let group = |name: &str| Group {
                heading: name.to_owned(),
                rows: (0..4).map(|n| vec![format!("{name} {n}")]).collect(),
                remarks: Vec::new(),
            };
            let set = set(&paper(vec![
                Block::Verbatim("x\n".repeat(lines)),
                Block::Table {
                    caption: "C".to_owned(),
                    columns: vec!["name".to_owned()],
                    groups: vec![group("one"), group("two")],
                    notes: Vec::new(),
                },
            ]));
            for name in ["one", "two"] {
                let rows: Vec<_> = (0..4).map(|n| found(&set, &format!("{name} {n}"))).collect();
                let page = found(&set, name);
                assert!(rows.iter().all(|row| *row == page), "{lines}: {page:?} {rows:?}");
            }
        }
    }

    #[test]
    fn no_heading_is_the_last_line_of_a_page() {
        let items = || vec!["after".to_owned()];
        let term = || vec![("after".to_owned(), "text ".repeat(60))];
        let run = Run { style: TextStyle::Plain, text: "after".to_owned() };
        let kinds: [&dyn Fn() -> Block; 9] = [
            &|| text("after"),
            &|| Block::Rich(vec![run.clone()]),
            &|| Block::Entry { depth: 1, marker: String::new(), runs: vec![run.clone()] },
            &|| Block::Lead("after".to_owned()),
            &|| Block::Items(items()),
            &|| Block::Terms(term()),
            &|| table(std::iter::once(vec!["after".to_owned()]), &["name"]),
            &|| Block::Verbatim("after\nx\nx".to_owned()),
            &|| Block::Source("after\nx\nx".to_owned()),
        ];
        for lines in (40..80).step_by(2) {
            for (index, block) in kinds.iter().enumerate() {
                let set = set(&paper(vec![
                    Block::Verbatim("x\n".repeat(lines)),
                    Block::Heading("Heading".to_owned()),
                    Block::Subheading("Below".to_owned()),
                    block(),
                ]));
                let page = found(&set, "Heading");
                assert_eq!(page, found(&set, "Below"), "{lines} {index}");
                assert_eq!(page, found(&set, "after"), "{lines} {index}");
                assert_eq!(set.sections[0].1, page[0]);
            }
        }
    }

    #[test]
    fn a_figure_keeps_its_caption() {
        for lines in 30..60 {
            let set = set(&paper(vec![Block::Verbatim("x\n".repeat(lines)), figure("shown")]));
            assert_eq!(found(&set, "shown"), pictures(&set), "{lines}");
        }
    }

    #[test]
    fn the_text_after_a_figure_without_room_fills_the_page() {
        for lines in (30..66).step_by(2) {
            let set = set(&paper(vec![
                Block::Verbatim("x\n".repeat(lines)),
                figure("one"),
                figure("two"),
                Block::Paragraph("word ".repeat(900)),
                text("last"),
            ]));
            assert_eq!(pictures(&set).len(), 2, "{lines}");
            assert_eq!([found(&set, "one"), found(&set, "two")].concat(), pictures(&set));
            let ends = ends(&set);
            let full = &ends[..ends.len() - 1];
            assert!(full.iter().all(|end| *end > BOTTOM - 50.0), "{lines}: {ends:?}");
        }
    }

    #[test]
    fn figures_that_wait_at_the_end_are_printed() {
        let many = (0..5).map(|n| figure(&format!("number {n}")));
        let set = set(&paper(many.collect()));
        assert_eq!(pictures(&set).len(), 5);
        assert_eq!(set.pages.len(), 2, "three to a page");
        assert_eq!(found(&set, "number 4"), [1]);
    }

    #[test]
    fn a_heading_of_figures_alone_stays_with_the_first() {
        for lines in (30..80).step_by(3) {
            let set = set(&paper(vec![
                Block::Verbatim("x\n".repeat(lines)),
                Block::Heading("Heading".to_owned()),
                figure("one"),
            ]));
            assert_eq!(found(&set, "Heading"), pictures(&set), "{lines}");
        }
    }

    #[test]
    fn no_line_of_a_long_paragraph_is_alone_on_a_page() {
        for lines in 40..75 {
            let set = set(&paper(vec![
                Block::Verbatim("x\n".repeat(lines)),
                Block::Paragraph("word ".repeat(150)),
            ]));
            let of_text = |page: &Vec<Mark>| {
                let is_body = |mark: &&Mark| matches!(mark, Mark::Text { text, .. } if text.starts_with("word"));
                page.iter().filter(is_body).count()
            };
            assert!(set.pages.iter().all(|page| of_text(page) != 1), "{lines}");
        }
    }

    #[test]
    fn lines_of_a_source_are_numbered_and_the_numbers_are_no_content() {
        let set = set(&paper(vec![Block::Source(format!("one\n\n{}", "y".repeat(150)))]));
        let mut numbers = Vec::new();
        for mark in &set.pages[0] {
            if let Mark::Text { text, node: None, face: Face::Mono, .. } = mark {
                numbers.push(text.as_str());
            }
        }
        assert_eq!(numbers, ["1", "2", "3"]);
        assert_eq!(
            set.pages[0]
                .iter()
                .filter(|mark| { matches!(mark, Mark::Text { text, .. } if text.starts_with('y')) })
                .count(),
            2
        );
    }
}
