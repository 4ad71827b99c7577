//! Decomposition as text for a terminal.

use bench_data::text_table::{Align, TextTable};
use bench_data::xray::{Picture, Trace};

use super::chosen::{Choice, choices};
use super::parts::Part;
use super::sentence::{content, restrictions, time, why};
use crate::figures::lettering::wrapped;

/// Most letters per line.
const WIDTH: usize = 80;

/// Sentences and a table per server, in lines of at most 80 columns.
pub fn text(picture: &Picture) -> String {
    let mut text = String::new();
    for sentence in why(picture) {
        add(&mut text, &sentence, "");
    }
    for trace in &picture.traces {
        text.push('\n');
        add(&mut text, &format!("{}: {}", trace.server, content(trace)), "");
        text += &table(trace);
        for note in restrictions(trace, (0, 0)) {
            add(&mut text, &note, "  ");
        }
    }
    let level = picture.traces.first().map(|trace| trace.level);
    if let Some(level) = level {
        text.push('\n');
        for part in Part::ALL {
            add(&mut text, &format!("{}: {}", part.name(level), part.meaning(level)), "  ");
        }
    }
    text
}

fn table(trace: &Trace) -> String {
    let choices = choices(trace);
    if choices.is_empty() {
        return "  no request with a complete reply\n".to_owned();
    }
    let parts = Part::ALL.map(|part| part.name(trace.level));
    let heads: Vec<&str> = ["request", "total"].into_iter().chain(parts).collect();
    let row = |choice: &Choice<'_>| -> Vec<String> {
        let values = Part::ALL.map(|part| match choice.is_decomposed {
            true => time(choice.parts.of(part)),
            false => "–".to_owned(),
        });
        [choice.name(), time(choice.parts.total())].into_iter().chain(values).collect()
    };
    let rows = choices.iter().map(row).collect();
    TextTable::new(&heads, rows, Align::Right).text(WIDTH)
}

/// Adds a paragraph; its further lines are indented.
fn add(text: &mut String, paragraph: &str, indent: &str) {
    for (index, line) in wrapped(paragraph, WIDTH - indent.len() - 2).iter().enumerate() {
        let further = if index == 0 { "" } else { "  " };
        *text += &format!("{indent}{further}{line}\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn a_picture_as_text() {
        let picture = example::picture(vec![example::selector(), example::threaded()]);
        insta::assert_snapshot!(text(&picture));
    }

    #[test]
    fn a_server_without_actions_has_no_parts_and_no_sentence() {
        let mut silent = example::threaded();
        silent.server = "nginx".to_owned();
        silent.lanes.iter_mut().for_each(|lane| lane.steps.clear());
        let alone = text(&example::picture(vec![silent.clone()]));
        let row = alone.lines().find(|line| line.trim_start().starts_with("light p99")).unwrap();
        assert_eq!(row.matches('–').count(), 5, "{alone}");
        let both = text(&example::picture(vec![example::selector(), silent]));
        assert!(!both.contains("nginx: the"), "{both}");
        assert!(!both.contains("; nginx:"), "{both}");
    }

    #[test]
    fn lines_fit_a_terminal() {
        let traces = ["selector", "multi-selector"].map(|name| example::loaded(name, 1, 8, 200));
        let mut traces = traces.to_vec();
        traces.push(example::without_scheduler(example::loaded("thread-pool", 4, 8, 200)));
        traces[0].lost_events = 1_000_000;
        let text = text(&example::picture(traces));
        let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= WIDTH, "{widest}");
    }
}
