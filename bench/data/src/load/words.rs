//! Loads in words: headings, sentences, remarks.

use crate::load::Cell;
use crate::load::mix::Mix;
use crate::load::profile::Manner;
use crate::units::grouped;
use loadgen::Direction;

/// A load as the heading of its table.
pub fn heading(cell: Cell) -> String {
    let direction = match cell.direction {
        Direction::Download => "Download",
        Direction::Upload => "Upload",
        Direction::Echo => "Echo",
    };
    let plural = if cell.connections == 1 { "" } else { "s" };
    let connections = grouped(cell.connections);
    let mut text =
        format!("{direction} of {}, {connections} connection{plural}", cell.size.spaced());
    for remark in cell.manner.remarks() {
        text += &format!(", {remark}");
    }
    text
}

/// The load in words: `64 connections and downloads of 1 KiB`, and what sets it apart.
pub fn describe(cell: Cell) -> String {
    let noun = match cell.direction {
        Direction::Download => "downloads",
        Direction::Upload => "uploads",
        Direction::Echo => "echoed lines",
    };
    let plural = if cell.connections == 1 { "" } else { "s" };
    let remarks = cell.manner.remarks();
    let apart =
        if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
    let connections = grouped(cell.connections);
    format!("{connections} connection{plural} and {noun} of {}{apart}", cell.size.spaced())
}

impl Manner {
    /// What sets it apart, in words; nothing for the usual one.
    pub fn remarks(&self) -> Vec<String> {
        let crowd = self.crowd;
        let beside = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("beside 1 {one}")),
            _ => Some(format!("beside {} {many}", grouped(count))),
        };
        let usual = [
            self.mix.map(Mix::remark),
            (!self.keep_alive).then(|| "a new connection per request".to_owned()),
            self.rate_per_s.map(|rate| format!("{} requests/s offered", grouped(rate as usize))),
            self.of_weakest_percent
                .map(|percent| format!("{percent} % of the weakest server's capacity")),
            beside(crowd.idle, "idle connection", "idle connections"),
            beside(crowd.slow_readers, "slow reader", "slow readers"),
            beside(crowd.slow_senders, "slow sender", "slow senders"),
        ];
        usual.into_iter().flatten().chain(self.heavy.remarks()).collect()
    }
}
