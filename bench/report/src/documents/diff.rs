//! Comparison of two runs as Markdown and as JSON.

use std::path::Path;

use bench_data::load::words::describe;
use serde::Serialize;

use crate::analysis::diff::{
    Beyond, Change, Counts, Diff, Effect, Gate, Incomparable, Judgement, SettingChange, Shown,
};
use crate::analysis::sentence;
use crate::documents::SCHEMA;
use crate::documents::load_key::LoadKey;
use crate::documents::values;
use crate::report::table::escaped;

/// Explanation of the table.
const NOTE: &str = "Medians of the earlier and the later run; the change is the ratio of their geometric means, with its \
    95 % interval. Equivalent: within 5 %. Undecided: neither a difference nor equivalence is shown.";

/// Summary line and table of the changes, for a pull request.
pub fn markdown(diff: &Diff, shown: Shown, gate: Option<&Gate<'_>>) -> String {
    let mut text = format!("**{}**\n\n", diff.summary());
    let all = diff.in_tables().count();
    let rows: Vec<&Change> =
        diff.in_tables().filter(|one| shown == Shown::All || one.is_shown()).collect();
    if !rows.is_empty() {
        text += "| load | server | metric | old | new | change | |\n";
        text += "| --- | --- | --- | ---: | ---: | ---: | --- |\n";
        rows.iter().for_each(|change| text += &row(change));
        text += &format!("\n{NOTE}\n");
    }
    if shown == Shown::Changed {
        let left_out = all - rows.len();
        text += &format!("\nLeft out: {left_out} of {all} changes, without a shown difference.\n");
    }
    for (heading, lines) in diff.notes() {
        text += &format!("\n{heading}\n\n{}", list(&lines));
    }
    if let Some(gate) = gate {
        text += &format!("\nLimits:\n\n{}", list(&gate.lines()));
    }
    text.trim_end().to_owned() + "\n"
}

fn row(change: &Change) -> String {
    let effect = change.effect().name();
    let cells = [
        escaped(&describe(change.load)),
        escaped(&change.target),
        escaped(&change.metric.name()),
        escaped(&change.write(change.old)),
        escaped(&change.write(change.new)),
        escaped(&change.percent()),
        if change.is_shown() { format!("**{effect}**") } else { effect.to_owned() },
    ];
    format!("| {} |\n", cells.join(" | "))
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {}\n", escaped(line))).collect()
}

/// Comparison of two runs for other programs.
#[derive(Debug, Serialize)]
pub struct DiffDocument<'d> {
    schema: u32,
    document: &'static str,
    old: String,
    new: String,
    counts: Counts,
    changes: Vec<ChangeRow>,
    not_compared: Vec<NotCompared<'d>>,
    settings: &'d [SettingChange],
    limits: Option<Limits<'d>>,
}

/// Change of a metric of one server under one load.
#[derive(Debug, Serialize)]
struct ChangeRow {
    #[serde(flatten)]
    load: LoadKey,
    server: String,
    metric: &'static str,
    key: &'static str,
    old: f64,
    new: f64,
    rounds: usize,
    ratio: f64,
    low: Option<f64>,
    high: Option<f64>,
    p_adjusted: Option<f64>,
    verdict: &'static str,
    effect: Effect,
    is_in_tables: bool,
}

/// Server, or server under a load, that is not compared.
#[derive(Debug, Serialize)]
struct NotCompared<'d> {
    server: &'d str,
    reason: &'d str,
    is_failure: bool,
}

/// Result of the limits.
#[derive(Debug, Serialize)]
struct Limits<'d> {
    is_passed: bool,
    exceeded: Vec<Exceeded<'d>>,
    not_checked: Vec<NotCompared<'d>>,
}

/// Value beyond a limit.
#[derive(Debug, Serialize)]
struct Exceeded<'d> {
    limit: &'d str,
    server: &'d str,
    #[serde(flatten)]
    load: LoadKey,
    judgement: Judgement,
}

impl<'d> DiffDocument<'d> {
    /// Document of the comparison of two folders, with the result of the limits if there are any.
    pub fn of(old: &Path, new: &Path, diff: &'d Diff, gate: Option<&'d Gate<'_>>) -> Self {
        Self {
            schema: SCHEMA,
            document: "diff",
            old: old.display().to_string(),
            new: new.display().to_string(),
            counts: diff.counts(),
            changes: diff.changes.iter().map(ChangeRow::of).collect(),
            not_compared: diff.incomparable.iter().map(NotCompared::of).collect(),
            settings: &diff.settings,
            limits: gate.map(Limits::of),
        }
    }
}

impl ChangeRow {
    fn of(change: &Change) -> Self {
        let ratio = &change.comparison.ratio;
        let interval = ratio.interval();
        Self {
            load: change.load.into(),
            server: change.target.clone(),
            metric: change.name(),
            key: values::key(change.metric),
            old: change.old,
            new: change.new,
            rounds: ratio.rounds,
            ratio: ratio.ratio,
            low: interval.map(|within| within.low),
            high: interval.map(|within| within.high),
            p_adjusted: change.comparison.adjusted_p,
            verdict: sentence::verdict(change.comparison.verdict),
            effect: change.effect(),
            is_in_tables: change.is_in_tables(),
        }
    }
}

