//! Limits of regressions, as a gate states them.

use std::fmt;

use crate::analysis::metric::{Better, Metric, Percentile};

/// Metrics with columns in the tables, with their spelling in limits.
pub(super) const COLUMNS: [(&str, Metric); 4] = [
    ("throughput", Metric::Throughput),
    ("p99", Metric::P99),
    ("cpu_per_request", Metric::CpuPerRequest),
    ("memory", Metric::Memory),
];

/// Further metrics that limits can name.
pub(super) const FURTHER: [(&str, Metric); 6] = [
    ("mb_per_s", Metric::TransferRate),
    ("mean", Metric::MeanResponse),
    ("p50", Metric::Response(Percentile::P50)),
    ("p99.9", Metric::Response(Percentile::P99_9)),
    ("switches_per_request", Metric::SwitchesPerRequest),
    ("threads", Metric::Threads),
];

/// Spelling of the limit on failed requests.
const ERRORS: &str = "errors";

/// Limit of a regression, such as `throughput<-5%`.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    pub(super) of: Limited,
    pub(super) text: String,
}

/// Quantity that a limit bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Limited {
    /// The new value of a metric divided by the old one.
    Ratio(Metric, f64),
    /// The share of failed requests in the new run.
    Errors(f64),
}

impl Limit {
    /// Reads `throughput<-5%`, `p99>+20%`, `cpu_per_request>+10%` or `errors>0.1%`.
    ///
    /// # Errors
    /// The text is not a limit; the error shows examples.
    pub fn parse(text: &str) -> Result<Self, String> {
        let remedy = "write for example throughput<-5%, p99>+20% or errors>0.1%";
        let at = text
            .find(['<', '>'])
            .ok_or_else(|| format!("it contains neither < nor > ({remedy})"))?;
        let (name, rest) = (text[..at].trim(), text[at + 1..].trim());
        let number =
            rest.strip_suffix('%').map(str::trim).and_then(|rest| rest.parse::<f64>().ok());
        let percent = number.filter(|percent| percent.is_finite() && *percent > -100.0);
        let percent = percent.ok_or_else(|| format!("'{rest}' is not a percentage ({remedy})"));
        let less = text[at..].starts_with('<');
        if name == ERRORS {
            let percent = percent?;
            if less || percent < 0.0 {
                return Err(format!("not a limit of errors ({remedy})"));
            }
            return Ok(Self { of: Limited::Errors(percent / 100.0), text: text.to_owned() });
        }
        let mut known = COLUMNS.into_iter().chain(FURTHER);
        let Some((_, metric)) = known.find(|(known, _)| *known == name) else {
            let known = COLUMNS.iter().chain(&FURTHER).map(|(name, _)| *name);
            let known: Vec<_> = known.chain([ERRORS]).collect();
            return Err(format!(
                "unknown metric '{name}', not one of {} ({remedy})",
                known.join(", ")
            ));
        };
        let percent = percent?;
        if less != (metric.better() == Better::Higher) || (percent < 0.0) != less {
            return Err(format!("not a regression of {name} ({remedy})"));
        }
        Ok(Self { of: Limited::Ratio(metric, 1.0 + percent / 100.0), text: text.to_owned() })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_or_refused_with_a_remedy() {
        for good in [
            "throughput<-5%",
            "p99>+20%",
            "p99>20%",
            "cpu_per_request>+0.5%",
            "memory>+1%",
            "p99.9>+50%",
            "errors>0%",
        ] {
            assert_eq!(Limit::parse(good).unwrap().to_string(), good);
        }
        for (bad, why) in [
            ("throughput", "neither < nor >"),
            ("speed<-5%", "unknown metric 'speed'"),
            ("throughput<5", "is not a percentage"),
            ("throughput<-x%", "is not a percentage"),
            ("throughput<-100%", "is not a percentage"),
            ("throughput>5%", "not a regression"),
            ("throughput<+5%", "not a regression"),
            ("p99<-5%", "not a regression"),
            ("errors<1%", "not a limit of errors"),
            ("errors>-1%", "not a limit of errors"),
        ] {
            let said = Limit::parse(bad).unwrap_err();
            assert!(said.contains(why) && said.contains("throughput<-5%"), "{bad}: {said}");
        }
    }
}
