//! Elements of an SVG as text. Colours that depend on the page are written as the charts write them, so
//! that the style sheet of the report applies.

use plotters::style::RGBColor;

use crate::figures::lettering::escaped;
use crate::figures::style::{INK, SOFT, hex};

/// Rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Appearance of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Font {
    size: f64,
    colour: RGBColor,
    attributes: &'static str,
}

/// Content of a picture.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    content: String,
}

impl Font {
    /// Text in the colour of titles.
    pub(super) fn ink(size: f64) -> Self {
        Self { size, colour: INK, attributes: "" }
    }

    /// Secondary text.
    pub(super) fn soft(size: f64) -> Self {
        Self { size, colour: SOFT, attributes: "" }
    }

    /// Bold text.
    pub(super) fn bold(size: f64) -> Self {
        Self { size, colour: INK, attributes: " font-weight=\"bold\"" }
    }

    /// The text ends at its place.
    pub(super) fn before(self) -> Self {
        Self { attributes: " text-anchor=\"end\"", ..self }
    }

    /// The middle of the text is at its place.
    pub(super) fn around(self) -> Self {
        Self { attributes: " text-anchor=\"middle\"", ..self }
    }
}

impl Area {
    /// The rectangle as the data of a path, which are shorter than an element of its own.
    pub(super) fn outline(self) -> String {
        let [x, y] = [self.x, self.y].map(number);
        let [width, height] = [self.width, self.height].map(number);
        format!("M{x} {y}h{width}v{height}h-{width}z")
    }
}

impl Canvas {
    /// Adds an element as it is.
    pub(super) fn add(&mut self, element: &str) {
        self.content += element;
        self.content.push('\n');
    }

    /// Adds the beginning of a group; `</g>` ends it.
    pub(super) fn open(&mut self, attributes: &str) {
        self.add(&format!("<g {attributes}>"));
    }

    /// Ends a group.
    pub(super) fn close(&mut self) {
        self.add("</g>");
    }

    /// Adds a text with its baseline.
    pub(super) fn text(&mut self, (x, y): (f64, f64), font: Font, text: &str) {
        let Font { size, colour, attributes } = font;
        let (x, y, size) = (number(x), number(y), number(size));
        let (fill, text) = (hex(colour), plain(text));
        self.add(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{fill}\"{attributes}>{text}</text>"
        ));
    }

    /// Adds a filled rectangle.
    pub(super) fn rect(&mut self, area: Area, colour: RGBColor) {
        self.add(&format!("<path fill=\"{}\" d=\"{}\"/>", hex(colour), area.outline()));
    }

    /// Adds a line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: RGBColor) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
        let stroke = hex(colour);
        self.add(&format!(
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{stroke}\"/>"
        ));
    }

    /// Adds a path with a title, which browsers show at the pointer.
    pub(super) fn path(&mut self, data: &str, attributes: &str, title: Option<&str>) {
        let end = match title {
            Some(title) => format!("><title>{}</title></path>", plain(title)),
            None => "/>".to_owned(),
        };
        self.add(&format!("<path d=\"{data}\"{attributes}{end}"));
    }

    /// The whole picture.
    pub(super) fn finish(self, (width, height): (f64, f64), label: &str, more: &str) -> String {
        let (width, height) = (number(width), number(height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\" \
             font-family=\"sans-serif\"{more}>\n{}</svg>\n",
            plain(label),
            self.content
        )
    }
}

/// A coordinate with at most two decimals.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Text of an element or attribute; names of threads may contain any character.
pub(super) fn plain(text: &str) -> String {
    escaped(&text.replace(char::is_control, " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, -0.001, 1.5, 100.0, 12.345, -7.1].map(number);
        assert_eq!(numbers, ["0", "0", "1.5", "100", "12.35", "-7.1"]);
    }

    #[test]
    fn no_text_breaks_the_picture() {
        let mut canvas = Canvas::default();
        canvas.text((1.0, 2.0), Font::bold(9.0), "a<b>\"&\u{1}");
        canvas.path("M0 0h1", " class=\"s\"", Some("<t>"));
        let svg = canvas.finish((10.0, 20.0), "\"x\"", "");
        assert!(svg.contains("font-weight=\"bold\">a&lt;b>&quot;&amp; </text>"), "{svg}");
        assert!(svg.contains("<path d=\"M0 0h1\" class=\"s\"><title>&lt;t></title></path>"));
        assert!(svg.contains("aria-label=\"&quot;x&quot;\""), "{svg}");
        crate::report::picture::tree(&svg).unwrap();
    }
}
