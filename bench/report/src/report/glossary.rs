//! How to read a report: what its values are, and its words.

use bench_data::plan::{Order, Plan};

/// Terms of a report and what they mean.
pub const GLOSSARY: [(&str, &str); 22] = [
    (
        "closed loop",
        "Each connection asks again as soon as its answer has come. A slow server is therefore asked \
         less often.",
    ),
    (
        "open loop",
        "Requests arrive at a rate of their own, at random times (Poisson), whether the server keeps up or \
         not, as from many independent users. What the server does not manage waits, and its wait counts.",
    ),
    (
        "response time",
        "From when a request was due to the last byte of its answer: what a user waits. In closed loops it \
         is due when it is sent.",
    ),
    (
        "service time",
        "From when a request was sent to the last byte of its answer. In an open loop it leaves out what \
         the request waited for a free connection.",
    ),
    (
        "coordinated omission",
        "A generator that waits for a slow answer sends nothing meanwhile, so the requests that would have \
         waited, too, are missing from its statistics (G. Tene). Counting from when a request was due \
         brings them back.",
    ),
    (
        "service-level objective",
        "What must hold for a load to count as borne, such as a 99th percentile of 5 ms at most and hardly \
         an error.",
    ),
    (
        "capacity",
        "The highest rate of arrivals at which a server meets its objective, found by search.",
    ),
    (
        "USL",
        "The Universal Scalability Law (N. J. Gunther): throughput by the number of those who ask, bounded \
         by contention (waiting for what only one can use) and coherence (agreeing with all others).",
    ),
    (
        "Zipf",
        "The popularity of files on the web: the second is asked for about half as often as the first, the \
         tenth a tenth as often.",
    ),
    (
        "noise floor",
        "By how much a server differs from itself when it is measured twice under two names (A/A). No \
         smaller difference is claimed.",
    ),
    (
        "server-bound",
        "The server's cores had no time left: the trial shows what the server can do.",
    ),
    (
        "link-bound, memory-bound",
        "The way between the two, or copying in memory, was the limit rather than what either side computes.",
    ),
    (
        "light, heavy",
        "Heavy requests burn or block 20 ms in the server; light ones ask for a file, and only their times \
         are told.",
    ),
    (
        "claim",
        "A published statement beside what this run measured. Confirmed or refuted where the whole interval \
         lies on one side of its bound, undecided where it lies on both.",
    ),
    (
        "interval",
        "The middle 95 % of the medians of resampled rounds (bootstrap), in charts the error bars. \
         Fewer than three rounds have none. Where two overlap, do not trust the difference.",
    ),
    (
        "p50, p99",
        "Half, or 99 %, of the answers came within this time. They are taken from the rounds that ended \
         well, where there are any; one that too few answers can tell is left out (–).",
    ),
    (
        "starved",
        "Some connections got no answer at all within the window. They add no latency: read latencies \
         together with the connections served.",
    ),
    (
        "generator-bound",
        "The load generator used up its processor time: the server may be faster than this shows.",
    ),
    ("CPU/req", "Processor time of the server, all its processes, per request."),
    (
        "memory",
        "What the server holds, all its processes; pages that several of them share count once (PSS).",
    ),
    (
        "threads",
        "All threads of the server, all its processes. For ours that is the main thread (it accepts, or \
         serves by itself), one that waits for signals, and those that the strategy adds; how many \
         workers a pool has follows from the number of cores that the server is pinned to.",
    ),
    (
        "context switch",
        "The processor goes on with another thread: because this one waits (voluntary) or because its \
         time is up (involuntary).",
    ),
];

/// How a plan's values came to be, point by point.
pub fn methods(plan: &Plan) -> Vec<String> {
    let order = match plan.order {
        Order::Mirrored => "in mirrored order (A B B A)",
        Order::Shuffled => "in an order drawn from the recorded seed",
    };
    vec![
        format!(
            "Every value is the median of {} rounds. In each round every server is started anew for \
             every load, and the servers take their turns {order}, so that drift of the machine meets \
             them alike.",
            plan.rounds
        ),
        "Verdict and captions claim a difference only where the interval of its ratio, taken round by \
         round, lies on one side of 1, and its median is 5 % or more and more than a server that is \
         measured twice under two names differs from itself (A/A). They leave out every server with a \
         round that was starved or failed; rounds that the generator or the machine spoiled are set aside \
         where three others are left."
            .to_owned(),
        "Dashed lines and names in italics are servers that are not ours: real ones, and those given by \
         the user. They serve the same bytes, verified alike, on the same core."
            .to_owned(),
        "Each experiment is judged by a value of its own, named below the overview: capacity by the highest \
         rate that meets its objective, idle connections by memory for each, slow clients by the share of \
         throughput that is left, heavy requests by the 99th percentile of the light ones."
            .to_owned(),
        "Hollow markers: connections starved, requests failed, or the load generator, not the server, \
         was the limit. No claim rests on those."
            .to_owned(),
    ]
}
