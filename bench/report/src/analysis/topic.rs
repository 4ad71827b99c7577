//! What an experiment is about: which value its servers are judged by, and the answer in words.

mod heavy;
mod idle;
mod load;
mod slow;
mod throughput;

use bench_data::load::Direction;

use crate::analysis::finding::Finding;
use crate::analysis::summary::Summary;

/// What an experiment is about, by the loads that it puts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Requests per second, over connections.
    Throughput,
    /// Bytes per second, over file sizes; up or down.
    Transfer(Direction),
    /// Connections per second.
    Churn,
    /// The highest rate of arrivals that is borne well.
    Load,
    /// What answers take and cost at the same rate of arrivals.
    Latency,
    /// Who waits while a few requests take long.
    Heavy,
    /// What idle connections cost.
    Idle,
    /// Who still answers beside slow clients.
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

    /// What it is called within a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput over connections",
            Self::Transfer(_) => "file sizes",
            Self::Churn => "new connections",
            Self::Load => "capacity",
            Self::Latency => "latency at equal load",
            Self::Heavy => "heavy requests",
            Self::Idle => "idle connections",
            Self::Slow => "slow clients",
        }
    }

    /// The value by which the servers are judged; `None` where nothing was measured.
    pub fn finding(self, part: &Summary) -> Option<Finding> {
        match self {
            Self::Throughput => throughput::requests(part),
            Self::Transfer(_) => throughput::largest(part),
            Self::Churn => throughput::connections(part),
            Self::Load => load::capacity(part),
            Self::Latency => load::waits(part),
            Self::Heavy => heavy::light_waits(part),
            Self::Idle => idle::memory(part),
            Self::Slow => slow::kept(part),
        }
    }

    /// The answer in words.
    pub fn answer(self, part: &Summary) -> Option<String> {
        match self {
            Self::Throughput => throughput::answer(part),
            Self::Transfer(_) => throughput::answer_by_size(part),
            Self::Churn => Some(throughput::connections(part)?.sentence()),
            Self::Load => Some(load::capacity(part)?.sentence()),
            Self::Latency => load::answer_at_equal_load(part),
            Self::Heavy => heavy::answer(part),
            Self::Idle => idle::answer(part),
            Self::Slow => slow::answer(part),
        }
    }
}
