//! File contents that any part of a file can be checked against without keeping the file.

/// Bytes that differ from file to file and from place to place, computed from the offset alone.
///
/// The 64-bit word at each multiple of 8 is SplitMix64's output function (Steele, Lea and Flood,
/// OOPSLA 2014) of the file's seed and the word's number, in little-endian order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    seed: u64,
}

impl Content {
    /// The content that belongs to a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The content of the test file of this name (FNV-1a hash of the name as the seed), so that
    /// whoever writes the file and whoever checks it need to agree on nothing else.
    pub fn of_name(name: &str) -> Self {
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self::new(seed)
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub fn fill(self, offset: u64, buffer: &mut [u8]) {
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let word = self.word(at / 8).to_le_bytes();
            let from = (at % 8) as usize;
            let len = rest.len().min(8 - from);
            let (head, tail) = rest.split_at_mut(len);
            head.copy_from_slice(&word[from..from + len]);
            at += len as u64;
            rest = tail;
        }
    }

    /// Whether `bytes` are what stands at `offset`.
    pub fn matches(self, offset: u64, bytes: &[u8]) -> bool {
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let word = self.word(at / 8).to_le_bytes();
            let from = (at % 8) as usize;
            let len = rest.len().min(8 - from);
            let (head, tail) = rest.split_at(len);
            if head != &word[from..from + len] {
                return false;
            }
            at += len as u64;
            rest = tail;
        }
        true
    }

    fn word(self, number: u64) -> u64 {
        let mut z = self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_piece_equals_that_piece_of_the_whole() {
        let content = Content::of_name("a.bin");
        let mut whole = [0; 100];
        content.fill(0, &mut whole);
        for from in 0..40 {
            for to in from..60 {
                let mut piece = vec![0; to - from];
                content.fill(from as u64, &mut piece);
                assert_eq!(piece, whole[from..to]);
                assert!(content.matches(from as u64, &piece));
            }
        }
    }

    #[test]
    fn a_changed_or_shifted_byte_is_noticed() {
        let content = Content::of_name("a.bin");
        let mut bytes = [0; 64];
        content.fill(0, &mut bytes);
        assert!(!content.matches(1, &bytes));
        assert!(!Content::of_name("b.bin").matches(0, &bytes));
        bytes[63] ^= 1;
        assert!(!content.matches(0, &bytes));
    }
}
