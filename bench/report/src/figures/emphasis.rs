//! Weight of the servers in a picture: the compared pair in colour, a few others grey with markers, and
//! the rest as thin lines without names of their own.

use crate::analysis::pair::Pair;

/// Most labelled lines of a chart. Further ones are a group.
const MOST_LABELLED: usize = 7;

/// Weight of a server in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Thin grey line; its name is in a list.
    Grouped,
    /// Grey line with marker.
    Grey,
    /// Colour, marker, and the rounds with their range.
    Full,
}

impl Weight {
    /// Width of lines in pixels.
    pub(super) fn line(self) -> u32 {
        match self {
            Self::Grouped | Self::Grey => 1,
            Self::Full => 3,
        }
    }
}

/// Weights of the servers of a chart.
#[derive(Debug, Clone)]
pub(super) struct Emphasis {
    /// Servers in full colour; all labelled ones if empty.
    pair: Vec<String>,
    labelled: Vec<String>,
}

impl Emphasis {
    /// Weights of some servers, of which `best` are ranked. Labels go to the pair, then to the best, then
    /// to the others in their order.
    pub(super) fn of(pair: Option<&Pair>, names: &[&str], best: &[&str]) -> Self {
        let pair: Vec<&str> =
            pair.map(|pair| vec![&*pair.first, &*pair.second]).unwrap_or_default();
        let pair: Vec<&str> = pair.into_iter().filter(|name| names.contains(name)).collect();
        let mut labelled: Vec<&str> = Vec::new();
        for name in pair.iter().chain(best).chain(names) {
            if labelled.len() < MOST_LABELLED && names.contains(name) && !labelled.contains(name) {
                labelled.push(*name);
            }
        }
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        Self { pair: owned(pair), labelled: owned(labelled) }
    }

    /// Weight of a server.
    pub(super) fn weight(&self, name: &str) -> Weight {
        let has = |names: &[String]| names.iter().any(|one| one == name);
        match (has(&self.pair), has(&self.labelled)) {
            (true, _) => Weight::Full,
            (false, true) if self.pair.is_empty() => Weight::Full,
            (false, true) => Weight::Grey,
            (false, false) => Weight::Grouped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> Pair {
        Pair { first: "b".to_owned(), second: "a".to_owned() }
    }

    fn weights(emphasis: &Emphasis, names: &[&str]) -> String {
        let letter = |name: &&str| match emphasis.weight(name) {
            Weight::Full => 'F',
            Weight::Grey => 'g',
            Weight::Grouped => '-',
        };
        names.iter().map(letter).collect()
    }

    #[test]
    fn the_pair_is_in_colour_and_at_most_seven_lines_have_labels() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let emphasis = Emphasis::of(Some(&pair()), &names, &["i", "a", "h"]);
        assert_eq!(weights(&emphasis, &names), "FFggg--gg");
        let emphasis = Emphasis::of(Some(&pair()), &names[..4], &["c"]);
        assert_eq!(weights(&emphasis, &names[..4]), "FFgg");
    }

    #[test]
    fn without_a_pair_all_labelled_lines_are_in_colour() {
        let names = ["c", "d", "e", "f", "g", "h", "i", "j"];
        let emphasis = Emphasis::of(None, &names, &["j"]);
        assert_eq!(weights(&emphasis, &names), "FFFFFF-F");
        let emphasis = Emphasis::of(Some(&pair()), &names[..2], &[]);
        assert_eq!(weights(&emphasis, &names[..2]), "FF", "the pair is not in the chart");
    }
}
