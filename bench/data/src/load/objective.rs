//! Service-level objectives, and the search for the offered rates at which trials begin to miss one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Service-level objective of a trial with open arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Objective {
    /// Maximum 99th percentile of the response time.
    pub p99_us: u32,
    /// Maximum share of failed requests among completed ones, per million.
    pub errors_per_million: u32,
    /// Minimum share of answered requests among arrivals, per million.
    pub achieved_per_million: u32,
}

/// Search for the offered rates at which trials begin to miss an objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Spelled", into = "Spelled")]
pub struct CapacitySearch {
    /// Objective.
    pub objective: Objective,
    /// Target precision: the lowest rate that misses the objective exceeds the highest that meets it
    /// by at most this share; 0.05 is 5 %.
    pub resolution: f64,
    /// Maximum number of trials of one search, repetitions near the boundary excluded.
    pub most_probes: u32,
    /// Number of further trials near the boundary that the search found.
    pub repeats: u32,
}

/// Largest number of repeated trials: more of them would need hours.
const MOST_REPEATS: u32 = 100;

/// Form in plans.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelled {
    p99_ms: f64,
    #[serde(default = "usual_errors")]
    errors: f64,
    #[serde(default = "usual_achieved")]
    achieved: f64,
    #[serde(default = "usual_resolution")]
    resolution: f64,
    #[serde(default = "usual_probes")]
    probes: u32,
    #[serde(default = "usual_repeats")]
    repeats: u32,
}

impl Objective {
    /// Parses `p99=5ms,errors=0.1%,achieved=99%`; only the first part is required.
    ///
    /// # Errors
    /// The part at fault and an example.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut p99_ms, mut errors, mut achieved) = (None, usual_errors(), usual_achieved());
        for part in text.split(',') {
            let wrong = || format!("'{part}': write for example p99=5ms,errors=0.1%");
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
            match (name.trim(), value.trim()) {
                ("p99", value) => {
                    p99_ms = Some(match value {
                        value if value.ends_with("ms") => number(value.trim_end_matches("ms"))?,
                        value if value.ends_with("us") => {
                            number(value.trim_end_matches("us"))? / 1e3
                        }
                        value if value.ends_with('s') => number(value.trim_end_matches('s'))? * 1e3,
                        _ => return Err(wrong()),
                    });
                }
                (name @ ("errors" | "achieved"), value) => {
                    let share = match value.strip_suffix('%') {
                        Some(percent) => number(percent)? / 100.0,
                        None => number(value)?,
                    };
                    *(if name == "errors" { &mut errors } else { &mut achieved }) = share;
                }
                _ => return Err(wrong()),
            }
        }
        let p99_ms = p99_ms.ok_or("an objective needs a 99th percentile, such as p99=5ms")?;
        Self::new(p99_ms, errors, achieved)
    }

    fn new(p99_ms: f64, errors: f64, achieved: f64) -> Result<Self, String> {
        if !(0.001..=3.6e6).contains(&p99_ms) {
            return Err("p99: choose a time from 1us to 3600s".to_owned());
        }
        if !(0.0..1.0).contains(&errors) {
            return Err(
                "errors: choose a share from 0 to less than 1, such as 0.001 or 0.1%".to_owned()
            );
        }
        if !(achieved > 0.0 && achieved <= 1.0) {
            return Err(
                "achieved: choose a share of more than 0, up to 1, such as 0.99 or 99%".to_owned()
            );
        }
        Ok(Self {
            p99_us: (p99_ms * 1e3).round() as u32,
            errors_per_million: (errors * 1e6).round() as u32,
            achieved_per_million: (achieved * 1e6).round() as u32,
        })
    }

    /// Objective in words, such as `p99 ≤ 5 ms and errors ≤ 0.1 %`.
    pub fn in_words(&self) -> String {
        let errors = f64::from(self.errors_per_million) / 1e4;
        format!("p99 ≤ {} ms and errors ≤ {errors} %", f64::from(self.p99_us) / 1e3)
    }
}

/// Form in records and flags.
impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p99={}ms,errors={}%,achieved={}%",
            f64::from(self.p99_us) / 1e3,
            f64::from(self.errors_per_million) / 1e4,
            f64::from(self.achieved_per_million) / 1e4
        )
    }
}

impl CapacitySearch {
    /// Search with the default resolution and number of trials.
    pub fn usual(objective: Objective) -> Self {
        Self {
            objective,
            resolution: usual_resolution(),
            most_probes: usual_probes(),
            repeats: usual_repeats(),
        }
    }
}

impl TryFrom<Spelled> for CapacitySearch {
    type Error = String;

    fn try_from(spelled: Spelled) -> Result<Self, String> {
        if !(0.01..=1.0).contains(&spelled.resolution) {
            return Err(
                "capacity.resolution: choose a share from 0.01 to 1, such as 0.05".to_owned()
            );
        }
        if spelled.probes < 2 {
            return Err("capacity.probes: choose 2 or more".to_owned());
        }
        if spelled.repeats > MOST_REPEATS {
            return Err(format!("capacity.repeats: choose a number from 0 to {MOST_REPEATS}"));
        }
        Ok(Self {
            objective: Objective::new(spelled.p99_ms, spelled.errors, spelled.achieved)
                .map_err(|what| format!("capacity.{what}"))?,
            resolution: spelled.resolution,
            most_probes: spelled.probes,
            repeats: spelled.repeats,
        })
    }
}

impl From<CapacitySearch> for Spelled {
    fn from(search: CapacitySearch) -> Self {
        let Objective { p99_us, errors_per_million, achieved_per_million } = search.objective;
        Self {
            p99_ms: f64::from(p99_us) / 1e3,
            errors: f64::from(errors_per_million) / 1e6,
            achieved: f64::from(achieved_per_million) / 1e6,
            resolution: search.resolution,
            probes: search.most_probes,
            repeats: search.repeats,
        }
    }
}

/// Serde form of an optional objective.
pub mod spelled {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Objective;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Objective>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(objective) => to.collect_str(objective),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Objective>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        text.map(|text| Objective::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

fn usual_errors() -> f64 {
    0.001
}

fn usual_achieved() -> f64 {
    0.99
}

fn usual_resolution() -> f64 {
    0.05
}

fn usual_probes() -> u32 {
    8
}

fn usual_repeats() -> u32 {
    4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["p99=5ms,errors=0.1%,achieved=99%", "p99=0.25ms,errors=0%,achieved=100%"] {
            assert_eq!(Objective::parse(text).unwrap().to_string(), text);
        }
        let short = Objective::parse("p99=2s").unwrap();
        assert_eq!(short.to_string(), "p99=2000ms,errors=0.1%,achieved=99%");
        assert_eq!(Objective::parse("p99=250us").unwrap().p99_us, 250);
        let share = Objective::parse("p99=5ms,errors=0.01").unwrap();
        assert_eq!(share.errors_per_million, 10_000);
    }

    #[test]
    fn what_is_no_objective_is_told_with_the_remedy() {
        for (text, expected) in [
            ("errors=1%", "needs a 99th percentile"),
            ("p99=5", "p99=5ms"),
            ("p95=5ms", "'p95=5ms': write for example"),
            ("p99=fast", "write for example"),
            ("p99=0ms", "from 1us"),
            ("p99=5ms,errors=100%", "less than 1"),
            ("p99=5ms,achieved=0%", "more than 0"),
        ] {
            let message = Objective::parse(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
