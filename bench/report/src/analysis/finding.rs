//! The comparison of all servers by one metric, and its wording.

use bench_data::load::Load;
use bench_data::load::words;
use bench_data::servers::target::TargetKind;
use bench_data::stats::{Estimate, LEAST_ROUNDS};
use bench_data::units::counted;

use crate::analysis::comparison::{Lead, capitalised, is_clear, is_clearly_less, listed, times};
use crate::analysis::metric::{Better, Metric, Rounds};
use crate::analysis::summary::{Line, Summary, values};
use bench_data::record::outcome::Outcome;

/// Values of all servers in one metric under one load.
#[derive(Debug, Clone)]
pub struct Finding {
    pub metric: Metric,
    pub load: Load,
    /// The load as the beginning of a sentence: `With 64 connections and downloads of 1 KiB`.
    pub condition: String,
    /// The servers, in the order in which they first ran.
    pub scores: Vec<Score>,
    /// Factor by which a server differs from its A/A control, where that was measured.
    pub noise_floor: Option<f64>,
}

/// Value of one server.
#[derive(Debug, Clone)]
pub struct Score {
    /// Name of the server.
    pub target: String,
    pub kind: TargetKind,
    /// Values, round by round.
    pub rounds: Rounds,
    /// Median over the rounds; `None` if nothing was measured.
    pub value: Option<Estimate>,
    /// Reason why the server is not compared; empty if it is.
    pub doubt: String,
    /// True if the server may be better than its value: the load generator was the limit.
    pub may_be_better: bool,
}

impl Finding {
    /// Finding in a metric that the lines have.
    pub fn under(part: &Summary, load: Load, metric: Metric) -> Self {
        Self::derived(part, load, metric, &|line| line.rounds(metric).to_vec())
    }

    /// Finding in a metric that is derived from the lines.
    pub fn derived(
        part: &Summary,
        load: Load,
        metric: Metric,
        rounds: &dyn Fn(&Line) -> Rounds,
    ) -> Self {
        let score = |line: &Line| Score::of(line, rounds(line), line.exclusion_reason());
        Self {
            metric,
            load,
            condition: format!("With {}", words::describe(load)),
            scores: part.under(load).map(score).collect(),
            noise_floor: part.noise_floor(load, rounds),
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
        let before = |line: &Line| {
            let mut lines = part.lines.iter().chain(&part.controls);
            lines.find(|other| other.load == before && other.target == line.target)
        };
        let rounds = |line: &Line| -> Rounds {
            let earlier = before(line).map_or(&[][..], |before| before.rounds(source));
            let of = |(round, value_now): &(u32, f64)| {
                let (_, value_before) = earlier.iter().find(|(other, _)| other == round)?;
                Some((*round, value(*value_now, *value_before)?))
            };
            line.rounds(source).iter().filter_map(of).collect()
        };
        let mut finding = Self::derived(part, load, metric, &rounds);
        for (score, line) in finding.scores.iter_mut().zip(part.under(load)) {
            let reasons = [Some(line), before(line)].into_iter().flatten();
            let doubt = reasons.map(Line::exclusion_reason).find(|reason| !reason.is_empty());
            *score = Score::of(line, rounds(line), doubt.unwrap_or_default());
        }
        finding
    }

    /// The comparison in words: the best built-in server and its lead, the best reference server, and
    /// the servers that are not compared.
    pub fn sentence(&self) -> String {
        let mut text = format!("{}, {}.", self.condition, self.comparison());
        for more in [self.beside_reference(), self.left_out()].into_iter().flatten() {
            text += &format!(" {more}.");
        }
        text
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
        let any_of_ours = self.any_of_ours();
        self.ranked(|score| score.kind.is_ours() || !any_of_ours)
    }

    /// Score of a server, if it is comparable.
    pub fn score(&self, target: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.target == target && score.is_sound())
    }

    /// Factor by which the first is better than the second, round by round.
    pub fn lead(&self, first: &Score, second: &Score) -> Option<Estimate> {
        match self.metric.better() {
            Better::Higher => Estimate::of_ratios(&first.rounds, &second.rounds),
            Better::Lower => Estimate::of_ratios(&second.rounds, &first.rounds),
        }
    }

    /// Lead of the first over the second in words: `1.31× [1.20, 1.42] higher`.
    pub fn lead_in_words(&self, ratio: Estimate) -> String {
        format!("{} {}", times(ratio), self.metric.better().comparative())
    }

    /// Median of a server with its unit.
    pub fn written(&self, score: &Score) -> String {
        self.metric.write(score.median())
    }

