//! Blocks of a lane, and their merging where they are too short to be seen.

/// Block of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block<T> {
    pub(super) from: u64,
    pub(super) to: u64,
    /// Content.
    pub(super) what: T,
    /// Number of merged blocks.
    pub(super) count: usize,
}

impl<T> Block<T> {
    pub(super) fn new(from: u64, to: u64, what: T) -> Self {
        Self { from, to, what, count: 1 }
    }
}

/// Merges sorted blocks that lie together within the resolution, and equal ones with smaller gaps.
/// Merged blocks of different contents get that of the longest one, as `mixed` reduces it.
pub(super) fn merged<T: Copy + PartialEq>(
    blocks: impl IntoIterator<Item = Block<T>>,
    resolution: u64,
    mixed: impl Fn(T) -> T,
) -> Vec<Block<T>> {
    let mut merged: Vec<Block<T>> = Vec::new();
    // Length of the block that the last merged one has its content from.
    let mut longest = 0;
    for block in blocks {
        let length = block.to - block.from;
        let Some(last) = merged.last_mut() else {
            longest = length;
            merged.push(block);
            continue;
        };
        let is_equal = last.what == block.what && block.from <= last.to.saturating_add(resolution);
        let is_within = block.to <= last.from.saturating_add(resolution);
        if !is_equal && !is_within {
            longest = length;
            merged.push(block);
            continue;
        }
        if !is_equal {
            last.what = mixed(if length > longest { block.what } else { last.what });
        }
        longest = longest.max(length);
        last.to = last.to.max(block.to);
        last.count += block.count;
    }
    merged
}

/// Blocks without overlap: each ends where the next one begins.
pub(super) fn cut<T>(mut blocks: Vec<Block<T>>) -> Vec<Block<T>> {
    let next: Vec<u64> = blocks.iter().skip(1).map(|block| block.from).collect();
    for (block, next) in blocks.iter_mut().zip(next) {
        block.to = block.to.min(next);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letter, or a dot for several.
    fn of(blocks: &[(u64, u64, char)], resolution: u64) -> Vec<(u64, u64, char, usize)> {
        let blocks = blocks.iter().map(|(from, to, what)| Block::new(*from, *to, *what));
        let merged = merged(blocks, resolution, |what| what.to_ascii_uppercase());
        merged.iter().map(|one| (one.from, one.to, one.what, one.count)).collect()
    }

    #[test]
    fn short_blocks_are_merged_and_long_ones_stay() {
        let blocks = [(0, 2, 'a'), (2, 7, 'b'), (8, 9, 'a'), (20, 60, 'a'), (61, 90, 'b')];
        assert_eq!(of(&blocks, 0).len(), 5);
        assert_eq!(of(&blocks, 10), [(0, 9, 'B', 3), (20, 60, 'a', 1), (61, 90, 'b', 1)]);
    }

    #[test]
    fn equal_blocks_are_joined() {
        let blocks = [(0, 50, 'a'), (52, 100, 'a'), (103, 150, 'a'), (200, 250, 'a')];
        assert_eq!(of(&blocks, 3), [(0, 150, 'a', 3), (200, 250, 'a', 1)]);
    }

    #[test]
    fn there_are_few_blocks_for_any_input() {
        let letter = |at: u64| if at.is_multiple_of(3) { 'a' } else { 'b' };
        let many = (0..10_000).map(|at| (at * 10, at * 10 + 7, letter(at)));
        let many: Vec<_> = many.collect();
        let merged = of(&many, 1_000);
        assert!(merged.len() <= 2 * 100_000 / 1_000, "{}", merged.len());
        assert_eq!(merged.iter().map(|(.., count)| count).sum::<usize>(), 10_000);
        let sorted = merged.windows(2).all(|two| two[0].1 <= two[1].0);
        assert!(sorted, "no overlap");
    }

    #[test]
    fn overlapping_blocks_are_cut() {
        let blocks = [Block::new(0, 50, 'a'), Block::new(10, 40, 'b'), Block::new(60, 70, 'c')];
        let ends: Vec<_> = cut(blocks.to_vec()).iter().map(|block| block.to).collect();
        assert_eq!(ends, [10, 40, 70]);
        assert!(cut::<char>(Vec::new()).is_empty());
    }
}
