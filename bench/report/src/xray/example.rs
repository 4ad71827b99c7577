//! Made-up traces with known content, for tests.

use bench_data::xray::{Level, Picture, Request, State, Trace, WakeUp};
use fastrand::Rng;
use fileserver::StrategyKind;
use jiff::Timestamp;

pub(super) const US: u64 = 1_000;
pub(super) const MS: u64 = 1_000_000;

/// Port of the heavy request.
const HEAVY: u16 = 40_001;
/// Port of the light request.
const LIGHT: u16 = 40_002;

/// A light request that arrives while the only thread blocks for 20 ms for a heavy one.
pub(super) fn selector() -> Trace {
    let mut trace = Trace::new("selector", Some(StrategyKind::Selector), Level::Scheduler);
    let lane = trace.lane(10, 10);
    lane.name = "server".to_owned();
    lane.push_span(0, 1_020 * US, blocked("epoll_wait"));
    lane.push_span(1_020 * US, 1_100 * US, State::User);
    lane.push_span(1_100 * US, 21_100 * US, blocked("clock_nanosleep"));
    lane.push_span(21_100 * US, 21_400 * US, State::User);
    lane.push_span(21_400 * US, 25 * MS, blocked("epoll_wait"));
    for (from, to, port, kind) in [
        (0, 1_020, 0, "wait-ready"),
        (1_050, 1_060, HEAVY, "receive"),
        (1_100, 21_100, HEAVY, "work-block"),
        (21_120, 21_150, HEAVY, "send"),
        (21_200, 21_210, LIGHT, "receive"),
        (21_220, 21_240, LIGHT, "open-download"),
        (21_250, 21_300, LIGHT, "send-file"),
        (21_400, 25_000, 0, "wait-ready"),
    ] {
        lane.push_step(from * US, to * US, port, kind);
    }
    trace.wake_ups.push(WakeUp { at: 1_010 * US, by: None, woken: 10 });
    trace.requests = requests(21_180, 21_350);
    trace.finish();
    trace
}

/// The same arrivals at a server with a thread per connection.
pub(super) fn threaded() -> Trace {
    let mut trace = Trace::new("threaded", Some(StrategyKind::Threaded), Level::Scheduler);
    let lane = trace.lane(20, 20);
    lane.name = "accept".to_owned();
    lane.push_span(0, 400 * US, State::User);
    lane.push_span(400 * US, 25 * MS, blocked("accept4"));
    let lane = trace.lane(20, 21);
    lane.name = "connection".to_owned();
    lane.push_span(500 * US, 1_020 * US, blocked("recvfrom"));
    lane.push_span(1_020 * US, 1_100 * US, State::User);
    lane.push_span(1_100 * US, 21_100 * US, blocked("clock_nanosleep"));
    lane.push_span(21_100 * US, 21_160 * US, State::User);
    lane.push_span(21_160 * US, 25 * MS, blocked("recvfrom"));
    for (from, to, kind) in [
        (500, 1_060, "receive"),
        (1_100, 21_100, "work-block"),
        (21_120, 21_150, "send"),
        (21_160, 25_000, "receive"),
    ] {
        lane.push_step(from * US, to * US, HEAVY, kind);
    }
    let lane = trace.lane(20, 22);
    lane.name = "connection".to_owned();
    lane.push_span(500 * US, 2_010 * US, blocked("recvfrom"));
    lane.push_span(2_010 * US, 2_030 * US, State::Runnable);
    lane.push_span(2_030 * US, 2_040 * US, State::Kernel("recvfrom".to_owned()));
    lane.push_span(2_040 * US, 2_050 * US, State::User);
    lane.push_span(2_050 * US, 2_070 * US, State::Kernel("openat".to_owned()));
    lane.push_span(2_070 * US, 2_080 * US, State::User);
    lane.push_span(2_080 * US, 2_130 * US, State::Kernel("sendfile".to_owned()));
    lane.push_span(2_130 * US, 2_140 * US, State::User);
    lane.push_span(2_140 * US, 25 * MS, blocked("recvfrom"));
    for (from, to, kind) in [
        (500, 2_040, "receive"),
        (2_050, 2_070, "open-download"),
        (2_080, 2_130, "send-file"),
        (2_140, 25_000, "receive"),
    ] {
        lane.push_step(from * US, to * US, LIGHT, kind);
    }
    trace.wake_ups.push(WakeUp { at: 2_010 * US, by: Some(20), woken: 22 });
    trace.requests = requests(21_180, 2_150);
    trace.finish();
    trace
}

fn requests(heavy_received: u64, light_received: u64) -> Vec<Request> {
    let request = |port, label: &str, heavy, sent, received| Request {
        peer_port: port,
        label: label.to_owned(),
        heavy,
        due: sent * US,
        sent: sent * US,
        received: received * US,
        ok: true,
    };
    vec![
        request(HEAVY, "heavy 1", true, 1_000, heavy_received),
        request(LIGHT, "light 1", false, 2_000, light_received),
    ]
}

