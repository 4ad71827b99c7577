//! Embedded fonts of pictures and papers, so that these look the same on every machine.

use std::sync::{Arc, LazyLock};

use resvg::usvg::fontdb::Database;
use rustybuzz::{Face as Shapes, UnicodeBuffer};

/// Font face embedded in the program (`bench/report/fonts`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Face {
    /// Running text.
    Regular,
    /// Headings.
    Bold,
    /// Titles, and names of servers that are not built in.
    Italic,
    /// Fixed width, for transcripts and listings.
    Mono,
}

impl Face {
    /// All faces.
    pub(crate) const ALL: [Self; 4] = [Self::Regular, Self::Bold, Self::Italic, Self::Mono];

    /// Content of the font file.
    pub(crate) fn data(self) -> &'static [u8] {
        match self {
            Self::Regular => include_bytes!("../../fonts/Inter-Regular.otf"),
            Self::Bold => include_bytes!("../../fonts/Inter-SemiBold.otf"),
            Self::Italic => include_bytes!("../../fonts/Inter-Italic.otf"),
            Self::Mono => include_bytes!("../../fonts/NotoSansMono-Regular.ttf"),
        }
    }

    /// Width of a line of text, in the unit of `size`.
    pub(crate) fn width(self, text: &str, size: f32) -> f32 {
        let shapes = self.shapes();
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        buffer.guess_segment_properties();
        let shaped = rustybuzz::shape(shapes, &[], buffer);
        let units: i32 = shaped.glyph_positions().iter().map(|glyph| glyph.x_advance).sum();
        units as f32 / shapes.units_per_em() as f32 * size
    }

    /// Letters of a text without a glyph in this face.
    pub(crate) fn lacks(self, text: &str) -> impl Iterator<Item = char> {
        let shapes = self.shapes();
        text.chars().filter(|letter| shapes.glyph_index(*letter).is_none())
    }

    fn shapes(self) -> &'static Shapes<'static> {
        static SHAPES: LazyLock<[Shapes<'static>; 4]> = LazyLock::new(|| {
            Face::ALL.map(|face| {
                Shapes::from_slice(face.data(), 0).expect("the embedded fonts are valid")
            })
        });
        &SHAPES[self as usize]
    }
}

/// Font database for pictures, with these faces for every family.
pub(crate) fn database() -> Arc<Database> {
    static DATABASE: LazyLock<Arc<Database>> = LazyLock::new(|| {
        let mut database = Database::new();
        for face in Face::ALL {
            database.load_font_data(face.data().to_vec());
        }
        // Pictures of users may name fonts that are not embedded; the serif one replaces these.
        database.set_serif_family("Inter");
        database.set_cursive_family("Inter");
        database.set_fantasy_family("Inter");
        database.set_sans_serif_family("Inter");
        database.set_monospace_family("Noto Sans Mono");
        Arc::new(database)
    });
    Arc::clone(&DATABASE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_face_has_the_letters_that_reports_use() {
        for face in Face::ALL {
            let text = "Ångström Γιώργος Ľuboš 95 % 1–2 µs × ÷ ≥ ≤ ± ² … “quoted” ’ →";
            assert_eq!(face.lacks(text).collect::<String>(), "", "{face:?}");
        }
        assert_eq!(Face::Regular.lacks("a火b").collect::<String>(), "火");
        assert_eq!(Face::Mono.lacks("─│█▁").count(), 0);
    }

    #[test]
    fn text_is_as_wide_as_its_letters() {
        let wide = Face::Regular.width("mmmm", 10.0);
        assert!(wide > Face::Regular.width("iiii", 10.0));
        assert!((Face::Regular.width("mmmm", 20.0) - 2.0 * wide).abs() < 0.01);
        assert_eq!(Face::Mono.width("mmmm", 10.0), Face::Mono.width("iiii", 10.0));
        assert_eq!(Face::Bold.width("", 10.0), 0.0);
    }

    #[test]
    fn pictures_find_the_same_faces() {
        assert_eq!(database().len(), Face::ALL.len());
    }
}
