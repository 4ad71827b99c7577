//! Bytes of a connection that no thread serves at present.

use fileserver_proto::{Buffer, IoBuffers};

/// What a parked connection keeps of its buffers: nothing, unless bytes wait in them.
#[derive(Debug, Default)]
pub(crate) struct Leftover {
    input: Option<Box<[u8]>>,
    output: Option<Box<[u8]>>,
}

impl Leftover {
    /// Takes what is left in borrowed buffers, so that they can serve another connection.
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

    /// Puts it back into buffers, which must be empty.
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
