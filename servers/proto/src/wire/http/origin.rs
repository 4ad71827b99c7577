//! Protection from requests of other sites' pages.

use super::fields::Fields;
use crate::refusal::Refusal;

/// Accepts a request that no browser sent, or that a page of this server sent.
///
/// # Errors
/// The request comes from another or an unknown origin.
pub(super) fn check(fields: &Fields<'_>) -> Result<(), Refusal> {
    let site_is_other = fields.all("sec-fetch-site").any(|site| {
        site.eq_ignore_ascii_case(b"cross-site") || site.eq_ignore_ascii_case(b"same-site")
    });
    let origin_is_other = fields.has("origin")
        && !matches!(
            (fields.single("origin"), fields.single("host")),
            (Some(origin), Some(host)) if is_same(origin, host)
        );
    match site_is_other || origin_is_other {
        true => Err(Refusal::CrossOrigin),
        false => Ok(()),
    }
}

/// Returns true if an origin's authority is the requested host, with or without default ports. The
/// scheme may differ, as a proxy may speak TLS.
fn is_same(origin: &[u8], host: &[u8]) -> bool {
    [(&b"http://"[..], &b":80"[..]), (b"https://", b":443")].iter().any(|(scheme, port)| {
        let bare = |authority: &[u8]| {
            authority.strip_suffix(*port).unwrap_or(authority).to_ascii_lowercase()
        };
        origin
            .split_at_checked(scheme.len())
            .filter(|(given, authority)| {
                given.eq_ignore_ascii_case(scheme) && !authority.is_empty()
            })
            .is_some_and(|(_, authority)| bare(authority) == bare(host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_host_whatever_its_case_and_default_port() {
        for (origin, host, same) in [
            ("http://h:8800", "h:8800", true),
            ("http://H.example", "h.EXAMPLE", true),
            ("http://h", "h:80", true),
            ("http://h:80", "h", true),
            ("https://h", "h:443", true),
            ("https://h", "h", true),
            ("http://[::1]:8800", "[::1]:8800", true),
            ("http://h:8801", "h:8800", false),
            ("http://h", "h:8800", false),
            ("http://h", "h:443", false),
            ("http://h.evil.example", "h", false),
            ("http://evil.example", "h", false),
            ("ftp://h", "h", false),
            ("null", "h", false),
            ("null", "null", false),
            ("", "", false),
            ("http://", "", false),
            ("http://h/", "h", false),
        ] {
            assert_eq!(is_same(origin.as_bytes(), host.as_bytes()), same, "{origin} {host}");
        }
    }
}
