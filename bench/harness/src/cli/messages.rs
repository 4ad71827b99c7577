//! Messages before and after a run.

use std::io::{self, Write};
use std::time::Duration;

use bench_data::plan::Plan;
use bench_data::record::environment::{Environment, TargetInfo};
use bench_data::record::run_folder::RunFolder;
use bench_data::schedule::{expected, usual_probes};
use bench_data::servers::target::TargetKind;
use bench_data::text_wrap::indented;
use bench_data::units::counted;
use bench_report::report::content::Report;
use bench_report::report::table::terminal::TerminalTables;
use program::message::print_warning;

use crate::run::RunEnd;
use crate::terminal::columns_of_stderr;

/// Number of trials, and the expected time, in lines of at most so many letters.
pub(super) fn outlook(plan: &Plan, width: usize) -> String {
    let mut text = indented(&format!("{}: {}", plan.name, plan.question), "", "  ", width);
    let remark = |kind| if kind == TargetKind::AaControl { " (A/A control)" } else { "" };
    let targets = plan.targets();
    let targets: Vec<_> = targets
        .iter()
        .map(|target| format!("{}{}", target.name(), remark(target.kind())))
        .collect();
    text += &indented(&targets.join(", "), "servers  ", "         ", width);
    for sweep in &plan.sweeps {
        let experiment = sweep.experiment.as_deref().unwrap_or(&plan.name);
        let first = format!("{experiment:<12} ");
        text += &indented(&sweep.description(), &first, &" ".repeat(first.len()), width);
    }
    let of_searches: Vec<_> = plan.searches().iter().map(|(_, how)| usual_probes(how)).collect();
    let searches = match of_searches.len() {
        0 => String::new(),
        count => format!(
            ", and {} of {} trials in all per server and round",
            if count == 1 { "1 search".to_owned() } else { format!("{count} searches") },
            of_searches.iter().sum::<usize>()
        ),
    };
    let expected = expected(plan);
    let until = until(plan, expected.at_most);
    let whole = format!(
        "{}, {}, {}{searches}: about {} in {}{until}",
        counted(plan.loads().len(), "load"),
        counted(targets.len(), "server"),
        plan.rounds_in_words(),
        counted(expected.trials, "trial"),
        in_minutes(expected.time),
    );
    text + &indented(&whole, "", "  ", width)
}

/// Remark on the rounds that the plan's precision adds; empty if it adds none.
fn until(plan: &Plan, at_most: Duration) -> String {
    match plan.until.half_width() {
        Some(_) => format!(", further rounds until {} up to {}", plan.until, in_minutes(at_most)),
        None => String::new(),
    }
}

/// Prints the extent of a run and warnings about its conditions.
pub(super) fn announce(plan: &Plan, trials: usize, environment: &Environment) {
    let whole = expected(plan);
    let time = in_minutes(whole.time.mul_f64(trials as f64 / whole.trials.max(1) as f64));
    let until = until(plan, whole.at_most);
    let placement = &environment.placement;
    let pinned = match (placement.server_cores.as_slice(), placement.generator_cores.as_slice()) {
        ([], _) | (_, []) => "nothing is pinned: there is only one core".to_owned(),
        (server, generator) => format!("server on core {server:?}, generator on {generator:?}"),
    };
    say(&format!(
        "{}: {}, {}, {}: about {} in {time}{until}; {pinned}",
        plan.name,
        counted(plan.targets().len(), "server"),
        counted(plan.loads().len(), "load"),
        plan.rounds_in_words(),
        counted(trials, "trial"),
    ));
    if let Some(warning) = environment.machine.warning() {
        warn(&warning);
    }
    if !environment.optimised {
        warn("built without optimisation, the figures are not meaningful: use --release");
    }
}

/// Prints versions, abilities and problems of servers, except built-in ones without a problem.
pub(super) fn introduce(environment: &Environment) {
    let is_news = |target: &&TargetInfo| !target.kind.is_ours() || !target.problems.is_empty();
    for target in environment.targets.iter().filter(is_news) {
        let version = target.version.as_deref().map(|version| format!(" ({version})"));
        let known = [target.abilities()].into_iter().filter(|text| !text.is_empty());
        let all: Vec<_> = known.chain(target.problems.iter().cloned()).collect();
        let version = version.unwrap_or_default();
        say(&format!("{}{version}: {}", target.name, all.join("; ")));
    }
}

/// Writes a text to standard error, broken between words; a failure does not stop the run.
fn say(text: &str) {
    let lines = indented(text, "", "  ", columns_of_stderr());
    let _ = io::stderr().write_all(lines.as_bytes());
}

/// Prints a warning, broken between words.
fn warn(text: &str) {
    let width = columns_of_stderr() - "warning: ".len();
    print_warning(indented(text, "", "  ", width).trim_end());
}

/// Final message of a run: table, answer, notes and files, in lines of at most so many letters.
pub(super) fn conclusion(
    published: &Report,
    folder: &RunFolder,
    end: &RunEnd,
    width: usize,
) -> String {
    let TerminalTables { mut text, left_out } = published.terminal_tables(width);
    if !left_out.is_empty() {
        let names = left_out.join(", ");
        let left_out = format!("Left out at this width: {names}. table.md has all columns.");
        text += &format!("\n{}", indented(&left_out, "", "  ", width));
    }
    text += &format!("\n{}", indented(&published.analysis.answer, "", "", width));
    for note in &published.analysis.notes {
        text += &indented(note, "  note: ", "    ", width);
    }
    text + &remarks(folder, end, width)
}

/// Servers that were never measured, the command that continues an interrupted run, and the files.
pub(super) fn remarks(folder: &RunFolder, end: &RunEnd, width: usize) -> String {
    let mut text = String::new();
    for (name, reason) in &end.never_measured {
        let never = format!(
            "Never measured: {name} supports none of its loads ({reason}). Remove it from the run, or \
             make sure that the right server answers."
        );
        text += &format!("\n{}", indented(&never, "", "  ", width));
    }
    if end.interrupted {
        let path = folder.path().display();
        text += &format!(
            "\nInterrupted; completed trials are kept. Continue with\n  cargo run \
             --release -- run --resume {path}\n"
        );
    }
    let path = folder.path().display();
    text += &format!(
        "\nreport  {}\ntables  {}\ncharts  {path}/plots/\nrecords {path}/trials.csv\n",
        folder.report().display(),
        folder.tables().display()
    );
    text
}

/// Duration in words: `50 s`, `1 min 47 s`, `12 min`.
pub(super) fn in_minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..300 => match seconds % 60 {
            0 => format!("{} min", seconds / 60),
            rest => format!("{} min {rest} s", seconds / 60),
        },
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}
