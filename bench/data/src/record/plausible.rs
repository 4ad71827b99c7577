//! Values that no run can have: records that were edited or damaged are refused, with row and column.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, bail, ensure};

use crate::record::rows::{Distribution, FILES, LatencyRow, Records, SecondRow, TrialRow};

/// Deviation between a column and the columns from which it follows that rounding explains, as a share
/// and absolutely.
const ROUNDING: (f64, f64) = (0.001, 0.002);

impl Records {
    /// Reads the rows of a results folder and checks them.
    ///
    /// # Errors
    /// A file is missing, does not match `SCHEMA.md`, or has a value that no run can have.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let records = Self::read_unchecked(folder)?;
        check(&records).with_context(|| {
            format!("{} was changed after its run, or is damaged", folder.display())
        })?;
        Ok(records)
    }
}

/// Checks all rows.
///
/// # Errors
/// File, row and column of the first value that no run can have. Row 1 is the header.
fn check(records: &Records) -> anyhow::Result<()> {
    let mut trials = HashSet::new();
    for (index, row) in records.trials.iter().enumerate() {
        let checked = Checked { file: FILES[0], row: index + 2 };
        ensure!(
            trials.insert(row.trial),
            checked.at("trial", &format!("{} occurs twice", row.trial))
        );
        checked.trial(row)?;
    }
    let mut last = HashMap::new();
    for (index, row) in records.latencies.iter().enumerate() {
        let checked = Checked { file: FILES[1], row: index + 2 };
        checked.latency(row, &mut last)?;
    }
    for (index, row) in records.seconds.iter().enumerate() {
        let checked = Checked { file: FILES[2], row: index + 2 };
        checked.second(row)?;
    }
    Ok(())
}

/// Row under check.
#[derive(Debug, Clone, Copy)]
struct Checked {
    file: &'static str,
    row: usize,
}

impl Checked {
    fn at(self, column: &str, what: &str) -> String {
        format!("{}, row {}, column {column}: {what}", self.file, self.row)
    }

    fn trial(self, row: &TrialRow) -> anyhow::Result<()> {
        self.not_negative(&[
            ("warm_up_s", row.warm_up_s),
            ("window_s", row.window_s),
            ("requests_per_s", row.requests_per_s),
            ("answered_per_s", row.answered_per_s),
            ("response_mean_us", row.response_mean_us),
            ("little", row.little),
            ("body_mb_per_s", row.body_mb_per_s),
            ("ceiling_share", row.ceiling_share),
            ("server_cpu_s", row.server_cpu_s),
            ("server_cpu_user_s", row.server_cpu_user_s),
            ("server_cpu_system_s", row.server_cpu_system_s),
            ("server_cpu_us_per_request", row.server_cpu_us_per_request),
            ("server_cpu_share", row.server_cpu_share),
            ("generator_cpu_user_s", row.generator_cpu_user_s),
            ("generator_cpu_system_s", row.generator_cpu_system_s),
            ("generator_cpu_share", row.generator_cpu_share),
            ("generator_late_us", row.generator_late_us),
            ("steal_share", row.steal_share),
            ("clock_step_us", row.clock_step_us),
            ("server_run_delay_s", row.server_run_delay_s),
            ("server_delay_share", row.server_delay_share),
            ("generator_delay_share", row.generator_delay_share),
        ])?;
        let connections = Some(row.connections as u64);
        self.at_most("steal_share", row.steal_share, "the whole window", Some(1.0))?;
        for (column, part, whole, total) in [
            ("connections_served", row.connections_served, "connections", connections),
            ("connections_starved", row.connections_starved, "connections", connections),
            ("latency_requests", row.latency_requests, "arrivals", row.arrivals),
            ("heavy_requests", row.heavy_requests, "requests", row.requests),
            ("verified", row.verified, "requests", row.requests),
        ] {
            self.at_most(column, part.map(as_float), whole, total.map(as_float))?;
        }
        let kinds = [
            row.errors_connect,
            row.errors_reset,
            row.errors_timeout,
            row.errors_status,
            row.errors_length,
            row.errors_content,
            row.errors_protocol,
        ];
        let sum: u64 = kinds.into_iter().flatten().sum();
        if let Some(errors) = row.errors.filter(|errors| *errors != sum) {
            bail!(self.at("errors", &format!("{errors}, but the kinds of errors add up to {sum}")));
        }
        let requests = row.requests.map(as_float);
        let bytes = row.body_bytes.map(as_float);
        for (column, found, from, dividend, divisor) in [
            ("requests_per_s", row.requests_per_s, "requests / window_s", requests, row.window_s),
            (
                "body_mb_per_s",
                row.body_mb_per_s,
                "body_bytes / window_s",
                bytes.map(|bytes| bytes / 1e6),
                row.window_s,
            ),
            (
                "server_cpu_us_per_request",
                row.server_cpu_us_per_request,
                "server_cpu_s / requests",
                row.server_cpu_s.map(|seconds| seconds * 1e6),
                requests,
            ),
        ] {
            let (Some(found), Some(dividend), Some(divisor)) = (found, dividend, divisor) else {
                continue;
            };
            if divisor > 0.0 {
                let expected = dividend / divisor;
                let (share, absolute) = ROUNDING;
                ensure!(
                    (found - expected).abs() <= share * found.max(expected) + absolute,
                    self.at(column, &format!("{found}, but {from} is {expected:.3}"))
                );
            }
        }
        Ok(())
    }

