//! Executor with generated results, for tests of everything around the real one.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use jiff::Timestamp;
use loadgen::{CpuTime, Engine, ErrorCounts, LoadReport, Second, ShortestWait};

use crate::plan::{Experiment, Plan};
use crate::record::conditions::Conditions;
use crate::record::environment::{Environment, KernelSettings, Machine, Placement, SCHEMA};
use crate::record::rows::Records;
use crate::record::run_folder::Contents;
use crate::schedule::TrialSchedule;
use crate::trial::Disturbance;
use crate::trial::Trial;
use crate::trial::{Ending, Executor, Measurement, WakeUpDelay};
use crate::trial::{KernelMemory, MemoryKind, ServerCpu, ServerUsage, TcpCounts};

/// Executor that returns results at once, generated from the load and the server.
#[derive(Debug, Default)]
pub struct MockExecutor {
    /// Trials executed so far.
    pub seen: Vec<Trial>,
    /// Numbers of trials in which the server exits early.
    pub dies_in: Vec<u32>,
    /// Numbers of trials in which the machine is disturbed: its replies are late.
    pub disturbed_in: Vec<u32>,
    /// Unsupported functions by name of the server.
    pub lacks: HashMap<String, String>,
    /// Number of the trial that is interrupted.
    pub interrupted_in: Option<u32>,
    /// Throughput by name of the server in requests per second, instead of the default.
    pub speed: HashMap<String, f64>,
    /// Relative standard deviation of the throughput between rounds by name of the server, instead of
    /// the default scatter. It depends on round, load and server only.
    pub noise: HashMap<String, f64>,
    /// Capacity by name of the server in requests per second, instead of nine tenths of its
    /// throughput.
    pub capacity: HashMap<String, f64>,
    /// Share of its core that the load generator uses.
    pub generator_share: f64,
}

impl Executor for MockExecutor {
    fn execute(&mut self, trial: &Trial, stop: &AtomicBool) -> Measurement {
        self.seen.push(trial.clone());
        let interrupted = self.interrupted_in == Some(trial.number);
        if interrupted {
            stop.store(true, Ordering::SeqCst);
        }
        let mut measurement = self.measure(trial);
        if self.dies_in.contains(&trial.number) {
            measurement.ending = Ending::Died("killed by signal 9".to_owned());
            measurement.server = None;
        }
        if let Some(lacking) = self.lacks.get(trial.target.name()) {
            measurement.ending = Ending::Unsupported(lacking.clone());
            (measurement.load, measurement.server) = (None, None);
        }
        if let Some(load) = &mut measurement.load {
            load.interrupted = interrupted;
        }
        measurement
    }

    fn wake_up_delay(&mut self) -> Option<WakeUpDelay> {
        let us = Duration::from_micros;
        Some(WakeUpDelay { samples: 4000, p50: us(3), p99: us(6), p999: us(9), max: us(30) })
    }
}

