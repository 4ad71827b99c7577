//! Parameters of `Content-Type` and `Content-Disposition` in multipart forms.

use super::MALFORMED;
use crate::percent;
use crate::refusal::Refusal;

/// Longest boundary, in bytes (RFC 2046, 5.1.1).
const BOUNDARY_BYTES: usize = 70;

/// Boundary of a form.
///
/// # Errors
/// The media type is no form's, or its boundary is missing or malformed.
pub(super) fn boundary(content_type: &[u8]) -> Result<Vec<u8>, Refusal> {
    const BAD: Refusal = Refusal::Malformed("malformed or missing boundary");
    let (media_type, parameters) = split(content_type);
    if !media_type.eq_ignore_ascii_case(b"multipart/form-data") {
        return Err(Refusal::NotAForm);
    }
    let mut boundary = None;
    for parameter in Parameters(parameters) {
        let (key, value) = parameter.ok_or(BAD)?;
        if key.eq_ignore_ascii_case(b"boundary") && boundary.replace(value).is_some() {
            return Err(BAD);
        }
    }
    let boundary = boundary.ok_or(BAD)?;
    let is_good = (1..=BOUNDARY_BYTES).contains(&boundary.len())
        && !boundary.ends_with(b" ")
        && boundary
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte));
    is_good.then_some(boundary).ok_or(BAD)
}

/// Decoded head of a part.
pub(super) struct Disposition {
    /// Name of the part's file; `None` for a part without one.
    pub(super) filename: Option<Vec<u8>>,
}

impl Disposition {
    /// Decodes the head of a part.
    ///
    /// # Errors
    /// The head is malformed, or the content is encoded.
    pub(super) fn read(headers: &[httparse::Header<'_>]) -> Result<Self, Refusal> {
        let (mut plain, mut extended) = (None, None);
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-transfer-encoding") {
                let is_plain = [&b"binary"[..], b"8bit", b"7bit"]
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(header.value));
                if !is_plain {
                    return Err(Refusal::CodingUnsupported);
                }
            }
            if !header.name.eq_ignore_ascii_case("content-disposition") {
                continue;
            }
            let (kind, parameters) = split(header.value);
            if !kind.eq_ignore_ascii_case(b"form-data") {
                return Err(MALFORMED);
            }
            for parameter in Parameters(parameters) {
                let (key, value) = parameter.ok_or(MALFORMED)?;
                let place = match key {
                    key if key.eq_ignore_ascii_case(b"filename") => &mut plain,
                    key if key.eq_ignore_ascii_case(b"filename*") => &mut extended,
                    _ => continue,
                };
                if place.replace(value).is_some() {
                    return Err(MALFORMED);
                }
            }
        }
        // The UTF-8 name is more exact; if it has another charset, the plain one is used.
        let filename = match extended.map(|value| decode_extended(&value)).transpose()?.flatten() {
            Some(name) => Some(name),
            None => plain,
        };
        Ok(Self { filename: filename.filter(|name| !name.is_empty()) })
    }
}

/// Decodes `UTF-8''percent%20encoded` (RFC 8187, 3.2); `None` for another charset.
fn decode_extended(value: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    let mut parts = value.splitn(3, |&byte| byte == b'\'');
    let (Some(charset), Some(_language), Some(encoded)) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Err(MALFORMED);
    };
    if !charset.eq_ignore_ascii_case(b"utf-8") {
        return Ok(None);
    }
    percent::decode(encoded).collect::<Option<_>>().map(Some).ok_or(MALFORMED)
}

/// Splits a field's value from its parameters.
fn split(value: &[u8]) -> (&[u8], &[u8]) {
    let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
    (value[..end].trim_ascii(), &value[end..])
}

/// Iterator over keys and values; `None` for a malformed one.
struct Parameters<'a>(&'a [u8]);

impl<'a> Iterator for Parameters<'a> {
    type Item = Option<(&'a [u8], Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.0 = self.0.trim_ascii_start();
            match self.0.split_first()? {
                (b';', rest) => self.0 = rest,
                _ => break,
            }
        }
        let parameter = self.parameter();
        if parameter.is_none() {
            self.0 = b"";
        }
        Some(parameter)
    }
}

