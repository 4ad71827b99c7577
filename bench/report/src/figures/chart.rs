//! A picture: title, subtitle, panels side by side, and one legend below them all.

use plotters::prelude::*;

use super::Figure;
use super::emphasis::Emphasis;
use super::heading::Heading;
use super::legend::Legend;
use super::lettering::escaped;
use super::panel::{Area, Drawn, Panel, PointMark, WIDTH};
use super::style::PAPER;

const PANEL_HEIGHT: u32 = 272;
/// Height of panels whose x axis has names.
const TALL_PANEL_HEIGHT: u32 = 370;

/// A picture: panels side by side.
#[derive(Debug)]
pub(super) struct Chart {
    /// The result.
    pub(super) title: String,
    /// Its conditions.
    pub(super) subtitle: String,
    pub(super) panels: Vec<Panel>,
    pub(super) emphasis: Emphasis,
    /// Meaning of hollow markers, drawn below the legend.
    pub(super) hollow_means: &'static str,
}

impl Chart {
    /// Draws the chart.
    pub(super) fn figure(self, file: String, caption: String) -> Figure {
        let (svg, data) = (self.svg(), self.data());
        Figure { file, caption, svg, data, title: self.title, subtitle: self.subtitle }
    }

    fn svg(&self) -> String {
        let mut svg = String::new();
        let heading = Heading::of(&self.title, &self.subtitle);
        let legend = Legend::of(
            &self.panels,
            &self.emphasis,
            self.has_hollow().then_some(self.hollow_means),
        );
        let height = heading.height() as u32 + self.panel_height() + legend.height() + 8;
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
            let drawn = self.draw(&area, &heading, &legend);
            drawn.expect("drawing into a string has nothing that can fail");
        }
        let label = escaped(&self.title);
        svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1)
    }

    fn draw(&self, area: &Area<'_>, heading: &Heading, legend: &Legend<'_>) -> Drawn {
        area.fill(&PAPER)?;
        heading.draw(area)?;
        let (_, below) = area.split_vertically(heading.height());
        let (panels, below) = below.split_vertically(self.panel_height());
        for (panel, area) in self.panels.iter().zip(panels.split_evenly((1, self.panels.len()))) {
            panel.draw(&area, &self.emphasis)?;
        }
        legend.draw(&below)
    }

    fn panel_height(&self) -> u32 {
        let is_tall = self.panels.iter().any(|panel| panel.x.is_named());
        if is_tall { TALL_PANEL_HEIGHT } else { PANEL_HEIGHT }
    }

    fn has_hollow(&self) -> bool {
        let mut series = self.panels.iter().flat_map(|panel| &panel.series);
        series.any(|series| series.points.iter().any(|point| point.mark == PointMark::Hollow))
    }
}
