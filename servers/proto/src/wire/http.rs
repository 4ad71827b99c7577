//! The http wire: HTTP/1.1 and HTTP/1.0 (RFC 9110, RFC 9112), strict about where a message ends.

mod date;
mod head;
pub(crate) mod reply;
mod target;

use std::mem::MaybeUninit;

use super::body::Body;
use super::sniff;
use crate::exchange::{Decoded, Persist, Refusal, Reply, Request};
use crate::{Buffer, FileName, Limits, Now};
use head::Scan;

/// Room for parsed header fields; it lies on the stack.
const MAX_HEADERS: usize = 256;
/// Methods that the standards define and this server does not serve.
const OTHER_METHODS: [&str; 6] = ["POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

/// The server's half of the wire.
#[derive(Debug, Default)]
pub(crate) struct Http {
    scan: Scan,
    /// The present request came as HTTP/1.0.
    is_1_0: bool,
    /// The present request is a HEAD, whose answer has no content whatever its head says.
    is_head: bool,
}

impl Http {
    pub(crate) fn decode(
        &mut self,
        input: &mut Buffer,
        name: &mut FileName,
        limits: &Limits,
    ) -> Decoded {
        if self.scan.is_at_start() {
            (self.is_1_0, self.is_head) = (false, false);
            let empty_lines = head::empty_lines(input.filled());
            input.consume(empty_lines);
            // Half of another empty line, perhaps.
            if input.filled() == b"\r" {
                return Decoded::Incomplete;
            }
        }
        let end = match self.scan.head_end(input.filled(), limits) {
            Ok(Some(end)) => end,
            Ok(None) => return Decoded::Incomplete,
            Err(refusal) => return distrusted(refusal),
        };
        self.scan = Scan::default();
        let decoded = match self.head(&input.filled()[..end], name, limits) {
            Ok(decoded) => decoded,
            Err(refusal) => distrusted(refusal),
        };
        input.consume(end);
        decoded
    }

    /// Understands a whole head. An error is one after which the stream can't be trusted.
    fn head(
        &mut self,
        head: &[u8],
        name: &mut FileName,
        limits: &Limits,
    ) -> Result<Decoded, Refusal> {
        let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut []);
        let room = &mut room[..limits.headers.min(MAX_HEADERS)];
        match parsed.parse_with_uninit_headers(head, room) {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            Ok(_) => return Err(Refusal::Malformed("malformed head")),
            Err(error) => return Err(refusal_of(error, head)),
        }
        let method = parsed.method.unwrap_or_default();
        self.is_1_0 = parsed.version == Some(0);
        self.is_head = method == "HEAD";
        let fields = Fields::read(parsed.headers)?;
        if fields.hosts > 1 || (fields.hosts == 0 && !self.is_1_0) {
            return Err(Refusal::Malformed("one Host field is required"));
        }
        let body = fields.body(self.is_1_0, limits)?;
        let has_body = body.is_some_and(|body| body != Body::EMPTY);
        let expects_continue = fields.expects_continue && !self.is_1_0;
        let mut persist = match (self.is_1_0, fields.close, fields.keep_alive) {
            (_, true, _) | (true, _, false) => Persist::PeerCloses,
            _ => Persist::Keep,
        };

        let request = match method {
            "GET" | "HEAD" => {
                // Such content has no meaning; rather than to wait for it, the connection ends.
                if has_body {
                    persist = Persist::Close;
                }
                let content = !self.is_head;
                target::path(parsed.path.unwrap_or_default()).and_then(|path| match path {
                    "" => Ok(Request::List),
                    path => {
                        target::decode(path, name)?;
                        Ok(Request::Download { content })
                    }
                })
            }
            "PUT" => match body {
                // Without a length the body may be empty, or end with the connection.
                None => return Err(Refusal::LengthRequired),
                Some(body) => target::path(parsed.path.unwrap_or_default())
                    .and_then(|path| target::decode(path, name))
                    .map(|()| body)
                    .map(|body| Request::Upload { body, expects_continue }),
            },
            method if OTHER_METHODS.contains(&method) => Err(Refusal::MethodNotAllowed),
            _ => Err(Refusal::MethodUnknown),
        };
        let request = match request {
            Ok(_) if fields.unknown_expectation && !self.is_1_0 => Err(Refusal::ExpectationUnknown),
            request => request,
        };
        Ok(match request {
            Ok(request) => Decoded::Request { request, persist },
            Err(refusal) => {
                // A body that was held back may come or not: nobody can tell.
                if has_body && expects_continue {
                    persist = Persist::Close;
                }
                Decoded::Refused { refusal, body: body.unwrap_or(Body::EMPTY), persist }
            }
        })
    }

    pub(crate) fn reply(&self, output: &mut Buffer, reply: &Reply<'_>, keep: bool, now: Now) {
        let connection = match (keep, self.is_1_0) {
            (false, _) => reply::Connection::Close,
            (true, true) => reply::Connection::KeepAlive,
            (true, false) => reply::Connection::Unsaid,
        };
        reply::write(output, reply, connection, !self.is_head, now);
    }
}

