//! Who else waits while a few requests take long.

use crate::analysis::comparison::Best;
use crate::analysis::comparison::most_comparable;
use crate::analysis::finding::Finding;
use crate::analysis::summary::Summary;
use bench_data::load::Load;
use bench_data::load::heavy::Work;
use bench_data::units;

/// The 99th percentile of the light requests beside the largest share of blocking ones; of burning
/// ones, where there are no others.
pub(super) fn light_waits(part: &Summary) -> Option<Finding> {
    waits(part, Work::Block).or_else(|| waits(part, Work::Cpu))
}

/// For each kind of heavy work: who lets the light requests wait.
pub(super) fn answer(part: &Summary) -> Option<String> {
    let told: Vec<_> = [Work::Block, Work::Cpu]
        .into_iter()
        .filter_map(|work| Some(waits(part, work)?.sentence()))
        .collect();
    (!told.is_empty()).then(|| told.join(" "))
}

fn waits(part: &Summary, work: Work) -> Option<Finding> {
    let heavy = |load: &Load| load.profile.heavy;
    let is_one = |load: &Load| {
        let percent = heavy(load).percent(work);
        percent > 0 && u32::from(percent) == heavy(load).total_percent()
    };
    let load = most_comparable(part, is_one, |load| heavy(load).percent(work))?;
    let mut finding = Finding::under(
        part,
        load,
        "the 99th percentile of the light requests",
        Best::Lowest,
        units::microseconds,
        &|line| line.latency_rounds(99.0).to_vec(),
    );
    finding.condition =
        format!("While {} % of requests {}", heavy(&load).percent(work), work.words());
    Some(finding)
}