impl MockExecutor {
    pub(crate) fn measure(&self, trial: &Trial) -> Measurement {
        let connections = trial.load.connections as f64;
        let name = trial.target.name();
        let usual = match name {
            "iterative" => 20_000.0,
            "threaded" => {
                80_000.0 * connections / (connections + 8.0) / (1.0 + connections / 600.0)
            }
            "thread-pool" => 70_000.0 * connections / (connections + 9.0),
            _ => 110_000.0 * connections / (connections + 7.0),
        };
        let scales =
            matches!(name, "prefork" | "threaded" | "thread-pool" | "multi-selector" | "tokio");
        let cores = if scales { trial.load.profile.server_cores as f64 } else { 1.0 };
        let usual = usual * cores.powf(0.9);
        let speed = self.speed.get(name).copied().unwrap_or(usual);
        let size = trial.load.size.bytes() as f64;
        // Drift from round to round that is the same for all, and a little that is not.
        let drift = 1.0 + 0.05 * f64::from(trial.round % 3);
        let noise = match self.noise.get(name) {
            Some(deviation) => (deviation * gaussian(trial)).exp(),
            None => 1.0 + 0.01 * f64::from((trial.number * 7919) % 5),
        };
        let rate = drift * noise / (1.0 / speed + size / 4e9);
        let served = if name == "iterative" { 1.0 } else { connections };
        let window = Duration::from_secs(2);
        let offered = trial.load.profile.rate_per_s.map(f64::from);
        let capacity = self.capacity.get(name).copied().unwrap_or(0.9 * rate);
        let most = if self.capacity.contains_key(name) { 1.1 * capacity } else { rate };
        let arrivals = offered.map_or(0, |offered| (offered * window.as_secs_f64()) as u64);
        let achieved = offered.map_or(rate, |offered| offered.min(most));
        let requests = (achieved * window.as_secs_f64()) as u64;
        let is_disturbed = self.disturbed_in.contains(&trial.number);
        // Waiting in line as in M/M/1, and far too long from the capacity on.
        let mean_ns = match offered {
            _ if is_disturbed => 50e6,
            None => served / rate * 1e9,
            Some(offered) if offered > capacity => 50e6,
            Some(offered) => 100e3 / (1.05 - offered / capacity),
        };
        Measurement {
            started_at: Timestamp::from_second(1_790_000_000 + i64::from(trial.number))
                .expect("a time within range"),
            version: None,
            load: Some(LoadReport {
                arrivals,
                ..report(requests, served as u64, mean_ns, trial, window)
            }),
            server: Some(ServerUsage {
                cpu: Ok(ServerCpu {
                    total: window.mul_f64(0.95),
                    user: window.mul_f64(0.25),
                    system: window.mul_f64(0.7),
                }),
                memory_bytes: 4_000_000
                    + if name == "threaded" { served as u64 * 12_000 } else { 0 },
                memory_kind: MemoryKind::Rss,
                peak_rss_bytes: Some(6_000_000),
                processes: 1,
                threads: if name == "threaded" { served as u64 + 1 } else { 2 },
                voluntary_switches: requests / 3,
                involuntary_switches: 40,
                run_delay: Some(Duration::ZERO),
                foreign_cpu: Some(Duration::ZERO),
            }),
            background_held: Some(trial.load.profile.background.total()).filter(|total| *total > 0),
            kernel_memory: Some(trial.load.profile.background.total() as i64)
                .filter(|total| *total > 0)
                .map(|total| KernelMemory {
                    slab_bytes: total * 7400,
                    stack_bytes: if name == "threaded" { total * 16_384 } else { 0 },
                    page_table_bytes: if name == "threaded" { total * 8192 } else { 0 },
                    socket_bytes: Some(0),
                }),
            send_path: None,
            server_requests: Some(requests),
            tcp: Some(TcpCounts::default()),
            server_cores: trial.load.profile.server_cores,
            copy_bandwidth_bytes_per_s: None,
            disturbance: Some(Disturbance {
                steal_share: is_disturbed.then_some(0.5),
                ..Disturbance::default()
            }),
            ending: Ending::Completed,
        }
        .with_generator_share(self.generator_share)
    }
}

impl Measurement {
    pub(crate) fn with_generator_share(mut self, share: f64) -> Self {
        if let Some(load) = self.load.as_mut().filter(|_| share > 0.0) {
            load.cpu = CpuTime { user: Duration::ZERO, system: load.window.mul_f64(share) };
            load.thread_cpu = vec![load.cpu];
        }
        self
    }
}

/// Random number of the standard normal distribution, by round, server and connections of a trial.
fn gaussian(trial: &Trial) -> f64 {
    let mut random = fastrand::Rng::with_seed(name_seed(trial) ^ trial.load.connections as u64);
    let angle = std::f64::consts::TAU * random.f64();
    (-2.0 * random.f64().max(1e-12).ln()).sqrt() * angle.cos()
}

/// Seed by round, server, rate and connections. The number of a trial is no part of it: an interruption changes
/// the numbers of the trials that follow.
fn seed(trial: &Trial) -> u64 {
    let rate = u64::from(trial.load.profile.rate_per_s.unwrap_or(0));
    name_seed(trial) ^ trial.load.connections as u64 ^ (rate << 20)
}

fn name_seed(trial: &Trial) -> u64 {
    trial.target.name().bytes().fold(u64::from(trial.round), |seed, byte| {
        seed.wrapping_mul(1_000_003).wrapping_add(u64::from(byte))
    })
}

