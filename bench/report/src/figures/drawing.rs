//! A chart with its words: the result as the title, the conditions as the subtitle, a short caption.

use super::Figure;
use super::chart::Chart;
use super::emphasis::Emphasis;
use super::panel::{Panel, Series};
use crate::analysis::finding::Finding;
use crate::analysis::pair::Pair;
use crate::analysis::sentence::answer::Place;
use crate::analysis::sentence::chart;

/// Parts of a run that all its charts show.
#[derive(Debug, Clone, Copy)]
pub struct View<'v> {
    /// Servers that titles compare and charts highlight; `None` without a comparison.
    pub pair: Option<&'v Pair>,
    /// Where the servers were measured.
    pub place: Place,
}

/// Values of a chart, and the comparison that its title states.
#[derive(Debug)]
pub(super) struct Drawing {
    /// Name of its file within `plots/`.
    pub(super) file: String,
    /// Quantity and axis, such as `Throughput by connections`: the title without a comparison.
    pub(super) name: String,
    /// Conditions that all points share, such as `downloads of 1 KiB`.
    pub(super) conditions: Vec<String>,
    /// True if the cores of the server are an axis.
    pub(super) varies_cores: bool,
    /// Comparison of the title.
    pub(super) finding: Finding,
    /// Its place on the axis, such as `with 64 connections`; empty if the chart has only one.
    pub(super) at: String,
    /// Explanation of marks and axes.
    pub(super) reading: String,
    pub(super) panels: Vec<Panel>,
    /// Meaning of hollow markers.
    pub(super) hollow_means: &'static str,
}

impl Drawing {
    /// Draws the chart.
    pub(super) fn figure(self, view: View<'_>) -> Figure {
        let Self { file, name, conditions, finding, at, reading, panels, hollow_means, .. } = self;
        let title = view.pair.and_then(|pair| chart::title(pair, &finding, &at));
        let place = Some(view.place).filter(|_| !self.varies_cores);
        let ranked = finding.ranked(|_| true);
        let best: Vec<&str> = ranked.iter().map(|score| score.target.as_str()).collect();
        let names = names(&panels);
        let emphasis = Emphasis::of(view.pair, &names, &best);
        let evidence = chart::evidence(view.pair, &finding, &at);
        let caption = chart::caption(&name, &reading, &evidence);
        let subtitle = chart::subtitle(&conditions, place, &finding);
        let title = title.unwrap_or(name);
        Chart { title, subtitle, panels, emphasis, hollow_means }.figure(file, caption)
    }
}

/// Servers of some panels, in the order of their first appearance.
fn names(panels: &[Panel]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let series = panels.iter().flat_map(|panel| &panel.series);
    for Series { name, .. } in series.filter(|series| !series.is_guide) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}
