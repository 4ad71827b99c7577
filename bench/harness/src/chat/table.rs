//! Text tables of the results.

use fileserver::StrategyKind;

use super::FanoutRow;
use bench_data::stats::Spread;
use bench_data::text_table::{Align, TextTable, fit};
use bench_data::text_wrap::indented;
use bench_data::units;

const COLUMNS: [&str; 9] =
    ["strategy", "p50", "range", "p90", "p99", "max", "everyone", "CPU/delivery", "lost"];

/// Columns in the order in which they are left out where the width is too small.
const LEFT_OUT_FIRST: [&str; 7] = ["p90", "max", "CPU/delivery", "range", "everyone", "p50", "p99"];

/// Progress line of a trial.
pub(super) fn progress(row: &FanoutRow) -> String {
    let times = match (row.p50_us, row.p99_us) {
        (Some(p50), Some(p99)) => {
            format!("p50 {}, p99 {}", units::microseconds(p50), units::microseconds(p99))
        }
        _ => String::new(),
    };
    let trouble = match row.outcome {
        "ok" => String::new(),
        outcome => format!(" {outcome}: {}", row.reason),
    };
    format!(
        "round {}  {:>5} receivers  {:<15} {times}{trouble}\n",
        row.round, row.receivers, row.strategy
    )
}

/// Tables of medians over the rounds, one per number of receivers, in lines of at most so many letters.
pub(super) fn text(rows: &[FanoutRow], skipped: &[(StrategyKind, &str)], width: usize) -> String {
    let (mut headings, mut tables) = (Vec::new(), Vec::new());
    let mut receivers: Vec<u32> = rows.iter().map(|row| row.receivers).collect();
    receivers.sort_unstable();
    receivers.dedup();
    for receivers in receivers {
        let of_these: Vec<&FanoutRow> =
            rows.iter().filter(|row| row.receivers == receivers).collect();
        let Some(first) = of_these.first() else { continue };
        headings.push(format!(
            "From one sender to {receivers} receivers, {} lines of {} bytes at {} per second",
            first.messages, first.message_bytes, first.rate_per_s
        ));
        let mut lines = Vec::new();
        let listed = StrategyKind::ALL
            .into_iter()
            .filter(|kind| of_these.iter().any(|row| row.strategy == kind.name()));
        for kind in listed {
            let of_kind: Vec<&FanoutRow> =
                of_these.iter().copied().filter(|row| row.strategy == kind.name()).collect();
            lines.push(values(kind.name(), &of_kind));
        }
        for (kind, why) in skipped {
            lines.push(vec![kind.name().to_owned(), format!("skipped: {why}")]);
        }
        tables.push(TextTable::new(&COLUMNS, lines, Align::Right));
    }
    let left_out = fit(&mut tables, width, &LEFT_OUT_FIRST);
    let mut text = String::new();
    for (heading, table) in headings.iter().zip(&tables) {
        text += &format!("\n{}{}", indented(heading, "", "  ", width), table.text(width));
    }
    let mut note = "The latency of a delivery runs from the time at which the line was due; `everyone` is the \
                    median latency to the last receiver. Values are medians over the rounds."
        .to_owned();
    if !left_out.is_empty() {
        let names = left_out.join(", ");
        note += &format!(" Left out at this width: {names}; the file of --csv has all columns.");
    }
    text + "\n" + &indented(&note, "", "", width)
}

fn values(name: &str, rows: &[&FanoutRow]) -> Vec<String> {
    let median = |of: fn(&FanoutRow) -> Option<f64>| {
        Spread::of(&rows.iter().filter_map(|row| of(row)).collect::<Vec<_>>())
    };
    let time = |of: fn(&FanoutRow) -> Option<f64>| {
        median(of).map_or_else(|| "-".to_owned(), |spread| units::microseconds(spread.median))
    };
    let range = median(|row| row.p50_us).and_then(|spread| spread.range);
    let lost: u64 = rows.iter().map(|row| row.lost).sum();
    vec![
        name.to_owned(),
        time(|row| row.p50_us),
        range.map_or_else(
            || "-".to_owned(),
            |range| {
                format!("{} – {}", units::microseconds(range.low), units::microseconds(range.high))
            },
        ),
        time(|row| row.p90_us),
        time(|row| row.p99_us),
        time(|row| row.max_us),
        time(|row| row.everyone_p50_us),
        time(|row| row.server_cpu_us_per_delivery),
        lost.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(strategy: &'static str, round: u32, p50_us: f64) -> FanoutRow {
        FanoutRow {
            round,
            strategy,
            receivers: 10,
            outcome: "ok",
            reason: String::new(),
            messages: 40,
            message_bytes: 64,
            rate_per_s: 20.0,
            deliveries: 400,
            lost: 0,
            p50_us: Some(p50_us),
            p90_us: Some(2.0 * p50_us),
            p99_us: Some(3.0 * p50_us),
            p999_us: None,
            max_us: Some(4.0 * p50_us),
            everyone_p50_us: Some(2.5 * p50_us),
            server_cpu_us_per_delivery: Some(5.0),
        }
    }

    #[test]
    fn the_table_has_medians_over_rounds_and_tells_what_was_skipped() {
        let rows = [row("selector", 1, 10.0), row("selector", 2, 30.0), row("selector", 3, 20.0)];
        let text = text(&rows, &[(StrategyKind::Iterative, "it cannot")], 120);
        assert!(text.contains("to 10 receivers, 40 lines of 64 bytes at 20 per second"), "{text}");
        let line = text.lines().find(|line| line.contains("selector")).unwrap();
        let values: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(values[..3], ["selector", "20.0", "µs"], "{text}");
        assert!(line.contains("40.0 µs  60.0 µs  80.0 µs"), "{text}");
        assert!(text.contains("iterative  skipped: it cannot\n"), "{text}");
        let text = super::text(&rows, &[(StrategyKind::Iterative, "it cannot")], 80);
        let expected = "
From one sender to 10 receivers, 40 lines of 64 bytes at 20 per second
  strategy       p50              range      p99  everyone  CPU/delivery  lost
  selector   20.0 µs  10.0 µs – 30.0 µs  60.0 µs   50.0 µs       5.00 µs     0
  iterative  skipped: it cannot

The latency of a delivery runs from the time at which the line was due;
`everyone` is the median latency to the last receiver. Values are medians over
the rounds. Left out at this width: p90, max; the file of --csv has all columns.
";
        assert_eq!(text, expected);
    }
}
