//! Colours and markers: a server looks the same in every chart.

use plotters::style::RGBColor;

/// How a server is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Its colour.
    pub colour: RGBColor,
    /// The shape of its points, so that colour is not all that tells servers apart.
    pub marker: Marker,
    /// True if its line is dashed and its name in italics: it is not one of ours.
    pub dashed: bool,
}

/// The shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// A disc.
    Circle,
    /// A square on its side.
    Square,
    /// A triangle on its side.
    Triangle,
    /// A square on its corner.
    Diamond,
    /// A triangle on its corner.
    Nabla,
    /// A triangle that points to the right.
    Right,
    /// A triangle that points to the left.
    Left,
    /// Two triangles side by side that meet in the middle.
    Bow,
    /// An upright bar.
    Column,
    /// Two triangles one above the other that meet in the middle.
    Hourglass,
    /// A cross of two bars.
    Plus,
    /// The same, turned.
    Cross,
    /// A star of four rays.
    Star,
    /// A lying bar.
    Bar,
    /// A square with a roof.
    House,
}

/// Text and axes. This and the two below are replaced in dark pages, which know them by value.
pub(super) const INK: RGBColor = RGBColor(0x1a, 0x1b, 0x1c);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xd8, 0xd9, 0xda);
/// The background.
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xfe);

/// Our own servers: Okabe and Ito's colours, which the colour-blind can tell apart, without their
/// yellow, which vanishes on light paper; an ochre and a grey between their lightnesses; and the
/// colour of the text, which dark pages turn light. A shape of its own besides, since nine colours
/// are more than anyone tells apart with certainty.
const OURS: [(&str, RGBColor, Marker); 9] = [
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

/// Real servers: the colour of ours that works like it, another shape, and dashes.
const REAL: [(&str, RGBColor, Marker); 6] = [
    ("nginx", BLUE, Marker::Hourglass),
    ("apache-prefork", OCHRE, Marker::Plus),
    ("apache-worker", VERMILION, Marker::Cross),
    ("apache-event", ORANGE, Marker::Star),
    ("lighttpd", GREEN, Marker::Bar),
    ("nginx-threaded", SKY, Marker::House),
];

const PINK: RGBColor = RGBColor(0xcc, 0x79, 0xa7);
const OCHRE: RGBColor = RGBColor(0x99, 0x77, 0x00);
const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
const ORANGE: RGBColor = RGBColor(0xe6, 0x9f, 0x00);
const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
const SKY: RGBColor = RGBColor(0x56, 0xb4, 0xe9);
const GREY: RGBColor = RGBColor(0x80, 0x84, 0x88);

/// All others take colours and shapes in turn. These differ in number, so that thirty have each a
/// pair of their own.
const OTHER_COLOURS: [RGBColor; 6] = [SKY, PINK, GREY, GREEN, VERMILION, BLUE];
const OTHER_MARKERS: [Marker; 5] =
    [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Nabla, Marker::Bow];

impl Look {
    /// How the server of this name looks: our strategies and real servers always alike, others by
    /// their place among all servers of the run.
    pub fn of(target: &str, all: &[&str]) -> Self {
        let known = |list: &[(&str, RGBColor, Marker)], name: &str| {
            let found = list.iter().find(|(known, ..)| *known == name);
            found.map(|(_, colour, marker)| (*colour, *marker))
        };
        if let Some((colour, marker)) = known(&OURS, target) {
            return Self { colour, marker, dashed: false };
        }
        if let Some((colour, marker)) = known(&REAL, target) {
            return Self { colour, marker, dashed: true };
        }
        let is_other = |name: &str| known(&OURS, name).or(known(&REAL, name)).is_none();
        let others = all.iter().filter(|name| is_other(name));
        let index = others.take_while(|name| **name != target).count();
        Self {
            colour: OTHER_COLOURS[index % OTHER_COLOURS.len()],
            marker: OTHER_MARKERS[index % OTHER_MARKERS.len()],
            dashed: true,
        }
    }

    /// The colour as SVG writes it.
    pub fn hex(self) -> String {
        let RGBColor(red, green, blue) = self.colour;
        format!("#{red:02X}{green:02X}{blue:02X}")
    }
}

#[cfg(test)]
mod tests {
    use fileserver::StrategyKind;

    use super::*;
    use bench_data::servers::reference::ReferenceServer;

    #[test]
    fn servers_look_different_and_ours_always_the_same() {
        let ours = StrategyKind::ALL.map(StrategyKind::name);
        let real = ReferenceServer::ALL.map(ReferenceServer::name);
        let all: Vec<_> = ["mine"].into_iter().chain(ours).chain(real).chain(["yours"]).collect();
        let looks: Vec<_> = all.iter().map(|name| Look::of(name, &all)).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[index + 1..].contains(look), "{}", all[index]);
            assert_eq!(look.dashed, !ours.contains(&all[index]), "{}", all[index]);
        }
        // Ours differ in colour and in shape, and so do the real servers; and no real one has the
        // shape of one of ours.
        for group in [&ours[..], &real] {
            let looks: Vec<_> = group.iter().map(|name| Look::of(name, &all)).collect();
            for (index, look) in looks.iter().enumerate() {
                let colour = |other: &Look| other.hex() == look.hex();
                assert!(!looks[index + 1..].iter().any(colour), "{}", group[index]);
            }
        }
        let known: Vec<_> = ours.iter().chain(&real).map(|name| Look::of(name, &all)).collect();
        for (index, look) in known.iter().enumerate() {
            assert!(!known[index + 1..].iter().any(|other| other.marker == look.marker));
        }
        assert_eq!(Look::of("nginx", &["nginx"]), Look::of("nginx", &all));
        assert_eq!(Look::of("selector", &["selector"]), Look::of("selector", &all));
    }
}
