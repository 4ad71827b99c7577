//! A paper: headings, paragraphs, tables and figures, set on pages of A4 and written as PDF.

mod layout;
mod line;
mod pdf;

use resvg::usvg::Tree;

/// What is to be set.
#[derive(Debug)]
pub struct Paper {
    /// Its title.
    pub title: String,
    /// Who wrote it, one or more.
    pub authors: Vec<String>,
    /// Lines below the title, such as course and date.
    pub below_title: Vec<String>,
    /// Everything else, from top to bottom.
    pub blocks: Vec<Block>,
}

/// A part of a paper.
#[derive(Debug)]
pub enum Block {
    /// Begins a section; viewers list these.
    Heading(String),
    /// Begins a part of a section.
    Subheading(String),
    /// Running text.
    Paragraph(String),
    /// What is to be read first.
    Lead(String),
    /// One paragraph each, with a dot.
    Items(Vec<String>),
    /// Terms and what is to be said of them.
    Terms(Vec<(String, String)>),
    /// A picture.
    Figure {
        /// The picture.
        picture: Box<Tree>,
        /// What it shows, for those who cannot see it.
        title: String,
        /// What it says; the number is put before it.
        caption: String,
    },
    /// A table.
    Table {
        /// What it shows; the number is put before it.
        caption: String,
        /// Heads of the columns.
        columns: Vec<String>,
        /// A value for each column.
        rows: Vec<Vec<String>>,
        /// What must be known of it.
        notes: Vec<String>,
    },
    /// Text line by line as it is, with letters of one width.
    Verbatim(String),
}

impl Paper {
    /// The paper as PDF: text that can be selected and searched, tagged for screen readers, with an
    /// outline of its sections. The same paper is the same file.
    ///
    /// # Errors
    /// Something in it cannot be written as PDF.
    pub fn pdf(&self) -> anyhow::Result<Vec<u8>> {
        pdf::write(self, &layout::set(self))
    }

    /// Letters in it that the fonts do not have, each once.
    pub fn lacking_letters(&self) -> Vec<char> {
        let set = layout::set(self);
        let mut lacking: Vec<char> =
            set.texts().flat_map(|(face, text)| face.lacks(text).collect::<Vec<_>>()).collect();
        lacking.sort_unstable();
        lacking.dedup();
        lacking
    }
}
