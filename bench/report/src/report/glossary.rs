//! Methods and glossary of a report.

use bench_data::load::profile::LoadProfile;
use bench_data::plan::until::MOST_ROUNDS;
use bench_data::plan::{Order, Plan};
use bench_data::record::evidence::Limit;
use bench_data::record::outcome::Outcome;
use bench_data::record::rows::TrialRow;

use crate::analysis::claims::Claim;
use crate::report::content::Report;

/// Subject of a term: runs without it do not need the term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    EveryRun,
    ClosedLoop,
    OpenLoop,
    Capacity,
    Scalability,
    Mix,
    Heavy,
    Background,
    Control,
    Claims,
    With(Outcome),
    LimitedBy(Limit),
}

/// Terms of all reports with their meanings.
const GLOSSARY: [(Subject, &str, &str); 28] = [
    (
        Subject::ClosedLoop,
        "closed loop",
        "Each connection sends its next request as soon as the reply to the last one has arrived. A slow \
         server therefore receives fewer requests.",
    ),
    (
        Subject::OpenLoop,
        "open loop",
        "Requests arrive at a given rate and at random times (Poisson), as from many independent users, \
         whether the server keeps up or not. The time that a request waits for a free connection is part of \
         its response time.",
    ),
    (
        Subject::OpenLoop,
        "offered rate, achieved rate",
        "Offered: requests that arrive per second in an open loop. Achieved: requests that receive their \
         reply per second.",
    ),
    (
        Subject::EveryRun,
        "response time",
        "Time from when a request was due to the last byte of its reply: the wait of a user. In closed \
         loops a request is due when it is sent.",
    ),
    (
        Subject::OpenLoop,
        "service time",
        "Time from when a request was sent to the last byte of its reply. In an open loop it excludes \
         the wait for a free connection.",
    ),
    (
        Subject::OpenLoop,
        "coordinated omission",
        "A load generator that waits for a slow reply sends nothing meanwhile. The requests that it \
         would have sent, and that would have waited too, are missing from its statistics (G. Tene). \
         Response times measured from when a request was due include this wait.",
    ),
    (
        Subject::Capacity,
        "service-level objective",
        "Condition that a server has to meet at an offered rate, such as a p99 of at most 5 ms and an \
         error rate of at most 0.1 %.",
    ),
    (
        Subject::Capacity,
        "capacity",
        "Offered rate at which half of the trials meet the objective, by a logistic curve.",
    ),
    (
        Subject::Scalability,
        "USL",
        "Universal Scalability Law (N. J. Gunther): throughput as a function of concurrency, limited by \
         contention (waiting for a shared resource) and coherency (keeping shared data consistent between cores).",
    ),
    (
        Subject::Mix,
        "Zipf",
        "Distribution of file popularity on the web: the second file is requested about half as often as \
         the first, the tenth a tenth as often.",
    ),
    (
        Subject::Control,
        "A/A control",
        "A server that is measured twice under two names. Its values join the server's own. If the two \
         differ, something else than the servers changed, and the comparison is void.",
    ),
    (
        Subject::LimitedBy(Limit::Server),
        "server-bound",
        "The cores of the server were fully used: the trial shows the server's limit.",
    ),
    (
        Subject::LimitedBy(Limit::Memory),
        "link-bound, memory-bound",
        "The network or the memory bandwidth was the limit, not the CPU of either side.",
    ),
    (
        Subject::With(Outcome::GeneratorBound),
        "generator-bound",
        "The load generator used all of its CPU time: the server may be faster than the trial shows. Its \
         rates are lower bounds (≥) and are not ranked.",
    ),
    (
        Subject::With(Outcome::Starved),
        "starved",
        "Some connections received no reply within the window. Their wait is not part of the latencies, \
         which can therefore be low.",
    ),
    (
        Subject::With(Outcome::Waiting),
        "waiting",
        "Neither the server nor the load generator was busy for most of the time, although requests \
         were outstanding: the trial shows a wait, such as for a timer, not their speed.",
    ),
    (
        Subject::Heavy,
        "light, heavy",
        "Heavy requests use or block a CPU for 20 ms in the server. Light requests ask for a file; \
         percentiles are of these only.",
    ),
    (
        Subject::Claims,
        "claim",
        "A published statement, compared with this run on this machine. Its direction (which is better) \
         and its magnitude (by how much) are judged apart, by the rules below each claim.",
    ),
    (
        Subject::EveryRun,
        "interval, range",
        "A ratio has a 95 % t interval in brackets, [low, high], from five rounds on. With fewer rounds it has \
         the range of its values in parentheses, which claims nothing. A single server has a range: \
         error bars in charts.",
    ),
    (
        Subject::EveryRun,
        "different, equivalent, undecided",
        "Different: a ratio is shown not to be 1. Equivalent: it is shown to be within 5 % of 1. Undecided: \
         neither is shown; the factor that the rounds could have shown is then named.",
    ),
    (
        Subject::EveryRun,
        "exploratory",
        "Another comparison than the main one, which the plan declares for each experiment before the run: \
         a reason for another run, not a result.",
    ),
    (
        Subject::EveryRun,
        "p50, p99",
        "Time within which 50 % or 99 % of the replies arrived. Trials with a fault are excluded if other \
         rounds are left. A percentile is omitted (–) if there were too few replies.",
    ),
    (
        Subject::EveryRun,
        "send path",
        "How a server sends a file: copy (through a buffer of the server), memory (from a copy that is \
         kept while the file is open), sendfile or splice (copied by the kernel).",
    ),
    (
        Subject::EveryRun,
        "CPU/req, generator CPU/req",
        "CPU time per request of the server, all its processes, and of the load generator. On one machine the \
         core that sends a packet also does the TCP work of its receiver, so each side pays for the receive path of \
         the other. Ratios of servers are therefore smaller for both cores together than for the server's core.",
    ),
    (
        Subject::EveryRun,
        "memory",
        "Memory of the server in user space, all its processes. Pages shared by several of them count once (PSS).",
    ),
    (
        Subject::Background,
        "kernel memory",
        "Memory that the kernel needs for connections: objects such as sockets, kernel stacks of threads, and page \
         tables. It is the growth on the whole machine while idle or slow connections are opened. On one machine it \
         contains both ends of each connection.",
    ),
    (
        Subject::EveryRun,
        "threads",
        "Threads of the server, all its processes. A built-in server has a main thread (it accepts, or serves \
         by itself), a signal thread, a thread for the upkeep of the store and the threads of its \
         strategy. By default thread-pool and hybrid have 4 workers per core of the server.",
    ),
    (
        Subject::EveryRun,
        "context switch",
        "Change of the CPU to another thread: voluntary if the thread waits, involuntary if its time slice \
         is over.",
    ),
];

