//! Bytes of a parked connection.

use fileserver_proto::{Buffer, IoBuffers};

/// Bytes that a parked connection keeps of the shared buffers; usually none.
#[derive(Debug, Default)]
pub(crate) struct Leftover {
    input: Option<Box<[u8]>>,
    output: Option<Box<[u8]>>,
}

impl Leftover {
    /// Takes the bytes left in the shared buffers, which can then serve another connection.
    pub(crate) fn take(io: &mut IoBuffers) -> Self {
        fn rest(buffer: &mut Buffer) -> Option<Box<[u8]>> {
            if buffer.is_empty() {
                return None;
            }
            let rest = buffer.filled().into();
            buffer.clear();
            Some(rest)
        }
        Self { input: rest(&mut io.input), output: rest(&mut io.output) }
    }

    /// Puts the bytes back into the buffers, which must be empty.
    pub(crate) fn restore(&mut self, io: &mut IoBuffers) {
        debug_assert!(io.is_empty(), "another connection's bytes are in the buffers");
        if let Some(bytes) = self.input.take() {
            io.input.push(&bytes);
        }
        if let Some(bytes) = self.output.take() {
            io.output.push(&bytes);
        }
    }
}
