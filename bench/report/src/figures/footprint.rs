//! The server's memory and threads against connections.

use bench_data::load::Direction;

use super::Figure;
use super::axis::Axis;
use super::caption::Quantity;
use super::caption::claim;
use super::chart::{Chart, Panel};
use super::measure::Measure;
use super::slice::{self, HOLLOW_MEANS};
use crate::analysis::comparison::Best;
use crate::analysis::summary::Summary;
use bench_data::units;

pub(super) fn against_connections(summary: &Summary, direction: Direction) -> Option<Figure> {
    let size = slice::size_with_most_connections(summary, direction)?;
    let series = |measure: Measure| {
        slice::series(
            summary,
            |line| line.load.direction == direction && line.load.size == size,
            |line| line.load.connections as f64,
            measure,
        )
    };
    let memory = series(Measure::Memory);
    let threads = series(Measure::Threads);
    slice::xs(&memory).last()?;
    let load =
        slice::headline_load(summary, |load| load.direction == direction && load.size == size)?;
    let quantity = Quantity {
        name: "memory",
        best: Best::Lowest,
        rounds: &|line| line.memory_rounds.clone(),
        write: &units::bytes,
    };
    let caption = claim(summary, load, &quantity);
    let connections = Axis::log_at("connections", slice::write_connections, &slice::xs(&memory));
    let write_mib = |value: f64| slice::short(&units::three_digits(value / f64::from(1 << 20)));
    let panels = vec![
        Panel {
            x: connections.clone(),
            y: Axis::from_zero_in("memory, MiB", write_mib, &slice::ys(&memory), 20),
            series: memory,
        },
        Panel {
            x: connections,
            y: Axis::log("threads", slice::write_connections, &slice::ys(&threads)),
            series: threads,
        },
    ];
    let noun = slice::noun(direction);
    let title = format!(
        "What the server holds, by connections ({} {noun}{})",
        size.spaced(),
        slice::apart(summary)
    );
    let file = format!("footprint-by-connections-{}{}", direction, slice::ending(summary));
    Some(Chart { title, panels, hollow_means: HOLLOW_MEANS }.figure(file, caption))
}
