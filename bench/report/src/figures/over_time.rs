//! Heat map of the response times over the seconds of the window, a panel for each of two servers.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bench_data::load::Load;
use bench_data::record::rows::ResponseBins;
use bench_data::units::counted;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::drawing::View;
use super::heading::Heading;
use super::lettering::{bold, escaped, text};
use super::panel::{Area, Drawn, WIDTH};
use super::slice;
use super::style::{GRID, INK, Look, PAPER, SOFT};
use super::{Data, Figure};
use crate::analysis::finding::Finding;
use crate::analysis::metric::{Metric, Unit};
use crate::analysis::pair::Pair;
use crate::analysis::sentence::chart;
use crate::analysis::summary::{Line, Summary};

/// Most servers, side by side.
const MOST_SERVERS: usize = 2;
/// Most columns of cells of a panel; more seconds share columns.
const MOST_COLUMNS: usize = 60;
const PANEL_HEIGHT: u32 = 300;
/// Height of the scale of the colours with its labels.
const SCALE_HEIGHT: u32 = 58;
/// Left and right end of the scale.
const SCALE: (i32, i32) = (330, 730);
/// Steps of the scale.
const SCALE_STEPS: i32 = 100;
/// Place of the axis within a panel.
const LEFT: i32 = 92;
const NAME: &str = "Response times over the seconds of the window";

/// Heat map of the main load, or of the most comparable one that has a course, if there is one.
pub(super) fn heat_map(summary: &Summary, view: View<'_>) -> Option<Figure> {
    let is_known = |load: &Load| summary.under(*load).any(|line| line.over_time.is_known());
    let load = slice::title_load(summary, is_known, |load| (load.connections, Reverse(load.size)))?;
    let finding = Finding::under(summary, load, Metric::P99);
    let lines = shown(summary, load, view.pair, &finding);
    let targets = summary.targets();
    let panels: Vec<_> = lines.iter().map(|line| HeatPanel::of(line, &targets)).collect();
    let ranges: Vec<_> = lines
        .iter()
        .filter_map(|line| Some((line.target.as_str(), line.over_time.p99_us?)))
        .collect();
    let title = chart::over_time(&ranges).unwrap_or_else(|| NAME.to_owned());
    let subtitle = chart::subtitle(&slice::conditions(load), Some(view.place), &finding);
    let width_s = panels.iter().map(|panel| panel.column_s).max().unwrap_or(1);
    let columns = match width_s {
        1 => String::new(),
        seconds => format!(" Columns have {}.", counted(seconds, "second")),
    };
    let of_load = summary.part(|other| *other == load);
    let reading = format!(
        "Colour: share of the replies of a second with this response time, of all rounds together; without \
         colour: none.{columns} {}",
        slice::without_reply(&of_load)
    );
    let evidence = chart::evidence(view.pair, &finding, "");
    Some(Figure {
        file: format!("latency-over-time{}.svg", load.profile.slug()),
        caption: chart::caption(NAME, reading.trim_end(), &evidence),
        svg: HeatMap::of(panels).svg(&title, &subtitle),
        data: Data::none(),
        title,
        subtitle,
    })
}

/// Lines with a course: those of the pair, then the best ones, then the others.
fn shown<'s>(
    summary: &'s Summary,
    load: Load,
    pair: Option<&Pair>,
    finding: &Finding,
) -> Vec<&'s Line> {
    let mut names: Vec<&str> = Vec::new();
    names.extend(pair.iter().flat_map(|pair| [pair.first.as_str(), pair.second.as_str()]));
    names.extend(finding.ranked(|_| true).iter().map(|score| score.target.as_str()));
    names.extend(finding.scores.iter().map(|score| score.target.as_str()));
    let mut shown: Vec<&Line> = Vec::new();
    for line in names.into_iter().filter_map(|name| summary.line(load, name)) {
        let is_new = shown.iter().all(|other| other.target != line.target);
        if is_new && line.over_time.is_known() && shown.len() < MOST_SERVERS {
            shown.push(line);
        }
    }
    shown
}

/// Cells of one server.
struct HeatPanel {
    name: String,
    look: Look,
    /// Seconds of the window.
    seconds: usize,
    /// Seconds of a column.
    column_s: usize,
    cells: Vec<Cell>,
}

/// One bin of response times in one column.
struct Cell {
    /// Ends in seconds.
    x: (f64, f64),
    /// Ends in microseconds.
    y: (f64, f64),
    /// Share of the replies of the column.
    share: f64,
}

