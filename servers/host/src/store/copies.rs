//! Choice of the `_copyN` for a taken name.

/// Numbers tried one after another before the distance grows.
const IN_A_ROW: u32 = 4;

/// Finds a number for which `place` succeeds, from 1 on; `None` when there is none left.
///
/// `place` decides: it returns false if the number is taken, also by a concurrent upload. `taken`
/// is only a hint that keeps this fast among thousands of copies: after a few failures it doubles
/// the distance until a number looks free, then halves back to the first one that does. Gaps in the
/// numbering may be skipped.
pub(super) fn place_copy<E>(
    mut place: impl FnMut(u32) -> Result<bool, E>,
    mut taken: impl FnMut(u32) -> Result<bool, E>,
) -> Result<Option<u32>, E> {
    let mut next = 1_u32;
    loop {
        for _ in 0..IN_A_ROW {
            if place(next)? {
                return Ok(Some(next));
            }
            let Some(following) = next.checked_add(1) else { return Ok(None) };
            next = following;
        }
        let mut occupied = next - 1;
        let mut distance = 1_u32;
        let mut free = loop {
            let Some(far) = occupied.checked_add(distance) else { return Ok(None) };
            if !taken(far)? {
                break far;
            }
            occupied = far;
            distance = distance.saturating_mul(2);
        };
        while free - occupied > 1 {
            let middle = occupied + (free - occupied) / 2;
            if taken(middle)? {
                occupied = middle;
            } else {
                free = middle;
            }
        }
        next = free;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    /// The number found, and how many questions it took, with the first `copies` numbers taken.
    fn find(copies: u32) -> (Option<u32>, u32) {
        let asked = Cell::new(0);
        let found = place_copy::<Infallible>(
            |number| {
                asked.set(asked.get() + 1);
                Ok(number > copies)
            },
            |number| {
                asked.set(asked.get() + 1);
                Ok(number <= copies)
            },
        )
        .unwrap();
        (found, asked.get())
    }

    #[test]
    fn the_first_free_number_is_found() {
        for copies in (0..200).chain([999, 1000, 1001, 65_535, 65_536]) {
            assert_eq!(find(copies).0, Some(copies + 1));
        }
    }

    #[test]
    fn many_copies_cost_few_questions() {
        let (found, asked) = find(1_000_000);
        assert_eq!(found, Some(1_000_001));
        assert!(asked < 64, "{asked} questions");
    }

    #[test]
    fn numbers_run_out_without_overflow() {
        assert_eq!(find(u32::MAX).0, None);
    }

    #[test]
    fn a_number_lost_to_a_rival_is_passed_over() {
        // Everything looks free, but rivals take the first 20 numbers that are tried.
        let mut rivals = 20_u32;
        let found = place_copy::<Infallible>(
            |_| {
                let won = rivals == 0;
                rivals = rivals.saturating_sub(1);
                Ok(won)
            },
            |_| Ok(false),
        );
        assert_eq!(found.unwrap(), Some(21));
    }
}
