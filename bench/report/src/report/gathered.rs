//! Report of many runs, often on as many machines: page, chart and table.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bench_data::record::run_folder::Contents;
use bench_data::units::counted;
use minijinja::Environment as Templates;
use minijinja::value::Serde;
use serde::Serialize;

use crate::analysis::forest::Standing;
use crate::analysis::gathered::{Gathered, InRuns, ratio};
use crate::analysis::statistics::verdict::{Direction, Verdict};
use crate::figures;
use crate::report::page::STYLE;
use crate::report::setup::machine_in_one_line;

const TEMPLATE: &str = include_str!("gathered.html");
const PAGE: &str = "gathered.html";
const TABLE: &str = "gathered.csv";
const CHART: &str = "gathered.svg";

/// Report of several runs.
#[derive(Debug)]
pub struct GatheredReport {
    /// The comparisons.
    pub gathered: Gathered,
    runs: Vec<Run>,
}

/// Run of the report.
#[derive(Debug, Serialize)]
struct Run {
    /// Name of the machine, with a number if several runs have it.
    name: String,
    machine: String,
    folder: String,
    is_left_out: bool,
}

#[derive(Debug, Serialize)]
struct Page<'g> {
    title: String,
    answer: String,
    second: &'g str,
    svg: String,
    comparisons: Vec<ComparisonWords<'g>>,
    runs: &'g [Run],
    style: &'static str,
}

#[derive(Debug, Serialize)]
struct ComparisonWords<'g> {
    name: &'g str,
    condition: &'g str,
    sentence: String,
}

/// Row of the table.
#[derive(Debug, Serialize)]
struct Row<'g> {
    run: &'g str,
    machine: &'g str,
    folder: &'g str,
    comparison: &'g str,
    load: &'g str,
    first: &'g str,
    second: &'g str,
    rounds: Option<usize>,
    second_better: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    result: &'static str,
}

impl GatheredReport {
    /// Compares a pair of servers in some runs, given with their folders; without a pair that of the first run.
    ///
    /// # Errors
    /// No run compares the pair.
    pub fn of(runs: Vec<(PathBuf, Contents)>, pair: Option<[String; 2]>) -> anyhow::Result<Self> {
        let (folders, mut contents): (Vec<PathBuf>, Vec<Contents>) = runs.into_iter().unzip();
        let gathered = Gathered::of(&mut contents, pair);
        let gathered = gathered.context("no run compares two servers")?;
        let (first, second) = (&gathered.pair.first, &gathered.pair.second);
        ensure!(!gathered.comparisons.is_empty(), "no run compares {first} and {second}");
        let mut described: Vec<Run> = Vec::new();
        for (number, (folder, contents)) in folders.iter().zip(&contents).enumerate() {
            let host = &contents.environment.machine.host;
            let is_same =
                |run: &&Run| run.name == *host || run.name.starts_with(&format!("{host} ("));
            let before = described.iter().filter(is_same).count();
            let name = if before == 0 { host.clone() } else { format!("{host} ({})", before + 1) };
            described.push(Run {
                name,
                machine: machine_in_one_line(contents),
                folder: folder.display().to_string(),
                is_left_out: gathered.left_out.contains(&number),
            });
        }
        Ok(Self { gathered, runs: described })
    }

    /// The comparisons in words, one per line.
    pub fn text(&self) -> String {
        let line = |one: &InRuns| {
            format!("{} ({}): {}\n", one.name, one.condition, self.gathered.sentence(one))
        };
        self.gathered.comparisons.iter().map(line).collect()
    }

    /// Folders of the runs that do not compare the two servers.
    pub fn left_out(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().filter(|run| run.is_left_out).map(|run| &*run.folder)
    }

    /// Writes page, chart and table into a folder, which is created, and returns the path of the page.
    ///
    /// # Errors
    /// The folder has other files, or cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let is_own = folder.join(TABLE).is_file();
        let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
        ensure!(
            is_own || is_empty,
            "{} is not empty: choose a new folder with --out, or remove it first",
            folder.display()
        );
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let page = folder.join(PAGE);
        let svg = self.svg();
        for (path, text) in [
            (folder.join(CHART), &svg),
            (folder.join(TABLE), &self.table()?),
            (page.clone(), &self.html(&svg)?),
        ] {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(page)
    }

    fn svg(&self) -> String {
        let names: Vec<String> = self.runs.iter().map(|run| run.name.clone()).collect();
        figures::gathered::draw(&self.gathered, &names)
    }

