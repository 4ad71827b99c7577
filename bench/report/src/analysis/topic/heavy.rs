//! Who else waits while a few requests take long.

use crate::analysis::comparison::Best;
use crate::analysis::comparison::least_spoiled;
use crate::analysis::finding::Finding;
use crate::analysis::summary::Summary;
use bench_data::load::Cell;
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
    let heavy = |cell: &Cell| cell.manner.heavy;
    let is_one = |cell: &Cell| {
        let percent = heavy(cell).percent(work);
        percent > 0 && u32::from(percent) == heavy(cell).total_percent()
    };
    let cell = least_spoiled(part, is_one, |cell| heavy(cell).percent(work))?;
    let mut finding = Finding::under(
        part,
        cell,
        "the 99th percentile of the light requests",
        Best::Lowest,
        units::microseconds,
        &|line| line.latency_rounds(99.0).to_vec(),
    );
    finding.load = format!("While {} % of requests {}", heavy(&cell).percent(work), work.words());
    Some(finding)
}
