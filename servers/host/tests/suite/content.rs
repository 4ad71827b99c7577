//! Bytes to send, and checksums to know them by.

use std::path::Path;

use sha2::{Digest, Sha256};

/// Bytes that look random, the same for the same seed.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The checksum of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The checksum of a file.
pub(crate) fn sha256_of_file(path: &Path) -> [u8; 32] {
    sha256(&std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}
