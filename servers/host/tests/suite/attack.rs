//! Robustness tests: slow, silent, broken or too many peers, and systems short of resources.
//!
//! Each case runs over every strategy, against the program itself, and ends within bounded time. A
//! short form runs with the other tests, for a strategy of each model of I/O; for the others it is
//! ignored and runs by `scripts/test-long.sh`. With `ATTACK=full` in the environment the numbers are
//! those of an attack, and each case reports a figure (`scripts/attack.sh` makes a table of them).

mod crowd;
mod differential;
mod kills;
mod peers;
mod scarcity;
mod starving;
mod victim;

use std::io::Write;

use fileserver::StrategyKind;

/// True if the numbers are those of an attack.
fn is_full() -> bool {
    std::env::var_os("ATTACK").is_some_and(|form| form == "full")
}

/// One of two numbers: of the short form, and of the full one.
fn number(short: usize, full: usize) -> usize {
    if is_full() { full } else { short }
}

/// Runs a case and reports its figure directly, since the test harness hides the output of passing
/// tests.
fn run(name: &str, kind: StrategyKind, case: fn(StrategyKind) -> String) {
    if let Err(reason) = kind.availability() {
        testkit::skip(name, reason);
        return;
    }
    let figure = case(kind);
    if is_full() {
        let _ = writeln!(std::io::stderr(), "attack\t{name}\t{kind}\t{figure}");
    }
}

/// Reports a case as skipped; its figure.
fn skipped(case: &str, reason: &str) -> String {
    let _ = writeln!(std::io::stderr(), "{case} skipped: {reason}");
    "skipped".to_owned()
}

/// Makes `selector::resets` and so on from `peers::resets`, with an attribute that says when it runs.
macro_rules! cases_of_strategy {
    ($strategy:ident, $kind:ident, $when:meta; $($module:ident::$case:ident)*) => {
        mod $strategy {
            $(
                #[test]
                #[$when]
                fn $case() {
                    let kind = fileserver::StrategyKind::$kind;
                    crate::attack::run(stringify!($case), kind, crate::attack::$module::$case);
                }
            )*
        }
    };
}

macro_rules! long_cases_of_strategy {
    ($strategy:ident, $kind:ident; $($cases:tt)*) => {
        cases_of_strategy!($strategy, $kind, ignore = "long: scripts/test-long.sh"; $($cases)*);
    };
}

macro_rules! cases {
    ($($cases:tt)*) => {
        // Blocking calls, readiness, completions.
        cases_of_strategy!(threaded, Threaded, cfg(all()); $($cases)*);
        cases_of_strategy!(selector, Selector, cfg(all()); $($cases)*);
        cases_of_strategy!(uring, Uring, cfg(all()); $($cases)*);
        long_cases_of_strategy!(iterative, Iterative; $($cases)*);
        long_cases_of_strategy!(prefork, Prefork; $($cases)*);
        long_cases_of_strategy!(thread_pool, ThreadPool; $($cases)*);
        long_cases_of_strategy!(multi_selector, MultiSelector; $($cases)*);
        long_cases_of_strategy!(hybrid, Hybrid; $($cases)*);
        long_cases_of_strategy!(tokio, Tokio; $($cases)*);
    };
}

// A new strategy needs an entry above.
const _: () = assert!(StrategyKind::ALL.len() == 9);

cases! {
    peers::half_closed_peers_that_do_not_read
    peers::half_closed_peers_of_files_in_memory
    peers::half_closed_peers_of_copied_files
    peers::half_closed_peers_of_pipelined_small_files
    peers::open_peers_that_do_not_read
    peers::a_half_closed_peer_that_reads_slowly
    peers::requests_byte_by_byte
    peers::heads_sent_slowly
    peers::bodies_sent_slowly
    peers::resets
    starving::uploads_that_never_pause
    starving::requests_that_never_pause
    starving::a_form_of_many_files
    crowd::connections_beyond_the_limit
    crowd::more_connections_than_descriptors
    kills::suspended_during_transfers
    kills::killed_during_uploads
    scarcity::a_full_disk
    scarcity::a_read_only_root
    scarcity::a_disk_that_fails_to_sync
    scarcity::no_further_threads
    differential::the_same_replies_as_selector
}
