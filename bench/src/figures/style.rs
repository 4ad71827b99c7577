//! Colours and markers: a server looks the same in every chart.

use fileserver::StrategyKind;
use plotters::style::RGBColor;

use crate::peer::Peer;

/// How a server is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Its colour.
    pub colour: RGBColor,
    /// The shape of its points, so that colour is not all that tells servers apart.
    pub marker: Marker,
    /// Whether its line is dashed and its name in italics: it is not one of ours.
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
    /// Two triangles that meet in the middle.
    Hourglass,
    /// A cross of two bars.
    Plus,
    /// The same, turned.
    Cross,
    /// A star of four rays.
    Star,
    /// A bar.
    Bar,
}

/// Text and axes. This and the two below are replaced in dark pages, which know them by value.
pub(super) const INK: RGBColor = RGBColor(0x1a, 0x1b, 0x1c);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xd8, 0xd9, 0xda);
/// The background.
pub(super) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xfe);

/// Okabe and Ito's colours, which the colour-blind can tell apart, without their black and
/// yellow, which vanish on dark and on light paper.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0x56, 0xb4, 0xe9),
];

/// In which order servers that are not ours take them: a real one has the colour of ours that
/// works like it, nginx that of the selector, Apache's worker that of threads and so on.
const OTHER_COLOURS: [usize; 6] = [3, 0, 1, 2, 5, 4];

/// The shapes of our own servers.
const MARKERS: [Marker; 5] =
    [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::Nabla];

/// The shapes of all others.
const OTHER_MARKERS: [Marker; 5] =
    [Marker::Hourglass, Marker::Plus, Marker::Cross, Marker::Star, Marker::Bar];

impl Look {
    /// How the server of this name looks: our strategies and real servers always alike, others by
    /// their place among all servers of the run.
    pub fn of(target: &str, all: &[&str]) -> Self {
        let ours = StrategyKind::ALL.map(StrategyKind::name);
        let real = Peer::ALL.map(Peer::name);
        if let Some(index) = ours.iter().position(|name| *name == target) {
            // Colours and shapes differ in number, so that thirty have each a pair of their own.
            let colour = COLOURS[index % COLOURS.len()];
            return Self { colour, marker: MARKERS[index % MARKERS.len()], dashed: false };
        }
        let index = real.iter().position(|name| *name == target).unwrap_or_else(|| {
            let others = all.iter().filter(|name| !ours.contains(name) && !real.contains(name));
            real.len() + others.take_while(|name| **name != target).count()
        });
        let colour = OTHER_COLOURS[index % OTHER_COLOURS.len()];
        Self {
            colour: COLOURS[colour],
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
    use super::*;

    #[test]
    fn servers_look_different_and_ours_always_the_same() {
        let ours = StrategyKind::ALL.map(StrategyKind::name);
        let real = Peer::ALL.map(Peer::name);
        let all: Vec<_> = ["mine"].into_iter().chain(ours).chain(real).chain(["yours"]).collect();
        let looks: Vec<_> = all.iter().map(|name| Look::of(name, &all)).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[index + 1..].contains(look), "{}", all[index]);
            assert_eq!(look.dashed, !ours.contains(&all[index]));
        }
        for group in [&ours[..], &real] {
            let first = group.iter().take(COLOURS.len());
            let colours: Vec<_> = first.map(|name| Look::of(name, &all).hex()).collect();
            let other = |index: usize| colours[index + 1..].contains(&colours[index]);
            assert!(!(0..colours.len()).any(other), "{colours:?}");
        }
        assert_eq!(Look::of("nginx", &["nginx"]), Look::of("nginx", &all));
        assert_eq!(Look::of("selector", &["selector"]), Look::of("selector", &all));
    }
}
