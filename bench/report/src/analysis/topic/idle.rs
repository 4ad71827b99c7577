//! Cost of idle connections.

use bench_data::load::Load;
use bench_data::load::profile::BackgroundConnections;
use bench_data::units::{counted, grouped, three_digits};

use crate::analysis::comparison::listed;
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::selection::most_comparable;
use crate::analysis::statistics::ratio::RatioEstimate;
use crate::analysis::summary::{Line, Summary};

/// Growth of the tail below which active connections count as not affected.
const UNAFFECTED: f64 = 1.5;

/// Number of threads from which on it is reported.
const MANY_THREADS: f64 = 100.0;

/// Memory per idle connection: the memory beside the most idle connections, less that without,
/// divided by their number. `None` without a load of either kind.
pub(super) fn memory(part: &Summary) -> Option<Finding> {
    let (alone, beside) = ends(part)?;
    let count = beside.profile.background.idle.max(1) as f64;
    // A server may hold less memory than in the trial before: that counts as 0.
    let per_connection = |bytes: f64, before: f64| Some(((bytes - before) / count).max(0.0));
    let metric = Metric::MemoryPerConnection;
    Some(Finding::relative(part, (beside, alone), metric, Metric::Memory, per_connection))
}

/// Memory per connection, threads, and the effect on active connections.
pub(super) fn answer(part: &Summary, finding: &Finding) -> String {
    let mut text = finding.sentence();
    let Some((alone, beside)) = ends(part) else { return text };
    let comparable = || part.under(beside).filter(|line| line.is_comparable());
    text += &kernel_memory(comparable(), beside.profile.background.idle).unwrap_or_default();
    let threads: Vec<_> = comparable()
        .filter_map(|line| Some((&line.target, line.median(Metric::Threads)?)))
        .filter(|(_, threads)| *threads > MANY_THREADS)
        .map(|(name, threads)| format!("{name} {}", grouped(threads as usize)))
        .collect();
    if !threads.is_empty() {
        text += &format!(" Servers with more than {MANY_THREADS} threads: {}.", threads.join(", "));
    }
    let (mut unaffected, mut affected) = (Vec::new(), Vec::new());
    for line in comparable() {
        let before = part.line(alone, &line.target).filter(|line| line.is_comparable());
        let growth = before.and_then(|before| {
            RatioEstimate::of_rounds(line.rounds(Metric::P99), before.rounds(Metric::P99)).ok()
        });
        match growth {
            Some(growth) if growth.ratio < UNAFFECTED => unaffected.push(line.target.as_str()),
            Some(growth) => {
                affected.push(format!("{}× for {}", three_digits(growth.ratio), line.target));
            }
            None => {}
        }
    }
    let active = counted(beside.connections, "active connection");
    let idle = counted(beside.profile.background.idle, "idle connection");
    if !unaffected.is_empty() {
        text += &format!(
            " Beside {idle}, the p99 of the {active} is about the same for {}.",
            listed(&unaffected)
        );
    }
    if !affected.is_empty() {
        text += &format!(" It rises to {}.", listed(&affected));
    }
    text
}

/// The kernel's memory beside that of the server; `None` if it was not measured.
fn kernel_memory<'l>(lines: impl Iterator<Item = &'l Line>, idle: usize) -> Option<String> {
    let per_connection = |line: &Line| Some(line.median(Metric::KernelMemory)? / idle as f64);
    let mut each: Vec<(&str, f64)> =
        lines.filter_map(|line| Some((&*line.target, per_connection(line)?))).collect();
    each.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let write =
        |(name, bytes): &(&str, f64)| format!("{name} {}", Metric::KernelMemory.write(*bytes));
    let each: Vec<String> = each.iter().map(write).collect();
    (!each.is_empty()).then(|| {
        format!(" Kernel memory per idle connection, for both of its ends: {}.", each.join(", "))
    })
}

/// The load without idle connections and the one with the most.
fn ends(part: &Summary) -> Option<(Load, Load)> {
    let idle = |load: &Load| load.profile.background.idle;
    let beside = most_comparable(part, |load| idle(load) > 0, idle)?;
    let mut alone = beside;
    alone.profile.background = BackgroundConnections::default();
    part.loads().contains(&alone).then_some((alone, beside))
}
