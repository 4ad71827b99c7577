//! Charts of a run, drawn from its summary alone.

mod axis;
mod background;
mod chart;
mod connections;
mod cores;
mod data;
mod distribution;
mod drawing;
mod emphasis;
mod equal;
pub mod forest;
pub mod gathered;
mod heading;
mod heavy;
mod legend;
pub(crate) mod lettering;
mod mark;
mod offered;
mod over_time;
mod panel;
mod slice;
pub(crate) mod style;
mod transfer;

use bench_data::load::Direction;
use serde::Serialize;

use crate::analysis::summary::Summary;
use bench_data::load::heavy::Work;
use bench_data::load::profile::LoadProfile;

pub(crate) use data::Data;
use drawing::Drawing;
pub use drawing::View;

/// A chart with title, caption and values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Name of its file within `plots/`.
    pub file: String,
    /// Result of the compared pair; of a chart without one, its subject.
    pub title: String,
    /// Conditions of the result.
    pub subtitle: String,
    /// Subject, explanation of marks, and the values behind the title.
    pub caption: String,
    /// Picture.
    pub svg: String,
    /// Values.
    pub data: Data,
}

/// All charts that the run has data for.
pub fn draw(summary: &Summary, view: View<'_>) -> Vec<Figure> {
    let figures = drawings(summary).into_iter().map(|drawing| drawing.figure(view));
    figures.chain(over_time::heat_map(summary, view)).collect()
}

fn drawings(summary: &Summary) -> Vec<Drawing> {
    let mut drawings = Vec::new();
    // Cores, background connections, rates and heavy requests are axes of other charts.
    let (plain, others): (Vec<_>, Vec<_>) = profiles(summary).into_iter().partition(|profile| {
        profile.heavy.total_percent() == 0
            && profile.background.total() == 0
            && profile.rate_per_s.is_none()
            && profile.server_cores == 1
    });
    for profile in plain {
        let part = summary.part(|load| load.profile == profile);
        drawings.extend(by_connections_and_size(&part));
        // Beside such loads a plain load is only the reference.
        if others.is_empty() {
            drawings.extend(draw_each(&part, distribution::of_latency));
        }
    }
    for background in background::Kind::ALL {
        drawings.extend(background::against_count(summary, background));
    }
    drawings.extend(cores::by_cores(summary));
    drawings.extend(offered::against_rate(summary));
    drawings.extend(offered::capacities(summary));
    drawings.extend(equal::at_equal_load(summary));
    for work in Work::ALL {
        drawings.extend(heavy::beside(summary, work));
    }
    drawings
}

fn by_connections_and_size(part: &Summary) -> Vec<Drawing> {
    draw_each(part, connections::throughput)
        .chain(draw_each(part, connections::latency))
        .chain(draw_each(part, transfer::against_size))
        .chain(draw_each(part, connections::footprint))
        .collect()
}

/// A chart for each direction that the run has data for.
fn draw_each(
    part: &Summary,
    drawing: fn(&Summary, Direction) -> Option<Drawing>,
) -> impl Iterator<Item = Drawing> {
    let ways = [Direction::Download, Direction::Upload, Direction::Echo];
    ways.into_iter().filter_map(move |direction| drawing(part, direction))
}

