//! Text tables of the results.

use bench_data::stats::median;
use bench_data::text_table::{Align, TextTable, fit};
use bench_data::text_wrap::indented;
use bench_data::units;
use bench_report::analysis::sentence::times;
use bench_report::analysis::statistics::ratio::RatioEstimate;

use super::WitnessRow;

const COLUMNS: [&str; 5] =
    ["generator", "server", "requests/s", "server CPU/request", "generator CPU/request"];

/// Columns in the order in which they are left out where the width is too small.
const LEFT_OUT_FIRST: [&str; 2] = ["generator CPU/request", "requests/s"];

/// Progress line of a load.
pub(super) fn progress(row: &WitnessRow) -> String {
    let figures = match (row.requests_per_s, row.server_cpu_us_per_request) {
        (Some(rate), Some(cpu)) => {
            format!(
                "{} requests/s, {} of server CPU each",
                units::count(rate),
                units::microseconds(cpu)
            )
        }
        _ => String::new(),
    };
    let trouble = match row.outcome {
        "ok" => String::new(),
        outcome => format!(" {outcome}: {}", row.reason),
    };
    format!("round {}  {:<15} {:<17} {figures}{trouble}\n", row.round, row.server, row.generator)
}

/// Medians over the rounds by generator and server, then ratios between servers by generator, in lines of at most
/// so many letters.
pub(super) fn text(rows: &[WitnessRow], width: usize) -> String {
    let rows: Vec<_> = rows.iter().filter(|row| row.outcome == "ok").collect();
    let servers = in_order(rows.iter().map(|row| row.server.as_str()));
    let generators = in_order(rows.iter().map(|row| row.generator));
    let of = |generator: &str, server: &str, value: fn(&WitnessRow) -> Option<f64>| {
        let its = rows.iter().filter(|row| row.generator == generator && row.server == server);
        its.filter_map(|row| Some((row.round, value(row)?))).collect::<Vec<_>>()
    };
    let cell = |values: Vec<(u32, f64)>, form: fn(f64) -> String| {
        let values: Vec<f64> = values.into_iter().map(|(_, value)| value).collect();
        median(&values).map_or_else(|| "-".to_owned(), form)
    };
    let mut lines = Vec::new();
    for generator in &generators {
        for server in &servers {
            lines.push(vec![
                (*generator).to_owned(),
                (*server).to_owned(),
                cell(of(generator, server, |row| row.requests_per_s), units::count),
                cell(
                    of(generator, server, |row| row.server_cpu_us_per_request),
                    units::microseconds,
                ),
                cell(
                    of(generator, server, |row| row.generator_cpu_us_per_request),
                    units::microseconds,
                ),
            ]);
        }
    }
    let mut values = [TextTable::new(&COLUMNS, lines, Align::Right)];
    let left_out = fit(&mut values, width, &LEFT_OUT_FIRST);
    let left_out = match left_out.is_empty() {
        true => String::new(),
        false => {
            let names = left_out.join(", ");
            format!(" Left out at this width: {names}; the file of --csv has all columns.")
        }
    };
    let mut text: String = values.iter().map(|table| format!("\n{}", table.text(width))).collect();
    let Some((first, others)) = servers.split_first().filter(|(_, others)| !others.is_empty())
    else {
        let note = format!("Medians over the rounds.{left_out}");
        return text + "\n" + &indented(&note, "", "", width);
    };
    let heads: Vec<String> = std::iter::once("generator".to_owned())
        .chain(others.iter().map(|other| format!("{other} ÷ {first}")))
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let cpu = |row: &WitnessRow| row.server_cpu_us_per_request;
    let mut lines = Vec::new();
    for generator in &generators {
        let ratios = others.iter().map(|other| {
            let (above, below) = (of(generator, other, cpu), of(generator, first, cpu));
            RatioEstimate::of_rounds(&above, &below)
                .map_or_else(|_| "-".to_owned(), |ratio| times(&ratio))
        });
        lines.push(std::iter::once((*generator).to_owned()).chain(ratios).collect());
    }
    text += "\nServer CPU per request, ratio of two servers under the same generator\n";
    text += &TextTable::new(&heads, lines, Align::Right).text(width);
    let note = format!(
        "Values are medians over the rounds. A ratio is the geometric mean of the ratios within rounds, with its \
         95 % interval in brackets from five rounds on, with its range in parentheses below. Generators that \
         confirm each other have equal ratios.{left_out}"
    );
    text + "\n" + &indented(&note, "", "", width)
}

fn in_order<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(round: u32, server: &str, generator: &'static str, cpu_us: f64) -> WitnessRow {
        WitnessRow {
            round,
            server: server.to_owned(),
            generator,
            generator_version: "1".to_owned(),
            connections: 64,
            size_bytes: 1024,
            duration_s: 1.0,
            outcome: "ok",
            reason: String::new(),
            requests: Some(1000),
            requests_per_s: Some(1000.0),
            server_cpu_us_per_request: Some(cpu_us),
            generator_cpu_us_per_request: Some(2.0),
        }
    }

    #[test]
    fn ratios_are_taken_within_a_generator_and_a_round() {
        let rows = [
            row(1, "selector", "wrk", 10.0),
            row(1, "nginx", "wrk", 15.0),
            row(2, "nginx", "wrk", 30.0),
            row(2, "selector", "wrk", 20.0),
            row(1, "nginx", "ab", 40.0),
            WitnessRow { outcome: "failed", ..row(1, "selector", "ab", 1.0) },
        ];
        let text = text(&rows, 80);
        assert!(text.contains("nginx ÷ selector"), "{text}");
        let ratios = text.split("ratio of two servers").nth(1).unwrap();
        let line = |name: &str| {
            ratios.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned()
        };
        assert!(line("wrk").ends_with("1.50× (1.50 to 1.50)"), "{text}");
        assert!(line("ab").ends_with('-'), "{text}");
        let rounds = (1..=5).flat_map(|round| {
            let cpu_us = 10.0 + f64::from(round);
            [row(round, "selector", "wrk", cpu_us), row(round, "nginx", "wrk", 1.4 * cpu_us)]
        });
        let text = super::text(&rounds.collect::<Vec<_>>(), 80);
        assert!(text.contains("1.40× [1.40, 1.40]"), "{text}");
        assert!(progress(&rows[5]).contains("failed"));
    }
}
