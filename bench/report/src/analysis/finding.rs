//! The values of all servers in one metric under one load, and their comparison.

use bench_data::load::Load;
use bench_data::load::words;
use bench_data::record::outcome::Outcome;
use bench_data::servers::target::TargetKind;
use bench_data::stats::{Interval, Spread};
use bench_data::units;

use crate::analysis::comparison::{AllPairs, Comparison, ControlCheck};
use crate::analysis::metric::{Better, Metric, Rounds};
use crate::analysis::summary::{Line, Summary, values};

/// Values of all servers in one metric under one load.
#[derive(Debug, Clone)]
pub struct Finding {
    pub metric: Metric,
    pub load: Load,
    /// The load as the beginning of a sentence: `With 64 connections and downloads of 1 KiB`.
    pub condition: String,
    /// The servers, in the order in which they first ran.
    pub scores: Vec<Score>,
    /// Comparison of a server with its A/A control, where that was measured.
    pub control: Option<ControlCheck>,
    /// True if the A/A control differs from its server under the load, so that nothing is compared.
    pub is_void: bool,
    /// True if the plan declares another comparison as the main one.
    pub is_exploratory: bool,
}

/// Value of one server.
#[derive(Debug, Clone)]
pub struct Score {
    /// Name of the server.
    pub target: String,
    pub kind: TargetKind,
    /// Values, round by round.
    pub rounds: Rounds,
    /// Median over the rounds, or the capacity; `None` if nothing was measured.
    pub value: Option<Spread>,
    /// 95 % interval of a capacity; `None` of other metrics, which are compared by ratios only.
    pub interval: Option<Interval>,
    /// Reason why the server is not compared; empty if it is.
    pub doubt: String,
    /// True if the server may be better than its value: the load generator was the limit in a trial.
    pub may_be_better: bool,
    /// True if the server is not compared for no other reason.
    pub is_censored: bool,
}

impl Finding {
    /// Finding in a metric that the lines have.
    pub fn under(part: &Summary, load: Load, metric: Metric) -> Self {
        let control = part.control_pair(load).and_then(|(control, own)| {
            ControlCheck::of(&own.target, control.rounds(metric), own.rounds(metric))
        });
        Self::derived(part, load, metric, control, &|line| line.rounds(metric).to_vec())
    }

    /// Finding in a metric that is derived from the lines.
    fn derived(
        part: &Summary,
        load: Load,
        metric: Metric,
        control: Option<ControlCheck>,
        rounds: &dyn Fn(&Line) -> Rounds,
    ) -> Self {
        let least_us = part.floor.and_then(|floor| floor.least_us(metric));
        let score = |line: &Line| {
            let mut score = Score::of(line, rounds(line), line.exclusion_reason());
            if let Some(least_us) = least_us.filter(|least_us| score.median() < *least_us)
                && score.is_sound()
            {
                let least = units::microseconds(least_us);
                score.doubt = format!("below {least}, three times the machine's wake-up delay");
            }
            score
        };
        Self {
            metric,
            load,
            condition: format!("With {}", words::describe(load)),
            scores: part.under(load).map(score).collect(),
            control,
            is_void: part.void.contains(&load),
            is_exploratory: part.main.is_some_and(|main| main != (load, metric)),
        }
    }

    /// Finding in a metric that compares a load with another one (`before`) of the same server, by
    /// the values of `source` under the two.
    pub fn relative(
        part: &Summary,
        (load, before): (Load, Load),
        metric: Metric,
        source: Metric,
        value: impl Fn(f64, f64) -> Option<f64>,
    ) -> Self {
        let derive = |now: &Line, before: Option<&Line>| -> Rounds {
            let earlier = before.map_or(&[][..], |before| before.rounds(source));
            let of = |(round, value_now): &(u32, f64)| {
                let (_, value_before) = earlier.iter().find(|(other, _)| other == round)?;
                Some((*round, value(*value_now, *value_before)?))
            };
            now.rounds(source).iter().filter_map(of).collect()
        };
        let control = || {
            let (control, own) = part.control_pair(load)?;
            let (control_before, own_before) = part.control_pair(before)?;
            let its = derive(control, Some(control_before));
            ControlCheck::of(&own.target, &its, &derive(own, Some(own_before)))
        };
        let before = |line: &Line| part.line(before, &line.target);
        let rounds = |line: &Line| derive(line, before(line));
        let mut finding = Self::derived(part, load, metric, control(), &rounds);
        for (score, line) in finding.scores.iter_mut().zip(part.under(load)) {
            let reasons = [Some(line), before(line)].into_iter().flatten();
            let doubt = reasons.map(Line::exclusion_reason).find(|reason| !reason.is_empty());
            // A bound of one of the two values is no bound of what is derived from both.
            let own = Score::of(line, rounds(line), doubt.unwrap_or_default());
            *score = Score { is_censored: false, ..own };
        }
        finding
    }

