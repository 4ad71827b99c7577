//! The folder of a run: what is in it, how it comes to be, how it is recognised.

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
const TABLE_LATEX: &str = "table.tex";

/// A results folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// What charts and report are made from.
#[derive(Debug, Clone)]
pub struct Contents {
    /// The plan as it ran.
    pub plan: Plan,
    /// Where and how it ran.
    pub environment: Environment,
    /// What was measured.
    pub records: Records,
}

impl RunFolder {
    /// Creates `results/<time>-<host>` within the current folder and lets `results/latest` lead
    /// to it, or creates the folder that was asked for.
    ///
    /// # Errors
    /// The folder asked for has something in it, or a folder cannot be created.
    pub fn create(asked_for: Option<&Path>, host: &str) -> anyhow::Result<Self> {
        if let Some(path) = asked_for {
            if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
                let target = fs::read_link(path);
                let leads_to =
                    target.map(|target| format!(" (which leads to {})", target.display()));
                bail!(
                    "{}{} is not empty: name a new folder with --out, or remove it first",
                    path.display(),
                    leads_to.unwrap_or_default()
                );
            }
            create_all(path)?;
            return Ok(Self { path: path.to_owned() });
        }
        let results = Path::new("results");
        create_all(results)?;
        let time = Zoned::now().strftime("%Y-%m-%dT%H%M%S").to_string();
        let name = format!("{time}-{}", plain(host));
        let path = new_folder(results, &name)?;
        let latest = results.join("latest");
        // A link that cannot be set only costs convenience; a folder of that name is someone's.
        if latest.is_symlink() {
            let _ = fs::remove_file(&latest);
        }
        let _ = symlink(path.file_name().expect("it was just named"), &latest);
        Ok(Self { path })
    }

    /// Recognises the folder of an earlier run.
    ///
    /// # Errors
    /// Says what it lacks.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.is_dir() {
            bail!("{} is not a folder: name one that bench has made", path.display());
        }
        let expected = FILES.iter().chain(&[PLAN, ENVIRONMENT]);
        let is_missing = |name: &&&str| {
            let file = path.join(name);
            !file.is_file() && !gzipped(&file).is_file()
        };
        let missing: Vec<_> = expected.filter(is_missing).copied().collect();
        if !missing.is_empty() {
            bail!(
                "{} is not a results folder: it lacks {}; name one that bench has made, such as \
                 results/latest",
                path.display(),
                missing.join(", ")
            );
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The report within it.
    pub fn report(&self) -> PathBuf {
        self.path.join(REPORT)
    }

    /// Reads what charts and report are made from.
    ///
    /// # Errors
    /// A file that is missing or not as `results/SCHEMA.md` says.
    pub fn read(&self) -> anyhow::Result<Contents> {
        Ok(Contents {
            plan: self.plan()?,
            environment: self.environment()?,
            records: Records::read(&self.path)?,
        })
    }

    /// The plan as it ran.
    ///
    /// # Errors
    /// The file is missing or is no plan.
    pub fn plan(&self) -> anyhow::Result<Plan> {
        let plan = self.path.join(PLAN);
        Ok(Plan::parse(&read(&plan)?, &plan.display().to_string())?)
    }

    /// What is known of where and how.
    ///
    /// # Errors
    /// The file is missing or not as `results/SCHEMA.md` says.
    pub fn environment(&self) -> anyhow::Result<Environment> {
        let environment = self.path.join(ENVIRONMENT);
        toml::from_str(&read(&environment)?)
            .with_context(|| format!("{} cannot be understood", environment.display()))
    }

    /// Writes the plan as it runs.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_plan(&self, plan: &Plan) -> anyhow::Result<()> {
        self.write(PLAN, toml::to_string(plan)?)
    }

    /// Writes what is known of where and how.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_environment(&self, environment: &Environment) -> anyhow::Result<()> {
        self.write(ENVIRONMENT, toml::to_string(environment)?)
    }

    /// Writes the configuration of a real server and returns its name within the folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_configuration(&self, server: &str, text: &str) -> anyhow::Result<String> {
        create_all(&self.path.join(PEERS))?;
        let name = format!("{PEERS}/{server}.conf");
        self.write(&name, text)?;
        Ok(name)
    }

    /// Writes the histograms of a trial in HdrHistogram's own format.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_histograms(&self, trial: u32, load: &LoadReport) -> anyhow::Result<()> {
        let folder = self.path.join(HISTOGRAMS);
        create_all(&folder)?;
        let path = folder.join(format!("trial-{trial}.hlog"));
        let written = fs::File::create(&path).and_then(|file| {
            let mut out = std::io::BufWriter::new(file);
            load.write_hdr_log(&mut out)?;
            std::io::Write::flush(&mut out)
        });
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes the charts in place of those that are there. Pictures of charts that are there no
    /// more would tell of another run, so they go too.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_plots<'p>(
        &self,
        plots: impl Iterator<Item = (&'p str, &'p str)>,
    ) -> anyhow::Result<()> {
        let folder = self.path.join(PLOTS);
        create_all(&folder)?;
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

    /// Writes the report and the page that leads to it.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_report(&self, html: &str, readme: &str) -> anyhow::Result<()> {
        self.write(REPORT, html)?;
        self.write(README, readme)
    }

    /// Writes a chart as pixels, beside its SVG, and returns where.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_png(&self, chart: &str, png: &[u8]) -> anyhow::Result<PathBuf> {
        let name = Path::new(PLOTS).join(chart).with_extension("png");
        self.write(&name.to_string_lossy(), png)?;
        Ok(self.path.join(name))
    }

    /// Writes the paper and returns where.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_paper(&self, pdf: &[u8]) -> anyhow::Result<PathBuf> {
        self.write(PAPER, pdf)?;
        Ok(self.path.join(PAPER))
    }

    /// Writes the tables for other people's documents.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_tables(&self, markdown: &str, latex: &str) -> anyhow::Result<()> {
        self.write(TABLE_MARKDOWN, markdown)?;
        self.write(TABLE_LATEX, latex)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let path = self.path.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Two runs may begin within one second.
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
                    format!("cannot create {}; name a folder with --out", path.display())
                });
            }
        }
    }
    bail!("{} has a hundred runs of this second", parent.display())
}

fn create_all(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path)
        .with_context(|| format!("cannot create {}; name a folder with --out", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A host's name without anything a file name had better not have.
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
        assert!(RunFolder::create(Some(&inside), "host").is_ok());
        assert!(RunFolder::create(Some(&inside), "host").is_ok(), "empty is fine");
        fs::write(inside.join("precious"), "").unwrap();
        let message = RunFolder::create(Some(&inside), "host").unwrap_err().to_string();
        assert!(message.contains("is not empty") && message.contains("--out"), "{message}");
        let latest = folder.path().join("latest");
        symlink("run", &latest).unwrap();
        let message = RunFolder::create(Some(&latest), "host").unwrap_err().to_string();
        assert!(message.contains("latest (which leads to run) is not empty"), "{message}");
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
    fn runs_of_one_second_have_folders_of_their_own() {
        let parent = tempfile::tempdir().unwrap();
        let first = new_folder(parent.path(), "a").unwrap();
        let second = new_folder(parent.path(), "a").unwrap();
        assert_ne!(first, second);
    }
}
