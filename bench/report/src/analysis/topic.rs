//! Topics of experiments: the metric that the servers are compared by, and the answer in words.

mod cores;
mod heavy;
mod idle;
mod load;
mod slow;
mod throughput;

use bench_data::load::Direction;

use bench_data::load::heavy::Work;

use crate::analysis::capacity::Search;
use crate::analysis::finding::Finding;
use crate::analysis::metric::Metric;
use crate::analysis::selection::headline;
use crate::analysis::summary::Summary;

/// Tail of the light requests beside the largest share of heavy requests of one kind.
pub(crate) fn beside_heavy(part: &Summary, work: Work) -> Option<Finding> {
    heavy::waits(part, work)
}

/// Capacities of one search.
pub(crate) fn capacity(part: &Summary, search: &Search<'_>) -> Finding {
    load::capacity_of(part, search)
}

/// Bytes per second with the largest files.
pub(crate) fn largest(part: &Summary) -> Option<Finding> {
    throughput::largest(part)
}

/// Topic of an experiment, which follows from its loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Requests per second, over connections.
    Throughput,
    /// Bytes per second, over file sizes.
    Transfer(Direction),
    /// Requests per second, over cores of the server.
    Cores,
    /// Connections per second.
    Churn,
    /// Offered rate at which half of the trials meet an objective.
    Load,
    /// Response times and costs at the same offered rate.
    Latency,
    /// Response times of light requests beside heavy ones.
    Heavy,
    /// Cost of idle connections.
    Idle,
    /// Throughput beside slow clients.
    Slow,
}

impl Topic {
    /// The topic of a part of a run.
    pub fn of(part: &Summary) -> Self {
        let loads = part.loads();
        let any = |is: &dyn Fn(&bench_data::load::Load) -> bool| loads.iter().any(is);
        if any(&|load| load.profile.of_weakest_percent.is_some()) {
            return Self::Latency;
        }
        if !part.capacities.is_empty() {
            return Self::Load;
        }
        if !loads.is_empty() && loads.iter().all(|load| load.profile.rate_per_s.is_some()) {
            return Self::Latency;
        }
        if any(&|load| load.profile.server_cores > 1) {
            return Self::Cores;
        }
        if any(&|load| load.profile.heavy.total_percent() > 0) {
            return Self::Heavy;
        }
        if any(&|load| load.profile.background.idle > 0) {
            return Self::Idle;
        }
        if any(&|load| load.profile.background.total() > 0) {
            return Self::Slow;
        }
        if !loads.is_empty() && loads.iter().all(|load| !load.profile.keep_alive) {
            return Self::Churn;
        }
        if let Some(first) = loads.first() {
            let one_way = loads.iter().all(|load| load.direction == first.direction);
            let one_count = loads.iter().all(|load| load.connections == first.connections);
            if one_way && one_count && any(&|load| load.size != first.size) {
                return Self::Transfer(first.direction);
            }
        }
        Self::Throughput
    }

    /// Name within a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput over connections",
            Self::Transfer(_) => "file sizes",
            Self::Cores => "cores of the server",
            Self::Churn => "new connections",
            Self::Load => "capacity",
            Self::Latency => "latency at equal load",
            Self::Heavy => "heavy requests",
            Self::Idle => "idle connections",
            Self::Slow => "slow clients",
        }
    }

    /// Main comparison of the servers, under the load that the plan declares, if it does; `None` if
    /// nothing was measured.
    pub fn finding(self, part: &Summary) -> Option<Finding> {
        let declared = part.declared.map(|one| part.part(|load| one.matches(load)));
        declared.and_then(|part| self.among(&part)).or_else(|| self.among(part))
    }

    fn among(self, part: &Summary) -> Option<Finding> {
        let judged_by = |metric| Some(Finding::under(part, headline(part)?, metric));
        match self {
            Self::Throughput => judged_by(Metric::Throughput),
            Self::Transfer(_) => throughput::largest(part),
            Self::Cores => cores::most(part),
            Self::Churn => judged_by(Metric::ConnectionRate),
            Self::Load => load::capacity(part),
            Self::Latency => load::waits(part),
            Self::Heavy => heavy::light_waits(part),
            Self::Idle => idle::memory(part),
            Self::Slow => slow::retained(part),
        }
    }

    /// Answer in words, from the comparison of the servers.
    pub fn answer(self, part: &Summary, finding: &Finding) -> String {
        match self {
            Self::Throughput => throughput::answer(part, finding),
            Self::Transfer(_) => throughput::answer_by_size(part, finding),
            Self::Cores => cores::answer(part, finding),
            Self::Churn | Self::Load => finding.sentence(),
            Self::Latency => load::answer_at_equal_load(part, finding),
            Self::Heavy => heavy::answer(part),
            Self::Idle => idle::answer(part, finding),
            Self::Slow => slow::answer(part),
        }
    }
}
