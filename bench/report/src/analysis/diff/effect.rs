//! Changes in words, and their counts.

use serde::Serialize;

use super::{Change, Diff};
use crate::analysis::metric::{Better, Metric, Unit};
use crate::analysis::statistics::verdict::{Direction, Verdict};

/// Effect of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Higher rate, or shorter response time.
    Faster,
    /// Lower rate, or longer response time.
    Slower,
    /// Less of a resource: processor time, memory, threads.
    Less,
    /// More of a resource.
    More,
    /// A change of less than 5 % is shown.
    Equivalent,
    /// Nothing is shown.
    Undecided,
}

/// Numbers of changes by effect, of the metrics in the tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Higher rates and shorter response times.
    pub faster: usize,
    /// Lower rates and longer response times.
    pub slower: usize,
    /// Less processor time or memory.
    pub less: usize,
    /// More processor time or memory.
    pub more: usize,
    /// Changes of less than 5 %.
    pub equivalent: usize,
    /// Changes about which nothing is shown.
    pub undecided: usize,
}

impl Change {
    /// Effect of the change.
    pub fn effect(&self) -> Effect {
        let direction = match self.comparison.verdict {
            Verdict::Equivalent => return Effect::Equivalent,
            Verdict::Undecided => return Effect::Undecided,
            Verdict::Different(direction) => direction,
        };
        let is_higher = direction == Direction::Above;
        if self.metric.better() == Better::Higher {
            return if is_higher { Effect::Faster } else { Effect::Slower };
        }
        let is_resource =
            matches!(self.metric, Metric::CpuPerRequest | Metric::GeneratorCpuPerRequest)
                || self.metric.unit() != Unit::Microseconds;
        match (is_resource, is_higher) {
            (false, false) => Effect::Faster,
            (false, true) => Effect::Slower,
            (true, false) => Effect::Less,
            (true, true) => Effect::More,
        }
    }
}

impl Effect {
    /// The effect in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::Less => "less",
            Self::More => "more",
            Self::Equivalent => "equivalent",
            Self::Undecided => "undecided",
        }
    }
}

impl Diff {
    /// Numbers of changes by effect, of the metrics in the tables.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for change in self.in_tables() {
            *match change.effect() {
                Effect::Faster => &mut counts.faster,
                Effect::Slower => &mut counts.slower,
                Effect::Less => &mut counts.less,
                Effect::More => &mut counts.more,
                Effect::Equivalent => &mut counts.equivalent,
                Effect::Undecided => &mut counts.undecided,
            } += 1;
        }
        counts
    }

    /// The counts in words: `3 faster, 1 slower, 2 with more memory, 12 equivalent, 8 undecided`.
    pub fn summary(&self) -> String {
        let counts = self.counts();
        let mut parts =
            vec![format!("{} faster", counts.faster), format!("{} slower", counts.slower)];
        for metric in [Metric::CpuPerRequest, Metric::Memory] {
            for effect in [Effect::Less, Effect::More] {
                let is_such = |one: &&Change| one.metric == metric && one.effect() == effect;
                let count = self.in_tables().filter(is_such).count();
                if count > 0 {
                    parts.push(format!("{count} with {} {}", effect.name(), metric.name()));
                }
            }
        }
        parts.push(format!("{} equivalent", counts.equivalent));
        parts.push(format!("{} undecided", counts.undecided));
        parts.join(", ")
    }
}