    /// Checks a percentile; those of a distribution do not decrease.
    fn latency(
        self,
        row: &LatencyRow,
        last: &mut HashMap<(u32, Distribution), (f64, f64)>,
    ) -> anyhow::Result<()> {
        self.not_negative(&[
            ("percentile", Some(row.percentile)),
            ("latency_us", Some(row.latency_us)),
        ])?;
        self.at_most("percentile", Some(row.percentile), "the maximum", Some(100.0))?;
        let key = (row.trial, row.distribution);
        let before = last.insert(key, (row.percentile, row.latency_us));
        if let Some((percentile, latency_us)) = before {
            let found = row.latency_us;
            ensure!(
                row.percentile > percentile && found >= latency_us,
                self.at(
                    "latency_us",
                    &format!("{found}, below the {latency_us} of percentile {percentile}")
                )
            );
        }
        Ok(())
    }

    fn second(self, row: &SecondRow) -> anyhow::Result<()> {
        self.not_negative(&[
            ("p50_us", row.p50_us),
            ("p99_us", row.p99_us),
            ("max_us", row.max_us),
        ])?;
        self.at_most("p50_us", row.p50_us, "p99_us", row.p99_us)?;
        self.at_most("p99_us", row.p99_us, "max_us", row.max_us)?;
        let counts = row.response_bins.0.iter().map(|(_, count)| *count);
        let binned = counts.fold(0, u64::saturating_add);
        let requests = Some(as_float(row.requests));
        self.at_most("response_bins", Some(as_float(binned)), "requests", requests)
    }

    fn not_negative(self, columns: &[(&str, Option<f64>)]) -> anyhow::Result<()> {
        for (column, value) in columns {
            let Some(value) = value else { continue };
            ensure!(
                value.is_finite() && *value >= 0.0,
                self.at(column, &format!("{value} is not a number of 0 or more"))
            );
        }
        Ok(())
    }

    fn at_most(
        self,
        column: &str,
        part: Option<f64>,
        whole: &str,
        most: Option<f64>,
    ) -> anyhow::Result<()> {
        if let (Some(part), Some(most)) = (part, most) {
            ensure!(part <= most, self.at(column, &format!("{part} is more than {whole}: {most}")));
        }
        Ok(())
    }
}

fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_values_are_refused_with_row_and_column() {
        let sound = crate::mock::records();
        check(&sound).unwrap();
        let refusal = |edit: fn(&mut Records)| {
            let mut records = sound.clone();
            edit(&mut records);
            check(&records).unwrap_err().to_string()
        };
        let found = [
            refusal(|records| records.trials[3].requests_per_s = Some(-1.0)),
            refusal(|records| records.trials[0].response_mean_us = Some(f64::NAN)),
            refusal(|records| records.trials[0].requests_per_s = Some(1e7)),
            refusal(|records| records.trials[0].body_mb_per_s = Some(0.0)),
            refusal(|records| records.trials[0].server_cpu_us_per_request = Some(0.029)),
            refusal(|records| records.trials[0].steal_share = Some(1.8)),
            refusal(|records| records.trials[0].connections_served = Some(9999)),
            refusal(|records| records.trials[0].verified = Some(u64::MAX)),
            refusal(|records| records.trials[0].errors = Some(7)),
            refusal(|records| {
                let row = &mut records.trials[0];
                (row.arrivals, row.latency_requests) = (Some(5), Some(6));
            }),
            refusal(|records| records.trials[1].trial = records.trials[0].trial),
            refusal(|records| records.latencies[1].latency_us = 0.0),
            refusal(|records| records.latencies[0].percentile = 101.0),
            refusal(|records| records.seconds[0].p50_us = Some(1e9)),
            refusal(|records| records.seconds[0].max_us = Some(-1.0)),
            refusal(|records| records.seconds[0].response_bins.0.push((9, u64::MAX))),
        ];
        let expected = [
            "trials.csv, row 5, column requests_per_s: -1 is not a number of 0 or more",
            "trials.csv, row 2, column response_mean_us: NaN is not a number of 0 or more",
            "trials.csv, row 2, column requests_per_s: 10000000, but requests / window_s is",
            "trials.csv, row 2, column body_mb_per_s: 0, but body_bytes / window_s is",
            "trials.csv, row 2, column server_cpu_us_per_request: 0.029, but server_cpu_s / requests is",
            "trials.csv, row 2, column steal_share: 1.8 is more than the whole window: 1",
            "trials.csv, row 2, column connections_served: 9999 is more than connections: ",
            "trials.csv, row 2, column verified: 18446744073709552000 is more than requests: ",
            "trials.csv, row 2, column errors: 7, but the kinds of errors add up to 0",
            "trials.csv, row 2, column latency_requests: 6 is more than arrivals: 5",
            "trials.csv, row 3, column trial: 1 occurs twice",
            "latency.csv, row 3, column latency_us: 0, below the ",
            "latency.csv, row 2, column percentile: 101 is more than the maximum: 100",
            "timeseries.csv, row 2, column p50_us: 1000000000 is more than p99_us: ",
            "timeseries.csv, row 2, column max_us: -1 is not a number of 0 or more",
            "timeseries.csv, row 2, column response_bins: 18446744073709552000 is more than requests: ",
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
