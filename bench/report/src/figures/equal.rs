//! All servers at the same rate, a share of what the weakest bears: the whole distribution of
//! times, and what a request costs.

use super::Figure;
use super::axis::Axis;
use super::caption::Quantity;
use super::caption::claim;
use super::chart::{Chart, Panel, Point, PointMark, Series};
use super::measure::Measure;
use super::slice;
use super::style::Look;
use crate::analysis::comparison::Best;
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::record::outcome::Outcome;
use bench_data::stats::Estimate;
use bench_data::units;
use bench_data::units::grouped;

/// What hollow markers mean where every server is offered the same.
const HOLLOW_MEANS: &str = "not all connections were served, or requests failed";

pub(super) fn at_equal_load(summary: &Summary) -> Vec<Figure> {
    let is_one = |load: &Load| load.profile.of_weakest_percent.is_some();
    let part = summary.part(is_one);
    let mut figures: Vec<Figure> =
        part.loads().into_iter().filter_map(|load| spectrum(&part, load)).collect();
    figures.extend(cost(&part));
    figures
}

fn rate(load: Load) -> String {
    let percent = load.profile.of_weakest_percent.unwrap_or(0);
    let rate = grouped(load.profile.rate_per_s.unwrap_or(0) as usize);
    format!("{rate} requests/s, {percent} % of what the weakest bears")
}

fn spectrum(part: &Summary, load: Load) -> Option<Figure> {
    let response = series(part, load, &|line| line.spectrum().collect());
    let service = series(part, load, &|line| line.service_spectrum().collect());
    let most = *slice::xs(&response).last()?;
    let range = slice::ys(response.iter().chain(&service));
    let panel = |label: &str, series: Vec<Series>| Panel {
        x: Axis::percentiles("percentile of the answers", most),
        y: Axis::log(label, |value| slice::short(&units::microseconds(value)), &range),
        series,
    };
    let quantity = Quantity {
        name: "the 99.9th percentile",
        best: Best::Lowest,
        rounds: &|line| line.latency_rounds(99.9).to_vec(),
        write: &units::microseconds,
    };
    let caption = format!(
        "The further right, the rarer the wait; each nine takes the same room. {}",
        claim(part, load, &quantity)
    );
    let panels = vec![
        panel("response time (since it was due)", response),
        panel("service time (since it was sent)", service),
    ];
    let title = format!("Times at {}", rate(load));
    let percent = load.profile.of_weakest_percent.unwrap_or(0);
    let file = format!("spectrum-at-{percent}-percent.svg");
    Some(Chart { title, panels, hollow_means: "" }.figure(file, caption))
}

fn series(
    part: &Summary,
    load: Load,
    values: &dyn Fn(&Line) -> Vec<(f64, Estimate)>,
) -> Vec<Series> {
    let targets = part.targets();
    let of_line = |line: &Line| Series {
        name: line.target.clone(),
        look: Look::of(&line.target, &targets),
        measure: Measure::Latency(50.0),
        points: values(line)
            .into_iter()
            .filter(|(percentile, _)| *percentile < 100.0)
            .map(|(x, estimate)| point(x, estimate))
            .collect(),
    };
    part.under(load).map(of_line).filter(|series| !series.points.is_empty()).collect()
}

/// Error bars and rounds at every percentile would hide the lines.
fn point(x: f64, estimate: Estimate) -> Point {
    let marked = [50.0, 90.0, 99.0, 99.9, 99.99].contains(&x);
    let mark = if marked { PointMark::Filled } else { PointMark::None };
    Point { x, y: Estimate { interval: None, ..estimate }, rounds: Vec::new(), mark }
}

fn cost(part: &Summary) -> Option<Figure> {
    let percent = |line: &Line| line.load.profile.of_weakest_percent.map_or(0.0, f64::from);
    // Of one that cannot hold the rate, few answers belong to what it did.
    let holds = |line: &Line| line.count(Outcome::Overloaded) == 0;
    let cpu = slice::series(part, holds, percent, Measure::Cpu);
    let switches = slice::series(part, holds, percent, Measure::Switches);
    slice::xs(&cpu).last()?;
    let load = part.loads().into_iter().max_by_key(|load| load.profile.of_weakest_percent)?;
    let quantity = Quantity {
        name: "processor time per request",
        best: Best::Lowest,
        rounds: &|line| line.cpu_rounds.clone(),
        write: &units::microseconds,
    };
    let caption = claim(part, load, &quantity);
    let x = |series: &[Series]| {
        let write = |percent: f64| format!("{percent:.0} %");
        Axis::log_at("share of the weakest server's capacity", write, &slice::xs(series))
    };
    let time = |value: f64| slice::short(&units::microseconds(value));
    let count = |value: f64| slice::short(&units::count(value));
    let mut panels = vec![Panel {
        x: x(&cpu),
        y: Axis::from_zero("processor time per request", time, &slice::ys(&cpu)),
        series: cpu,
    }];
    if !slice::xs(&switches).is_empty() {
        panels.push(Panel {
            x: x(&switches),
            y: Axis::log("context switches per request", count, &slice::ys(&switches)),
            series: switches,
        });
    }
    let title = "What a request costs when all are offered the same".to_owned();
    let file = "cost-at-equal-load.svg".to_owned();
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}
