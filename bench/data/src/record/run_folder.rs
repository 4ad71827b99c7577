//! Results folder of a run: creation, recognition, reading and writing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::Zoned;
use loadgen::LoadReport;

use crate::plan::Plan;
use crate::record::environment::Environment;
use crate::record::rows::{FILES, Records, gzipped};

const PLAN: &str = "plan.toml";
const ENVIRONMENT: &str = "environment.toml";
const PEERS: &str = "peers";
const HISTOGRAMS: &str = "hdr";
const PLOTS: &str = "plots";
const REPORT: &str = "report.html";
const README: &str = "README.md";
const PAPER: &str = "report.pdf";
const TABLE_MARKDOWN: &str = "table.md";
const COMPARISONS: &str = "comparisons.csv";
const CAPACITIES: &str = "capacities.csv";
const TABLE_LATEX: &str = "table.tex";

/// Results folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// Contents that charts and report are made from.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Plan as it ran.
    pub plan: Plan,
    /// Machine and conditions of the run.
    pub environment: Environment,
    /// Records of the trials.
    pub records: Records,
}

impl RunFolder {
    /// Creates a folder with a given path.
    ///
    /// # Errors
    /// The folder is not empty or cannot be created.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
            let target = fs::read_link(path);
            let linked_to = target.map(|target| format!(" (a link to {})", target.display()));
            bail!(
                "{}{} is not empty: choose a new folder with --out, or remove it first",
                path.display(),
                linked_to.unwrap_or_default()
            );
        }
        create_all(path, "--out")?;
        Ok(Self { path: path.to_owned() })
    }

    /// Creates the folder `<time>-<host>` in the folder of all runs, which gets the link `latest` to it.
    ///
    /// # Errors
    /// A folder cannot be created.
    pub fn create_in(results: &Path, host: &str) -> anyhow::Result<Self> {
        create_all(results, "--results")?;
        let time = Zoned::now().strftime("%Y-%m-%dT%H%M%S").to_string();
        let name = format!("{time}-{}", plain(host));
        let path = new_folder(results, &name)?;
        let latest = results.join("latest");
        // Without the link only a convenience is lost; a folder of that name is left alone.
        if latest.is_symlink() {
            let _ = fs::remove_file(&latest);
        }
        let _ = symlink(path.file_name().expect("it was just named"), &latest);
        Ok(Self { path })
    }

    /// Opens the folder of an earlier run.
    ///
    /// # Errors
    /// The folder or some of its files are missing.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.is_dir() {
            bail!(
                "{} is not a folder: choose a results folder of bench, such as results/latest",
                path.display()
            );
        }
        let expected = FILES.iter().chain(&[PLAN, ENVIRONMENT]);
        let is_missing = |name: &&&str| {
            let file = path.join(name);
            !file.is_file() && !gzipped(&file).is_file()
        };
        let missing: Vec<_> = expected.filter(is_missing).copied().collect();
        if !missing.is_empty() {
            bail!(
                "{} is not a results folder: it lacks {}; choose a results folder of bench, such as \
                 results/latest",
                path.display(),
                missing.join(", ")
            );
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of the report.
    pub fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// Path of the tables in Markdown.
    pub fn tables(&self) -> PathBuf {
        self.path.join(TABLE_MARKDOWN)
    }

    /// Reads the contents that charts and report are made from.
    ///
    /// # Errors
    /// A file is missing or does not match `results/SCHEMA.md`.
    pub fn read(&self) -> anyhow::Result<Contents> {
        Ok(Contents {
            plan: self.plan()?,
            environment: self.environment()?,
            records: Records::read(&self.path)?,
        })
    }

    /// Reads the plan as it ran.
    ///
    /// # Errors
    /// The file is missing or is not a plan.
    pub fn plan(&self) -> anyhow::Result<Plan> {
        let plan = self.path.join(PLAN);
        Ok(Plan::parse(&read(&plan)?, &plan.display().to_string())?)
    }

    /// Reads the environment of the run.
    ///
    /// # Errors
    /// The file is missing or does not match `results/SCHEMA.md`.
    pub fn environment(&self) -> anyhow::Result<Environment> {
        let environment = self.path.join(ENVIRONMENT);
        toml::from_str(&read(&environment)?)
            .with_context(|| format!("{} does not match results/SCHEMA.md", environment.display()))
    }

    /// Writes the plan.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_plan(&self, plan: &Plan) -> anyhow::Result<()> {
        self.write(PLAN, toml::to_string(plan)?)
    }

    /// Writes the environment of the run.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_environment(&self, environment: &Environment) -> anyhow::Result<()> {
        self.write(ENVIRONMENT, toml::to_string(environment)?)
    }

    /// Writes the configuration of a reference server and returns its name within the folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_configuration(&self, server: &str, text: &str) -> anyhow::Result<String> {
        create_all(&self.path.join(PEERS), "--out")?;
        let name = format!("{PEERS}/{server}.conf");
        self.write(&name, text)?;
        Ok(name)
    }

    /// Writes the histograms of a trial in HdrHistogram's interval-log format.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_histograms(&self, trial: u32, load: &LoadReport) -> anyhow::Result<()> {
        let folder = self.path.join(HISTOGRAMS);
        create_all(&folder, "--out")?;
        let path = folder.join(format!("trial-{trial}.hlog"));
        let written = fs::File::create(&path).and_then(|file| {
            let mut out = std::io::BufWriter::new(file);
            load.write_hdr_log(&mut out)?;
            std::io::Write::flush(&mut out)
        });
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Replaces the charts, and removes their pictures of an earlier report.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_plots<'p>(
        &self,
        plots: impl Iterator<Item = (&'p str, &'p str)>,
    ) -> anyhow::Result<()> {
        let folder = self.path.join(PLOTS);
        create_all(&folder, "--out")?;
        for entry in fs::read_dir(&folder)?.flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "svg" || extension == "png")
            {
                fs::remove_file(entry.path())?;
            }
        }
        for (file, svg) in plots {
            self.write(&format!("{PLOTS}/{file}"), svg)?;
        }
        Ok(())
    }

    /// Writes the report and the README.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_report(&self, html: &str, readme: &str) -> anyhow::Result<()> {
        self.write(REPORT, html)?;
        self.write(README, readme)
    }

    /// Writes a chart as PNG beside its SVG and returns its path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_png(&self, chart: &str, png: &[u8]) -> anyhow::Result<PathBuf> {
        let name = Path::new(PLOTS).join(chart).with_extension("png");
        self.write(&name.to_string_lossy(), png)?;
        Ok(self.path.join(name))
    }

    /// Writes the paper and returns its path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_paper(&self, pdf: &[u8]) -> anyhow::Result<PathBuf> {
        self.write(PAPER, pdf)?;
        Ok(self.path.join(PAPER))
    }

    /// Writes the tables in Markdown and LaTeX.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_tables(&self, markdown: &str, latex: &str) -> anyhow::Result<()> {
        self.write(TABLE_MARKDOWN, markdown)?;
        self.write(TABLE_LATEX, latex)
    }

    /// Writes the comparisons, a row each, below the names of the columns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_comparisons<Row: serde::Serialize>(
        &self,
        columns: &[&str],
        rows: &[Row],
    ) -> anyhow::Result<()> {
        self.write_rows(COMPARISONS, columns, rows)
    }

    /// Writes the capacities, a row each, below the names of the columns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_capacities<Row: serde::Serialize>(
        &self,
        columns: &[&str],
        rows: &[Row],
    ) -> anyhow::Result<()> {
        self.write_rows(CAPACITIES, columns, rows)
    }

    /// A file without rows has its header, too, so that other programs can read it.
    fn write_rows<Row: serde::Serialize>(
        &self,
        name: &str,
        columns: &[&str],
        rows: &[Row],
    ) -> anyhow::Result<()> {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        writer.write_record(columns)?;
        for row in rows {
            writer.serialize(row)?;
        }
        self.write(name, writer.into_inner()?)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let path = self.path.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Creates a new folder; runs that start within the same second have numbered names.
fn new_folder(parent: &Path, name: &str) -> anyhow::Result<PathBuf> {
    for attempt in 1..100 {
        let path = match attempt {
            1 => parent.join(name),
            _ => parent.join(format!("{name}-{attempt}")),
        };
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("cannot create {}: choose another folder with --out", path.display())
                });
            }
        }
    }
    bail!("cannot find a free folder name under {}: choose one with --out", parent.display())
}

