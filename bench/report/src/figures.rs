//! Charts of a run, drawn from its summary alone.

mod axis;
mod background;
mod chart;
mod connections;
mod cores;
mod data;
mod distribution;
mod equal;
pub mod forest;
pub mod gathered;
mod heavy;
mod mark;
mod offered;
mod slice;
mod style;
mod transfer;

use bench_data::load::Direction;
use serde::Serialize;

use crate::analysis::summary::Summary;
use bench_data::load::heavy::Work;
use bench_data::load::profile::LoadProfile;

pub(crate) use data::Data;

/// A chart with title, caption and values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Name of its file within `plots/`.
    pub file: String,
    /// Title.
    pub title: String,
    /// Caption: the comparison of the servers.
    pub caption: String,
    /// Picture.
    pub svg: String,
    /// Values.
    pub data: Data,
}

/// All charts that the run has data for.
pub fn draw(summary: &Summary) -> Vec<Figure> {
    let mut figures = Vec::new();
    // Cores, background connections, rates and heavy requests are axes of other charts.
    let (plain, others): (Vec<_>, Vec<_>) = profiles(summary).into_iter().partition(|profile| {
        profile.heavy.total_percent() == 0
            && profile.background.total() == 0
            && profile.rate_per_s.is_none()
            && profile.server_cores == 1
    });
    for profile in plain {
        let part = summary.part(|load| load.profile == profile);
        figures.extend(by_connections_and_size(&part));
        // Beside such loads a plain load is only the reference.
        if others.is_empty() {
            figures.extend(draw_each(&part, distribution::of_latency));
        }
    }
    for background in background::Kind::ALL {
        figures.extend(background::against_count(summary, background));
    }
    figures.extend(cores::by_cores(summary));
    figures.extend(offered::against_rate(summary));
    figures.extend(offered::capacities(summary));
    figures.extend(equal::at_equal_load(summary));
    for work in Work::ALL {
        figures.extend(heavy::beside(summary, work));
    }
    figures
}

fn by_connections_and_size(part: &Summary) -> Vec<Figure> {
    draw_each(part, connections::throughput)
        .chain(draw_each(part, connections::latency))
        .chain(draw_each(part, transfer::against_size))
        .chain(draw_each(part, connections::footprint))
        .collect()
}

/// A chart for each direction that the run has data for.
fn draw_each(
    part: &Summary,
    figure: fn(&Summary, Direction) -> Option<Figure>,
) -> impl Iterator<Item = Figure> {
    let ways = [Direction::Download, Direction::Upload, Direction::Echo];
    ways.into_iter().filter_map(move |direction| figure(part, direction))
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
