//! Test content and its checksums.

use std::path::Path;

use sha2::{Digest, Sha256};

/// Pseudo-random bytes, equal for equal seeds.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

/// Checksum of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Checksum of a file.
pub(crate) fn sha256_of_file(path: &Path) -> [u8; 32] {
    sha256(&std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Base64 encoding of bytes (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*three.get(at).unwrap_or(&0)));
        for digit in 0..4 {
            text.push(match digit <= three.len() {
                true => char::from(DIGITS[bits >> (18 - 6 * digit) & 63]),
                false => '=',
            });
        }
    }
    text
}

/// Header field with the checksum of a whole file.
pub(crate) fn repr_digest(bytes: &[u8]) -> String {
    format!("Repr-Digest: sha-256=:{}:\r\n", base64(&sha256(bytes)))
}
