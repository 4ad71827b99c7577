//! Title and subtitle of a picture.

use plotters::prelude::*;

use super::lettering::{bold, text, wrapped};
use super::panel::{Area, Drawn};
use super::style::SOFT;

/// Letters per line of title and subtitle. Fonts are not measured.
const TITLE_LETTERS: usize = 92;
const SUBTITLE_LETTERS: usize = 112;
const TITLE_LINE_HEIGHT: i32 = 24;
const SUBTITLE_LINE_HEIGHT: i32 = 19;

/// The lines of title and subtitle.
pub(super) struct Heading {
    title: Vec<String>,
    subtitle: Vec<String>,
}

impl Heading {
    pub(super) fn of(title: &str, subtitle: &str) -> Self {
        Self { title: wrapped(title, TITLE_LETTERS), subtitle: wrapped(subtitle, SUBTITLE_LETTERS) }
    }

    /// Height in pixels.
    pub(super) fn height(&self) -> i32 {
        16 + self.title.len() as i32 * TITLE_LINE_HEIGHT
            + self.subtitle.len() as i32 * SUBTITLE_LINE_HEIGHT
    }

    pub(super) fn draw(&self, area: &Area<'_>) -> Drawn {
        let mut y = 10;
        for line in &self.title {
            area.draw(&Text::new(line.clone(), (14, y), bold(21)))?;
            y += TITLE_LINE_HEIGHT;
        }
        for line in &self.subtitle {
            area.draw(&Text::new(line.clone(), (14, y), text(16, SOFT)))?;
            y += SUBTITLE_LINE_HEIGHT;
        }
        Ok(())
    }
}
