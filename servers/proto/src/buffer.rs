//! Byte buffers that a driver lends to a session.

/// The two buffers of a connection. They belong to the driver and are lent for each call. A driver
/// of many connections takes them back while both are empty.
#[derive(Debug, Default)]
pub struct IoBuffers {
    /// Bytes received and not yet decoded.
    pub input: Buffer,
    /// Bytes encoded and not yet sent.
    pub output: Buffer,
}

impl IoBuffers {
    /// Creates buffers for `input` received bytes and, at first, `output` bytes to send. The output
    /// grows when a reply needs more.
    pub fn with_capacity(input: usize, output: usize) -> Self {
        Self { input: Buffer::with_capacity(input), output: Buffer::with_capacity(output) }
    }

    /// Returns true if neither buffer holds a byte, so that they can serve another connection.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }

    /// Removes all bytes from both buffers.
    pub fn clear(&mut self) {
        self.input.clear();
        self.output.clear();
    }
}

/// Contiguous byte queue: appended at the back, consumed from the front.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Creates an empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], start: 0, end: 0 }
    }

    /// Bytes held, oldest first.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Bytes held, to be changed in place.
    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Number of bytes held.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns true if no byte is held.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Number of bytes that fit without growing.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Contiguous room for further bytes; follow with [`commit`](Self::commit).
    ///
    /// Moves the held bytes to the front when less than half the capacity is free behind them.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.start > 0 && self.bytes.len() - self.end < self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.bytes[self.end..]
    }

    /// Counts the first `len` bytes of the spare room as held.
    ///
    /// # Panics
    /// The spare room has fewer bytes.
    pub fn commit(&mut self, len: usize) {
        assert!(len <= self.bytes.len() - self.end, "commit of {len} bytes beyond the spare room");
        self.end += len;
    }

    /// Removes the oldest `len` bytes.
    ///
    /// # Panics
    /// Fewer bytes are held.
    pub fn consume(&mut self, len: usize) {
        assert!(len <= self.len(), "consume of {len} bytes, {} held", self.len());
        self.start += len;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Removes all but the oldest `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start + len);
        if len == 0 {
            self.clear();
        }
    }

    /// Removes `len` bytes behind the oldest `kept`, which then adjoin the rest. Costs moving
    /// `kept` bytes.
    ///
    /// # Panics
    /// Fewer bytes are held.
    pub(crate) fn remove(&mut self, kept: usize, len: usize) {
        assert!(kept + len <= self.len(), "removal of {len} bytes, {} held", self.len());
        self.bytes.copy_within(self.start..self.start + kept, self.start + len);
        self.consume(len);
    }

    /// Makes spare room for `len` bytes, growing the buffer if needed.
    pub fn reserve(&mut self, len: usize) {
        if self.bytes.len() - self.end < len {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.bytes.len() < self.end + len {
                self.bytes.resize(self.end + len, 0);
            }
        }
    }

    /// Appends bytes, growing the buffer if needed.
    pub fn push(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Appends a number in decimal digits.
    pub(crate) fn push_decimal(&mut self, number: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut rest = number;
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[first..]);
    }

    /// Appends a number in hexadecimal digits.
    pub(crate) fn push_hex(&mut self, number: u64) {
        let mut digits = [0; 16];
        let mut first = digits.len();
        let mut rest = number;
        loop {
            first -= 1;
            digits[first] = b"0123456789abcdef"[(rest & 15) as usize];
            rest >>= 4;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[first..]);
    }

    /// Makes [`spare`](Self::spare) non-empty by growing a full buffer.
    pub(crate) fn ensure_spare(&mut self) {
        const LEAST_BYTES: usize = 512;
        if self.spare().is_empty() {
            let capacity = (2 * self.bytes.len()).max(LEAST_BYTES);
            self.bytes.resize(capacity, 0);
        }
    }

    /// Removes all bytes.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

impl std::fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let mut buffer = Buffer::with_capacity(8);
        buffer.push(b"abcdef");
        buffer.consume(4);
        buffer.push(b"ghij");
        assert_eq!(buffer.filled(), b"efghij");
        buffer.spare()[..2].copy_from_slice(b"kl");
        buffer.commit(2);
        assert_eq!(buffer.filled(), b"efghijkl");
    }

    #[test]
    fn bytes_in_between_can_be_removed() {
        let mut buffer = Buffer::default();
        buffer.push(b"abcdefg");
        buffer.remove(3, 2);
        assert_eq!(buffer.filled(), b"abcfg");
        buffer.remove(0, 1);
        assert_eq!(buffer.filled(), b"bcfg");
        buffer.remove(2, 2);
        assert_eq!(buffer.filled(), b"bc");
    }

    #[test]
    fn the_newest_bytes_can_be_taken_back() {
        let mut buffer = Buffer::with_capacity(8);
        buffer.push(b"abcdef");
        buffer.consume(2);
        buffer.truncate(9);
        assert_eq!(buffer.filled(), b"cdef");
        buffer.truncate(1);
        assert_eq!(buffer.filled(), b"c");
        buffer.truncate(0);
        assert_eq!(buffer.spare().len(), 8);
    }

    #[test]
    fn a_buffer_that_is_not_full_has_spare_room() {
        let mut buffer = Buffer::with_capacity(4);
        buffer.push(b"abcd");
        buffer.consume(3);
        assert_eq!(buffer.spare().len(), 3);
    }

    #[test]
    fn a_full_buffer_grows_when_it_must_have_spare_room() {
        let mut buffer = Buffer::default();
        buffer.ensure_spare();
        assert!(!buffer.spare().is_empty());
        let full = vec![b'x'; buffer.capacity()];
        buffer.push(&full);
        buffer.ensure_spare();
        assert!(!buffer.spare().is_empty());
        assert_eq!(buffer.filled(), full);
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 9, 10, 4096, u64::MAX] {
            let mut buffer = Buffer::default();
            buffer.push_decimal(number);
            assert_eq!(buffer.filled(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn numbers_are_written_in_hexadecimal() {
        for number in [0, 9, 10, 15, 16, 4096, u64::MAX] {
            let mut buffer = Buffer::default();
            buffer.push_hex(number);
            assert_eq!(buffer.filled(), format!("{number:x}").as_bytes());
        }
    }

    #[test]
    fn pushing_beyond_the_capacity_grows() {
        let mut buffer = Buffer::with_capacity(2);
        buffer.push(b"abcdef");
        assert_eq!(buffer.filled(), b"abcdef");
    }
}
