//! Open loops against the rate that they offer: what is achieved, how long it takes, and how much
//! each server bears.

use super::Figure;
use super::axis::Axis;
use super::caption::Quantity;
use super::caption::claim;
use super::chart::{Chart, Panel, Point, PointMark, Series};
use super::measure::Measure;
use super::slice::{self, HOLLOW_MEANS};
use super::style::{GRID, Look, Marker};
use crate::analysis::comparison::Best;
use crate::analysis::comparison::most_comparable;
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::load::objective::Objective;
use bench_data::record::capacity::Capacity;
use bench_data::stats::Estimate;
use bench_data::units;

/// What the diagonal is called.
const ALL_OF_IT: &str = "all that is offered";

/// The charts of the load that was offered at the most rates, if there were at least two.
pub(super) fn against_rate(summary: &Summary) -> Vec<Figure> {
    let Some(base) = base(summary) else { return Vec::new() };
    let is_one = |load: &Load| has_given_rate(load) && load.without_rate() == base;
    let part = summary.part(is_one);
    let Some(headline_load) = most_comparable(&part, |_| true, |load| load.profile.rate_per_s)
    else {
        return Vec::new();
    };
    let load = format!(
        "({} {}, {} connections)",
        base.size.spaced(),
        slice::noun(base.direction),
        base.connections
    );
    [achieved(&part, &load), response_times(&part, headline_load, &load), both_times(&part, &load)]
        .into_iter()
        .flatten()
        .collect()
}

/// How much each server bears: one chart for each load that was searched, and each objective.
pub(super) fn capacities(summary: &Summary) -> Vec<Figure> {
    let mut kinds: Vec<(Load, Objective)> = Vec::new();
    for one in &summary.capacities {
        if !kinds.contains(&(one.load, one.objective)) {
            kinds.push((one.load, one.objective));
        }
    }
    let of_kind = |(load, objective): &(Load, Objective)| {
        let is_one = |one: &&Capacity| one.load == *load && one.objective == *objective;
        capacity(&summary.capacities.iter().filter(is_one).collect::<Vec<_>>())
    };
    let mut figures: Vec<Figure> = kinds.iter().filter_map(of_kind).collect();
    for (index, figure) in figures.iter_mut().enumerate().skip(1) {
        figure.file = format!("capacity-{}.svg", index + 1);
    }
    figures
}

fn has_given_rate(load: &Load) -> bool {
    load.profile.rate_per_s.is_some() && load.profile.of_weakest_percent.is_none()
}

fn base(summary: &Summary) -> Option<Load> {
    let mut bases: Vec<(Load, usize)> = Vec::new();
    for load in summary.loads().into_iter().filter(has_given_rate) {
        let base = load.without_rate();
        match bases.iter_mut().find(|(other, _)| *other == base) {
            Some((_, count)) => *count += 1,
            None => bases.push((base, 1)),
        }
    }
    bases
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .max_by_key(|(_, count)| *count)
        .map(|(b, _)| b)
}

fn offered(line: &Line) -> f64 {
    line.load.profile.rate_per_s.map_or(0.0, f64::from)
}

fn x(series: &[Series]) -> Axis {
    let write = |rate| slice::short(&units::count(rate));
    Axis::log_at("requests offered per second", write, &slice::xs(series))
}

fn achieved(part: &Summary, load: &str) -> Option<Figure> {
    let mut series = slice::series(part, |_| true, offered, Measure::Answered);
    let xs = slice::xs(&series);
    xs.last()?;
    let diagonal = xs.iter().map(|x| Point {
        x: *x,
        y: Estimate { median: *x, interval: None },
        rounds: Vec::new(),
        mark: PointMark::None,
    });
    let look = Look { colour: GRID, marker: Marker::Bar, dashed: true };
    let name = ALL_OF_IT.to_owned();
    let points = diagonal.collect();
    series.insert(0, Series { name, look, measure: Measure::Answered, points });
    let write = |value| slice::short(&units::count(value));
    let y = Axis::log("answers per second", write, &slice::ys(&series[1..]));
    let y = y.reaching(*xs.last()?);
    let title = format!("Achieved against offered rate {load}");
    let best = highest(part);
    let caption = format!(
        "On the dashed line every request is answered; right of where a server leaves it, it is \
         offered more than it can do.{best}"
    );
    let panels = vec![Panel { x: x(&series), y, series }];
    let file = "achieved-by-offered-rate.svg".to_owned();
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}

