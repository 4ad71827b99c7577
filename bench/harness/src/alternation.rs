//! Alternating order of servers and generators over the rounds.

/// Order of a round: as listed in odd rounds, reversed in even ones.
pub(crate) fn in_turn<T: Clone>(all: &[T], round: u32) -> Vec<T> {
    let mut turns = all.to_vec();
    if round.is_multiple_of(2) {
        turns.reverse();
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_take_turns() {
        assert_eq!(in_turn(&[1, 2], 1), [1, 2]);
        assert_eq!(in_turn(&[1, 2], 2), [2, 1]);
    }
}
