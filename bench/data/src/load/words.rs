//! Loads in words: headings, sentences, remarks.

use crate::load::Load;
use crate::units::{bytes, counted};
use loadgen::Direction;

/// Heading of a load's table: `Download of 1 KiB, 64 connections`.
pub fn heading(load: Load) -> String {
    with_remarks(format!("{}, {}", transfer(load), connections(load.connections)), load)
}

/// Heading of loads that differ in their connection counts only.
pub fn heading_over_connections(load: Load) -> String {
    with_remarks(format!("{} over connections", transfer(load)), load)
}

/// Requests of a load as a noun phrase: `downloads of 1 KiB`.
pub fn requests(load: Load) -> String {
    format!("{} of {}", noun(load.direction), files(load))
}

/// A load within a sentence: `64 connections and downloads of 1 KiB`, and its deviations from the default.
pub fn describe(load: Load) -> String {
    let remarks = load.profile.remarks();
    let remarks =
        if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
    format!("{} and {}{remarks}", connections(load.connections), requests(load))
}

/// A number of connections: `1 connection`, `1,000 connections`.
pub fn connections(count: usize) -> String {
    counted(count, "connection")
}

/// Plural noun of the requests of a direction.
pub fn noun(direction: Direction) -> &'static str {
    match direction {
        Direction::Download => "downloads",
        Direction::Upload => "uploads",
        Direction::Echo => "lines",
    }
}

/// Requests of a load as the beginning of a heading: `Download of 1 KiB`.
pub fn transfer(load: Load) -> String {
    let direction = match load.direction {
        Direction::Download => "Download",
        Direction::Upload => "Upload",
        Direction::Echo => "Lines",
    };
    format!("{direction} of {}", files(load))
}

fn files(load: Load) -> String {
    match load.profile.mix {
        Some(mix) => {
            let mean = bytes(load.size.bytes() as f64);
            format!("{} {mix} files (mean {mean})", mix.file_count())
        }
        None => load.size.spaced(),
    }
}

fn with_remarks(text: String, load: Load) -> String {
    std::iter::once(text).chain(load.profile.remarks()).collect::<Vec<_>>().join(", ")
}