/// All terms with their meanings.
pub(crate) fn all() -> Vec<(&'static str, &'static str)> {
    GLOSSARY.map(|(_, term, text)| (term, text)).to_vec()
}

/// Terms that a report needs, with their meanings.
pub(crate) fn of(report: &Report) -> Vec<(&'static str, &'static str)> {
    let needed = GLOSSARY.into_iter().filter(|(subject, ..)| subject.is_in(report));
    needed.map(|(_, term, text)| (term, text)).collect()
}

impl Subject {
    fn is_in(self, report: &Report) -> bool {
        let any = |is: &dyn Fn(&TrialRow) -> bool| report.contents.records.trials.iter().any(is);
        let any_load = |is: fn(&LoadProfile) -> bool| any(&|row| is(&row.load().profile));
        match self {
            Self::EveryRun => true,
            Self::ClosedLoop => any_load(|profile| profile.rate_per_s.is_none()),
            Self::OpenLoop => any_load(|profile| profile.rate_per_s.is_some()),
            Self::Capacity => any(&|row| row.search.is_some()),
            Self::Scalability => {
                report.analysis.sections.iter().any(|section| section.scalability.is_some())
            }
            Self::Mix => any_load(|profile| profile.mix.is_some()),
            Self::Heavy => any_load(|profile| profile.heavy.total_percent() > 0),
            Self::Background => any_load(|profile| profile.background.total() > 0),
            Self::Control => any(&|row| row.control_of.is_some()),
            Self::Claims => report.analysis.claims.iter().any(Claim::is_testable),
            Self::With(outcome) => any(&|row| row.outcome == outcome),
            Self::LimitedBy(limit) => any(&|row| row.limit == Some(limit)),
        }
    }
}