impl<'a> Parameters<'a> {
    fn parameter(&mut self) -> Option<(&'a [u8], Vec<u8>)> {
        let (key, rest) = self.0.split_at(self.0.iter().position(|&byte| byte == b'=')?);
        let (value, rest) = match &rest[1..] {
            [b'"', rest @ ..] => quoted(rest)?,
            rest => {
                let end = rest.iter().position(|&byte| byte == b';').unwrap_or(rest.len());
                (rest[..end].trim_ascii_end().to_vec(), &rest[end..])
            }
        };
        self.0 = rest.trim_ascii_start();
        let is_key = !key.is_empty()
            && key.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&+-.^_*".contains(byte));
        let is_whole = matches!(self.0, [] | [b';', ..]);
        (is_key && is_whole).then_some((key, value))
    }
}

/// Decodes a quoted string; returns the rest, too. A backslash escapes a quote or another
/// backslash. Before anything else it is literal, as in the paths of some browsers.
fn quoted(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = bytes;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some((value, rest)),
            [b'\\', escaped @ (b'"' | b'\\'), rest @ ..] => {
                value.push(*escaped);
                rest
            }
            [byte, rest @ ..] => {
                value.push(*byte);
                rest
            }
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_found_plain_and_quoted() {
        for (content_type, found) in [
            ("multipart/form-data; boundary=abc", "abc"),
            ("Multipart/Form-Data;charset=utf-8;BOUNDARY=\"a b:c\"", "a b:c"),
            ("multipart/form-data ; boundary=a-'()+_,./:=? ; x=y", "a-'()+_,./:=?"),
        ] {
            assert_eq!(boundary(content_type.as_bytes()), Ok(found.as_bytes().to_vec()));
        }
        let longest = format!("multipart/form-data; boundary={}", "x".repeat(70));
        assert!(boundary(longest.as_bytes()).is_ok());
    }

    #[test]
    fn faulty_boundaries_are_refused() {
        for content_type in [
            "multipart/form-data",
            "multipart/form-data;",
            "multipart/form-data; boundary",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"a ",
            "multipart/form-data; boundary=\"a \"",
            "multipart/form-data; boundary=\"a\"b",
            "multipart/form-data; boundary=\"a\\\"b\"",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=a{b",
            "multipart/form-data; x y=z; boundary=a",
            &format!("multipart/form-data; boundary={}", "x".repeat(71)),
        ] {
            let refused = boundary(content_type.as_bytes());
            assert!(matches!(refused, Err(Refusal::Malformed(_))), "{content_type}");
        }
        for content_type in ["", "text/plain", "multipart/mixed; boundary=a"] {
            assert_eq!(boundary(content_type.as_bytes()), Err(Refusal::NotAForm));
        }
    }

    fn filename(value: &str) -> Result<Option<String>, Refusal> {
        let header = httparse::Header { name: "content-disposition", value: value.as_bytes() };
        let disposition = Disposition::read(&[header])?;
        Ok(disposition.filename.map(|name| String::from_utf8(name).unwrap()))
    }

    #[test]
    fn file_names_are_found_in_all_their_spellings() {
        for (value, name) in [
            ("form-data; name=\"a\"", None),
            ("form-data; name=a; filename=\"\"", None),
            ("form-data; name=\"f\"; filename=\"a.txt\"", Some("a.txt")),
            ("Form-Data;FileName=a.txt", Some("a.txt")),
            ("form-data; filename=\"a;b\\\"c\\\\d\"", Some("a;b\"c\\d")),
            ("form-data; filename=\"C:\\new\\a.txt\"", Some("C:\\new\\a.txt")),
            ("form-data; filename=\"a\"; filename*=UTF-8''%C3%A9%20b", Some("\u{e9} b")),
            ("form-data; filename*=utf-8'en'a; filename=b", Some("a")),
            ("form-data; filename*=iso-8859-1''%E9; filename=b", Some("b")),
        ] {
            assert_eq!(filename(value), Ok(name.map(str::to_owned)), "{value}");
        }
    }

    #[test]
    fn faulty_dispositions_are_refused() {
        for value in [
            "attachment; filename=a",
            "form-data; filename=\"a",
            "form-data; filename=\"a\"b",
            "form-data; filename",
            "form-data; filename=a; filename=b",
            "form-data; filename*=a",
            "form-data; filename*=UTF-8''%4",
            "form-data; filename*=UTF-8''%zz",
        ] {
            assert_eq!(filename(value), Err(MALFORMED), "{value}");
        }
        let coded = httparse::Header { name: "Content-Transfer-Encoding", value: b"base64" };
        assert!(matches!(Disposition::read(&[coded]), Err(Refusal::CodingUnsupported)));
    }
}