fn distrusted(refusal: Refusal) -> Decoded {
    Decoded::Refused { refusal, body: Body::EMPTY, persist: Persist::Close }
}

fn refusal_of(error: httparse::Error, head: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::HeadersTooLarge,
        httparse::Error::Version if names_other_version(head) => Refusal::VersionNotSupported,
        httparse::Error::Version | httparse::Error::Token | httparse::Error::Status => {
            Refusal::Malformed("malformed request line")
        }
        httparse::Error::HeaderName | httparse::Error::HeaderValue => {
            Refusal::Malformed("malformed header field")
        }
        httparse::Error::NewLine => Refusal::Malformed("malformed line end"),
    }
}

/// Whether the request line is one of another HTTP version, rather than merely malformed.
fn names_other_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    sniff::names_http(line) && !line.ends_with(b"/1.0") && !line.ends_with(b"/1.1")
}

/// What this server heeds of a request's header fields.
#[derive(Debug, Default)]
struct Fields {
    hosts: usize,
    length: Option<u64>,
    /// How many Transfer-Encoding fields there are.
    codings: usize,
    /// One of them says something else than `chunked`.
    unknown_coding: bool,
    expects_continue: bool,
    unknown_expectation: bool,
    close: bool,
    keep_alive: bool,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // The length sorts most fields out before any name is compared.
            match header.name.len() {
                4 if is("host") => {
                    fields.hosts += 1;
                    if !header.value.iter().all(|&byte| is_host_byte(byte)) {
                        return Err(Refusal::Malformed("malformed Host"));
                    }
                }
                6 if is("expect") => match header.value.eq_ignore_ascii_case(b"100-continue") {
                    true => fields.expects_continue = true,
                    false => fields.unknown_expectation = true,
                },
                10 if is("connection") => {
                    for option in header.value.split(|&byte| byte == b',') {
                        let option = option.trim_ascii();
                        fields.close |= option.eq_ignore_ascii_case(b"close");
                        fields.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                14 if is("content-length") => {
                    let length = length(header.value)?;
                    if fields.length.replace(length).is_some_and(|other| other != length) {
                        return Err(Refusal::Malformed("contradictory Content-Length"));
                    }
                }
                17 if is("transfer-encoding") => {
                    fields.codings += 1;
                    fields.unknown_coding |= !header.value.eq_ignore_ascii_case(b"chunked");
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    /// How the body is framed; `None` where the request says nothing of one.
    fn body(&self, is_1_0: bool, limits: &Limits) -> Result<Option<Body>, Refusal> {
        match (self.codings, self.length) {
            (0, None) => Ok(None),
            (0, Some(left)) => Ok(Some(Body::Sized { left })),
            (_, Some(_)) => {
                Err(Refusal::Malformed("Content-Length together with Transfer-Encoding"))
            }
            (_, None) if is_1_0 => Err(Refusal::Malformed("Transfer-Encoding in HTTP/1.0")),
            (_, None) if self.unknown_coding => Err(Refusal::TransferCodingUnknown),
            (1, None) => Ok(Some(Body::chunked(limits.upload_bytes))),
            (_, None) => Err(Refusal::Malformed("repeated Transfer-Encoding")),
        }
    }
}

/// A length: digits only, no sign, no list.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = std::str::from_utf8(value).unwrap_or_default();
    match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().map_err(|_| Refusal::Malformed("malformed Content-Length")),
        false => Err(Refusal::Malformed("malformed Content-Length")),
    }
}

/// Whether a byte may stand in a host and port (RFC 3986, 3.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte)
}
