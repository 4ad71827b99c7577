//! Times of replies, and the arrivals of open loops.

use testkit::busy_core::{BusyCore, allowed_cores};

use super::*;

of_each_engine! {
    time_without_a_core_is_reported
    a_delay_of_the_server_is_in_every_latency
    latencies_agree_with_what_the_server_recorded_itself
    think_time_separates_requests
    an_open_loop_counts_every_arrival
    an_open_loop_drops_nothing_and_measures_from_when_a_request_was_due
}

fn time_without_a_core_is_reported(engine: Engine) {
    let mock = Mock::http(|_| Some(ok(&body())));
    let core = allowed_cores()[0];
    let neighbour = BusyCore::start(core);
    // Polling for arrivals, the generator is always ready to run.
    let arrival = Arrival::Open { rate_per_s: 5_000.0, pacing: Pacing::Constant };
    let report = measure(&LoadSpec { arrival, cores: vec![core], ..spec(engine, mock.address) });
    drop(neighbour);
    match report.run_delay_share() {
        Some(share) => assert!(share > 0.05 && share <= 1.0, "{share}"),
        None => testkit::skip("time_without_a_core_is_reported", "no /proc/self/schedstat"),
    }
}

fn a_delay_of_the_server_is_in_every_latency(engine: Engine) {
    let delay = Duration::from_millis(20);
    let mock = Mock::http(move |_| {
        std::thread::sleep(delay);
        Some(ok(&body()))
    });
    let report = measure(&spec(engine, mock.address));
    assert!(report.requests > 0);
    // Within the three digits of a histogram.
    assert!(report.service_ns.min() >= 19_980_000, "{}", report.service_ns.min());
    assert!(report.seconds[0].p50_ns >= 19_800_000, "{:?}", report.seconds[0]);
}

/// A server that delays each reply by 10 ms and one of them by 300 ms. Both sides read the same
/// clock, so the server's record bounds the reported times: a request was sent before its arrival
/// and after the previous reply, and a reply was complete after its sending and before the next
/// request.
fn latencies_agree_with_what_the_server_recorded_itself(engine: Engine) {
    const REQUESTS: usize = 50;
    const STALLED: usize = 20;
    const STALL: Duration = Duration::from_millis(300);
    let record = Arc::new(Mutex::new(Vec::new()));
    let writing = record.clone();
    let mock = Mock::http(move |number| {
        let came = Instant::now();
        let held = match number as usize {
            REQUESTS.. => None,
            STALLED => Some(STALL),
            _ => Some(Duration::from_millis(10)),
        };
        std::thread::sleep(held.unwrap_or_default());
        writing.lock().unwrap().push((came, Instant::now()));
        held.map(|_| ok(&body()))
    });
    let begin = Instant::now();
    let duration = Duration::from_secs(3);
    let report = measure(&LoadSpec { connections: 1, duration, ..spec(engine, mock.address) });
    assert_eq!((report.requests, report.errors), (REQUESTS as u64, no_errors()));

    let record = record.lock().unwrap();
    let (mut least, mut most) = (Vec::new(), Vec::new());
    for number in 0..REQUESTS {
        let (came, went) = record[number];
        let earliest_sent = number.checked_sub(1).map_or(begin, |before| record[before].1);
        least.push(went - came);
        most.push(record[number + 1].0 - earliest_sent);
    }
    // A histogram has three digits.
    let (low, high) = (0.999, 1.001);
    let seconds = |ns: u64| ns as f64 / 1e9;
    let sum = |times: &[Duration]| times.iter().sum::<Duration>().as_secs_f64();
    let mut service = report.service_ns.clone();
    // The last request has no reply.
    let mut unanswered = Histogram::<u64>::new_from(&service);
    unanswered.record(report.shortest_wait_ns.service_ns).unwrap();
    service.subtract(&unanswered).unwrap();
    assert!(service.mean() * REQUESTS as f64 / 1e9 >= low * sum(&least));
    // Requests are sequential, so their sum cannot exceed the total time.
    let all = (record[REQUESTS].0 - begin).as_secs_f64();
    assert!(service.mean() * REQUESTS as f64 / 1e9 <= high * all);
    assert!(seconds(service.max()) >= low * least[STALLED].as_secs_f64());
    assert!(seconds(service.max()) <= high * most.iter().max().unwrap().as_secs_f64());
    let beyond = |ns: u64| service.len() - service.count_between(0, ns - 1);
    assert_eq!(beyond(9_990_000), REQUESTS as u64);
    let is_slow = |time: &&Duration| time.as_secs_f64() >= low * STALL.as_secs_f64();
    let slow = most.iter().filter(is_slow).count() as u64;
    assert!((1..=slow).contains(&beyond(299_700_000)));
}

fn think_time_separates_requests(engine: Engine) {
    let mock = Mock::http(|_| Some(ok(&body())));
    let think = ThinkTime::Constant(Duration::from_millis(50));
    let report =
        measure(&LoadSpec { arrival: Arrival::Closed { think }, ..spec(engine, mock.address) });
    // At 0, 50, … 450 ms and no earlier, on two connections.
    assert!((1..=20).contains(&report.requests), "{}", report.requests);
}

fn an_open_loop_counts_every_arrival(engine: Engine) {
    let mock = Mock::http(|_| Some(ok(&body())));
    for (threads, warm_up) in [(1, 0), (2, 100)] {
        let report = measure(&LoadSpec {
            threads,
            warm_up: Duration::from_millis(warm_up),
            arrival: Arrival::Open { rate_per_s: 200.0, pacing: Pacing::Constant },
            ..spec(engine, mock.address)
        });
        assert_eq!(report.arrivals, 100);
        assert_eq!(report.latency_requests + report.unanswered, 100);
        assert_eq!((report.response_ns.len(), report.send_delay_ns.len()), (100, 100));
    }
}

fn an_open_loop_drops_nothing_and_measures_from_when_a_request_was_due(engine: Engine) {
    let delay = Duration::from_millis(50);
    let mock = Mock::http(move |_| {
        std::thread::sleep(delay);
        Some(ok(&body()))
    });
    let report = measure(&LoadSpec {
        connections: 1,
        duration: Duration::from_secs(1),
        arrival: Arrival::Open { rate_per_s: 100.0, pacing: Pacing::Constant },
        ..spec(engine, mock.address)
    });
    assert_eq!(report.arrivals, 100);
    // Number k was due at 10·k ms and not sent before 50·k ms.
    let last = report.requests - 1;
    assert!((1..20).contains(&last), "{last}");
    let (sent_late_ns, done_late_ns) = (40_000_000 * last, 40_000_000 * last + 50_000_000);
    assert!(report.send_delay_ns.max() >= sent_late_ns);
    assert!(report.response_ns.max() >= done_late_ns);
    // All replies were in order, one by one: the other requests were still waiting.
    assert_eq!(report.errors, no_errors());
}
