//! Metrics: name, unit, direction, and how each is read from a trial.

use std::fmt;

use serde::Serialize;

use bench_data::record::rows::TrialRow;
use bench_data::units::{self, Scale};

/// Values with the numbers of their rounds.
pub(crate) type Rounds = Vec<(u32, f64)>;

/// A measured or derived quantity of a server under a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Completed requests per second.
    Throughput,
    /// New connections per second, of loads with one request per connection.
    ConnectionRate,
    /// Answers per second within the window, whenever their requests were due.
    AchievedRate,
    /// Body bytes in millions per second.
    TransferRate,
    /// Percentile of the response time in microseconds; of light requests where others are heavy.
    Response(Percentile),
    /// Percentile of the service time in microseconds, of open loops.
    Service(Percentile),
    /// Mean response time in microseconds.
    MeanResponse,
    /// Median response time of heavy requests in microseconds.
    HeavyResponse,
    /// Ratio of the 99th percentile of the response time to its median.
    TailRatio,
    /// CPU time of the server per request in microseconds.
    CpuPerRequest,
    /// CPU time of the load generator per request in microseconds.
    GeneratorCpuPerRequest,
    /// Context switches of the server per request.
    SwitchesPerRequest,
    /// Memory of the server in bytes.
    Memory,
    /// Threads of the server.
    Threads,
    /// Growth of the kernel's memory while background connections were opened, in bytes.
    KernelMemory,
    /// Memory of the server's processes per idle connection in bytes.
    MemoryPerConnection,
    /// Throughput as a share of that without background connections.
    RetainedShare,
    /// Offered rate at which half of the trials meet a service-level objective.
    Capacity,
}

/// A percentile, in ten-thousandths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentile(u32);

/// Direction in which a metric improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Higher values, as of a rate.
    Higher,
    /// Lower values, as of a time.
    Lower,
}

/// Unit of a metric, which decides how its values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A count or a rate.
    Count,
    /// Millions of bytes per second.
    MegabytesPerS,
    /// A time in microseconds.
    Microseconds,
    /// An amount of memory in bytes.
    Bytes,
    /// A share of 1.
    Percent,
    /// A quotient of two values of one unit.
    Ratio,
}

impl Percentile {
    /// The median.
    pub const P50: Self = Self(500_000);
    /// The 90th percentile.
    pub const P90: Self = Self(900_000);
    /// The 99th percentile.
    pub const P99: Self = Self(990_000);
    /// The 99.9th percentile.
    pub const P99_9: Self = Self(999_000);

    /// A percentile from 0 to 100.
    pub fn new(percent: f64) -> Self {
        Self((percent * 1e4).round() as u32)
    }

    /// The percentile from 0 to 100.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 1e4
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.percent())
    }
}

impl Metric {
    /// The 99th percentile of the response time.
    pub const P99: Self = Self::Response(Percentile::P99);

    /// Metrics with a value in each row of `trials.csv`.
    pub const OF_ROWS: [Self; 11] = [
        Self::Throughput,
        Self::ConnectionRate,
        Self::AchievedRate,
        Self::TransferRate,
        Self::MeanResponse,
        Self::CpuPerRequest,
        Self::GeneratorCpuPerRequest,
        Self::SwitchesPerRequest,
        Self::Memory,
        Self::KernelMemory,
        Self::Threads,
    ];

    /// Value in a row of `trials.csv`; `None` if it was not measured or is derived from other records.
    pub fn of(self, row: &TrialRow) -> Option<f64> {
        match self {
            Self::Throughput | Self::ConnectionRate => row.requests_per_s,
            Self::AchievedRate => row.answered_per_s.or(row.requests_per_s),
            Self::TransferRate => row.body_mb_per_s,
            Self::MeanResponse => row.response_mean_us,
            Self::CpuPerRequest => row.server_cpu_us_per_request,
            Self::GeneratorCpuPerRequest => row.generator_cpu_us_per_request(),
            Self::SwitchesPerRequest => row.switches_per_request(),
            Self::Memory => row.server_memory_bytes.map(|bytes| bytes as f64),
            Self::KernelMemory => row.kernel_memory_bytes().map(|bytes| bytes as f64),
            Self::Threads => row.server_threads.map(|threads| threads as f64),
            Self::Response(_)
            | Self::Service(_)
            | Self::HeavyResponse
            | Self::TailRatio
            | Self::MemoryPerConnection
            | Self::RetainedShare
            | Self::Capacity => None,
        }
    }

    /// Percentile of a distribution of times.
    pub fn percentile(self) -> Option<Percentile> {
        if let Self::Response(percentile) | Self::Service(percentile) = self {
            return Some(percentile);
        }
        None
    }

