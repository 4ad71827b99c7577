//! Papers: headings, paragraphs, tables and figures on A4 pages, as PDF.

mod blocks;
mod layout;
mod line;
pub(crate) mod markdown;
mod pdf;
mod table;

use resvg::usvg::Tree;

/// Content of a paper.
#[derive(Debug)]
pub struct Paper {
    /// Title.
    pub title: String,
    /// Authors; may be empty.
    pub authors: Vec<String>,
    /// Lines below the title, such as course and date.
    pub below_title: Vec<String>,
    /// Addresses below these lines, which a reader can open.
    pub links: Vec<String>,
    /// Blocks from top to bottom.
    pub blocks: Vec<Block>,
}

/// Block of a paper.
#[derive(Debug)]
pub enum Block {
    /// Heading of a section, listed in the outline.
    Heading(String),
    /// Heading within a section.
    Subheading(String),
    /// Running text.
    Paragraph(String),
    /// Running text in several styles.
    Rich(Vec<Run>),
    /// Highlighted paragraph: the answer.
    Lead(String),
    /// Bullet list in small type.
    Items(Vec<String>),
    /// Item of a list of the author.
    Entry {
        /// Number of lists that contain the item, from 1.
        depth: usize,
        /// Bullet or number; empty of a further paragraph of an item.
        marker: String,
        /// Text.
        runs: Vec<Run>,
    },
    /// Terms with their descriptions in small type, in two columns.
    Terms(Vec<(String, String)>),
    /// Paragraphs in small type, each with a bold beginning.
    Definitions(Vec<(String, String)>),
    /// Figure with a caption. It may be printed after the blocks that follow it, at the top of the next
    /// page.
    Figure {
        /// Parsed SVG.
        picture: Box<Tree>,
        /// Alternative text for screen readers.
        title: String,
        /// Caption without number.
        caption: String,
        /// Largest width in points.
        width: f32,
    },
    /// Table with a caption.
    Table {
        /// Caption without number.
        caption: String,
        /// Column headings.
        columns: Vec<String>,
        /// Rows.
        groups: Vec<Group>,
        /// Notes below the table.
        notes: Vec<String>,
    },
    /// Fixed-width text with its line breaks.
    Verbatim(String),
    /// Likewise, with the numbers of its lines.
    Source(String),
}

/// Part of running text in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Style.
    pub style: TextStyle,
    /// Text.
    pub text: String,
}

/// Style of a part of running text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextStyle {
    /// As the text around it.
    Plain,
    /// Italic.
    Emphasis,
    /// Bold.
    Strong,
    /// Fixed width.
    Code,
}

/// Rows of a table that belong together.
#[derive(Debug)]
pub struct Group {
    /// Heading above the rows; may be empty.
    pub heading: String,
    /// Rows with a value for each column.
    pub rows: Vec<Vec<String>>,
    /// Remarks on the rows, printed below them.
    pub remarks: Vec<String>,
}

impl Paper {
    /// Writes the paper as PDF: searchable, tagged for screen readers, with an outline. Equal papers
    /// give equal files.
    ///
    /// # Errors
    /// Some content cannot be written as PDF.
    pub fn pdf(&self) -> anyhow::Result<Vec<u8>> {
        pdf::write(self, &layout::set(self))
    }

    /// Number of pages.
    pub fn pages(&self) -> usize {
        layout::set(self).pages.len()
    }

    /// Distinct letters of the paper without a glyph in the fonts.
    pub fn lacking_letters(&self) -> Vec<char> {
        let set = layout::set(self);
        let mut lacking: Vec<char> =
            set.texts().flat_map(|(face, text)| face.lacks(text).collect::<Vec<_>>()).collect();
        lacking.sort_unstable();
        lacking.dedup();
        lacking
    }
}