fn blocked(call: &str) -> State {
    State::Blocked(call.to_owned())
}

/// The trace as it is without events of the scheduler.
pub(super) fn without_scheduler(mut trace: Trace) -> Trace {
    trace.level = Level::Actions;
    trace.wake_ups.clear();
    for lane in &mut trace.lanes {
        lane.spans.clear();
    }
    trace
}

/// A picture of some traces.
pub(super) fn picture(traces: Vec<Trace>) -> Picture {
    Picture {
        scene: "The same 2 requests: 1 light, 1 heavy, which blocks for 20 ms".to_owned(),
        title: "Where a request waits".to_owned(),
        command: "bench xray --strategies selector,threaded".to_owned(),
        host: "example, 2 cores".to_owned(),
        measured: Timestamp::UNIX_EPOCH,
        traces,
    }
}

/// Any trace: random states, steps that may overlap, and requests that are unrelated to them.
pub(super) fn random(seed: u64) -> Trace {
    let mut random = Rng::with_seed(seed);
    let level = if random.bool() { Level::Scheduler } else { Level::Actions };
    let mut trace = Trace::new("random", None, level);
    let end = 1_000;
    for thread in 1..=random.u32(1..5) {
        let lane = trace.lane(1, thread);
        let mut at = 0;
        while level == Level::Scheduler && at < end {
            let to = at + random.u64(1..60);
            let state = match random.u8(0..5) {
                0 => State::Kernel("sendfile".to_owned()),
                1 => State::Runnable,
                2 => blocked("epoll_wait"),
                3 => blocked("recvfrom"),
                _ => State::User,
            };
            lane.push_span(at, to, state);
            at = to + random.u64(0..3) * random.u64(0..20);
        }
        let mut at = 0;
        while at < end {
            let to = at + random.u64(0..50);
            let kind = ["receive", "send-file", "work-block", "wait-ready"][random.usize(0..4)];
            let port = if kind == "wait-ready" { 0 } else { random.u16(1..6) };
            lane.push_step(at, to, port, kind);
            // Sometimes the next one begins before this one ends.
            at = if random.u8(0..6) == 0 { at + 1 } else { to + random.u64(0..20) };
        }
    }
    for number in 1..=random.usize(1..30) {
        let due = random.u64(0..end);
        let sent = due + random.u64(0..30);
        trace.requests.push(Request {
            peer_port: random.u16(1..8),
            label: format!("light {number}"),
            heavy: random.u8(0..4) == 0,
            due,
            sent,
            received: sent + random.u64(0..300),
            ok: random.u8(0..10) != 0,
        });
    }
    trace.finish();
    trace
}

/// A server under a load of some requests, as long and as detailed as a real trace: one thread for all
/// connections, or one for each.
pub(super) fn loaded(name: &str, threads: u32, connections: u16, requests: u64) -> Trace {
    let mut random = Rng::with_seed(7);
    let mut trace = Trace::new(name, name.parse().ok(), Level::Scheduler);
    // Free time of each thread.
    let mut free = vec![0; threads as usize];
    for number in 0..requests {
        let connection = number as u16 % connections;
        let thread = u32::from(connection) % threads;
        let heavy = random.u8(0..10) == 0;
        let due = number * 2 * MS + random.u64(0..500) * US;
        let lane = trace.lane(100, 100 + thread);
        lane.name = format!("worker-{thread}");
        let mut at = due.max(free[thread as usize]) + 20 * US;
        lane.push_span(free[thread as usize], at - 10 * US, blocked("epoll_wait"));
        lane.push_span(at - 10 * US, at, State::Runnable);
        for (kind, call, length) in [
            ("receive", "recvfrom", 8 * US),
            ("work-block", "clock_nanosleep", 10 * MS),
            ("open-download", "openat", 15 * US),
            ("send", "sendto", 12 * US),
            ("send-file", "sendfile", 40 * US),
            ("close-download", "close", 5 * US),
        ] {
            if kind == "work-block" && !heavy {
                continue;
            }
            let state = match kind {
                "work-block" => blocked(call),
                _ => State::Kernel(call.to_owned()),
            };
            lane.push_span(at, at + 2 * US, State::User);
            lane.push_step(at + US, at + 3 * US + length, 41_000 + connection, kind);
            lane.push_span(at + 2 * US, at + 2 * US + length, state);
            at += 4 * US + length;
            lane.push_span(at - 2 * US, at, State::User);
        }
        free[thread as usize] = at;
        trace.wake_ups.push(WakeUp { at: due, by: None, woken: 100 + thread });
        let kind = if heavy { "heavy" } else { "light" };
        trace.requests.push(Request {
            peer_port: 41_000 + connection,
            label: format!("{kind} {}", number + 1),
            heavy,
            due,
            sent: due + 5 * US,
            received: at + 10 * US,
            ok: true,
        });
    }
    trace.finish();
    trace
}
