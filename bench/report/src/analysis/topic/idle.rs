//! What connections cost that are silent.

use crate::analysis::comparison::Best;
use crate::analysis::comparison::{listed, most_comparable};
use crate::analysis::finding::{Finding, Score};
use crate::analysis::summary::{Line, Summary};
use bench_data::load::Load;
use bench_data::load::profile::BackgroundConnections;
use bench_data::stats::Estimate;
use bench_data::units;
use bench_data::units::grouped;

/// A probe whose rare waits grow by less than this beside the crowd is as prompt as without.
const PROMPT: f64 = 1.5;

/// Memory per idle connection: what the server holds beside the largest crowd, less what it holds
/// without, by the size of the crowd. `None` without a load of either kind.
pub(super) fn memory(part: &Summary) -> Option<Finding> {
    let (alone, crowded) = ends(part)?;
    let slope = |line: &Line| per_connection(part, alone, line);
    let mut finding = Finding::under(
        part,
        crowded,
        "memory per idle connection",
        Best::Lowest,
        units::bytes,
        &slope,
    );
    for (score, line) in finding.scores.iter_mut().zip(part.under(crowded)) {
        let before = part.under(alone).find(|other| other.target == line.target);
        let doubt = [Some(line), before]
            .into_iter()
            .flatten()
            .find(|line| !line.is_comparable())
            .map_or_else(String::new, Line::exclusion_reason);
        *score = Score::new(line, slope(line), doubt);
    }
    // The least that a process grows by is a page, and a crowd of nothing tells nothing.
    Some(finding)
}

/// Memory per connection, and whether those who ask notice.
pub(super) fn answer(part: &Summary) -> Option<String> {
    let finding = memory(part)?;
    let (alone, crowded) = ends(part)?;
    let mut text = finding.sentence();
    if let Some(threads) = threads(part, crowded) {
        text += &format!(" {threads}");
    }
    let count = grouped(crowded.profile.background.idle);
    let (mut prompt, mut slowed) = (Vec::new(), Vec::new());
    for line in part.under(crowded).filter(|line| line.is_comparable()) {
        let before = part.under(alone).find(|other| other.target == line.target);
        let growth = before.filter(|line| line.is_comparable()).and_then(|before| {
            Estimate::of_ratios(line.latency_rounds(99.0), before.latency_rounds(99.0))
        });
        match growth {
            Some(growth) if growth.median < PROMPT => prompt.push(line.target.as_str()),
            Some(growth) => {
                slowed.push(format!("{} {}", line.target, units::three_digits(growth.median)));
            }
            None => {}
        }
    }
    if !prompt.is_empty() {
        text += &format!(
            " Those who ask beside {count} idle connections wait about as long as without them \
             (99th percentile) at {}.",
            listed(&prompt)
        );
    }
    if !slowed.is_empty() {
        text += &format!(" Times the 99th percentile without them: {}.", slowed.join(", "));
    }
    Some(text)
}

/// Who holds the crowd with many threads.
fn threads(part: &Summary, crowded: Load) -> Option<String> {
    let many: Vec<_> = part
        .under(crowded)
        .filter(|line| line.is_comparable())
        .filter_map(|line| Some((line.target.as_str(), line.threads?.median)))
        .filter(|(_, threads)| *threads > 100.0)
        .map(|(name, threads)| format!("{name} {}", grouped(threads as usize)))
        .collect();
    (!many.is_empty()).then(|| format!("Threads: {}; all others few.", many.join(", ")))
}

/// The load without a crowd and the one with the largest.
fn ends(part: &Summary) -> Option<(Load, Load)> {
    let crowded = most_comparable(
        part,
        |load| load.profile.background.idle > 0,
        |load| load.profile.background.idle,
    )?;
    let mut alone = crowded;
    alone.profile.background = BackgroundConnections::default();
    part.loads().contains(&alone).then_some((alone, crowded))
}

fn per_connection(part: &Summary, alone: Load, line: &Line) -> Vec<(u32, f64)> {
    let lines = part.lines.iter().chain(&part.twins);
    let before = lines.into_iter().find(|other| other.load == alone && other.target == line.target);
    let Some(before) = before else { return Vec::new() };
    let count = line.load.profile.background.idle.max(1) as f64;
    line.memory_rounds
        .iter()
        .filter_map(|(round, bytes)| {
            let (_, without) = before.memory_rounds.iter().find(|(other, _)| other == round)?;
            // A server may hold less than in the trial before: that is nothing, not less.
            Some((*round, ((bytes - without) / count).max(0.0)))
        })
        .collect()
}
