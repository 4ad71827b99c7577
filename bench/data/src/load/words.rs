//! Loads in words: headings, sentences, remarks.

use crate::load::Load;
use crate::load::mix::Mix;
use crate::load::profile::LoadProfile;
use crate::units::grouped;
use loadgen::Direction;

/// A load as the heading of its table.
pub fn heading(load: Load) -> String {
    let direction = match load.direction {
        Direction::Download => "Download",
        Direction::Upload => "Upload",
        Direction::Echo => "Echo",
    };
    let plural = if load.connections == 1 { "" } else { "s" };
    let connections = grouped(load.connections);
    let mut text =
        format!("{direction} of {}, {connections} connection{plural}", load.size.spaced());
    for remark in load.profile.remarks() {
        text += &format!(", {remark}");
    }
    text
}

/// The load in words: `64 connections and downloads of 1 KiB`, and what sets it apart.
pub fn describe(load: Load) -> String {
    let noun = match load.direction {
        Direction::Download => "downloads",
        Direction::Upload => "uploads",
        Direction::Echo => "echoed lines",
    };
    let plural = if load.connections == 1 { "" } else { "s" };
    let remarks = load.profile.remarks();
    let apart =
        if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(", ")) };
    let connections = grouped(load.connections);
    format!("{connections} connection{plural} and {noun} of {}{apart}", load.size.spaced())
}

impl LoadProfile {
    /// What sets it apart, in words; nothing for the usual one.
    pub fn remarks(&self) -> Vec<String> {
        let background = self.background;
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
            beside(background.idle, "idle connection", "idle connections"),
            beside(background.slow_readers, "slow reader", "slow readers"),
            beside(background.slow_senders, "slow sender", "slow senders"),
        ];
        usual.into_iter().flatten().chain(self.heavy.remarks()).collect()
    }
}
