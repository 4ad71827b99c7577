//! Open loops by offered rate: achieved rate, response times, and capacities.

use super::Figure;
use super::axis::{Axis, Scale};
use super::chart::{Chart, Panel, Point, PointMark, Series, ys};
use super::slice::{self, HOLLOW_MEANS};
use super::style::{GRID, Look, Marker};
use crate::analysis::capacity::{CapacityEstimate, Search, searches};
use crate::analysis::finding::Finding;
use crate::analysis::metric::{Metric, Percentile, Unit};
use crate::analysis::selection::most_comparable;
use crate::analysis::summary::Summary;
use bench_data::load::{Load, words};
use bench_data::stats::Spread;
use bench_data::units;

/// Charts of the load that was offered at the most rates, if there are at least two.
pub(super) fn against_rate(summary: &Summary) -> Vec<Figure> {
    let has_given_rate = |load: &Load| {
        load.profile.rate_per_s.is_some() && load.profile.of_weakest_percent.is_none()
    };
    let bases = summary.loads().into_iter().filter(has_given_rate).map(Load::without_rate);
    let Some(base) = slice::most_frequent(bases, |_, count| count > 1) else { return Vec::new() };
    let part = summary.part(|load| has_given_rate(load) && load.without_rate() == base);
    let Some(load) = most_comparable(&part, |_| true, |load| load.profile.rate_per_s) else {
        return Vec::new();
    };
    let figures =
        [achieved(&part, base), response_times(&part, load, base), both_times(&part, base)];
    figures.into_iter().flatten().collect()
}

/// A chart of capacities for each load that was searched, and each objective.
pub(super) fn capacities(summary: &Summary) -> Vec<Figure> {
    let mut figures: Vec<Figure> =
        searches(&summary.capacities).iter().filter_map(capacity).collect();
    for (index, figure) in figures.iter_mut().enumerate().skip(1) {
        figure.file = format!("capacity-{}.svg", index + 1);
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

fn achieved(part: &Summary, base: Load) -> Option<Figure> {
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
    series.insert(0, Series { name, look, points });
    let caption = format!(
        "On the dashed line every request receives a reply. A server that leaves it is offered more than \
         its capacity.{}",
        highest(part)
    );
    let panels = vec![Panel { x: axis(&series), y, metric, series }];
    let title = slice::title("Achieved rate by offered rate", base);
    let file = "achieved-by-offered-rate.svg".to_owned();
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}

/// The highest achieved rate.
fn highest(part: &Summary) -> String {
    let metric = Metric::AchievedRate;
    let rates = part.lines.iter().filter_map(|line| Some((line, line.median(metric)?)));
    let most = rates.max_by(|a, b| a.1.total_cmp(&b.1));
    most.map_or_else(String::new, |(line, rate)| {
        format!(
            " Highest achieved rate: {} by {}, of {} offered.",
            metric.write(rate),
            line.target,
            units::count(offered(&line.load))
        )
    })
}

fn response_times(part: &Summary, load: Load, base: Load) -> Option<Figure> {
    let percentiles = [Percentile::P50, Percentile::P99, Percentile::P99_9];
    let panels = Panel::alike(
        percentiles.map(Metric::Response),
        |metric| series(part, metric),
        |series| axis(series).spaced(0.18),
    );
    panels.iter().find(|panel| panel.metric == Metric::P99 && panel.has_points())?;
    let panels = panels.into_iter().filter(Panel::has_points).collect();
    let caption = Finding::under(part, load, Metric::P99).sentence()
        + " Response times are measured from when a request was due. Beyond capacity the queue grows \
           throughout the window; these points reflect the length of the window.";
    let title = slice::title("Response time by offered rate", base);
    let file = "latency-by-offered-rate.svg".to_owned();
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}

fn both_times(part: &Summary, base: Load) -> Option<Figure> {
    let panels = Panel::alike(
        [Metric::P99, Metric::Service(Percentile::P99)],
        |metric| series(part, metric),
        |series| axis(series).spaced(0.18),
    );
    panels.last().filter(|panel| panel.has_points())?;
    let caption =
        "Left: response time, since a request was due. Right: service time, since it was \
                   sent: what a closed-loop generator would report (coordinated omission)."
            .to_owned();
    let title = slice::title("Response and service time by offered rate", base);
    let file = "service-time-by-offered-rate.svg".to_owned();
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}

fn capacity(search: &Search<'_>) -> Option<Figure> {
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
        name,
        points: vec![Point {
            x: index as f64,
            y: Spread { median: rate, range },
            rounds: Vec::new(),
            mark,
        }],
    });
    let objective = search.objective.in_words();
    let mut caption = format!(
        "Capacity: the offered rate at which half of the trials meet {objective}. Bars: 95 % intervals, \
         from five rounds on."
    );
    let without: Vec<_> = search
        .servers
        .iter()
        .filter(|one| one.middle().is_none() && one.least().is_none())
        .map(|one| format!("{} ({})", one.search.target, one.doubt()))
        .collect();
    if !without.is_empty() {
        caption += &format!(" Without a capacity: {}.", without.join(", "));
    }
    let title = format!(
        "Capacity at {objective} ({}, {})",
        words::requests(search.load),
        words::connections(search.load.connections)
    );
    let hollow_means =
        "a lower bound: the load generator was the limit, or the machine was disturbed";
    let panels = vec![Panel::new(
        Axis::named("server", names),
        Metric::Capacity,
        Scale::Linear,
        series.collect(),
    )];
    Some(Chart { title, panels, hollow_means }.figure("capacity.svg".to_owned(), caption))
}