    /// Name of the compared quantity within a sentence.
    pub fn quantity(&self) -> String {
        let is_mixed = self.load.profile.heavy.total_percent() > 0;
        let light =
            if is_mixed && self.metric.percentile().is_some() { " of light requests" } else { "" };
        self.metric.name() + light
    }

    /// Comparable servers of the wanted ones, the best first.
    pub fn ranked(&self, wanted: impl Fn(&Score) -> bool) -> Vec<&Score> {
        let mut ranked: Vec<&Score> =
            self.scores.iter().filter(|score| score.is_sound() && wanted(score)).collect();
        ranked.sort_by(|a, b| match self.metric.better() {
            Better::Higher => b.median().total_cmp(&a.median()),
            Better::Lower => a.median().total_cmp(&b.median()),
        });
        ranked
    }

    /// Comparable built-in servers, or all if none is built in, the best first.
    pub fn competitors(&self) -> Vec<&Score> {
        let any_of_ours = self.scores.iter().any(|score| score.kind.is_ours());
        self.ranked(|score| score.kind.is_ours() || !any_of_ours)
    }

    /// Score of a server, if it is comparable.
    pub fn score(&self, target: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.target == target && score.is_sound())
    }

    /// Comparisons between all comparable servers: the family within which differences are corrected.
    pub fn pairs(&self) -> AllPairs {
        let sound = self.scores.iter().filter(|score| score.is_sound());
        AllPairs::of(&sound.map(|score| (&*score.target, &*score.rounds)).collect::<Vec<_>>())
    }

    /// Orients a comparison `first ÷ second`, so that a ratio above 1 means that the first is better.
    pub fn lead(&self, comparison: Comparison) -> Comparison {
        match self.metric.better() {
            Better::Higher => comparison,
            Better::Lower => comparison.inverse(),
        }
    }

    /// Value of a server with its unit, and with its interval if it has one.
    pub fn written(&self, score: &Score) -> String {
        let value = self.metric.write(score.median());
        let Some(within) = score.interval else { return value };
        let [low, high] = [within.low, within.high].map(|end| self.metric.unit().write(end));
        format!("{value} [{low}, {high}]")
    }
}

impl Score {
    fn of(line: &Line, rounds: Rounds, mut doubt: String) -> Self {
        let value = Spread::of(&values(&rounds));
        if value.is_none() && doubt.is_empty() {
            "not measured".clone_into(&mut doubt);
        }
        Self {
            target: line.target.clone(),
            kind: line.kind,
            rounds,
            value,
            interval: None,
            doubt,
            may_be_better: line.count(Outcome::GeneratorBound) > 0,
            is_censored: line.is_censored() && value.is_some(),
        }
    }

    /// Returns true if the server can be compared.
    pub fn is_sound(&self) -> bool {
        self.doubt.is_empty()
    }

    /// Returns true if the value is a lower bound of the server's: the load generator was the limit, and
    /// nothing else was wrong.
    pub fn is_lower_bound(&self, metric: Metric) -> bool {
        !self.is_sound() && self.is_censored && metric.better() == Better::Higher
    }

    /// Median over the rounds; 0 if nothing was measured.
    pub fn median(&self) -> f64 {
        self.value.map_or(0.0, |value| value.median)
    }
}

#[cfg(test)]
mod tests {
    use bench_data::record::wake_up::WakeUpRow;

    use super::*;

    #[test]
    fn percentiles_near_the_wake_up_delay_are_not_compared() {
        let mut records = bench_data::mock::records();
        let load = records.trials.last().unwrap().load();
        let doubts = |records: &_, metric| -> Vec<String> {
            let finding = Finding::under(&Summary::of(records), load, metric);
            finding.scores.into_iter().map(|score| score.doubt).collect()
        };
        let before = doubts(&records, Metric::P99);
        assert!(before.iter().any(String::is_empty), "{before:?}");
        let row = |p99_us| WakeUpRow {
            before_trial: 1,
            round: 1,
            samples: 4000,
            p50_us: 1.0,
            p99_us,
            p999_us: p99_us,
            max_us: p99_us,
        };
        records.wake_ups = vec![row(0.001)];
        assert_eq!(doubts(&records, Metric::P99), before);
        records.wake_ups = vec![row(1e6)];
        let doubt = "below 3.00 s, three times the machine's wake-up delay";
        let excluded = doubts(&records, Metric::P99).into_iter().zip(&before);
        assert!(excluded.into_iter().all(|(now, before)| !before.is_empty() || now == doubt));
        assert_eq!(doubts(&records, Metric::CpuPerRequest), before, "no percentile");
    }
}