fn report(requests: u64, served: u64, mean_ns: f64, trial: &Trial, window: Duration) -> LoadReport {
    let mut response_ns = Histogram::new(3).expect("three digits are allowed");
    let mut random = fastrand::Rng::with_seed(seed(trial));
    for _ in 0..requests.min(1_500) {
        let ns = mean_ns * (0.4 - 0.6 * random.f64().max(1e-9).ln());
        response_ns.record(ns as u64).expect("the histogram grows");
    }
    let mut connect_ns = Histogram::new(3).expect("three digits are allowed");
    connect_ns.record_n(40_000, trial.load.connections as u64).expect("the histogram grows");
    let mut heavy_ns = Histogram::new(3).expect("three digits are allowed");
    let heavy = requests * u64::from(trial.load.profile.heavy.total_percent()) / 100;
    heavy_ns.record_n(20_500_000, heavy).expect("the histogram grows");
    let body_bytes = requests * trial.load.size.bytes();
    LoadReport {
        window_began_at: SystemTime::UNIX_EPOCH,
        warm_up: Duration::from_millis(100),
        is_steady: Some(true),
        window,
        requests,
        heavy_requests: heavy,
        body_bytes,
        verified: requests / 64,
        verified_bytes: body_bytes / 64,
        errors: ErrorCounts::default(),
        error_examples: Vec::new(),
        latency_requests: requests,
        unanswered: 0,
        replies_total: requests,
        abandoned_total: 0,
        shortest_wait_ns: ShortestWait::default(),
        slowest_ns: vec![response_ns.max(); window.as_secs() as usize],
        service_ns: response_ns.clone(),
        send_delay_ns: Histogram::new(3).expect("three digits are allowed"),
        lateness_ns: Histogram::new(3).expect("three digits are allowed"),
        connect_ns,
        heavy_ns,
        seconds: (0..window.as_secs())
            .map(|second| Second {
                second,
                requests: requests / 2,
                body_bytes: body_bytes / 2,
                errors: 0,
                p50_ns: response_ns.value_at_percentile(50.0),
                p99_ns: response_ns.value_at_percentile(99.0),
                max_ns: response_ns.max(),
                // 100 to 133 µs.
                bins: vec![(40, requests / 2)],
            })
            .collect(),
        response_ns,
        connections_opened: trial.load.connections as u64,
        connections_served: served,
        connections_starved: trial.load.connections as u64 - served,
        little: trial.load.profile.rate_per_s.is_none().then_some(1.0),
        little_slack: 0.01,
        arrivals: 0,
        engine: Engine::Epoll,
        cpu: CpuTime { user: window.mul_f64(0.3), system: window.mul_f64(0.4) },
        thread_cpu: vec![CpuTime { user: window.mul_f64(0.3), system: window.mul_f64(0.4) }],
        thread_polled: vec![Duration::ZERO],
        run_delay: Some(Duration::ZERO),
        busy_polling: false,
        interrupted: false,
    }
}

/// Built-in plan `default` whose first two sweeps are the experiments `first` and `second`.
pub fn plan_of_experiments() -> Plan {
    let mut plan = Plan::built_in("default").expect("a built-in plan");
    for (sweep, name) in plan.sweeps.iter_mut().zip(["first", "second"]) {
        sweep.experiment = Some(name.to_owned());
        plan.experiments.push(Experiment {
            name: name.to_owned(),
            question: "Q?".to_owned(),
            primary: None,
        });
    }
    plan
}

/// Records of the default plan, generated.
pub fn records() -> Records {
    records_of(&Plan::built_in("default").expect("it is in the program"), MockExecutor::default())
}

/// Records of a plan, generated.
pub fn records_of(plan: &Plan, mut executor: MockExecutor) -> Records {
    let stop = AtomicBool::new(false);
    let mut all = Records::default();
    let mut schedule = TrialSchedule::new(plan);
    while let Some(trial) = schedule.next_trial() {
        let measured = executor.execute(&trial, &stop);
        let records = Records::of_trial(&trial, &measured);
        schedule.learn(&trial, &records);
        all.extend(records);
    }
    all
}

/// Contents of the results folder of a plan, generated.
pub fn contents_of(plan: &Plan, executor: MockExecutor) -> Contents {
    let records = records_of(plan, executor);
    let environment = Environment {
        schema: SCHEMA,
        command: "bench run".to_owned(),
        started_at: Timestamp::from_second(1_790_000_000).expect("a time within range"),
        finished_at: None,
        trials_planned: u32::try_from(records.trials.len()).expect("few trials"),
        interrupted: false,
        version: "0.0.0".to_owned(),
        revision: None,
        optimised: true,
        compiler: None,
        not_installed: Vec::new(),
        machine: Machine {
            host: "mock".to_owned(),
            processor: None,
            cores: 2,
            memory_bytes: None,
            kernel: "Linux".to_owned(),
            frequency_governor: None,
            load_average: None,
            busy_percent: None,
            busy_allowed: false,
            descriptor_limit: None,
            congestion_control: None,
            sysctl: BTreeMap::new(),
        },
        conditions: Conditions::default(),
        settings: KernelSettings::default(),
        placement: Placement {
            server_cores: vec![0],
            generator_cores: vec![1],
            file_system: "tmpfs".to_owned(),
            upload_durability: "none".to_owned(),
            disk_file_system: None,
        },
        ceiling: None,
        resumed: Vec::new(),
        targets: Vec::new(),
    };
    Contents { plan: plan.clone(), environment, records }
}
