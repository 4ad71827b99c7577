//! Course of the response times over the seconds of the window.

use std::collections::BTreeMap;

use bench_data::record::rows::{SecondRow, TrialRow};
use bench_data::stats::{Interval, median};

/// Fewest whole seconds that show a course.
const LEAST_SECONDS: usize = 5;

/// Part of a second by which a window may be shorter than planned.
const TOLERANCE_S: f64 = 0.05;

/// Response times of a server by second of the window, of all measured rounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OverTime {
    /// Numbers of response times by bin, of all rounds together, second by second.
    pub seconds: Vec<BTreeMap<u8, u64>>,
    /// Lowest and highest 99th percentile of a second in microseconds: medians over the rounds.
    pub p99_us: Option<Interval>,
}

/// Rows by trial.
pub(crate) type SecondsByTrial<'r> = BTreeMap<u32, Vec<&'r SecondRow>>;

/// The rows of a run by trial.
pub(crate) fn by_trial(rows: &[SecondRow]) -> SecondsByTrial<'_> {
    let mut trials = SecondsByTrial::new();
    for row in rows {
        trials.entry(row.trial).or_default().push(row);
    }
    trials
}

impl OverTime {
    /// Course of some trials over the whole seconds that all of them have; empty if these are few, or if their
    /// response times by second were not recorded.
    pub(crate) fn of(trials: &[&TrialRow], rows: &SecondsByTrial<'_>) -> Self {
        let whole = |row: &&TrialRow| row.window_s.map_or(0, |s| (s + TOLERANCE_S) as usize);
        let length = trials.iter().map(whole).min().unwrap_or(0);
        let of_trials = || trials.iter().filter_map(|row| rows.get(&row.trial)).flatten();
        if length < LEAST_SECONDS || of_trials().all(|row| row.response_bins.0.is_empty()) {
            return Self::default();
        }
        let mut seconds = vec![BTreeMap::new(); length];
        let mut p99s_us = vec![Vec::new(); length];
        for row in of_trials() {
            let second = usize::try_from(row.second).unwrap_or(usize::MAX);
            let Some(bins) = seconds.get_mut(second) else { continue };
            for (bin, count) in &row.response_bins.0 {
                *bins.entry(*bin).or_insert(0) += count;
            }
            p99s_us[second].extend(row.p99_us);
        }
        let p99s_us: Vec<f64> = p99s_us.iter().filter_map(|values| median(values)).collect();
        let of = |best: fn(f64, f64) -> f64| p99s_us.iter().copied().reduce(best);
        let p99_us = of(f64::min).zip(of(f64::max)).map(|(low, high)| Interval { low, high });
        Self { seconds, p99_us }
    }

    /// Returns true if there is a course.
    pub fn is_known(&self) -> bool {
        !self.seconds.is_empty()
    }
}

/// Replaces the rows of all trials by ten seconds with the same 99th percentiles in all rounds: all response times are
/// in the bin of this percentile, except for one per second of 1 s.
#[cfg(test)]
pub(crate) fn replace_seconds(
    records: &mut bench_data::record::rows::Records,
    p99_us: impl Fn(&str, u64) -> f64,
) {
    use bench_data::record::rows::ResponseBins;

    records.seconds.clear();
    for trial in &mut records.trials {
        trial.window_s = Some(9.99);
        for second in 0..10 {
            let p99_us = p99_us(&trial.target, second);
            let bin = (8.0 * (p99_us * 1e3).log10()) as u8;
            records.seconds.push(SecondRow {
                trial: trial.trial,
                second,
                requests: 1000,
                body_bytes: 1000,
                errors: 0,
                p50_us: Some(p99_us),
                p99_us: Some(p99_us),
                max_us: Some(1e6),
                response_bins: ResponseBins(vec![(bin, 999), (72, 1)]),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(change: impl Fn(&mut Vec<SecondRow>)) -> OverTime {
        let mut records = bench_data::mock::records();
        replace_seconds(&mut records, |_, second| 100.0 + second as f64);
        change(&mut records.seconds);
        let trials: Vec<_> = records.trials.iter().take(3).collect();
        OverTime::of(&trials, &by_trial(&records.seconds))
    }

    #[test]
    fn the_rounds_are_added_second_by_second() {
        let known = course(|_| ());
        assert_eq!(known.seconds, vec![BTreeMap::from([(40, 2997), (72, 3)]); 10]);
        assert_eq!(known.p99_us, Some(Interval { low: 100.0, high: 109.0 }));
        let more = course(|rows| {
            let mut last = rows[0].clone();
            last.second = 10;
            rows.push(last);
        });
        assert_eq!(more, known, "a last second that is not whole is left out");
    }

    #[test]
    fn a_short_window_and_earlier_records_have_no_course() {
        assert!(
            !course(|rows| rows.iter_mut().for_each(|row| row.response_bins.0.clear())).is_known()
        );
        let mut records = bench_data::mock::records();
        replace_seconds(&mut records, |_, _| 100.0);
        records.trials[0].window_s = Some(4.9);
        let trials: Vec<_> = records.trials.iter().take(3).collect();
        assert!(!OverTime::of(&trials, &by_trial(&records.seconds)).is_known());
        assert!(!OverTime::of(&[], &SecondsByTrial::new()).is_known());
    }
}