/// Methods of a plan, point by point.
pub(crate) fn methods(plan: &Plan) -> Vec<String> {
    let order = match plan.order {
        Order::Mirrored => "mirrored in every second round (A B B A)",
        Order::Shuffled => "drawn from the recorded seed",
    };
    let rounds = match plan.rounds {
        1 => "Every value is from one round. Each server is restarted for each load.".to_owned(),
        _ => format!(
            "Every value is the median over {}. In each round, each server is restarted \
             for each load. The order of the servers is {order}, so that slow changes of the machine \
             affect all servers equally.",
            plan.rounds_in_words()
        ),
    };
    let mut methods = vec![
        rounds,
        "Servers are compared by ratios within rounds. A ratio is written as 1.62× [1.55, 1.70]: the geometric \
         mean over the rounds, and its 95 % t interval on the logarithms. At least five rounds are needed for \
         a claim."
            .to_owned(),
        "Differences are tested at the level of 5 % and corrected after Holm for all pairs of servers under a \
         load. Equivalence within 5 % is tested by two one-sided tests. Where neither is shown, the report \
         names the factor that as many rounds show with probability 0.8."
            .to_owned(),
        "The plan declares the load of each experiment's main comparison before the run. All others are \
         exploratory: each is corrected for its own pairs only, and ratios below tables not at all."
            .to_owned(),
        "The A/A control is tested in the main comparison of each experiment, corrected for their number. \
         If it differs from its server, the comparison is void. Otherwise its values join the server's own, \
         as the geometric mean of each round."
            .to_owned(),
        "Servers with starved or failed rounds are not compared. Rounds disturbed by the load generator or \
         the machine are excluded if at least three rounds remain."
            .to_owned(),
        "Lines of charts connect medians; bars show the range of the rounds, dots the single rounds. Pictures for \
         print draw the compared pair in colour and other servers grey."
            .to_owned(),
        "Dashed lines: reference servers and servers of the user. They serve the same files on the same \
         cores. The replies of all servers are checked in the same way."
            .to_owned(),
        "Hollow markers: not all connections were served, requests failed, or the load generator was \
         the limit. These values are not ranked."
            .to_owned(),
    ];
    if plan.until.half_width().is_some() {
        methods.push(format!(
            "After the planned rounds, main comparisons got further ones until all intervals were narrow \
             enough ({}), the time was spent, or there were {MOST_ROUNDS}. The rule looks at the width of \
             the intervals, never at the ratios.",
            plan.until
        ));
    }
    if plan.experiments.len() > 1 {
        methods.push(
            "Each experiment compares the servers by its own metric, listed below the overview: capacity \
             by the highest rate that meets the objective, idle connections by memory per connection, \
             slow clients by the retained share of throughput, heavy requests by the p99 of light \
             requests."
                .to_owned(),
        );
    }
    methods
}

#[cfg(test)]
mod tests {
    use super::*;
    use bench_data::mock::{MockExecutor, contents_of};

    #[test]
    fn a_report_explains_the_terms_that_it_needs() {
        let terms = |plan: &str| -> Vec<_> {
            let contents = contents_of(&Plan::built_in(plan).unwrap(), MockExecutor::default());
            of(&Report::of(contents)).into_iter().map(|(term, _)| term).collect()
        };
        let (default, load, idle) = (terms("default"), terms("load"), terms("idle"));
        for (term, expected) in [
            ("closed loop", [true, false, true]),
            ("open loop", [false, true, false]),
            ("capacity", [false, true, false]),
            ("kernel memory", [false, false, true]),
            ("A/A control", [true, true, true]),
            ("light, heavy", [false, false, false]),
            ("memory", [true, true, true]),
        ] {
            let found = [&default, &load, &idle].map(|terms| terms.contains(&term));
            assert_eq!(found, expected, "{term}");
            assert!(all().iter().any(|(known, _)| *known == term), "{term}");
        }
    }

    #[test]
    fn one_round_has_neither_a_median_nor_an_order() {
        let first = |rounds| {
            let plan = Plan { rounds, ..Plan::built_in("quick").unwrap() };
            methods(&plan).into_iter().next().unwrap()
        };
        assert_eq!(
            first(1),
            "Every value is from one round. Each server is restarted for each load."
        );
        assert!(first(3).starts_with("Every value is the median over 3 rounds."));
    }
}