    fn html(&self, svg: &str) -> anyhow::Result<String> {
        let mut templates = Templates::new();
        templates.add_template(PAGE, TEMPLATE)?;
        let Gathered { pair, comparisons, .. } = &self.gathered;
        let compared = self.runs.iter().filter(|run| !run.is_left_out).count();
        let page = Page {
            title: format!(
                "{} or {}? {} gathered",
                pair.first,
                pair.second,
                counted(compared, "run")
            ),
            answer: comparisons.first().map_or_else(String::new, |one| {
                format!("{}, {}: {}", one.name, one.condition, self.gathered.sentence(one))
            }),
            second: &pair.second,
            svg: svg.to_owned(),
            comparisons: comparisons
                .iter()
                .map(|one| ComparisonWords {
                    name: &one.name,
                    condition: &one.condition,
                    sentence: self.gathered.sentence(one),
                })
                .collect(),
            runs: &self.runs,
            style: STYLE,
        };
        Ok(templates.get_template(PAGE)?.render(Serde(&page))?)
    }

    fn table(&self) -> anyhow::Result<String> {
        let mut table = csv::Writer::from_writer(Vec::new());
        let pair = &self.gathered.pair;
        for one in &self.gathered.comparisons {
            for result in &one.results {
                let run = &self.runs[result.run];
                let compared = match &result.standing {
                    Standing::Compared(compared) => Some(compared.ratio),
                    Standing::Bound { .. } | Standing::Void | Standing::Missing { .. } => None,
                };
                let interval = compared.and_then(|ratio| ratio.interval());
                table.serialize(Row {
                    run: &run.name,
                    machine: &run.machine,
                    folder: &run.folder,
                    comparison: &one.name,
                    load: &one.condition,
                    first: &pair.first,
                    second: &pair.second,
                    rounds: compared.map(|ratio| ratio.rounds),
                    second_better: ratio(&result.standing),
                    low: interval.map(|interval| interval.low),
                    high: interval.map(|interval| interval.high),
                    result: word(&result.standing),
                })?;
            }
        }
        Ok(String::from_utf8(table.into_inner()?)?)
    }
}

/// Result as a word of the table.
fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Compared(one) => match one.verdict {
            Verdict::Different(Direction::Above) => "second-better",
            Verdict::Different(Direction::Below) => "first-better",
            Verdict::Equivalent => "equivalent",
            Verdict::Undecided => "undecided",
        },
        Standing::Bound { .. } => "bound",
        Standing::Void => "void",
        Standing::Missing { .. } => "not-compared",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::{MockExecutor, contents_of};
    use bench_data::plan::Plan;

    fn runs(hosts: &[&str]) -> Vec<(PathBuf, Contents)> {
        let run = |host: &&str| {
            let mut contents =
                contents_of(&Plan::built_in("default").unwrap(), MockExecutor::default());
            contents.environment.machine.host = (*host).to_owned();
            (PathBuf::from(format!("runs/{host}")), contents)
        };
        hosts.iter().map(run).collect()
    }

    #[test]
    fn a_report_of_several_machines_names_each_run() {
        let report = GatheredReport::of(runs(&["ada", "bob", "ada"]), None).unwrap();
        let names: Vec<_> = report.runs.iter().map(|run| &*run.name).collect();
        assert_eq!(names, ["ada", "bob", "ada (2)"]);
        let folder = tempfile::tempdir().unwrap();
        let page = report.write(folder.path()).unwrap();
        let html = fs::read_to_string(&page).unwrap();
        for part in ["ada (2)", "bob", "selector is better in 3 of 3 runs", "<svg role"] {
            assert!(html.contains(part), "{part}");
        }
        let table = fs::read_to_string(folder.path().join(TABLE)).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 1 + 3 * report.gathered.comparisons.len());
        assert!(lines[1].contains("second-better"), "{}", lines[1]);
        // It replaces its own files and no others.
        report.write(folder.path()).unwrap();
        fs::remove_file(folder.path().join(TABLE)).unwrap();
        let refused = report.write(folder.path()).unwrap_err().to_string();
        assert!(
            refused.ends_with("choose a new folder with --out, or remove it first"),
            "{refused}"
        );
    }

    #[test]
    fn a_chart_of_a_class_has_a_line_per_run_without_names() {
        let hosts: Vec<String> = (0..30).map(|number| format!("laptop-{number:02}")).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let named = GatheredReport::of(runs(&hosts[..3]), None).unwrap().svg();
        let many = GatheredReport::of(runs(&hosts), None).unwrap().svg();
        assert!(named.contains("laptop-02") && !many.contains("laptop-02"));
        let marks = |svg: &str| svg.matches("<polygon").count();
        assert!(marks(&many) > 9 * marks(&named), "{} {}", marks(&many), marks(&named));
    }

    #[test]
    fn without_the_pair_there_is_nothing_to_report() {
        let pair = ["threaded", "ghost"].map(str::to_owned);
        let error = GatheredReport::of(runs(&["ada"]), Some(pair)).unwrap_err().to_string();
        assert_eq!(error, "no run compares threaded and ghost");
    }
}
