//! The marker of a data point.

use plotters::element::ComposedElement;
use plotters::prelude::*;

use super::style::{Look, Marker, PAPER};

/// A shape around a point.
pub(super) type Mark<'b, Coord> =
    ComposedElement<Coord, SVGBackend<'b>, Polygon<(i32, i32)>, PathElement<(i32, i32)>>;

/// Marker of a server, filled or hollow, outlined in its colour.
pub(super) fn mark<'b, Coord>(at: Coord, look: Look, hollow: bool) -> Mark<'b, Coord> {
    let inside = if hollow { PAPER } else { look.colour };
    let corners = corners(look.marker);
    EmptyElement::at(at)
        + Polygon::new(corners, inside.filled())
        + PathElement::new(corners, look.colour.stroke_width(2))
}

/// Closed outline of a shape around the origin.
pub(super) fn corners(marker: Marker) -> &'static [(i32, i32)] {
    match marker {
        // The integer points of a circle of radius 5.
        Marker::Circle => &[
            (5, 0),
            (4, 3),
            (3, 4),
            (0, 5),
            (-3, 4),
            (-4, 3),
            (-5, 0),
            (-4, -3),
            (-3, -4),
            (0, -5),
            (3, -4),
            (4, -3),
            (5, 0),
        ],
        Marker::Square => &[(-5, -5), (5, -5), (5, 5), (-5, 5), (-5, -5)],
        Marker::Triangle => &[(-6, 5), (0, -6), (6, 5), (-6, 5)],
        Marker::Diamond => &[(-6, 0), (0, -6), (6, 0), (0, 6), (-6, 0)],
        Marker::Nabla => &[(-6, -5), (6, -5), (0, 6), (-6, -5)],
        Marker::Right => &[(-5, -6), (6, 0), (-5, 6), (-5, -6)],
        Marker::Left => &[(5, -6), (-6, 0), (5, 6), (5, -6)],
        Marker::Bow => &[(-6, -5), (-6, 5), (6, -5), (6, 5), (-6, -5)],
        Marker::Column => &[(-2, -7), (2, -7), (2, 7), (-2, 7), (-2, -7)],
        Marker::Hourglass => &[(-5, -6), (5, -6), (-5, 6), (5, 6), (-5, -6)],
        Marker::Plus => &[
            (-2, -6),
            (2, -6),
            (2, -2),
            (6, -2),
            (6, 2),
            (2, 2),
            (2, 6),
            (-2, 6),
            (-2, 2),
            (-6, 2),
            (-6, -2),
            (-2, -2),
            (-2, -6),
        ],
        Marker::Cross => &[
            (0, -3),
            (3, -6),
            (6, -3),
            (3, 0),
            (6, 3),
            (3, 6),
            (0, 3),
            (-3, 6),
            (-6, 3),
            (-3, 0),
            (-6, -3),
            (-3, -6),
            (0, -3),
        ],
        Marker::Star => {
            &[(0, -7), (2, -2), (7, 0), (2, 2), (0, 7), (-2, 2), (-7, 0), (-2, -2), (0, -7)]
        }
        Marker::House => &[(-5, 6), (5, 6), (5, -1), (0, -7), (-5, -1), (-5, 6)],
        Marker::Bar => &[(-7, -2), (7, -2), (7, 2), (-7, 2), (-7, -2)],
    }
}