    /// Name within a sentence, without an article.
    pub fn name(self) -> String {
        let name = match self {
            Self::Throughput | Self::TransferRate => "throughput",
            Self::ConnectionRate => "rate of new connections",
            Self::AchievedRate => "achieved rate",
            Self::Response(Percentile::P50) => "median response time",
            Self::Response(percentile) => return format!("{percentile} response time"),
            Self::Service(percentile) => return format!("{percentile} service time"),
            Self::MeanResponse => "mean response time",
            Self::HeavyResponse => "median response time of heavy requests",
            Self::TailRatio => "tail ratio (p99 / p50)",
            Self::CpuPerRequest => "CPU time per request",
            Self::GeneratorCpuPerRequest => "CPU time of the load generator per request",
            Self::SwitchesPerRequest => "context switches per request",
            Self::Memory => "memory",
            Self::KernelMemory => "kernel memory",
            Self::Threads => "number of threads",
            Self::MemoryPerConnection => "user-space memory per idle connection",
            Self::RetainedShare => "share of the undisturbed throughput",
            Self::Capacity => "capacity",
        };
        name.to_owned()
    }

    /// Unit of the values.
    pub fn unit(self) -> Unit {
        match self {
            Self::Throughput
            | Self::ConnectionRate
            | Self::AchievedRate
            | Self::Capacity
            | Self::SwitchesPerRequest
            | Self::Threads => Unit::Count,
            Self::TransferRate => Unit::MegabytesPerS,
            Self::Response(_)
            | Self::Service(_)
            | Self::MeanResponse
            | Self::HeavyResponse
            | Self::CpuPerRequest
            | Self::GeneratorCpuPerRequest => Unit::Microseconds,
            Self::Memory | Self::KernelMemory | Self::MemoryPerConnection => Unit::Bytes,
            Self::RetainedShare => Unit::Percent,
            Self::TailRatio => Unit::Ratio,
        }
    }

    /// Direction of improvement.
    pub fn better(self) -> Better {
        match self {
            Self::Throughput
            | Self::ConnectionRate
            | Self::AchievedRate
            | Self::TransferRate
            | Self::RetainedShare
            | Self::Capacity => Better::Higher,
            Self::Response(_)
            | Self::Service(_)
            | Self::MeanResponse
            | Self::HeavyResponse
            | Self::TailRatio
            | Self::CpuPerRequest
            | Self::GeneratorCpuPerRequest
            | Self::SwitchesPerRequest
            | Self::Memory
            | Self::KernelMemory
            | Self::Threads
            | Self::MemoryPerConnection => Better::Lower,
        }
    }

    /// A value with its unit.
    pub fn write(self, value: f64) -> String {
        let text = self.unit().write(value);
        match self.counted() {
            Some(counted) => format!("{text} {counted}"),
            None => text,
        }
    }

    /// Label of an axis, with the unit if its ticks have none.
    pub fn axis_label(self) -> String {
        let unit = if self == Self::TransferRate { Some("MB/s") } else { self.counted() };
        unit.map_or_else(|| self.name(), |unit| format!("{} ({unit})", self.name()))
    }

    /// Unit of a rate of requests or connections; `None` for other metrics.
    fn counted(self) -> Option<&'static str> {
        if self == Self::ConnectionRate {
            return Some("connections/s");
        }
        matches!(self, Self::Throughput | Self::AchievedRate | Self::Capacity)
            .then_some("requests/s")
    }
}

impl Better {
    /// Superlative of the better end.
    pub fn superlative(self) -> &'static str {
        match self {
            Self::Higher => "highest",
            Self::Lower => "lowest",
        }
    }

    /// Comparative of the better end.
    pub fn comparative(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
        }
    }

    /// The other direction.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Higher => Self::Lower,
            Self::Lower => Self::Higher,
        }
    }
}

impl Unit {
    /// Units of the charts.
    pub const OF_CHARTS: [Self; 4] =
        [Self::Count, Self::MegabytesPerS, Self::Microseconds, Self::Bytes];

    /// Factors and names of the unit.
    pub fn scale(self) -> Scale {
        match self {
            Self::Count => units::COUNTS,
            Self::MegabytesPerS => units::TRANSFER_RATES,
            Self::Microseconds => units::TIMES,
            Self::Bytes => units::BYTES,
            Self::Percent => &[(0.01, " %")],
            Self::Ratio => &[(1.0, "")],
        }
    }

    /// A value with three digits and its unit.
    pub fn write(self, value: f64) -> String {
        if self == Self::Percent {
            return format!("{:.0} %", value * 100.0);
        }
        units::scaled(value, self.scale())
    }
}
