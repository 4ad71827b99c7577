//! What an experiment says of each server, in one quantity, and in one sentence.

use crate::analysis::comparison::Best;
use crate::analysis::comparison::{Lead, is_clear, is_clearly_less, listed, with_interval};
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::servers::target::TargetKind;
use bench_data::stats::{Estimate, LEAST_ROUNDS};

/// A value of every server, and which of them are best.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What the value is, within a sentence: `throughput`.
    pub quantity: String,
    /// Under which load, within a sentence: `With 64 connections and downloads of 1 KiB`.
    pub condition: String,
    /// That load.
    pub load: Load,
    /// Which value is good.
    pub best: Best,
    /// How a value is written, with its unit.
    pub write: fn(f64) -> String,
    /// The servers, in the order they first ran.
    pub scores: Vec<Score>,
    /// The factor by which a server differs from itself, where that is known.
    pub noise_floor: Option<f64>,
}

/// The value of a server.
#[derive(Debug, Clone)]
pub struct Score {
    /// Its name.
    pub target: String,
    /// Which kind of server it is.
    pub kind: TargetKind,
    /// The value, round by round.
    pub rounds: Vec<(u32, f64)>,
    /// The median over the rounds; `None` where nothing was measured.
    pub value: Option<Estimate>,
    /// Why no claim rests on it; empty where one may.
    pub doubt: String,
}

/// The values of a line, round by round.
pub type Rounds<'r> = &'r dyn Fn(&Line) -> Vec<(u32, f64)>;

impl Finding {
    /// What the servers show under one load.
    pub fn under(
        part: &Summary,
        load: Load,
        quantity: &str,
        best: Best,
        write: fn(f64) -> String,
        rounds: Rounds<'_>,
    ) -> Self {
        Self {
            quantity: quantity.to_owned(),
            condition: format!("With {}", bench_data::load::words::describe(load)),
            load,
            best,
            write,
            scores: part.under(load).map(|line| Score::of(line, rounds)).collect(),
            noise_floor: part.noise_floor(load, rounds),
        }
    }

    /// Who is best and by how much, ours among ourselves and the best of ours against the best real
    /// server; and who is left out.
    pub fn sentence(&self) -> String {
        let mut parts = vec![format!("{}, {}", self.condition, self.comparison())];
        if let Some(out) = self.left_out() {
            parts.push(out);
        }
        parts.join("; ") + "."
    }

    /// Those that may be compared, the best first.
    pub fn ranked(&self, wanted: impl Fn(&Score) -> bool) -> Vec<&Score> {
        let mut ranked: Vec<&Score> =
            self.scores.iter().filter(|score| score.is_sound() && wanted(score)).collect();
        ranked.sort_by(|a, b| match self.best {
            Best::Highest => b.median().total_cmp(&a.median()),
            Best::Lowest => a.median().total_cmp(&b.median()),
        });
        ranked
    }

