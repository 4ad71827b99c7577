//! Requests of the protocol for resumable uploads, tus 1.0.0 (see [`http`](super::http) for
//! others).

use super::http::head;
use crate::wire::http::base64;
use crate::wire::http::tus::{MEDIA_TYPE, VERSION};
use crate::{Digest, FileName};

/// Appends the creation of an upload of `len` bytes; the reply's `Location` is its target.
pub fn create(name: &FileName, len: u64, host: &str, out: &mut Vec<u8>) {
    head("POST", "/", host, true, out);
    let name = base64::encode(name.as_str().as_bytes());
    let fields = format!(
        "Tus-Resumable: {VERSION}\r\nUpload-Length: {len}\r\nUpload-Metadata: filename {name}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    out.extend_from_slice(fields.as_bytes());
}

/// Appends a query for the state of an upload; the reply's `Upload-Offset` is the number of bytes
/// stored. The reply has no body: see
/// [`ReplyReader::expect_head_only`](super::ReplyReader::expect_head_only).
pub fn inspect(target: &str, host: &str, out: &mut Vec<u8>) {
    head("HEAD", target, host, true, out);
    out.extend_from_slice(format!("Tus-Resumable: {VERSION}\r\n\r\n").as_bytes());
}

/// Appends the head of a piece of `len` bytes at `offset`; the content follows. The last piece may
/// carry the hash of the whole.
pub fn append(
    target: &str,
    host: &str,
    offset: u64,
    len: u64,
    whole: Option<&Digest>,
    out: &mut Vec<u8>,
) {
    head("PATCH", target, host, true, out);
    let digest = whole.map_or_else(String::new, |digest| {
        format!("Repr-Digest: sha-256=:{}:\r\n", base64::encode(&digest.0))
    });
    let fields = format!(
        "Tus-Resumable: {VERSION}\r\nUpload-Offset: {offset}\r\nContent-Type: {MEDIA_TYPE}\r\n\
         {digest}Content-Length: {len}\r\n\r\n"
    );
    out.extend_from_slice(fields.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_protocol_asks_for() {
        let mut out = Vec::new();
        create(&FileName::new("b \u{e9}.txt").unwrap(), 5, "h:1", &mut out);
        inspect("/.tus/ab", "h:1", &mut out);
        append("/.tus/ab", "h:1", 0, 2, None, &mut out);
        append("/.tus/ab", "h:1", 2, 3, Some(&Digest([0; 32])), &mut out);
        let zeros = "A".repeat(43) + "=";
        let piece = "Content-Type: application/offset+octet-stream\r\n";
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!(
                "POST / HTTP/1.1\r\nHost: h:1\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\n\
                 Upload-Metadata: filename YiDDqS50eHQ=\r\nContent-Length: 0\r\n\r\n\
                 HEAD /.tus/ab HTTP/1.1\r\nHost: h:1\r\nTus-Resumable: 1.0.0\r\n\r\n\
                 PATCH /.tus/ab HTTP/1.1\r\nHost: h:1\r\nTus-Resumable: 1.0.0\r\n\
                 Upload-Offset: 0\r\n{piece}Content-Length: 2\r\n\r\n\
                 PATCH /.tus/ab HTTP/1.1\r\nHost: h:1\r\nTus-Resumable: 1.0.0\r\n\
                 Upload-Offset: 2\r\n{piece}Repr-Digest: sha-256=:{zeros}:\r\n\
                 Content-Length: 3\r\n\r\n"
            )
        );
    }
}
