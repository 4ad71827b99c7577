//! Rule that ends a run: the planned rounds, or further ones until the intervals are narrow enough.

use std::fmt;
use std::str::FromStr;

use crate::plan::Plan;

/// Most rounds of a main comparison. From 6 to 30 rounds an interval becomes about 2.8 times
/// narrower; ten times as many more would be needed for the same gain.
pub const MOST_ROUNDS: u32 = 30;

/// End of the rounds of main comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Until {
    /// After the planned rounds.
    #[default]
    Planned,
    /// When the half-width of every 95 % interval is at most this share of its ratio.
    HalfWidth(f64),
}

impl Until {
    /// Half-width at which no further rounds are added; `None` if none are added.
    pub fn half_width(self) -> Option<f64> {
        match self {
            Self::Planned => None,
            Self::HalfWidth(share) => Some(share),
        }
    }
}

impl Plan {
    /// Rounds that replace those with a trial that the machine or the load generator spoiled, at most:
    /// a third of the planned ones.
    pub fn most_replacements(&self) -> u32 {
        self.rounds / 3
    }
}

/// Text that is no [`Until`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a precision: write ci= and a percentage from 0.1 to 100, such as ci=5%, or none"
)]
pub struct NoPrecision(String);

impl FromStr for Until {
    type Err = NoPrecision;

    fn from_str(text: &str) -> Result<Self, NoPrecision> {
        if text == "none" {
            return Ok(Self::Planned);
        }
        let percent = text.strip_prefix("ci=").and_then(|rest| rest.strip_suffix('%'));
        let percent: Option<f64> = percent.and_then(|number| number.trim().parse().ok());
        match percent.filter(|percent| (0.1..=100.0).contains(percent)) {
            Some(percent) => Ok(Self::HalfWidth(percent / 100.0)),
            None => Err(NoPrecision(text.to_owned())),
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned => f.write_str("none"),
            Self::HalfWidth(share) => write!(f, "ci={}%", (share * 1e6).round() / 1e4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_is_read_and_written_back() {
        for text in ["none", "ci=5%", "ci=2.5%", "ci=0.1%", "ci=100%"] {
            assert_eq!(text.parse::<Until>().unwrap().to_string(), text);
        }
        assert_eq!("ci=5%".parse::<Until>().unwrap().half_width(), Some(0.05));
        for text in ["5%", "ci=5", "ci=0%", "ci=-5%", "ci=101%", "ci=NaN%", "ci=%", ""] {
            let error = text.parse::<Until>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}' is not a precision")), "{error}");
        }
    }
}