/// The most that any server answered, and which.
fn highest(part: &Summary) -> String {
    let most = part.lines.iter().filter_map(|line| Some((line, Measure::Answered.of(line)?)));
    let most = most.max_by(|a, b| a.1.median.total_cmp(&b.1.median));
    most.map_or_else(String::new, |(line, rate)| {
        let offered = units::count(offered(line));
        format!(
            " The most that was answered are {} requests/s, by {} when {offered} were offered.",
            units::count(rate.median),
            line.target
        )
    })
}

fn panel(label: &str, series: Vec<Series>, range: &[f64]) -> Panel {
    let write = |value| slice::short(&units::microseconds(value));
    Panel { x: x(&series).spaced(0.18), y: Axis::log(label, write, range), series }
}

fn response_times(part: &Summary, headline_load: Load, load: &str) -> Option<Figure> {
    let series = |percentile| slice::series(part, |_| true, offered, Measure::Latency(percentile));
    let each = [50.0, 99.0, 99.9].map(series);
    slice::xs(&each[1]).last()?;
    let range = slice::ys(each.iter().flatten());
    let labels = ["median response time", "99th percentile", "99.9th percentile"];
    let panels: Vec<_> = labels
        .into_iter()
        .zip(each)
        .filter(|(_, series)| !slice::xs(series).is_empty())
        .map(|(label, series)| panel(label, series, &range))
        .collect();
    let quantity = Quantity {
        name: "the 99th percentile",
        best: Best::Lowest,
        rounds: &|line| line.latency_rounds(99.0).to_vec(),
        write: &units::microseconds,
    };
    let caption = claim(part, headline_load, &quantity)
        + " Counted from when a request was due: past what a server can do, its queue grows for as \
           long as the load lasts, so that such points tell how long that was.";
    let title = format!("Response time by offered rate {load}");
    let file = "latency-by-offered-rate.svg".to_owned();
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}

fn both_times(part: &Summary, load: &str) -> Option<Figure> {
    let series = |measure| slice::series(part, |_| true, offered, measure);
    let each = [Measure::Latency(99.0), Measure::Service(99.0)].map(series);
    slice::xs(&each[1]).last()?;
    let range = slice::ys(each.iter().flatten());
    let [response, service] = each;
    let panels = vec![
        panel("response time p99 (since it was due)", response, &range),
        panel("service time p99 (since it was sent)", service, &range),
    ];
    let caption =
        "On the right what a closed loop would have told: a request that waits for a free \
                   connection is not sent, and its wait is not seen."
            .to_owned();
    let title = format!("Response and service time by offered rate {load}");
    let file = "service-time-by-offered-rate.svg".to_owned();
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}

fn capacity(of_kind: &[&Capacity]) -> Option<Figure> {
    let first = of_kind.first()?;
    let names: Vec<&str> = of_kind.iter().map(|one| one.target.as_str()).collect();
    let with_some: Vec<_> =
        of_kind.iter().filter_map(|one| Some((*one, one.estimate()?))).collect();
    let series: Vec<Series> = with_some
        .iter()
        .enumerate()
        .map(|(index, (one, y))| Series {
            name: one.target.clone(),
            look: Look::of(&one.target, &names),
            measure: Measure::Rate,
            points: vec![Point {
                x: index as f64 + 1.0,
                y: *y,
                rounds: one.by_round().into_iter().map(|(_, rate)| rate).collect(),
                mark: if one.is_at_least() { PointMark::Hollow } else { PointMark::Filled },
            }],
        })
        .collect();
    slice::xs(&series).last()?;
    let without: Vec<_> = of_kind
        .iter()
        .filter(|one| one.estimate().is_none())
        .map(|one| format!("{} ({})", one.target, one.reason()))
        .collect();
    let mut caption = format!(
        "The highest rate that meets {}, found by search; in the order of the legend.",
        first.objective.in_words()
    );
    if !without.is_empty() {
        caption += &format!(" None meets it of {}.", without.join(", "));
    }
    let write = |value| slice::short(&units::count(value));
    let y = Axis::from_zero("requests per second", write, &slice::ys(&series));
    let x = Axis::places("servers", series.len());
    let title = format!(
        "Capacity at {} ({} {}, {} connections)",
        first.objective.in_words(),
        first.load.size.spaced(),
        slice::noun(first.load.direction),
        first.load.connections
    );
    let hollow_means = "the server may bear more: the generator was the limit";
    let panels = vec![Panel { x, y, series }];
    Some(Chart { title, panels, hollow_means }.figure("capacity.svg".to_owned(), caption))
}
