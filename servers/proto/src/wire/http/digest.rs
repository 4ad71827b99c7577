//! Hash of an upload's content: `Repr-Digest` and `Content-Digest` (RFC 9530).

use super::base64;
use super::fields::Fields;
use crate::Digest;
use crate::refusal::Refusal;

/// SHA-256 hash in fields of the given names; other algorithms are ignored.
///
/// # Errors
/// A field is malformed, or two contradict each other.
pub(super) fn read(fields: &Fields<'_>, names: &[&str]) -> Result<Option<Digest>, Refusal> {
    let mut agreed = None;
    for name in names {
        let Some(value) = fields.list(name) else { continue };
        let digest = sha_256(&value).ok_or(Refusal::Malformed("malformed digest"))?;
        if agreed.is_some() && digest.is_some() && agreed != digest {
            return Err(Refusal::Malformed("contradictory digests"));
        }
        agreed = agreed.or(digest);
    }
    Ok(agreed)
}

/// Decodes the member `sha-256` of a dictionary of byte sequences (RFC 8941, 3.2); the last one
/// counts.
fn sha_256(dictionary: &[u8]) -> Option<Option<Digest>> {
    let mut digest = None;
    for member in dictionary.split(|&byte| byte == b',') {
        let member = member.trim_ascii();
        let at = member.iter().position(|&byte| byte == b'=')?;
        let (key, value) = (&member[..at], &member[at + 1..]);
        let is_key = key.first().is_some_and(|byte| byte.is_ascii_lowercase() || *byte == b'*')
            && key.iter().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(byte)
            });
        // Parameters are ignored.
        let value = value.split(|&byte| byte == b';').next()?.trim_ascii_end();
        let bytes = base64::decode(value.strip_prefix(b":")?.strip_suffix(b":")?)?;
        match is_key {
            true if key == b"sha-256" => digest = Some(Digest(bytes.try_into().ok()?)),
            true => {}
            false => return None,
        }
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

    #[test]
    fn the_hash_is_found_among_others() {
        let hash = sha_256(EMPTY.as_bytes()).flatten().expect("a hash");
        assert_eq!(hash.0[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        for value in [
            format!("{EMPTY};p=1"),
            format!("md5=:1B2M2Y8AsgTpgAmY7PhCfg==:, {EMPTY}"),
            format!("{EMPTY} ,  sha-512=:AAAA:"),
            format!("sha-256=:{}=:, {EMPTY}", "A".repeat(43)),
        ] {
            assert_eq!(sha_256(value.as_bytes()), Some(Some(hash)), "{value}");
        }
        assert_eq!(sha_256(b"md5=:1B2M2Y8AsgTpgAmY7PhCfg==:"), Some(None));
    }

    #[test]
    fn what_is_malformed_is_noticed() {
        for value in [
            "",
            "sha-256",
            "sha-256=",
            "sha-256=::",
            "sha-256=:AAAA:",
            "sha-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "SHA-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            "sha-256 =:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU:",
            "md5=:?:",
            "md5=:AAAA:,",
        ] {
            assert_eq!(sha_256(value.as_bytes()), None, "{value}");
        }
    }
}
