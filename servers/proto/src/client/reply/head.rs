//! Head of an http reply.

use std::mem::MaybeUninit;

use super::ReplyError;

const MAX_HEADERS: usize = 100;

/// Decoded head of an http reply.
#[derive(Debug)]
pub(super) struct HttpHead<'h> {
    pub(super) status: u16,
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) keep_alive: bool,
    pub(super) location: &'h [u8],
}

impl<'h> HttpHead<'h> {
    /// Parses the head at the front of `bytes`, and returns its length; `None` if it is incomplete.
    pub(super) fn parse(bytes: &'h [u8]) -> Result<Option<(usize, Self)>, ReplyError> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            bytes,
            &mut headers,
        );
        let used = match parsed {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(ReplyError::Malformed("not an http reply")),
        };
        let mut head = Self {
            status: response.code.unwrap_or(0),
            content_length: None,
            chunked: false,
            keep_alive: response.version == Some(1),
            location: b"",
        };
        for header in response.headers.iter() {
            head.read_field(header.name, header.value)?;
        }
        if head.chunked && head.content_length.is_some() {
            return Err(ReplyError::Malformed("both a content length and chunks"));
        }
        Ok(Some((used, head)))
    }

    /// Returns true for an interim reply, which another one follows.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status)
    }

    pub(super) fn has_no_body(&self) -> bool {
        matches!(self.status, 204 | 304)
    }

    fn read_field(&mut self, name: &str, value: &'h [u8]) -> Result<(), ReplyError> {
        // Most fields are none of these: their length excludes them without a comparison.
        match name.len() {
            14 if name.eq_ignore_ascii_case("content-length") => {
                let length = digits(value).ok_or(ReplyError::Malformed("a bad content length"))?;
                if self.content_length.is_some_and(|earlier| earlier != length) {
                    return Err(ReplyError::Malformed("two content lengths"));
                }
                self.content_length = Some(length);
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                for token in value.split(|&byte| byte == b',') {
                    let token = token.trim_ascii();
                    if token.eq_ignore_ascii_case(b"close") {
                        self.keep_alive = false;
                    } else if token.eq_ignore_ascii_case(b"keep-alive") {
                        self.keep_alive = true;
                    }
                }
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(ReplyError::Malformed("an unknown transfer encoding"));
                }
                self.chunked = true;
            }
            8 if name.eq_ignore_ascii_case("location") => self.location = value,
            _ => {}
        }
        Ok(())
    }
}

fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
