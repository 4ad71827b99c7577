//! Colours and markers: a server looks the same in every chart.

use plotters::style::RGBColor;

/// Appearance of a server in charts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Look {
    /// Colour of its line.
    pub colour: RGBColor,
    /// Shape of its points, so that servers differ by more than colour.
    pub marker: Marker,
    /// True for a dashed line: the server is not built in.
    pub dashed: bool,
}

/// The shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Circle,
    Square,
    /// Points up.
    Triangle,
    Diamond,
    /// Points down.
    Nabla,
    Right,
    Left,
    /// Two triangles side by side that meet in the centre.
    Bow,
    /// A vertical bar.
    Column,
    /// Two triangles one above the other that meet in the centre.
    Hourglass,
    Plus,
    Cross,
    /// Four rays.
    Star,
    Bar,
    /// A square with a roof.
    House,
}

/// Colour of text and axes. Dark pages replace it and the next five by value.
pub(crate) const INK: RGBColor = RGBColor(0x1a, 0x1b, 0x1c);
/// Colour of grid lines.
pub(crate) const GRID: RGBColor = RGBColor(0xd8, 0xd9, 0xda);
/// Colour of secondary text and of results without a claim.
pub(crate) const SOFT: RGBColor = RGBColor(0x5b, 0x60, 0x68);
/// Colour of servers outside the compared pair.
pub(crate) const OTHERS: RGBColor = RGBColor(0x9d, 0xa2, 0xa8);
/// Colour of the range within which two servers are equivalent.
pub(crate) const BAND: RGBColor = RGBColor(0xe6, 0xe8, 0xea);
/// Colour of the background.
pub(crate) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xfe);

/// Built-in servers: the colour-blind-safe palette of Okabe and Ito without yellow, which is too
/// light for white paper, with ochre, grey and the text colour added. Nine colours are hard to
/// distinguish, so each server has a shape of its own.
const BUILT_IN: [(&str, RGBColor, Marker); 9] = [
    ("iterative", PINK, Marker::Circle),
    ("prefork", OCHRE, Marker::Right),
    ("threaded", VERMILION, Marker::Square),
    ("thread-pool", ORANGE, Marker::Triangle),
    ("selector", BLUE, Marker::Diamond),
    ("multi-selector", GREEN, Marker::Nabla),
    ("hybrid", SKY, Marker::Bow),
    ("uring", INK, Marker::Left),
    ("tokio", GREY, Marker::Column),
];

/// Reference servers: the colour of the built-in server with the same model, another shape, and
/// dashes.
const REFERENCE: [(&str, RGBColor, Marker); 6] = [
    ("nginx", BLUE, Marker::Hourglass),
    ("apache-prefork", OCHRE, Marker::Plus),
    ("apache-worker", VERMILION, Marker::Cross),
    ("apache-event", ORANGE, Marker::Star),
    ("lighttpd", GREEN, Marker::Bar),
    ("nginx-threaded", SKY, Marker::House),
];

const PINK: RGBColor = RGBColor(0xcc, 0x79, 0xa7);
const OCHRE: RGBColor = RGBColor(0x99, 0x77, 0x00);
pub(crate) const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
pub(crate) const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
pub(crate) const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
pub(crate) const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
pub(crate) const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
pub(crate) const GREY: RGBColor = RGBColor(0x80, 0x84, 0x88);

/// Colours of external servers, taken in turn with the shapes. The counts are coprime, so that
/// thirty pairs are distinct.
const OTHER_COLOURS: [RGBColor; 6] = [SKY, PINK, GREY, GREEN, VERMILION, BLUE];
const OTHER_MARKERS: [Marker; 5] =
    [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Nabla, Marker::Bow];

impl Look {
    /// Appearance by name: fixed for built-in and reference servers; for others by their position
    /// among all servers of the run.
    pub(crate) fn of(target: &str, all: &[&str]) -> Self {
        let known = |list: &[(&str, RGBColor, Marker)], name: &str| {
            let found = list.iter().find(|(known, ..)| *known == name);
            found.map(|(_, colour, marker)| (*colour, *marker))
        };
        if let Some((colour, marker)) = known(&BUILT_IN, target) {
            return Self { colour, marker, dashed: false };
        }
        if let Some((colour, marker)) = known(&REFERENCE, target) {
            return Self { colour, marker, dashed: true };
        }
        let is_other = |name: &str| known(&BUILT_IN, name).or(known(&REFERENCE, name)).is_none();
        let others = all.iter().filter(|name| is_other(name));
        let index = others.take_while(|name| **name != target).count();
        Self {
            colour: OTHER_COLOURS[index % OTHER_COLOURS.len()],
            marker: OTHER_MARKERS[index % OTHER_MARKERS.len()],
            dashed: true,
        }
    }

    /// The colour in SVG notation.
    pub(crate) fn hex(self) -> String {
        hex(self.colour)
    }
}

/// Colour in SVG notation.
pub(crate) fn hex(colour: RGBColor) -> String {
    let RGBColor(red, green, blue) = colour;
    format!("#{red:02X}{green:02X}{blue:02X}")
}

#[cfg(test)]
mod tests {
    use fileserver::StrategyKind;

    use super::*;
    use bench_data::servers::reference::ReferenceServer;

    #[test]
    fn servers_look_different_and_known_ones_always_the_same() {
        let built_in = StrategyKind::ALL.map(StrategyKind::name);
        let reference = ReferenceServer::ALL.map(ReferenceServer::name);
        let all: Vec<_> =
            ["mine"].into_iter().chain(built_in).chain(reference).chain(["yours"]).collect();
        let looks: Vec<_> = all.iter().map(|name| Look::of(name, &all)).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[index + 1..].contains(look), "{}", all[index]);
            assert_eq!(look.dashed, !built_in.contains(&all[index]), "{}", all[index]);
        }
        // Colours differ within each group, shapes in both together.
        for group in [&built_in[..], &reference] {
            let looks: Vec<_> = group.iter().map(|name| Look::of(name, &all)).collect();
            for (index, look) in looks.iter().enumerate() {
                let colour = |other: &Look| other.hex() == look.hex();
                assert!(!looks[index + 1..].iter().any(colour), "{}", group[index]);
            }
        }
        let known: Vec<_> =
            built_in.iter().chain(&reference).map(|name| Look::of(name, &all)).collect();
        for (index, look) in known.iter().enumerate() {
            assert!(!known[index + 1..].iter().any(|other| other.marker == look.marker));
        }
        assert_eq!(Look::of("nginx", &["nginx"]), Look::of("nginx", &all));
        assert_eq!(Look::of("selector", &["selector"]), Look::of("selector", &all));
    }
}
