//! Tables for a terminal: as many columns as fit.

use bench_data::text_table::{Align, TextTable, fit};
use bench_data::text_wrap::indented;

use super::{KERNEL_MEMORY, Row, Table};
use crate::analysis::summary::Summary;

/// Columns in the order in which they are left out where the width is too small. Remarks contain failed requests as
/// well.
const LEFT_OUT_FIRST: [&str; 11] = [
    "generator CPU/req",
    "threads",
    "MB/s",
    "p99.9",
    "errors",
    KERNEL_MEMORY,
    MEMORY,
    "CPU/req",
    "p50",
    "range",
    "p99",
];

/// First column that is worth more than the kinds of the servers beside their names.
const MEMORY: &str = "memory";

/// Tables of a run for a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalTables {
    /// The tables, each below its load.
    pub text: String,
    /// Columns that the width left out.
    pub left_out: Vec<&'static str>,
}

/// Tables of a run in lines of at most so many letters.
pub(crate) fn tables(summary: &Summary, baseline: &[String], width: usize) -> TerminalTables {
    let tables = super::tables(summary, baseline);
    let fitted = |name: fn(&Row) -> String| {
        let mut texts: Vec<_> = tables.iter().map(|table| text_table(table, name)).collect();
        let left_out = fit(&mut texts, width, &LEFT_OUT_FIRST);
        (texts, left_out)
    };
    let (mut texts, mut left_out) = fitted(name_with_kind);
    let is_short = left_out.contains(&MEMORY);
    if is_short {
        (texts, left_out) = fitted(|row| row.server.clone());
    }
    let mut text = String::new();
    for (table, shown) in tables.iter().zip(&texts) {
        text += &format!("\n{}", indented(&table.heading, "", "  ", width));
        text += &shown.text(width);
        text += &indented(&table.ratios, "  ", "    ", width);
    }
    if is_short {
        text += &kinds(&tables, width);
    }
    TerminalTables { text, left_out }
}

fn text_table(table: &Table, name: fn(&Row) -> String) -> TextTable {
    let row = |row: &Row| {
        let remark = Some(row.remark.clone()).filter(|remark| !remark.is_empty());
        let others = row.values.iter().skip(1).cloned();
        std::iter::once(name(row)).chain(others).chain(remark).collect()
    };
    TextTable::new(&table.columns, table.rows.iter().map(row).collect(), Align::Right)
}

fn name_with_kind(row: &Row) -> String {
    row.values.first().unwrap_or(&row.server).clone()
}

/// Kinds of the servers that are no strategies, in place of those beside their names.
fn kinds(tables: &[Table], width: usize) -> String {
    let mut names: Vec<String> = Vec::new();
    for row in tables.iter().flat_map(|table| &table.rows) {
        let name = name_with_kind(row);
        if name != row.server && !names.contains(&name) {
            names.push(name);
        }
    }
    match names.is_empty() {
        true => String::new(),
        false => format!("\n{}", indented(&names.join(", "), "Servers: ", "  ", width)),
    }
}

#[cfg(test)]
mod tests {
    use bench_data::mock::{self, MockExecutor};
    use bench_data::names;
    use bench_data::plan::sweep::SweepFlags;
    use bench_data::plan::{Overrides, Plan};
    use bench_data::servers::reference::ReferenceServer;

    use super::*;

    /// Quick run under 16 connections, with further servers.
    fn summary(against: &[ReferenceServer]) -> Summary {
        let overrides = Overrides {
            sweeps: SweepFlags { connections: Some(vec![16]), ..SweepFlags::default() },
            against: Some(names::entries(against)),
            ..Overrides::default()
        };
        let plan = Plan::built_in("quick").unwrap().with(overrides);
        Summary::of(&mock::records_of(&plan, MockExecutor::default()))
    }

    fn widest(text: &str) -> usize {
        text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
    }

    #[test]
    fn a_terminal_of_80_columns_has_the_main_ones_and_remarks_below() {
        let shown = tables(&summary(&[]), &[], 80);
        assert_eq!(
            shown.left_out,
            ["generator CPU/req", "threads", "MB/s", "p99.9", "errors"],
            "{}",
            shown.text
        );
        let expected = "
Download of 1 KiB, 16 connections
  server       requests/s        range      p50      p99  CPU/req    memory
  iterative         21.7k  20.7k–21.9k  36.8 µs   141 µs  43.7 µs  3.81 MiB
      served 1 of 16 connections
  threaded          55.4k  52.8k–57.0k   239 µs   880 µs  17.1 µs  4.00 MiB
  thread-pool       47.4k  45.2k–49.7k   276 µs  1.11 ms  20.0 µs  3.81 MiB
  selector          79.2k  75.4k–85.4k   166 µs   678 µs  12.0 µs  3.81 MiB
";
        assert!(shown.text.starts_with(expected), "{}", shown.text);
    }

    #[test]
    fn every_width_is_kept_and_the_first_columns_go_first() {
        let summary = summary(&[ReferenceServer::Nginx, ReferenceServer::Lighttpd]);
        let baseline = ["nginx".to_owned()];
        let mut before = LEFT_OUT_FIRST.len();
        for width in [40, 60, 72, 80, 100, 120, 160, 200] {
            let TerminalTables { text, left_out } = tables(&summary, &baseline, width);
            assert!(widest(&text) <= width, "{width}:\n{text}");
            let in_order = LEFT_OUT_FIRST.into_iter().filter(|name| *name != KERNEL_MEMORY);
            let first: Vec<_> = in_order.take(left_out.len()).collect();
            assert_eq!(left_out, first, "{width}");
            assert!(left_out.len() <= before, "{width}");
            before = left_out.len();
            let head = text.lines().find(|line| line.starts_with("  server ")).unwrap();
            assert!(head.contains(" requests/s"), "{head}");
        }
        assert_eq!(before, 0, "200 columns are enough for everything");
    }

    #[test]
    fn the_kinds_of_servers_go_before_the_main_columns() {
        let summary = summary(&[ReferenceServer::Nginx, ReferenceServer::Lighttpd]);
        let wide = tables(&summary, &[], 100).text;
        assert!(
            wide.contains("\n  lighttpd (reference)  ") && !wide.contains("Servers:"),
            "{wide}"
        );
        let TerminalTables { text, left_out } = tables(&summary, &[], 80);
        assert!(!left_out.contains(&MEMORY), "{left_out:?}");
        assert!(text.contains("\n  lighttpd  "), "{text}");
        let end = "\n\nServers: nginx (reference), lighttpd (reference)\n";
        assert!(text.ends_with(end), "{text}");
    }
}
