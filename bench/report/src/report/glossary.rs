//! Methods and glossary of a report.

use bench_data::plan::{Order, Plan};
use bench_data::units::counted;

/// Terms of a report with their meanings.
pub(crate) const GLOSSARY: [(&str, &str); 23] = [
    (
        "closed loop",
        "Each connection sends its next request as soon as the answer to the last one has arrived. A slow \
         server therefore receives fewer requests.",
    ),
    (
        "open loop",
        "Requests arrive at a given rate and at random times (Poisson), as from many independent users, \
         whether the server keeps up or not. Requests that wait for a connection count their wait.",
    ),
    (
        "offered, achieved rate",
        "Requests that arrive per second in an open loop, and those that are answered per second.",
    ),
    (
        "response time",
        "Time from when a request was due to the last byte of its answer: the wait of a user. In closed \
         loops a request is due when it is sent.",
    ),
    (
        "service time",
        "Time from when a request was sent to the last byte of its answer. In an open loop it excludes \
         the wait for a free connection.",
    ),
    (
        "coordinated omission",
        "A load generator that waits for a slow answer sends nothing meanwhile, so its statistics lack \
         the requests that would have waited as well (G. Tene). Response times that count from when a \
         request was due include them.",
    ),
    (
        "service-level objective",
        "Condition that a server has to meet at an offered rate, such as a p99 of at most 5 ms and an \
         error rate of at most 0.1 %.",
    ),
    ("capacity", "Highest offered rate at which a server meets its objective, found by search."),
    (
        "USL",
        "Universal Scalability Law (N. J. Gunther): throughput as a function of concurrency, limited by \
         contention (waiting for a shared resource) and coherence (keeping all parties consistent).",
    ),
    (
        "Zipf",
        "Distribution of file popularity on the web: the second file is requested about half as often as \
         the first, the tenth a tenth as often.",
    ),
    (
        "A/A control, noise floor",
        "A server that is measured twice under two names. The difference between the two is the noise \
         floor; smaller differences are not reported.",
    ),
    (
        "server-bound",
        "The cores of the server were fully used: the trial shows the server's limit.",
    ),
    (
        "link-bound, memory-bound",
        "The network or the memory bandwidth was the limit, not the CPU of either side.",
    ),
    (
        "generator-bound",
        "The load generator used all of its CPU time: the server may be faster than the trial shows.",
    ),
    (
        "starved",
        "Some connections were not served within the window. They have no latency: read latencies \
         together with the connections served.",
    ),
    (
        "light, heavy",
        "Heavy requests use or block a CPU for 20 ms in the server. Light requests ask for a file; \
         percentiles are of these only.",
    ),
    (
        "claim",
        "A published statement, compared with this run. Confirmed or refuted if the whole interval lies on \
         one side of its bound, undecided if it includes the bound.",
    ),
    (
        "interval",
        "Bootstrap interval: the middle 95 % of the medians of resampled rounds; error bars in charts, \
         [low, high] in text. At least three rounds are needed. Differences within overlapping intervals \
         are not reliable.",
    ),
    (
        "p50, p99",
        "Time within which 50 % or 99 % of the answers arrived, from the rounds that were measured as \
         planned, if there are any. Percentiles that need more answers than there were are left out (–).",
    ),
    ("CPU/req", "CPU time of the server, all its processes, per request."),
    (
        "memory",
        "Memory of the server, all its processes. Pages shared by several of them count once (PSS).",
    ),
    (
        "threads",
        "Threads of the server, all its processes. A built-in server has a main thread (which accepts, or \
         serves by itself), a signal thread, one for the upkeep of the store, and those of its strategy; the size of a pool follows from \
         the number of cores of the server.",
    ),
    (
        "context switch",
        "Change of the CPU to another thread: voluntary if the thread waits, involuntary if its time slice \
         is over.",
    ),
];

/// Methods of a plan, point by point.
pub(crate) fn methods(plan: &Plan) -> Vec<String> {
    let order = match plan.order {
        Order::Mirrored => "mirrored (A B B A)",
        Order::Shuffled => "drawn from the recorded seed",
    };
    vec![
        format!(
            "Every value is the median over {}. In each round, each server is restarted for each load. \
             The order of the servers is {order}, so that drift of the machine affects all alike.",
            counted(plan.rounds as usize, "round")
        ),
        "A difference is reported only if the interval of the ratio, taken round by round, excludes 1, and \
         if the ratio is at least 5 % and above the noise floor of the A/A control. Servers with starved or \
         failed rounds are not compared. Rounds disturbed by the load generator or the machine are set \
         aside if three others remain."
            .to_owned(),
        "A ratio is written as 1.62× [1.58, 1.64]: median and interval.".to_owned(),
        "Dashed lines and italic names: reference servers and servers of the user. They serve the same \
         bytes on the same cores, verified in the same way."
            .to_owned(),
        "Each experiment compares the servers by its own metric, listed below the overview: capacity by \
         the highest rate that meets the objective, idle connections by memory per connection, slow \
         clients by the retained share of throughput, heavy requests by the p99 of light requests."
            .to_owned(),
        "Hollow markers: not all connections were served, requests failed, or the trial is \
         generator-bound. These values are not compared."
            .to_owned(),
    ]
}