/// Creates a folder and its parents; an error names the flag that chooses another one.
fn create_all(path: &Path, flag: &str) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| {
        format!("cannot create {}: choose another folder with {flag}", path.display())
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Name of a host as part of a file name.
fn plain(host: &str) -> String {
    host.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("run");
        assert!(RunFolder::create(&inside).is_ok());
        assert!(RunFolder::create(&inside).is_ok(), "empty is fine");
        fs::write(inside.join("precious"), "").unwrap();
        let message = RunFolder::create(&inside).unwrap_err().to_string();
        assert!(message.contains("is not empty") && message.contains("--out"), "{message}");
        let latest = folder.path().join("latest");
        symlink("run", &latest).unwrap();
        let message = RunFolder::create(&latest).unwrap_err().to_string();
        assert!(message.contains("latest (a link to run) is not empty"), "{message}");
    }

    #[test]
    fn what_is_no_results_folder_is_told_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("trials.csv"), "").unwrap();
        let message = RunFolder::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("it lacks latency.csv, timeseries.csv, plan.toml"), "{message}");
        let message = RunFolder::open(&folder.path().join("none")).unwrap_err().to_string();
        assert!(message.contains("is not a folder"), "{message}");
    }

    #[test]
    fn a_table_without_rows_has_its_header() {
        let parent = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(&parent.path().join("run")).unwrap();
        let read = || fs::read_to_string(folder.path().join(COMPARISONS)).unwrap();
        folder.write_comparisons::<(u32, u32)>(&["one", "other"], &[]).unwrap();
        assert_eq!(read(), "one,other\n");
        folder.write_comparisons(&["one", "other"], &[(1, 2)]).unwrap();
        assert_eq!(read(), "one,other\n1,2\n");
    }

    #[test]
    fn runs_of_one_second_have_folders_of_their_own() {
        let parent = tempfile::tempdir().unwrap();
        let first = new_folder(parent.path(), "a").unwrap();
        let second = new_folder(parent.path(), "a").unwrap();
        assert_ne!(first, second);
    }
}
