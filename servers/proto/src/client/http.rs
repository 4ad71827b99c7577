//! Requests of the http wire.

use crate::percent;

/// Appends a GET of `target`, as [`target`] makes it from a file's name.
pub fn get(target: &str, host: &str, keep_alive: bool, out: &mut Vec<u8>) {
    head("GET", target, host, keep_alive, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends a GET of `target` from byte `from` on, or of all of it if its entity tag is no longer
/// `etag`.
pub fn get_rest(target: &str, host: &str, from: u64, etag: &str, out: &mut Vec<u8>) {
    head("GET", target, host, true, out);
    out.extend_from_slice(format!("Range: bytes={from}-\r\nIf-Range: {etag}\r\n\r\n").as_bytes());
}

/// Appends the head of a PUT of `len` bytes to `target`; the content follows.
pub fn put(target: &str, host: &str, len: u64, keep_alive: bool, out: &mut Vec<u8>) {
    head("PUT", target, host, keep_alive, out);
    out.extend_from_slice(format!("Content-Length: {len}\r\n\r\n").as_bytes());
}

/// Request target of a file: `/` and its name, percent-encoded as RFC 3986 requires.
pub fn target(name: &str) -> String {
    let mut target = String::with_capacity(name.len() + 1);
    target.push('/');
    percent::encode(name, |piece| target.push_str(piece));
    target
}

/// Name of the file that a request target or a `Location` refers to; `None` if it is badly encoded
/// or not UTF-8.
pub fn name(target: &str) -> Option<String> {
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => target.strip_prefix('/').unwrap_or(target),
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    String::from_utf8(percent::decode(path.as_bytes()).collect::<Option<_>>()?).ok()
}

/// Appends the request line and the fields common to all requests.
pub(super) fn head(method: &str, target: &str, host: &str, keep_alive: bool, out: &mut Vec<u8>) {
    for part in [method, " ", target, " HTTP/1.1\r\nHost: ", host, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if !keep_alive {
        out.extend_from_slice(b"Connection: close\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_rfc_9112_asks_for() {
        let mut out = Vec::new();
        get("/a", "h:1", true, &mut out);
        put("/b", "h:1", 5, false, &mut out);
        get_rest("/c", "h:1", 7, "\"x\"", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "GET /a HTTP/1.1\r\nHost: h:1\r\n\r\n\
             PUT /b HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\nContent-Length: 5\r\n\r\n\
             GET /c HTTP/1.1\r\nHost: h:1\r\nRange: bytes=7-\r\nIf-Range: \"x\"\r\n\r\n"
        );
    }

    #[test]
    fn a_name_survives_its_target() {
        for given in ["meme.png", "two words", "100%", "a/b", "ö?#&+", "-rf", "~x"] {
            let target = target(given);
            assert!(target.bytes().all(|byte| byte.is_ascii_graphic()), "{target}");
            assert_eq!(name(&target).as_deref(), Some(given));
        }
    }

    #[test]
    fn a_location_may_be_a_url() {
        assert_eq!(name("http://h:1/a%20b?x#y").as_deref(), Some("a b"));
        assert_eq!(name("a%2"), None);
        assert_eq!(name("/%ff"), None);
        assert_eq!(name("http://h"), None);
    }
}