impl<'d> NotCompared<'d> {
    fn of(one: &'d Incomparable) -> Self {
        Self { server: &one.target, reason: &one.text, is_failure: one.is_failure }
    }
}

impl<'d> Limits<'d> {
    fn of(gate: &'d Gate<'_>) -> Self {
        let exceeded = |one: &'d Beyond| Exceeded {
            limit: &one.limit,
            server: &one.target,
            load: one.load.into(),
            judgement: one.judgement,
        };
        Self {
            is_passed: gate.is_passed(),
            exceeded: gate.beyond.iter().map(exceeded).collect(),
            not_checked: gate.not_checked.iter().map(|one| NotCompared::of(one)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bench_data::mock::{MockExecutor, contents_of};
    use bench_data::plan::Plan;

    use super::*;
    use crate::analysis::diff::Limit;

    /// Two runs: in the second, `selector` is half as fast and `threaded` is missing.
    fn diff() -> Diff {
        let plan = Plan { rounds: 6, ..Plan::built_in("quick").unwrap() };
        let old = contents_of(&plan, MockExecutor::default());
        let speed = [("selector".to_owned(), 40_000.0), ("iterative".to_owned(), 20_000.0)].into();
        let mut new = contents_of(&plan, MockExecutor { speed, ..MockExecutor::default() });
        new.records.trials.retain(|row| row.target != "threaded");
        "Linux 7".clone_into(&mut new.environment.machine.kernel);
        Diff::between(&old, &new)
    }

    fn limits() -> [Limit; 1] {
        [Limit::parse("throughput<-5%").unwrap()]
    }

    #[test]
    fn changes_as_markdown() {
        let diff = diff();
        let gate = Gate::of(&diff, &limits(), &[]);
        insta::assert_snapshot!(markdown(&diff, Shown::All, gate.as_ref()));
    }

    #[test]
    fn shown_changes_as_markdown() {
        let diff = diff();
        let text = markdown(&diff, Shown::Changed, None);
        insta::assert_snapshot!(text);
        let columns = |line: &&str| line.starts_with('|').then(|| line.matches('|').count());
        let counts: Vec<_> = text.lines().filter_map(|line| columns(&line)).collect();
        assert!(counts.len() > 2 && counts.iter().all(|count| *count == 8), "{text}");
    }

    #[test]
    fn shown_changes_as_text() {
        insta::assert_snapshot!(diff().text(Shown::Changed, 400));
    }

    #[test]
    fn a_narrow_terminal_has_a_line_for_each_metric() {
        let text = diff().text(Shown::Changed, 80);
        let expected = "
With 1 connection and downloads of 1 KiB
  server    metric           change
  selector  throughput       14.7k → 24.9k  +70.0 % (+53.1 to +88.7) *
            p99              216 µs → 127 µs  -41.2 % (-47.2 to -34.5) *
            cpu_per_request  64.8 µs → 38.1 µs  -41.2 % (-47.0 to -34.7) *
            memory           3.81 MiB → 3.81 MiB  +0.0 % (-8.6 to +9.4)
";
        assert!(text.starts_with(expected), "{text}");
        let note = "
  iterative with 64 connections and downloads of 1 KiB: served 1 of 64
    connections (in the old run)
";
        assert!(text.contains(note), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn every_change_and_every_failure_is_in_the_document() {
        let diff = diff();
        let gate = Gate::of(&diff, &limits(), &[]).unwrap();
        let document = DiffDocument::of("old".as_ref(), "new".as_ref(), &diff, Some(&gate));
        let value = serde_json::to_value(&document).unwrap();
        assert_eq!((&value["schema"], &value["document"]), (&1.into(), &"diff".into()));
        let changes = value["changes"].as_array().unwrap();
        assert_eq!(changes.len(), diff.changes.len());
        let of = |metric: &str| {
            let mut under = changes.iter().filter(|one| one["connections"] == 64);
            under.find(|one| one["server"] == "selector" && one["metric"] == metric).unwrap()
        };
        let slower = of("throughput");
        assert_eq!(
            (&slower["effect"], &slower["verdict"]),
            (&"slower".into(), &"different".into())
        );
        assert_eq!(
            (&slower["key"], &slower["is_in_tables"]),
            (&"requests_per_s".into(), &true.into())
        );
        assert!(slower["high"].as_f64().unwrap() < 1.0, "{slower}");
        assert!(changes.iter().all(|one| one["key"] != ""), "every metric has a key with its unit");
        assert_eq!(of("mean")["is_in_tables"], false);
        let counted =
            value["counts"].as_object().unwrap().values().map(|one| one.as_u64().unwrap());
        assert_eq!(counted.sum::<u64>(), diff.in_tables().count() as u64);
        assert_eq!(value["limits"]["is_passed"], false);
        assert_eq!(value["limits"]["exceeded"][0]["judgement"], "broken");
        assert_eq!(value["limits"]["not_checked"][0]["server"], "threaded");
        assert_eq!(value["settings"][0]["new"], "Linux 7");
        let without = DiffDocument::of("old".as_ref(), "new".as_ref(), &diff, None);
        assert!(serde_json::to_value(&without).unwrap()["limits"].is_null());
    }
}
