//! Generated file contents: any part can be verified without a copy of the file.

/// Pseudo-random bytes of one file, computed from the offset alone.
///
/// The 64-bit word at each multiple of 8 is SplitMix64's output function (Steele, Lea and Flood,
/// OOPSLA 2014) of the file's seed and the word's number, in little-endian order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    seed: u64,
    /// Length of a line of letters, its end included; `None` for binary content.
    line_bytes: Option<u64>,
}

impl Content {
    /// Content of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, line_bytes: None }
    }

    /// Content of the file with this name: the seed is the FNV-1a hash of the name. Writer and
    /// verifier need to share nothing but the name.
    pub fn of_name(name: &str) -> Self {
        let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self::new(seed)
    }

    /// Line of `len` bytes (at least two) for this name: lower-case letters, then `\\r\\n`.
    pub fn line_of_name(name: &str, len: u64) -> Self {
        Self { line_bytes: Some(len), ..Self::of_name(name) }
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub fn fill(self, offset: u64, buffer: &mut [u8]) {
        if let Some(len) = self.line_bytes {
            for (byte, at) in buffer.iter_mut().zip(offset..) {
                *byte = self.line_byte(len, at);
            }
            return;
        }
        let (head, whole) = buffer.split_at_mut(unaligned(offset).min(buffer.len()));
        let (words, tail) = whole.as_chunks_mut::<8>();
        let first = offset.div_ceil(8);
        if !head.is_empty() {
            let from = (offset % 8) as usize;
            head.copy_from_slice(&self.word(offset / 8)[from..from + head.len()]);
        }
        for (word, number) in words.iter_mut().zip(first..) {
            *word = self.word(number);
        }
        tail.copy_from_slice(&self.word(first + words.len() as u64)[..tail.len()]);
    }

    /// Checks that `bytes` equal the content at `offset`.
    pub fn matches(self, offset: u64, bytes: &[u8]) -> bool {
        if let Some(len) = self.line_bytes {
            return bytes.iter().zip(offset..).all(|(byte, at)| *byte == self.line_byte(len, at));
        }
        let (head, whole) = bytes.split_at(unaligned(offset).min(bytes.len()));
        let (words, tail) = whole.as_chunks::<8>();
        let first = offset.div_ceil(8);
        let from = (offset % 8) as usize;
        (head.is_empty() || head == &self.word(offset / 8)[from..from + head.len()])
            && words.iter().zip(first..).all(|(word, number)| *word == self.word(number))
            && tail == &self.word(first + words.len() as u64)[..tail.len()]
    }

    fn line_byte(self, len: u64, at: u64) -> u8 {
        match len.saturating_sub(at) {
            1 => b'\n',
            2 => b'\r',
            _ => b'a' + self.word(at / 8)[(at % 8) as usize] % 26,
        }
    }

    fn word(self, number: u64) -> [u8; 8] {
        let mut z = self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    }
}

/// Number of bytes from `offset` on that belong to a word that began before it.
fn unaligned(offset: u64) -> usize {
    (offset.wrapping_neg() % 8) as usize
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
    fn the_bytes_stay_what_they_were() {
        // Files written by one version are verified by another.
        let mut bytes = [0; 10];
        Content::of_name("a.bin").fill(0, &mut bytes);
        assert_eq!(bytes, [0x70, 0x4c, 0x0e, 0x4a, 0xbc, 0x92, 0xd3, 0xf8, 0x32, 0x89]);
    }

    #[test]
    fn a_line_is_letters_and_its_end() {
        let content = Content::line_of_name("a", 64);
        let mut line = [0; 64];
        content.fill(0, &mut line);
        assert!(line.ends_with(b"\r\n"));
        assert!(line[..62].iter().all(u8::is_ascii_lowercase), "{line:?}");
        assert!(content.matches(0, &line) && content.matches(60, &line[60..]));
        assert!(!content.matches(1, &line[..63]));
        assert!(!Content::line_of_name("b", 64).matches(0, &line));
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
