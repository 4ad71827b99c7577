//! The charts of a run, each drawn from its summary alone.

mod axis;
mod background;
mod caption;
mod chart;
mod data;
mod distribution;
mod equal;
mod footprint;
mod heavy;
mod latency;
mod mark;
mod measure;
mod offered;
mod slice;
mod style;
mod throughput;
mod transfer;

use bench_data::load::Direction;
use serde::Serialize;

use crate::analysis::summary::Summary;
use bench_data::load::heavy::Work;
use bench_data::load::profile::LoadProfile;

pub use data::Data;
pub use style::{Look, Marker};

/// A chart with what belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Its file's name within `plots/`.
    pub file: String,
    /// What it shows.
    pub title: String,
    /// What is to be seen in it, in a sentence.
    pub caption: String,
    /// The picture.
    pub svg: String,
    /// Its values.
    pub data: Data,
}

/// Every chart that the run has data for.
pub fn draw(summary: &Summary) -> Vec<Figure> {
    let mut figures = Vec::new();
    // Crowds, rates and heavy requests are axes of charts of their own.
    let (plain, others): (Vec<_>, Vec<_>) = profiles(summary).into_iter().partition(|profile| {
        profile.heavy.total_percent() == 0
            && profile.background.total() == 0
            && profile.rate_per_s.is_none()
    });
    for profile in plain {
        let part = summary.part(|load| load.profile == profile);
        figures.extend(by_connections_and_size(&part));
        // Beside those a plain load is there to compare with: how it is distributed says nothing.
        if others.is_empty() {
            figures.extend(draw_each(&part, distribution::of_latency));
        }
    }
    for background in background::Kind::ALL {
        figures.extend(background::against_crowd(summary, background));
    }
    figures.extend(offered::against_rate(summary));
    figures.extend(offered::capacities(summary));
    figures.extend(equal::at_equal_load(summary));
    for work in Work::ALL {
        figures.extend(heavy::beside(summary, work));
    }
    figures
}

fn by_connections_and_size(part: &Summary) -> Vec<Figure> {
    draw_each(part, throughput::against_connections)
        .chain(draw_each(part, latency::against_connections))
        .chain(draw_each(part, transfer::against_size))
        .chain(draw_each(part, footprint::against_connections))
        .collect()
}

/// A chart of each direction that the run has data for.
fn draw_each(
    part: &Summary,
    figure: fn(&Summary, Direction) -> Option<Figure>,
) -> impl Iterator<Item = Figure> {
    let ways = [Direction::Download, Direction::Upload, Direction::Echo];
    ways.into_iter().filter_map(move |direction| figure(part, direction))
}

/// What sets loads apart, the usual ones first.
fn profiles(summary: &Summary) -> Vec<LoadProfile> {
    let mut profiles: Vec<_> = summary.lines.iter().map(|line| line.load.profile).collect();
    profiles.sort_by_key(|profile| (!profile.is_usual(), *profile));
    profiles.dedup();
    profiles
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock;
    use bench_data::plan::sweep::SweepFlags;
    use bench_data::plan::{Overrides, Plan};

    fn figures() -> Vec<Figure> {
        draw(&Summary::of(&mock::records()))
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
                let colour = Look::of(target, &summary.targets()).hex();
                let name = format!("\n{target}\n</text>");
                assert!(figure.svg.contains(&name), "{}: no {target}", figure.file);
                let strokes = figure.svg.matches(&format!("stroke=\"{colour}\"")).count();
                assert!(strokes >= 2, "{}: {target} lacks {colour}", figure.file);
            }
            assert!(!figure.caption.is_empty() && !figure.title.is_empty());
        }
    }

    #[test]
    fn captions_claim_no_more_than_the_verdict() {
        let captions = |summary: &Summary| -> Vec<_> {
            draw(summary).into_iter().map(|figure| (figure.file, figure.caption)).collect()
        };
        for (file, caption) in captions(&Summary::of(&mock::records())) {
            let claims = caption.split(';').next().unwrap();
            assert!(!claims.contains("iterative"), "{file}: {caption}");
            assert!(
                caption.contains("iterative is left out: it served 1 of "),
                "{file}: {caption}"
            );
        }
        let even = ["threaded", "thread-pool", "selector"];
        let speed = even.map(|name| (name.to_owned(), 50_000.0)).into();
        let plan = Plan::built_in("default").unwrap();
        let executor = mock::MockExecutor { speed, ..mock::MockExecutor::default() };
        let captions = captions(&Summary::of(&mock::records_of(&plan, executor)));
        let (_, caption) =
            captions.iter().find(|(file, _)| file.starts_with("throughput-by-conn")).unwrap();
        assert!(caption.contains("no measurable difference in throughput between"), "{caption}");
        assert!(!caption.contains("highest"), "{caption}");
    }

    #[test]
    fn a_caption_names_the_best_with_its_interval() {
        let figures = figures();
        let caption =
            |start| &figures.iter().find(|figure| figure.file.starts_with(start)).unwrap().caption;
        let throughput = caption("throughput-by-connections");
        assert!(
            throughput.contains("256 connections") && throughput.contains("highest for selector ("),
            "{throughput}"
        );
        assert!(throughput.contains(" times that of threaded"), "{throughput}");
        let memory = caption("footprint");
        assert!(memory.contains("for threaded 1.") && memory.contains("times as high"), "{memory}");
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
            assert!(figure.caption.contains("10 % of requests "), "{}", figure.caption);
        }
        let figures = draw(&records("mix"));
        let throughput = figures
            .iter()
            .find(|figure| figure.file == "throughput-by-connections-download-mix-web.svg");
        let svg = &throughput.unwrap().svg;
        assert!(svg.contains("requests per second") && svg.contains("MB per second"));
        assert!(figures.iter().any(|figure| figure.file.starts_with("latency-by-connections")));
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
            draw(&summary).into_iter().map(|figure| (figure.file, figure.caption)).collect()
        };
        let load = names("load");
        let files: Vec<_> = load.iter().map(|(file, _)| file.as_str()).collect();
        assert_eq!(
            files,
            [
                "achieved-by-offered-rate.svg",
                "latency-by-offered-rate.svg",
                "service-time-by-offered-rate.svg",
                "capacity.svg",
            ]
        );
        let (_, capacity) = load.last().unwrap();
        assert!(capacity.contains("None meets it of iterative (1 of 64 connections"), "{capacity}");
        let files: Vec<_> = names("latency").into_iter().map(|(file, _)| file).collect();
        for expected in ["capacity.svg", "spectrum-at-50-percent.svg", "spectrum-at-80-percent.svg"]
        {
            assert!(files.iter().any(|file| file == expected), "{files:?}");
        }
    }
}
