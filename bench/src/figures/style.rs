//! Colours and markers: a server looks the same in every chart.

use plotters::style::RGBColor;

/// How a server is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Its colour.
    pub colour: RGBColor,
    /// The shape of its points, so that colour is not all that tells servers apart.
    pub marker: Marker,
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

const MARKERS: [Marker; 5] =
    [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::Nabla];

impl Look {
    /// How the server of this name looks: our strategies always alike, others by their place
    /// among all servers of the run.
    pub fn of(target: &str, all: &[&str]) -> Self {
        let ours = fileserver::StrategyKind::ALL;
        let index = ours.iter().position(|kind| kind.name() == target).unwrap_or_else(|| {
            let others = all.iter().filter(|name| ours.iter().all(|kind| kind.name() != **name));
            ours.len() + others.take_while(|name| **name != target).count()
        });
        Self { colour: COLOURS[index % COLOURS.len()], marker: MARKERS[index % MARKERS.len()] }
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
        let all = ["nginx", "iterative", "threaded", "thread-pool", "selector"];
        let looks: Vec<_> = all.iter().map(|name| Look::of(name, &all)).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[index + 1..].iter().any(|other| other.colour == look.colour));
        }
        assert_eq!(Look::of("selector", &["selector"]), Look::of("selector", &all));
    }
}