/// Profiles of the loads, the default one first.
fn profiles(summary: &Summary) -> Vec<LoadProfile> {
    let mut profiles: Vec<_> = summary.lines.iter().map(|line| line.load.profile).collect();
    profiles.sort_by_key(|profile| (!profile.is_usual(), *profile));
    profiles.dedup();
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::pair::Pair;
    use crate::analysis::sentence::answer::Place;
    use bench_data::mock;
    use bench_data::plan::sweep::SweepFlags;
    use bench_data::plan::{Overrides, Plan};

    const PLACE: Place = Place { server_cores: 1, machine_cores: 2 };

    /// Charts without a compared pair.
    fn draw(summary: &Summary) -> Vec<Figure> {
        super::draw(summary, View { pair: None, place: PLACE })
    }

    fn figures() -> Vec<Figure> {
        draw(&Summary::of(&mock::records()))
    }

    fn pair() -> Pair {
        Pair { first: "threaded".to_owned(), second: "selector".to_owned() }
    }

    #[test]
    fn the_pair_has_its_colours_and_the_others_are_grey() {
        let summary = Summary::of(&mock::records());
        let targets = summary.targets();
        for figure in super::draw(&summary, View { pair: Some(&pair()), place: PLACE }) {
            for target in &targets {
                let colour = style::Look::of(target, &targets).hex();
                let is_coloured = figure.svg.contains(&format!("stroke=\"{colour}\""));
                let is_of_pair = ["threaded", "selector"].contains(target);
                assert_eq!(is_coloured, is_of_pair, "{}: {target}", figure.file);
                assert!(figure.svg.contains(&format!("\n{target}\n</text>")), "{target}");
            }
            assert!(figure.svg.contains("stroke=\"#9DA2A8\""), "{}", figure.file);
            assert!(figure.subtitle.contains("; 1 server core, loopback; "), "{}", figure.subtitle);
            assert!(figure.subtitle.ends_with(" rounds"), "{}", figure.subtitle);
            assert!(figure.svg.contains(&figure.subtitle), "{}", figure.subtitle);
        }
    }

    #[test]
    fn a_chart_of_many_servers_labels_seven_lines() {
        let plan = Plan::built_in("concurrency").unwrap();
        let summary = Summary::of(&mock::records_of(&plan, mock::MockExecutor::default()));
        let targets = summary.targets();
        assert!(targets.len() > 7);
        let figures = super::draw(&summary, View { pair: Some(&pair()), place: PLACE });
        let svg = &figures[0].svg;
        let labels = targets.iter().filter(|name| svg.contains(&format!("\n{name}\n</text>")));
        assert_eq!(labels.count(), 7);
        assert!(svg.contains("\nthin: "), "the others are named together");
    }

    #[test]
    fn every_capacity_has_a_marker() {
        let plan = Plan::built_in("load").unwrap();
        let summary = Summary::of(&mock::records_of(&plan, mock::MockExecutor::default()));
        let figures = super::draw(&summary, View { pair: Some(&pair()), place: PLACE });
        let capacity = figures.iter().find(|figure| figure.file == "capacity.svg").unwrap();
        let markers = capacity.svg.matches("<polygon ").count();
        let data = serde_json::to_value(&capacity.data).unwrap();
        let servers = data["panels"][0]["series"].as_array().unwrap().len();
        assert!(servers > 7);
        assert_eq!(markers, servers);
    }

    #[test]
    fn the_title_states_what_the_rounds_show() {
        let title = |plan: &str, file: &str| {
            let plan = Plan::built_in(plan).unwrap();
            let summary = Summary::of(&mock::records_of(&plan, mock::MockExecutor::default()));
            let figures = super::draw(&summary, View { pair: Some(&pair()), place: PLACE });
            figures.into_iter().find(|figure| figure.file.starts_with(file)).unwrap().title
        };
        let shown = title("default", "throughput-by-connections");
        assert!(shown.starts_with("With 256 connections, selector serves 1."), "{shown}");
        assert!(shown.ends_with(" times as many requests per second as threaded"), "{shown}");
        assert_eq!(
            title("default", "throughput-by-size-download"),
            "With files of 1 MiB, threaded and selector are equivalent in throughput (within 5 %)"
        );
        assert_eq!(
            title("quick", "throughput-by-connections"),
            "With 64 connections, no difference in throughput shown between threaded and selector: \
             3 rounds support no claim"
        );
    }

    #[test]
    fn a_default_run_has_every_chart() {
        let files: Vec<_> = figures().into_iter().map(|figure| figure.file).collect();
        assert_eq!(
            files,
            [
                "throughput-by-connections-download.svg",
                "latency-by-connections-download.svg",
                "throughput-by-size-download.svg",
                "throughput-by-size-upload.svg",
                "footprint-by-connections-download.svg",
                "latency-distribution-download.svg",
                "latency-distribution-upload.svg",
            ]
        );
    }

    #[test]
    fn each_chart_names_each_server_and_draws_it_in_its_colour() {
        let summary = Summary::of(&mock::records());
        for figure in figures() {
            assert!(figure.svg.starts_with("<svg") && figure.svg.trim_end().ends_with("</svg>"));
            for target in summary.targets() {
                let colour = style::Look::of(target, &summary.targets()).hex();
                let name = format!("\n{target}\n</text>");
                assert!(figure.svg.contains(&name), "{}: no {target}", figure.file);
                let strokes = figure.svg.matches(&format!("stroke=\"{colour}\"")).count();
                assert!(strokes >= 2, "{}: {target} lacks {colour}", figure.file);
            }
            assert!(!figure.caption.is_empty() && !figure.title.is_empty());
        }
    }

    #[test]
    fn heavy_requests_and_mixes_have_charts_of_their_own() {
        let records = |name: &str| {
            let plan = Plan::built_in(name).unwrap();
            Summary::of(&mock::records_of(&plan, mock::MockExecutor::default()))
        };
        let figures = draw(&records("heavy"));
        let files: Vec<_> = figures.iter().map(|figure| figure.file.as_str()).collect();
        for file in [
            "waits-beside-heavy-cpu.svg",
            "throughput-beside-heavy-cpu.svg",
            "waits-beside-heavy-block.svg",
            "throughput-beside-heavy-block.svg",
        ] {
            assert!(files.contains(&file), "no {file} among {files:?}");
        }
        for figure in figures.iter().filter(|figure| figure.file.contains("heavy")) {
            assert_eq!(figure.svg.matches("\nnone\n</text>").count(), 2, "{}", figure.file);
        }
        let figures = draw(&records("mix"));
        let throughput = figures
            .iter()
            .find(|figure| figure.file == "throughput-by-connections-download-mix-web.svg");
        let svg = &throughput.unwrap().svg;
        assert!(svg.contains("requests/s") && svg.contains("MB/s"));
        assert!(figures.iter().any(|figure| figure.file.starts_with("latency-by-connections")));
    }

    #[test]
    fn cores_of_the_server_have_a_chart() {
        let mut plan = Plan::built_in("cores").unwrap();
        plan.fit_cores(8).unwrap();
        let summary = Summary::of(&mock::records_of(&plan, mock::MockExecutor::default()));
        let [only] = &draw(&summary)[..] else { panic!("another number of charts") };
        assert_eq!(only.file, "throughput-by-cores.svg");
        assert!(only.svg.contains("cores of the server"));
        let summary = summary.part(|load| load.profile.server_cores == 1);
        assert!(draw(&summary).iter().all(|figure| !figure.file.contains("cores")));
    }

    #[test]
    fn one_connection_count_gives_no_chart_over_connections() {
        let plan = Plan::built_in("quick").unwrap();
        let plan = plan.with(Overrides::from(SweepFlags {
            connections: Some(vec![8]),
            ..SweepFlags::default()
        }));
        let summary = Summary::of(&mock::records_of(&plan, mock::MockExecutor::default()));
        assert!(draw(&summary).iter().all(|figure| !figure.file.contains("by-connections")));
        assert!(draw(&Summary::default()).is_empty());
    }

    #[test]
    fn open_loops_have_charts_over_their_rates_and_at_equal_load() {
        let names = |plan: &str| -> Vec<_> {
            let plan = Plan::built_in(plan).unwrap();
            let summary = Summary::of(&mock::records_of(&plan, mock::MockExecutor::default()));
            draw(&summary).into_iter().map(|figure| figure.file).collect()
        };
        assert_eq!(
            names("load"),
            [
                "achieved-by-offered-rate.svg",
                "latency-by-offered-rate.svg",
                "service-time-by-offered-rate.svg",
                "capacity.svg",
            ]
        );
        let files = names("latency");
        for expected in ["capacity.svg", "spectrum-at-50-percent.svg", "spectrum-at-80-percent.svg"]
        {
            assert!(files.iter().any(|file| file == expected), "{files:?}");
        }
    }
}
