//! Header fields of a request.

use crate::Limits;
use crate::refusal::Refusal;
use crate::wire::body::Body;

/// Header fields of a request.
///
/// Fields that every request needs are decoded at once; the rest is looked up on demand.
#[derive(Debug, Default)]
pub(super) struct Fields<'h> {
    headers: &'h [httparse::Header<'h>],
    /// Number of Host fields, and the value of the last one.
    pub(super) hosts: usize,
    pub(super) host: &'h str,
    length: Option<u64>,
    /// Transfer codings in order, as far as the framing depends on them.
    codings: Codings,
    pub(super) expects_continue: bool,
    pub(super) unknown_expectation: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    /// A condition or a range is present.
    pub(super) conditional: bool,
    /// `Tus-Resumable` is present: the protocol for resumable uploads.
    pub(super) tus: bool,
}

impl<'h> Fields<'h> {
    pub(super) fn read(headers: &'h [httparse::Header<'h>]) -> Result<Self, Refusal> {
        let mut fields = Self { headers, ..Self::default() };
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // The length excludes most fields before any name is compared.
            match header.name.len() {
                4 if is("host") => {
                    fields.hosts += 1;
                    fields.host = std::str::from_utf8(header.value)
                        .ok()
                        .filter(|host| host.bytes().all(is_host_byte))
                        .ok_or(Refusal::Malformed("malformed Host"))?;
                }
                5 | 8 | 13 | 17 | 19 if is_conditional(header.name) => fields.conditional = true,
                13 if is("tus-resumable") => fields.tus = true,
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
                    header.value.split(|&byte| byte == b',').for_each(|coding| {
                        fields.codings.push(coding.trim_ascii());
                    });
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    /// Values of all fields of a name, in order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// Value of a field that must not be repeated; `None` if it is missing or repeated.
    pub(super) fn single(&self, name: &str) -> Option<&'h [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Joined value of a list field; `None` if it is missing.
    pub(super) fn list(&self, name: &str) -> Option<Vec<u8>> {
        let values: Vec<_> = self.all(name).collect();
        (!values.is_empty()).then(|| values.join(&b", "[..]))
    }

    /// Returns true if a field of this name is present.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Framing of the body; `None` if no field declares one.
    pub(super) fn body(&self, is_1_0: bool, limits: &Limits) -> Result<Option<Body>, Refusal> {
        let Codings { count, chunked, ends_chunked } = self.codings;
        match (count, self.length) {
            (0, None) => Ok(None),
            (0, Some(left)) => Ok(Some(Body::Sized { left })),
            (_, Some(_)) => {
                Err(Refusal::Malformed("Content-Length together with Transfer-Encoding"))
            }
            (_, None) if is_1_0 => Err(Refusal::Malformed("Transfer-Encoding in HTTP/1.0")),
            // The end of the body is unknown (RFC 9112, 6.3).
            (_, None) if !ends_chunked => {
                Err(Refusal::Malformed("the last transfer coding is not chunked"))
            }
            (_, None) if chunked > 1 => Err(Refusal::Malformed("repeated coding chunked")),
            (1, None) => Ok(Some(Body::chunked(limits.upload_bytes))),
            (_, None) => Err(Refusal::TransferCodingUnknown),
        }
    }
}

/// Transfer codings of a request.
#[derive(Debug, Clone, Copy, Default)]
struct Codings {
    count: usize,
    /// Number of codings that are `chunked`.
    chunked: usize,
    /// The last coding is `chunked`.
    ends_chunked: bool,
}

impl Codings {
    fn push(&mut self, coding: &[u8]) {
        self.ends_chunked = coding.eq_ignore_ascii_case(b"chunked");
        self.count += 1;
        self.chunked += usize::from(self.ends_chunked);
    }
}

fn is_conditional(name: &str) -> bool {
    const NAMES: [&str; 6] = [
        "range",
        "if-range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Decodes a length: digits only, no sign, no list.
pub(super) fn length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = std::str::from_utf8(value).unwrap_or_default();
    match digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => digits.parse().map_err(|_| Refusal::Malformed("malformed Content-Length")),
        false => Err(Refusal::Malformed("malformed Content-Length")),
    }
}

/// Returns true if a byte may be part of a host and port (RFC 3986, 3.2).
pub(super) fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte)
}
