//! Open loops by offered rate: achieved rate, response times, and capacities.

use super::axis::{Axis, Scale};
use super::drawing::Drawing;
use super::panel::{Panel, Point, PointMark, Series, ys};
use super::slice::{self, HOLLOW_MEANS};
use super::style::{GRID, Look, Marker};
use crate::analysis::capacity::{CapacityEstimate, Search, searches};
use crate::analysis::finding::Finding;
use crate::analysis::metric::{Metric, Percentile, Unit};
use crate::analysis::summary::Summary;
use crate::analysis::topic;
use bench_data::load::Load;
use bench_data::stats::Spread;
use bench_data::units::grouped;

/// Charts of the load that was offered at the most rates, if there are at least two.
pub(super) fn against_rate(summary: &Summary) -> Vec<Drawing> {
    let has_given_rate = |load: &Load| {
        load.profile.rate_per_s.is_some() && load.profile.of_weakest_percent.is_none()
    };
    let bases = summary.loads().into_iter().filter(has_given_rate).map(Load::without_rate);
    let Some(base) = slice::most_frequent(bases, |_, count| count > 1) else { return Vec::new() };
    let part = summary.part(|load| has_given_rate(load) && load.without_rate() == base);
    let Some(load) = slice::title_load(&part, |_| true, |load| load.profile.rate_per_s) else {
        return Vec::new();
    };
    let figures = [
        achieved(&part, load, base),
        response_times(&part, load, base),
        both_times(&part, load, base),
    ];
    figures.into_iter().flatten().collect()
}

/// A chart of capacities for each load that was searched, and each objective.
pub(super) fn capacities(summary: &Summary) -> Vec<Drawing> {
    let mut figures: Vec<Drawing> =
        searches(&summary.capacities).iter().filter_map(|one| capacity(summary, one)).collect();
    for (index, drawing) in figures.iter_mut().enumerate().skip(1) {
        drawing.file = format!("capacity-{}.svg", index + 1);
    }
    figures
}

fn offered(load: &Load) -> f64 {
    load.profile.rate_per_s.map_or(0.0, f64::from)
}

fn series(part: &Summary, metric: Metric) -> Vec<Series> {
    slice::series(part, |_| true, offered, metric)
}

fn axis(series: &[Series]) -> Axis {
    Axis::log_at("offered rate (requests/s)", Unit::Count.ticks(), &slice::xs(series))
}

fn achieved(part: &Summary, load: Load, base: Load) -> Option<Drawing> {
    let metric = Metric::AchievedRate;
    let mut series = series(part, metric);
    let xs = slice::xs(&series);
    let most = *xs.last()?;
    let y = Axis::of_metric(metric, Scale::Log, &ys(&series)).reaching(most);
    let diagonal = xs.iter().map(|x| Point {
        x: *x,
        y: Spread::single(*x),
        rounds: Vec::new(),
        mark: PointMark::None,
    });
    let look = Look { colour: GRID, marker: Marker::Bar, dashed: true };
    let (name, points) = ("offered rate".to_owned(), diagonal.collect());
    series.insert(0, Series { name, is_guide: true, look, points });
    let panels = vec![Panel { x: axis(&series), y, metric, series }];
    let reading = String::from(
        "On the dashed line every request receives a reply; a server that leaves it is offered more than \
         its capacity.",
    );
    let finding = Finding::under(part, load, metric);
    Some(drawing("achieved", "Achieved rate by offered rate", (finding, base), panels, reading))
}

/// Chart over offered rates. Its points share `base`.
fn drawing(
    file: &str,
    name: &str,
    (finding, base): (Finding, Load),
    panels: Vec<Panel>,
    reading: String,
) -> Drawing {
    let rate = finding.load.profile.rate_per_s.unwrap_or(0) as usize;
    Drawing {
        file: format!("{file}-by-offered-rate.svg"),
        name: name.to_owned(),
        conditions: slice::conditions(base),
        varies_cores: false,
        finding,
        at: format!("at {} requests/s offered", grouped(rate)),
        reading,
        panels,
        hollow_means: HOLLOW_MEANS,
    }
}

fn response_times(part: &Summary, load: Load, base: Load) -> Option<Drawing> {
    let percentiles = [Percentile::P50, Percentile::P99, Percentile::P99_9];
    let panels = Panel::alike(
        percentiles.map(Metric::Response),
        |metric| series(part, metric),
        |series| axis(series).spaced(0.18),
    );
    panels.iter().find(|panel| panel.metric == Metric::P99 && panel.has_points())?;
    let panels = panels.into_iter().filter(Panel::has_points).collect();
    let reading = String::from(
        "Response times are measured from when a request was due. Beyond capacity the queue grows \
         throughout the window, so that these points reflect its length.",
    );
    let finding = Finding::under(part, load, Metric::P99);
    Some(drawing("latency", "Response time by offered rate", (finding, base), panels, reading))
}

fn both_times(part: &Summary, load: Load, base: Load) -> Option<Drawing> {
    let panels = Panel::alike(
        [Metric::P99, Metric::Service(Percentile::P99)],
        |metric| series(part, metric),
        |series| axis(series).spaced(0.18),
    );
    panels.last().filter(|panel| panel.has_points())?;
    let reading =
        "Left: response time, since a request was due. Right: service time, since it was \
                   sent: the value of a closed-loop generator (coordinated omission)."
            .to_owned();
    let finding = Finding::under(part, load, Metric::Service(Percentile::P99));
    let name = "Response and service time by offered rate";
    Some(drawing("service-time", name, (finding, base), panels, reading))
}

fn capacity(summary: &Summary, search: &Search<'_>) -> Option<Drawing> {
    let of = |one: &CapacityEstimate| {
        let point = match (one.middle(), one.least()) {
            (Some(middle), _) => (middle.rate, middle.interval, PointMark::Filled),
            (None, Some(least)) => (least, None, PointMark::Hollow),
            (None, None) => return None,
        };
        Some((one.search.target.clone(), point))
    };
    let mut shown: Vec<_> = search.servers.iter().filter_map(|one| of(one)).collect();
    shown.sort_by(|(_, (one, ..)), (_, (other, ..))| other.total_cmp(one));
    let names: Vec<String> = shown.iter().map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        return None;
    }
    let known: Vec<&str> = search.servers.iter().map(|one| one.search.target.as_str()).collect();
    let series = shown.into_iter().enumerate().map(|(index, (name, (rate, range, mark)))| Series {
        look: Look::of(&name, &known),
        is_guide: false,
        name,
        points: vec![Point {
            x: index as f64,
            y: Spread { median: rate, range },
            rounds: Vec::new(),
            mark,
        }],
    });
    let objective = search.objective.in_words();
    let without: Vec<_> = search
        .servers
        .iter()
        .filter(|one| one.middle().is_none() && one.least().is_none())
        .map(|one| one.search.target.as_str())
        .collect();
    let without = match without.is_empty() {
        true => String::new(),
        false => format!(" Without a capacity: {}.", without.join(", ")),
    };
    let mut conditions = slice::conditions(search.load);
    conditions.push(objective);
    Some(Drawing {
        file: "capacity.svg".to_owned(),
        name: "Capacity: offered rate at which half of the trials meet the objective".to_owned(),
        conditions,
        varies_cores: false,
        finding: topic::capacity(summary, search),
        at: String::new(),
        reading: format!("Bars: 95 % intervals, from five rounds on.{without}"),
        panels: vec![Panel::new(
            Axis::named("server", names),
            Metric::Capacity,
            Scale::Linear,
            series.collect(),
        )],
        hollow_means: "a lower bound: the load generator was the limit, or the machine was disturbed",
    })
}
