//! Throughput against connections by the Universal Scalability Law, where it fits.

use serde::Serialize;

use crate::analysis::summary::{Line, Summary};
use crate::analysis::usl::{Fit, LEAST_POINTS, LEAST_R_SQUARED};
use bench_data::load::{Load, words};
use bench_data::units;
use bench_data::units::grouped;

/// Heads of the table.
pub(crate) const COLUMNS: [&str; 7] = [
    "server",
    "λ, one connection",
    "σ, contention",
    "κ, coherency",
    "R²",
    "peak at N*",
    "highest measured",
];

/// Fits of the law to the servers of a part of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scalability {
    /// The loads in words.
    pub heading: String,
    /// Values of [`COLUMNS`] for each server with a good fit.
    pub rows: Vec<Vec<String>>,
    /// Servers without a good fit, with the reasons.
    pub refused: Vec<String>,
    /// Explanation of the table.
    pub reading: String,
}

impl Scalability {
    /// Fits over the connection counts of otherwise equal loads, of those with the most counts.
    /// `None` if there are fewer counts than a fit needs.
    pub fn of(part: &Summary) -> Option<Self> {
        let base = richest(part)?;
        let alike = |line: &&Line| Load { connections: base.connections, ..line.load } == base;
        let counts = part.lines.iter().filter(alike).map(|line| line.load.connections);
        let most = counts.max().unwrap_or(0) as f64;
        let (mut rows, mut refused) = (Vec::new(), Vec::new());
        for target in part.targets() {
            let lines: Vec<&Line> =
                part.lines.iter().filter(alike).filter(|line| line.target == target).collect();
            match fitted(&lines) {
                Ok((fit, highest)) => rows.push(row(target, &fit, highest, most)),
                Err(why) => refused.push(format!("{target}: {why}")),
            }
        }
        let heading = words::heading_over_connections(base);
        let reading = format!(
            "X(N) = λN / (1 + σ(N − 1) + κN(N − 1)), fitted by least squares to the medians of loads \
             with sound rounds only. λ: throughput of one connection. σ: contention, the share of the \
             work that only one connection can do at a time; it bounds throughput at λ/σ. Here this \
             is mainly the CPU: a few connections of a closed loop saturate a core, so σ shows how \
             soon that happens and not how long locks are held. κ: coherency, the cost that each \
             further connection causes to all others; throughput falls beyond N* = √((1 − σ)/κ). Fits \
             of fewer than {LEAST_POINTS} connection counts or with R² below {LEAST_R_SQUARED} are \
             not shown."
        );
        Some(Self { heading, rows, refused, reading })
    }

    /// Servers without a good fit as a sentence; empty if there are none.
    pub fn refusals(&self) -> String {
        if self.refused.is_empty() {
            return String::new();
        }
        format!("Not fitted: {}.", self.refused.join("; "))
    }
}

/// Fit of a server, and its line with the highest rate.
fn fitted<'l>(lines: &[&'l Line]) -> Result<(Fit, &'l Line), String> {
    let sound: Vec<&Line> = lines.iter().copied().filter(|line| line.is_comparable()).collect();
    let points: Vec<(f64, f64)> =
        sound.iter().map(|line| (line.load.connections as f64, line.throughput())).collect();
    let highest = sound.iter().max_by(|a, b| a.throughput().total_cmp(&b.throughput()));
    let (Some(fit), Some(highest)) = (Fit::of(&points), highest) else {
        return Err(format!("{} of {} loads sound", points.len(), lines.len()));
    };
    if fit.is_good() {
        Ok((fit, highest))
    } else {
        Err(format!("R² {:.2}", fit.r_squared.max(0.0)))
    }
}

fn row(target: &str, fit: &Fit, highest: &Line, sweep: f64) -> Vec<String> {
    let peak = match fit.peak() {
        Some(peak) if peak <= 2.0 * sweep => format!("{} connections", grouped(peak as usize)),
        Some(_) => "beyond the measured range".to_owned(),
        None => fit.limit().map_or_else(
            || "none".to_owned(),
            |limit| format!("none, below {}", units::count(limit)),
        ),
    };
    vec![
        target.to_owned(),
        format!("{}/s", units::count(fit.lambda)),
        format!("{:.3}", fit.sigma),
        if fit.kappa > 0.0 { format!("{:.1e}", fit.kappa) } else { "0".to_owned() },
        format!("{:.3}", fit.r_squared),
        peak,
        format!(
            "{}/s at {}",
            units::count(highest.throughput()),
            grouped(highest.load.connections)
        ),
    ]
}

/// One of the otherwise equal loads with the most connection counts; `None` if there are too few.
fn richest(part: &Summary) -> Option<Load> {
    let mut groups: Vec<(Load, usize)> = Vec::new();
    for load in part.loads().into_iter().filter(|load| load.profile.rate_per_s.is_none()) {
        let alike = |(base, _): &&mut (Load, usize)| {
            Load { connections: base.connections, ..load } == *base
        };
        match groups.iter_mut().find(alike) {
            Some((_, count)) => *count += 1,
            None => groups.push((load, 1)),
        }
    }
    let most = groups.iter().map(|(_, count)| *count).max()?;
    let richest = groups.into_iter().find(|(_, count)| *count == most)?;
    (most >= LEAST_POINTS).then_some(richest.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::{MockExecutor, records_of};
    use bench_data::plan::sweep::SweepFlags;
    use bench_data::plan::{Overrides, Plan};
    use bench_data::record::outcome::Outcome;
    use bench_data::record::rows::Records;

    fn records() -> Records {
        let overrides = Overrides::from(SweepFlags {
            connections: Some(vec![1, 2, 4, 16, 64, 256, 1024]),
            ..SweepFlags::default()
        });
        records_of(&Plan::built_in("concurrency").unwrap().with(overrides), MockExecutor::default())
    }

    #[test]
    fn servers_that_follow_the_law_are_fitted_and_those_that_starve_others_are_not() {
        let scalability = Scalability::of(&Summary::of(&records())).unwrap();
        let named = |name: &str| scalability.rows.iter().find(|row| row[0] == name);
        // The mock's threaded server falls off, the selector comes closer and closer to a bound.
        let threaded = named("threaded").unwrap();
        assert_eq!(threaded.len(), COLUMNS.len());
        let peak: f64 = threaded[5].trim_end_matches(" connections").parse().unwrap();
        assert!((20.0..200.0).contains(&peak), "{threaded:?}");
        let selector = named("selector").unwrap();
        assert!(selector[4].parse::<f64>().unwrap() > 0.99, "{selector:?}");
        assert!(!selector[5].contains("connections"), "it has no peak: {selector:?}");
        assert!(named("iterative").is_none());
        assert!(scalability.refused.iter().any(|one| one.starts_with("iterative: 1 of 7")));
    }

    #[test]
    fn too_few_sound_loads_give_no_fit() {
        let mut records = records();
        for row in records.trials.iter_mut().filter(|row| row.connections >= 64) {
            row.outcome = Outcome::GeneratorBound;
        }
        let scalability = Scalability::of(&Summary::of(&records)).unwrap();
        assert!(scalability.rows.is_empty(), "{scalability:?}");
        assert_eq!(Scalability::of(&Summary::of(&bench_data::mock::records())), None);
    }
}
