//! Requests whose response times are decomposed: the median and the 99th percentile of each group.

use bench_data::xray::{Request, Trace};

use super::parts::{Parts, parts, segments};
use super::threads::Threads;

/// Group of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// All requests.
    All,
    /// Requests without additional work.
    Light,
    /// Requests with additional work at the server.
    Heavy,
}

/// Percentile of the response times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Percentile {
    /// The 50th.
    Median,
    /// The 99th.
    P99,
}

/// Request at a percentile of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<'t> {
    /// Group.
    pub group: Group,
    /// Percentile, by nearest rank.
    pub percentile: Percentile,
    /// Rank of the request by response time; the fastest one is 1.
    pub rank: usize,
    /// Number of ranked requests.
    pub of: usize,
    /// Position of the request in the trace.
    pub index: usize,
    /// The request.
    pub request: &'t Request,
    /// Decomposition of its response time.
    pub parts: Parts,
    /// False if the server records no actions: then all of the time counts as outside, which means nothing.
    pub is_decomposed: bool,
}

impl Group {
    /// Word before `request`: `light`; empty for all requests.
    pub fn adjective(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Light => "light",
            Self::Heavy => "heavy",
        }
    }

    fn includes(self, request: &Request) -> bool {
        match self {
            Self::All => true,
            Self::Light => !request.heavy,
            Self::Heavy => request.heavy,
        }
    }
}

impl Percentile {
    fn percent(self) -> usize {
        match self {
            Self::Median => 50,
            Self::P99 => 99,
        }
    }

    /// Name: `median`, `p99`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Median => "median",
            Self::P99 => "p99",
        }
    }
}

impl Choice<'_> {
    /// Name in tables and charts: `light p99`, or `p99` among all requests.
    pub fn name(&self) -> String {
        format!("{} {}", self.group.adjective(), self.percentile.name()).trim().to_owned()
    }

    /// Noun phrase of the request: `slowest light request`, `p99 request (rank 198 of 200)`.
    pub fn phrase(&self) -> String {
        let noun = format!("{} request", self.group.adjective()).trim().to_owned();
        match self.percentile {
            Percentile::P99 if self.rank == self.of => format!("slowest {noun}"),
            Percentile::Median | Percentile::P99 => {
                format!("{} {noun} (rank {} of {})", self.percentile.name(), self.rank, self.of)
            }
        }
    }
}

/// Median and 99th percentile of each group with complete replies: light and heavy requests, if the
/// trace has both, then all requests.
pub fn choices(trace: &Trace) -> Vec<Choice<'_>> {
    chosen(trace, &Threads::of(trace))
}

pub(super) fn chosen<'t>(trace: &'t Trace, threads: &Threads<'t>) -> Vec<Choice<'t>> {
    let groups: &[Group] = match is_mixed(trace) {
        true => &[Group::Light, Group::Heavy, Group::All],
        false => &[Group::All],
    };
    let is_decomposed = trace.lanes.iter().any(|lane| !lane.steps.is_empty());
    let mut choices = Vec::new();
    for group in groups {
        let requests = trace.requests.iter().enumerate();
        let mut ranked: Vec<_> =
            requests.filter(|(_, one)| one.ok && group.includes(one)).collect();
        ranked.sort_by_key(|(index, request)| (request.response_time(), *index));
        for percentile in [Percentile::Median, Percentile::P99] {
            let rank = (ranked.len() * percentile.percent()).div_ceil(100);
            let Some(&(index, request)) = rank.checked_sub(1).and_then(|at| ranked.get(at)) else {
                continue;
            };
            choices.push(Choice {
                is_decomposed,
                group: *group,
                percentile,
                rank,
                of: ranked.len(),
                index,
                request,
                parts: parts(&segments(threads, request)),
            });
        }
    }
    choices
}

/// Returns true if light and heavy requests have complete replies.
fn is_mixed(trace: &Trace) -> bool {
    let has = |heavy| trace.requests.iter().any(|request| request.ok && request.heavy == heavy);
    has(true) && has(false)
}

/// Choices that are drawn: those of light and heavy requests, or else those of all.
pub(super) fn drawn<'c, 't>(choices: &'c [Choice<'t>]) -> impl Iterator<Item = &'c Choice<'t>> {
    let has_groups = choices.iter().any(|choice| choice.group != Group::All);
    choices.iter().filter(move |choice| !has_groups || choice.group != Group::All)
}

/// 99th percentile of light requests, or else of all: the subject of the sentences.
pub(super) fn headline<'c, 't>(choices: &'c [Choice<'t>]) -> Option<&'c Choice<'t>> {
    drawn(choices).find(|choice| choice.percentile == Percentile::P99)
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let mut trace = example::loaded("selector", 1, 8, 200);
        let all = |trace: &Trace| -> Vec<_> {
            let chosen = choices(trace);
            let all = chosen.iter().filter(|choice| choice.group == Group::All);
            all.map(|choice| (choice.name(), choice.rank, choice.of)).collect()
        };
        let named = |name: &str, rank, of| (name.to_owned(), rank, of);
        assert_eq!(all(&trace), [named("median", 100, 200), named("p99", 198, 200)]);
        trace.requests.truncate(1);
        assert_eq!(all(&trace), [named("median", 1, 1), named("p99", 1, 1)]);
        trace.requests[0].ok = false;
        assert!(choices(&trace).is_empty());
    }

    #[test]
    fn light_and_heavy_requests_are_groups_of_their_own() {
        let trace = example::selector();
        let chosen = choices(&trace);
        let names: Vec<_> = chosen.iter().map(Choice::name).collect();
        let expected = ["light median", "light p99", "heavy median", "heavy p99", "median", "p99"];
        assert_eq!(names, expected);
        assert_eq!(drawn(&chosen).count(), 4);
        assert_eq!(headline(&chosen).unwrap().request.label, "light 1");
        assert_eq!(chosen[1].phrase(), "slowest light request");
        assert_eq!(chosen[4].phrase(), "median request (rank 1 of 2)");
    }
}