impl HeatPanel {
    fn of(line: &Line, targets: &[&str]) -> Self {
        let seconds = line.over_time.seconds.len();
        let column_s = seconds.div_ceil(MOST_COLUMNS).max(1);
        let mut cells = Vec::new();
        for (index, column) in line.over_time.seconds.chunks(column_s).enumerate() {
            let start = index * column_s;
            let x = (start as f64, (start + column.len()) as f64);
            let mut bins: BTreeMap<u8, u64> = BTreeMap::new();
            for (bin, count) in column.iter().flatten() {
                *bins.entry(*bin).or_insert(0) += count;
            }
            let all: u64 = bins.values().sum();
            let counts = bins.into_iter().filter(|(_, count)| *count > 0);
            cells.extend(counts.map(|(bin, count)| {
                let share = count as f64 / all as f64;
                Cell { x, y: ResponseBins::ends_us(bin), share }
            }));
        }
        let look = Look::of(&line.target, targets);
        Self { name: line.target.clone(), look, seconds, column_s, cells }
    }
}

/// Panels side by side with one scale of colours and one range of times.
struct HeatMap {
    panels: Vec<HeatPanel>,
    y: Axis,
    /// Power of ten of the lower end of the scale; the upper end is 1.
    least: i32,
}

impl HeatMap {
    fn of(panels: Vec<HeatPanel>) -> Self {
        let cells = || panels.iter().flat_map(|panel| &panel.cells);
        let times: Vec<f64> = cells().flat_map(|cell| [cell.y.0, cell.y.1]).collect();
        let least = cells().map(|cell| cell.share.log10().floor() as i32).min().unwrap_or(-1);
        let y = Axis::log("response time", Unit::Microseconds.ticks(), &times);
        Self { y, least: least.min(-1), panels }
    }

