//! Colours of actions, states, requests and parts of a response time: those of the charts.

use plotters::style::RGBColor;

use super::parts::Part;
use crate::figures::style::{BAND, BLUE, GREEN, GREY, INK, ORANGE, OTHERS, SKY, VERMILION};

/// Colour of light requests.
pub(super) const LIGHT: RGBColor = BLUE;
/// Colour of heavy requests, and of the work that they cause.
pub(super) const HEAVY: RGBColor = VERMILION;
/// Colour of a thread that runs the program's own code.
pub(super) const USER: RGBColor = INK;
/// Colour of a thread that runs in the kernel.
pub(super) const KERNEL: RGBColor = OTHERS;
/// Colour of a thread that waits for the core.
pub(super) const RUNNABLE: RGBColor = ORANGE;

/// Group of actions with one colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Receiving and parsing.
    Receive,
    /// Opening, writing and publishing files.
    Files,
    /// Sending.
    Send,
    /// Work of heavy requests.
    Work,
    /// Anything else.
    Other,
}

impl Class {
    /// All groups, in the order of a request.
    pub(super) const ALL: [Self; 5] =
        [Self::Receive, Self::Files, Self::Send, Self::Work, Self::Other];

    /// Group of a kind of action; `None` for a wait.
    pub(super) fn of(kind: &str) -> Option<Self> {
        let begins = |words: &[&str]| words.iter().any(|word| kind.starts_with(word));
        if begins(&["wait-"]) {
            return None;
        }
        let works = ["work", "block", "compute", "burn"];
        Some(if works.iter().any(|word| kind.contains(word)) {
            Self::Work
        } else if begins(&["receive", "accept"]) {
            Self::Receive
        } else if begins(&["send"]) {
            Self::Send
        } else if begins(&["open", "create", "write", "commit", "abort", "list"]) {
            Self::Files
        } else {
            Self::Other
        })
    }

    pub(super) fn colour(self) -> RGBColor {
        match self {
            Self::Receive => SKY,
            Self::Files => GREEN,
            Self::Send => BLUE,
            Self::Work => VERMILION,
            Self::Other => GREY,
        }
    }

    /// Colour of letters on a block, in SVG notation. It is the same on dark pages.
    pub(super) fn letters(self) -> &'static str {
        match self {
            Self::Receive => "#000000",
            Self::Files | Self::Send | Self::Work | Self::Other => "#FFFFFF",
        }
    }

    /// Name in the legend.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive, parse",
            Self::Files => "open or write a file",
            Self::Send => "send",
            Self::Work => "work of a heavy request",
            Self::Other => "other action",
        }
    }
}

/// Colour of a part of a response time.
pub(super) fn of_part(part: Part) -> RGBColor {
    match part {
        Part::OwnCpu => BLUE,
        Part::RunQueue => RUNNABLE,
        Part::Blocked => GREY,
        Part::HeadOfLine => VERMILION,
        Part::Outside => BAND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_have_groups_and_waits_have_none() {
        for (kind, class) in [
            ("receive", Some(Class::Receive)),
            ("open-download", Some(Class::Files)),
            ("commit-upload", Some(Class::Files)),
            ("send-file", Some(Class::Send)),
            ("work-block", Some(Class::Work)),
            ("lab-block", Some(Class::Work)),
            ("close", Some(Class::Other)),
            ("wait-ready", None),
        ] {
            assert_eq!(Class::of(kind), class, "{kind}");
        }
    }

    #[test]
    fn groups_and_parts_have_distinct_colours() {
        let classes = Class::ALL.map(Class::colour);
        let parts = Part::ALL.map(of_part);
        for colours in [classes, parts] {
            for (index, colour) in colours.iter().enumerate() {
                assert!(!colours[index + 1..].contains(colour), "{index}");
            }
        }
    }
}
