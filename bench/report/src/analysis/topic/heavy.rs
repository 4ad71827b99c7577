//! Response times of light requests beside heavy ones.

use bench_data::load::Load;
use bench_data::load::heavy::Work;

use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::selection::most_comparable;
use crate::analysis::summary::Summary;

/// Tail of the light requests beside the largest share of blocking ones, or else of CPU-bound ones.
pub(super) fn light_waits(part: &Summary) -> Option<Finding> {
    waits(part, Work::Block).or_else(|| waits(part, Work::Cpu))
}

/// Comparison for each kind of heavy work.
pub(super) fn answer(part: &Summary) -> String {
    let kinds = [Work::Block, Work::Cpu].into_iter().filter_map(|work| waits(part, work));
    kinds.map(|finding| finding.sentence()).collect::<Vec<_>>().join(" ")
}

pub(super) fn waits(part: &Summary, work: Work) -> Option<Finding> {
    let heavy = |load: &Load| load.profile.heavy;
    let is_one = |load: &Load| {
        let percent = heavy(load).percent(work);
        percent > 0 && u32::from(percent) == heavy(load).total_percent()
    };
    let load = most_comparable(part, is_one, |load| heavy(load).percent(work))?;
    let condition = format!("While {} % of requests {}", heavy(&load).percent(work), work.words());
    Some(Finding { condition, ..Finding::under(part, load, Metric::P99) })
}
