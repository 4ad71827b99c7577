//! Papers: headings, paragraphs, tables and figures on A4 pages, as PDF.

mod layout;
mod line;
mod pdf;

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
    /// Highlighted paragraph: the answer.
    Lead(String),
    /// Bullet list.
    Items(Vec<String>),
    /// Terms with their descriptions.
    Terms(Vec<(String, String)>),
    /// Figure with a caption.
    Figure {
        /// Parsed SVG.
        picture: Box<Tree>,
        /// Alternative text for screen readers.
        title: String,
        /// Caption without number.
        caption: String,
    },
    /// Table with a caption.
    Table {
        /// Caption without number.
        caption: String,
        /// Column headings.
        columns: Vec<String>,
        /// Rows with a value for each column.
        rows: Vec<Vec<String>>,
        /// Notes below the table.
        notes: Vec<String>,
    },
    /// Fixed-width text with its line breaks.
    Verbatim(String),
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
