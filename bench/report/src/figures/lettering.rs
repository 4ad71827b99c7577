//! Texts in pictures: fonts, line breaks, escapes.

pub(crate) use bench_data::text_wrap::wrapped;
use plotters::prelude::*;
use plotters::style::FontStyle;

use super::style::INK;

const FONT: &str = "sans-serif";

/// Text of a size in pixels.
pub(super) fn text(pixels: u32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, pixels).into_font().color(&colour)
}

/// Bold text of a size in pixels.
pub(super) fn bold(pixels: u32) -> TextStyle<'static> {
    (FONT, pixels).into_font().style(FontStyle::Bold).color(&INK)
}

/// Text for an attribute of XML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