    /// The server of a name, if a claim may rest on it.
    pub fn score(&self, target: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.target == target && score.is_sound())
    }

    /// How many times better the first is than the second, round by round.
    pub fn lead(&self, first: &Score, second: &Score) -> Option<Estimate> {
        match self.best {
            Best::Highest => Estimate::of_ratios(&first.rounds, &second.rounds),
            Best::Lowest => Estimate::of_ratios(&second.rounds, &first.rounds),
        }
    }

    fn comparison(&self) -> String {
        let any_of_ours = self.scores.iter().any(|score| score.kind.is_ours());
        let is_one = |score: &Score| score.kind.is_ours() || !any_of_ours;
        let ranked = self.ranked(is_one);
        let quantity = &self.quantity;
        let Some((best, others)) = ranked.split_first() else {
            return "no server was measured well enough to be compared".to_owned();
        };
        let value = self.written(best);
        if others.is_empty() {
            return format!("{quantity} of {} is {value}", best.target);
        }
        if best.rounds.len() < LEAST_ROUNDS {
            let all: Vec<_> = ranked
                .iter()
                .map(|score| format!("{} {}", score.target, self.written(score)))
                .collect();
            let rounds = best.rounds.len();
            let plural = if rounds == 1 { "" } else { "s" };
            return format!(
                "no difference can be claimed from {rounds} round{plural} ({quantity}: {})",
                all.join(", ")
            );
        }
        let ratios = others.iter().map(|other| (other.target.as_str(), self.lead(best, other)));
        let lead = Lead::of(ratios, self.noise_floor);
        let mut text = if lead.level.is_empty() {
            format!("{quantity} is {} for {} ({value})", self.superlative(), best.target)
        } else {
            let level: Vec<_> = std::iter::once(best.target.as_str()).chain(lead.level).collect();
            format!(
                "there is no measurable difference in {quantity} between {} ({}: {value})",
                listed(&level),
                best.target
            )
        };
        if let Some((next, ratio)) = lead.ahead.first() {
            text += &format!(", {}, the next", self.factor(*ratio, next));
            if let Some((last, ratio)) = lead.ahead.get(1..).and_then(<[_]>::last) {
                text += &format!(", and {}, the last", self.factor(*ratio, last));
            }
        }
        if any_of_ours {
            text += &self.against_real(best);
        }
        text
    }

    /// The best that is not ours beside the best of ours.
    fn against_real(&self, ours: &Score) -> String {
        let real = self.ranked(|score| !score.kind.is_ours());
        let Some(best) = real.first() else { return String::new() };
        let value = self.written(best);
        let among = if real.len() > 1 { "the best of the real servers" } else { "a real server" };
        let other = &best.target;
        let Some(ratio) = self.lead(ours, best) else { return String::new() };
        let floor = self.noise_floor;
        let held = if is_clear(&ratio, floor) {
            match self.best {
                Best::Highest => {
                    format!("{} has {} times that", ours.target, with_interval(ratio))
                }
                Best::Lowest => {
                    format!("{} times as high as that of {}", with_interval(ratio), ours.target)
                }
            }
        } else if is_clearly_less(&ratio, floor) {
            let behind = with_interval(ratio);
            match self.best {
                Best::Highest => format!("{} has {behind} times that", ours.target),
                // The inverse of the lead: how many times as high ours is.
                Best::Lowest => format!(
                    "that of {} is {} times as high",
                    ours.target,
                    Estimate::of_ratios(&ours.rounds, &best.rounds).map_or(behind, with_interval)
                ),
            }
        } else {
            format!("no measurable difference to {}", ours.target)
        };
        format!(". {other}, {among}: {value}, {held}")
    }

    fn factor(&self, ratio: Estimate, other: &str) -> String {
        let ratio = with_interval(ratio);
        match self.best {
            Best::Highest => format!("{ratio} times that of {other}"),
            Best::Lowest => format!("that of {other} is {ratio} times as high"),
        }
    }

    /// Who cannot be compared, those with one reason together.
    pub fn left_out(&self) -> Option<String> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for score in self.scores.iter().filter(|score| !score.is_sound()) {
            match reasons.iter_mut().find(|(reason, _)| *reason == score.doubt) {
                Some((_, names)) => names.push(&score.target),
                None => reasons.push((&score.doubt, vec![&score.target])),
            }
        }
        let told: Vec<_> = reasons
            .into_iter()
            .map(|(reason, names)| format!("{} ({reason})", listed(&names)))
            .collect();
        (!told.is_empty()).then(|| format!("left out: {}", told.join(", ")))
    }

    fn superlative(&self) -> &'static str {
        match self.best {
            Best::Highest => "highest",
            Best::Lowest => "lowest",
        }
    }

    /// A server's median with its unit.
    pub fn written(&self, score: &Score) -> String {
        (self.write)(score.median())
    }
}

impl Score {
    /// The value of a line.
    pub fn of(line: &Line, rounds: Rounds<'_>) -> Self {
        let doubt = if line.is_comparable() { String::new() } else { line.exclusion_reason() };
        Self::new(line, rounds(line), doubt)
    }

    /// A value that a claim may rest on where there is no doubt.
    pub fn new(line: &Line, rounds: Vec<(u32, f64)>, mut doubt: String) -> Self {
        let values: Vec<f64> = rounds.iter().map(|(_, value)| *value).collect();
        let value = Estimate::of(&values);
        if value.is_none() && doubt.is_empty() {
            "it was not measured".clone_into(&mut doubt);
        }
        Self { target: line.target.clone(), kind: line.kind, rounds, value, doubt }
    }

    /// Whether a claim may rest on it.
    pub fn is_sound(&self) -> bool {
        self.doubt.is_empty()
    }

    fn median(&self) -> f64 {
        self.value.map_or(0.0, |value| value.median)
    }
}