    fn svg(&self, title: &str, subtitle: &str) -> String {
        let heading = Heading::of(title, subtitle);
        let height = heading.height() as u32 + PANEL_HEIGHT + SCALE_HEIGHT;
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
            let drawn = self.draw(&area, &heading);
            drawn.expect("drawing into a string has nothing that can fail");
        }
        let label = escaped(title);
        svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1)
    }

    fn draw(&self, area: &Area<'_>, heading: &Heading) -> Drawn {
        area.fill(&PAPER)?;
        heading.draw(area)?;
        let (_, below) = area.split_vertically(heading.height());
        let (panels, below) = below.split_vertically(PANEL_HEIGHT);
        for (panel, area) in self.panels.iter().zip(panels.split_evenly((1, self.panels.len()))) {
            self.draw_panel(panel, &area)?;
        }
        self.draw_scale(&below)
    }

    fn draw_panel(&self, panel: &HeatPanel, area: &Area<'_>) -> Drawn {
        area.draw(&Text::new(panel.name.clone(), (LEFT, 6), bold(17).color(&panel.look.colour)))?;
        let write = |value: f64| format!("{value:.0}");
        let x = Axis::up_to("second of the window", write, panel.seconds as f64);
        let mut chart = ChartBuilder::on(area)
            .margin_left(8)
            .margin_right(30)
            .margin_top(30)
            .x_label_area_size(48)
            .y_label_area_size(84)
            .build_cartesian_2d(x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .x_labels(x.ticks().len())
            .x_label_formatter(&|value| x.text(*value))
            .y_label_formatter(&|value| (self.y.write)(*value))
            .x_desc(x.label.as_str())
            .y_desc(self.y.label.as_str())
            .label_style(text(16, INK))
            .axis_desc_style(text(17, INK))
            .draw()?;
        chart.draw_series(panel.cells.iter().map(|cell| {
            let corners = [(cell.x.0, cell.y.0), (cell.x.1, cell.y.1)];
            Rectangle::new(corners, self.colour(cell.share).filled())
        }))?;
        Ok(())
    }

    /// Colour of a share, on a logarithmic scale: a single late reply of a second with thousands is visible.
    fn colour(&self, share: f64) -> RGBColor {
        let position = 1.0 - share.log10() / f64::from(self.least);
        ViridisRGB::get_color(position.clamp(0.0, 1.0))
    }

    /// The colours from the least to the highest share, with a label at each power of ten.
    fn draw_scale(&self, area: &Area<'_>) -> Drawn {
        let (left, right) = SCALE;
        let x = |step: i32| left + (right - left) * step / SCALE_STEPS;
        for step in 0..SCALE_STEPS {
            let share = 10f64.powf(f64::from(self.least) * (1.0 - f64::from(step) / 99.0));
            let corners = [(x(step), 8), (x(step + 1), 22)];
            area.draw(&Rectangle::new(corners, self.colour(share).filled()))?;
        }
        let label = "share of the replies of a second";
        let style = text(16, INK).pos(Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(label, (left - 12, 15), style))?;
        for power in self.least..=0 {
            let at = x(SCALE_STEPS * (power - self.least) / -self.least);
            let style = text(15, SOFT).pos(Pos::new(HPos::Center, VPos::Top));
            area.draw(&Text::new(format!("{} %", 10f64.powi(power + 2)), (at, 28), style))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bench_data::mock;
    use bench_data::record::rows::Records;

    use super::*;
    use crate::analysis::over_time::replace_seconds;
    use crate::analysis::sentence::answer::Place;
    use crate::figures::draw;

    /// Records of ten seconds, in which `threaded` has a slow one.
    fn records() -> Records {
        let mut records = mock::records();
        replace_seconds(&mut records, |target, second| match (target, second) {
            ("threaded", 4) => 50_000.0,
            ("threaded", _) => 2_000.0,
            _ => 1_000.0 + 100.0 * second as f64,
        });
        records
    }

    fn map_of(records: &Records, pair: Option<&Pair>) -> Option<Figure> {
        let place = Place { server_cores: 1, machine_cores: 2 };
        heat_map(&Summary::of(records), View { pair, place })
    }

    fn pair() -> Pair {
        Pair { first: "threaded".to_owned(), second: "selector".to_owned() }
    }

    /// Filled rectangles with one of the colours of the map.
    fn cells(svg: &str, colour: RGBColor) -> usize {
        let RGBColor(red, green, blue) = colour;
        svg.matches(&format!("fill=\"#{red:02X}{green:02X}{blue:02X}\"")).count()
    }

    #[test]
    fn the_title_states_the_seconds_and_the_axes_their_units() {
        let figure = map_of(&records(), Some(&pair())).unwrap();
        assert_eq!(figure.file, "latency-over-time.svg");
        assert_eq!(
            figure.title,
            "Second by second, the p99 response time is 2.00 ms to 50.0 ms with threaded and \
             1.00 ms to 1.90 ms with selector"
        );
        assert!(figure.subtitle.contains("; 1 server core, loopback; "), "{}", figure.subtitle);
        let caption =
            "Response times over the seconds of the window. Colour: share of the replies ";
        assert!(figure.caption.starts_with(caption), "{}", figure.caption);
        for text in [
            "threaded",
            "selector",
            "second of the window",
            "response time",
            "share of the replies of a second",
            "0.1 %",
            "1 %",
            "10 %",
            "100 %",
            "1 ms",
            "1 s",
        ] {
            assert!(figure.svg.contains(&format!("\n{text}\n</text>")), "no {text}");
        }
        assert!(!figure.svg.contains("\nthread-pool\n"), "only the pair is drawn");
        assert!(!figure.data.is_drawn(), "the script leaves it as it is");
    }

    #[test]
    fn each_bin_with_a_reply_has_a_cell_in_the_colour_of_its_share() {
        let svg = map_of(&records(), Some(&pair())).unwrap().svg;
        // 999 and 1 of 1000 replies in each of ten seconds, and the ends of the scale.
        let (most, least) = (ViridisRGB::get_color(0.999_855), ViridisRGB::get_color(0.0));
        assert!(cells(&svg, most) >= 20, "{}", cells(&svg, most));
        assert!(cells(&svg, least) >= 20, "{}", cells(&svg, least));
    }

    #[test]
    fn longer_windows_share_columns() {
        let mut records = records();
        for trial in &mut records.trials {
            trial.window_s = Some(150.0);
        }
        let figure = map_of(&records, None).unwrap();
        assert!(figure.caption.contains(" Columns have 3 seconds."), "{}", figure.caption);
    }

    #[test]
    fn a_run_without_a_course_has_no_heat_map() {
        assert!(map_of(&mock::records(), Some(&pair())).is_none());
        let view = View { pair: None, place: Place { server_cores: 1, machine_cores: 2 } };
        let count = |records: &Records| draw(&Summary::of(records), view).len();
        assert_eq!(count(&records()), count(&mock::records()) + 1);
    }
}