    /// The reference server with the highest or lowest value, compared with such a built-in one.
    pub fn beside_reference(&self) -> Option<String> {
        let ours = *self.ranked(|score| score.kind.is_ours()).first()?;
        let references = self.ranked(|score| !score.kind.is_ours());
        let best = *references.first()?;
        let ratio = self.lead(ours, best)?;
        let best_end = capitalised(self.metric.better().superlative());
        let who = match references.len() {
            1 => "Reference server".to_owned(),
            _ => format!("{best_end} of the reference servers"),
        };
        let (name, value) = (&best.target, self.written(best));
        let compared = if ratio.interval.is_none() {
            // Too few rounds to compare, which the comparison of the built-in servers states.
            return Some(format!("{who}: {name} ({value})"));
        } else if is_clear(&ratio, self.noise_floor) {
            format!("{} is {}", ours.target, self.lead_in_words(ratio))
        } else if is_clearly_less(&ratio, self.noise_floor) {
            let behind = self.lead(best, ours).map(times).unwrap_or_default();
            format!("{} is {behind} {}", ours.target, self.metric.better().opposite().comparative())
        } else {
            format!("no measurable difference from {}", ours.target)
        };
        Some(format!("{who}: {name} ({value}); {compared}"))
    }

    /// Servers that are not compared, with the reasons.
    pub fn left_out(&self) -> Option<String> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for score in self.scores.iter().filter(|score| !score.is_sound()) {
            match reasons.iter_mut().find(|(reason, _)| *reason == score.doubt) {
                Some((_, names)) => names.push(&score.target),
                None => reasons.push((&score.doubt, vec![&score.target])),
            }
        }
        let each: Vec<_> = reasons
            .into_iter()
            .map(|(reason, names)| format!("{} ({reason})", listed(&names)))
            .collect();
        (!each.is_empty()).then(|| format!("Not compared: {}", each.join(", ")))
    }

    fn any_of_ours(&self) -> bool {
        self.scores.iter().any(|score| score.kind.is_ours())
    }

    fn comparison(&self) -> String {
        let ranked = self.competitors();
        let quantity = self.quantity();
        let Some((best, others)) = ranked.split_first() else {
            return "no server could be compared".to_owned();
        };
        let (name, value) = (&best.target, self.written(best));
        if others.is_empty() {
            return format!("{quantity}: {name} {value}");
        }
        if best.rounds.len() < LEAST_ROUNDS {
            let each: Vec<_> = ranked
                .iter()
                .map(|score| format!("{} {}", score.target, self.written(score)))
                .collect();
            return format!(
                "{quantity}: {}. {} cannot show differences; {LEAST_ROUNDS} are needed",
                each.join(", "),
                counted(best.rounds.len(), "round")
            );
        }
        let ratios = others.iter().map(|other| (other.target.as_str(), self.lead(best, other)));
        let lead = Lead::of(ratios, self.noise_floor);
        let best_end = self.metric.better().superlative();
        let among = if self.scores.iter().any(|score| score.may_be_better) {
            " of the compared servers"
        } else {
            ""
        };
        let mut level = vec![format!("{name} ({value})")];
        level.extend(lead.level.into_iter().map(str::to_owned));
        let level = listed(&level);
        let ahead: Vec<_> = lead
            .ahead
            .iter()
            .map(|(other, ratio)| format!("{} than {other}", self.lead_in_words(*ratio)))
            .collect();
        let ahead = match &ahead[..] {
            [] => String::new(),
            [only] => only.clone(),
            [next, .., last] => format!("{next} (next) and {last} (last)"),
        };
        if ahead.is_empty() {
            return format!("there is no measurable difference in {quantity} between {level}");
        }
        if others.len() == lead.ahead.len() {
            return format!("{name} has the {best_end} {quantity}{among} ({value}), {ahead}");
        }
        format!(
            "{level} have the {best_end} {quantity}{among}, with no measurable difference between \
             them; {name} is {ahead}"
        )
    }
}

impl Score {
    fn of(line: &Line, rounds: Rounds, mut doubt: String) -> Self {
        let value = Estimate::of(&values(&rounds));
        if value.is_none() && doubt.is_empty() {
            "not measured".clone_into(&mut doubt);
        }
        let may_be_better = line.count(Outcome::GeneratorBound) > 0;
        Self { target: line.target.clone(), kind: line.kind, rounds, value, doubt, may_be_better }
    }

    /// Returns true if the server can be compared.
    pub fn is_sound(&self) -> bool {
        self.doubt.is_empty()
    }

    fn median(&self) -> f64 {
        self.value.map_or(0.0, |value| value.median)
    }
}
