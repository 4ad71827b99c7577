//! Sentences about traces, made from their numbers.

use bench_data::units::{counted, microseconds, three_digits};
use bench_data::xray::{Level, Picture, Trace};

use super::chosen::{Choice, choices, headline};
use super::parts::Part;

/// A time in nanoseconds with three digits and a unit.
pub(super) fn time(nanoseconds: u64) -> String {
    microseconds(nanoseconds as f64 / 1e3)
}

/// A part of a time, in the unit of the whole: `19.2 of 19.4 ms`.
pub(super) fn part_of(part: u64, whole: u64) -> String {
    let text = time(whole);
    let (_, unit) = text.split_once(' ').unwrap_or_default();
    let factor = match unit {
        "s" => 1e9,
        "ms" => 1e6,
        _ => 1e3,
    };
    format!("{} of {text}", three_digits(part as f64 / factor))
}

/// Sentences that state where the slow requests of the servers wait: about the server with the slowest
/// one, with the same part at the others, then about the largest part at each of these.
pub fn why(picture: &Picture) -> Vec<String> {
    let chosen: Vec<_> = picture.traces.iter().map(|trace| (trace, choices(trace))).collect();
    let mut subjects: Vec<(&Trace, &Choice<'_>)> = chosen
        .iter()
        .filter_map(|(trace, choices)| {
            let choice = headline(choices).filter(|choice| choice.is_decomposed)?;
            Some((*trace, choice))
        })
        .collect();
    // Of equal ones the first stays in front.
    let slowest = subjects.iter().map(|(_, choice)| choice.parts.total()).max();
    let Some(at) = subjects.iter().position(|(_, choice)| Some(choice.parts.total()) == slowest)
    else {
        return Vec::new();
    };
    let (trace, choice) = subjects.remove(at);
    let part = choice.parts.largest();
    let mut first = format!("{}: the {} {}", trace.server, choice.phrase(), spends(trace, choice));
    for (trace, choice) in &subjects {
        let value = part_of(choice.parts.of(part), choice.parts.total());
        first += &format!("; {}: {value}", trace.server);
    }
    let mut sentences = vec![format!("{first}.")];
    for (trace, choice) in subjects {
        let largest = choice.parts.largest();
        if largest != part {
            let phrase = choice.phrase();
            sentences.push(format!("{}: the {phrase} {}.", trace.server, spends(trace, choice)));
        }
    }
    sentences
}

/// Predicate for the largest part of a request.
fn spends(trace: &Trace, choice: &Choice<'_>) -> String {
    let part = choice.parts.largest();
    let value = part_of(choice.parts.of(part), choice.parts.total());
    match (part, trace.level) {
        (Part::HeadOfLine, _) => {
            let serving = trace.lanes.iter().filter(|lane| {
                lane.steps.iter().any(|step| step.peer_port != 0 && step.kind != "accept")
            });
            let place = if serving.count() == 1 { "the only thread" } else { "its thread" };
            format!("waits {value} for other connections' work on {place}")
        }
        (Part::RunQueue, _) => format!("waits {value} for the core"),
        (Part::Blocked, _) => format!("is blocked for {value} within its own actions"),
        (Part::OwnCpu, Level::Scheduler) => format!("uses the processor for {value}"),
        (Part::OwnCpu, Level::Actions) => {
            format!("spends {value} in its own actions, with the waiting within them")
        }
        (Part::Outside, Level::Scheduler) => {
            format!("spends {value} in the network and the load generator")
        }
        (Part::Outside, Level::Actions) => {
            format!("spends {value} outside the recorded actions")
        }
    }
}

/// Content of a trace in one line.
pub(super) fn content(trace: &Trace) -> String {
    let heavy = trace.requests.iter().filter(|request| request.heavy).count();
    let mut text = format!(
        "{}, {}",
        counted(trace.lanes.len(), "thread"),
        counted(trace.requests.len(), "request")
    );
    if heavy > 0 {
        text += &format!(" ({heavy} heavy)");
    }
    text
}

/// Restrictions of a trace, a sentence each; `hidden` are the numbers of threads and of requests that
/// are not drawn.
pub(super) fn restrictions(trace: &Trace, hidden: (usize, usize)) -> Vec<String> {
    let mut notes = Vec::new();
    if trace.lost_events > 0 {
        let lost = counted(usize::try_from(trace.lost_events).unwrap_or(usize::MAX), "event");
        notes.push(format!(
            "{lost} could not be recorded, because a buffer was full: the picture has gaps."
        ));
    }
    let (threads, requests) = hidden;
    if threads > 0 {
        let drawn = trace.lanes.len() - threads;
        notes.push(format!(
            "{} drawn: the busiest. {} drawn.",
            are(drawn, "thread"),
            are_not(threads, "other thread")
        ));
    }
    if requests > 0 {
        let drawn = trace.requests.len() - requests;
        notes.push(format!(
            "{} drawn: the slowest. {} drawn.",
            are(drawn, "request"),
            are_not(requests, "other request")
        ));
    }
    let failed = trace.requests.iter().filter(|request| !request.ok).count();
    if failed > 0 {
        notes.push(format!(
            "{} failed. The decomposition contains only requests with a complete reply.",
            counted(failed, "request")
        ));
    }
    let is_silent = trace.lanes.iter().all(|lane| lane.steps.is_empty());
    if is_silent && !trace.lanes.is_empty() {
        notes.push(
            "This server records no actions: requests cannot be assigned to threads, and their \
             response times are not decomposed."
                .to_owned(),
        );
    } else if trace.level == Level::Actions {
        notes.push(
            "Only actions are recorded: waiting for the core and blocking are not distinguished \
             from work."
                .to_owned(),
        );
    }
    notes.extend(trace.remarks.iter().cloned());
    notes
}

fn are(count: usize, noun: &str) -> String {
    format!("{} {}", counted(count, noun), if count == 1 { "is" } else { "are" })
}

fn are_not(count: usize, noun: &str) -> String {
    format!("{} not", are(count, noun))
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn the_slowest_server_is_compared_with_the_others() {
        let picture = example::picture(vec![example::threaded(), example::selector()]);
        assert_eq!(
            why(&picture),
            [
                "selector: the slowest light request waits 19.2 of 19.4 ms for other \
                 connections' work on the only thread; threaded: 0 of 150 µs.",
                "threaded: the slowest light request uses the processor for 100 of 150 µs.",
            ]
        );
    }

    #[test]
    fn without_the_scheduler_the_words_claim_less() {
        let trace = example::without_scheduler(example::threaded());
        let picture = example::picture(vec![trace]);
        assert_eq!(
            why(&picture),
            ["threaded: the slowest light request spends 80.0 of 150 µs outside the recorded \
              actions."]
        );
    }

    #[test]
    fn many_requests_have_a_rank() {
        let mut trace = example::loaded("selector", 1, 8, 400);
        for request in &mut trace.requests {
            request.heavy = false;
        }
        let sentences = why(&example::picture(vec![trace]));
        assert_eq!(sentences.len(), 1);
        let start = "selector: the p99 request (rank 396 of 400) ";
        assert!(sentences[0].starts_with(start), "{}", sentences[0]);
        assert!(why(&example::picture(Vec::new())).is_empty());
    }

    #[test]
    fn parts_have_the_unit_of_the_whole() {
        assert_eq!(part_of(19_200_000, 19_350_000), "19.2 of 19.4 ms");
        assert_eq!(part_of(0, 150_000), "0 of 150 µs");
        assert_eq!(part_of(20_000, 2_000_000_000), "0.00 of 2.00 s");
        assert_eq!(time(1_500), "1.50 µs");
    }

    #[test]
    fn restrictions_are_complete() {
        let mut trace = example::without_scheduler(example::threaded());
        trace.lost_events = 1_200;
        trace.requests[0].ok = false;
        trace.remarks.push("A remark.".to_owned());
        assert_eq!(
            restrictions(&trace, (2, 1)),
            [
                "1,200 events could not be recorded, because a buffer was full: the picture has \
                 gaps.",
                "1 thread is drawn: the busiest. 2 other threads are not drawn.",
                "1 request is drawn: the slowest. 1 other request is not drawn.",
                "1 request failed. The decomposition contains only requests with a complete reply.",
                "Only actions are recorded: waiting for the core and blocking are not \
                 distinguished from work.",
                "A remark.",
            ]
        );
        assert_eq!(content(&trace), "3 threads, 2 requests (1 heavy)");
        for lane in &mut trace.lanes {
            lane.steps.clear();
        }
        let notes = restrictions(&trace, (0, 0));
        assert!(notes.iter().any(|note| note.starts_with("This server records no actions")));
    }
}
