//! Request targets, and the resources they denote.

use super::{fields, tus};
use crate::refusal::Refusal;
use crate::{FileName, percent};

/// Longest valid name in bytes.
const NAME_BYTES: usize = 4096;

/// Path of the server's state.
pub(super) const STATUS: &str = ".status";

/// Kind of resource; each has its own methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Resource {
    /// The server as a whole: `*`.
    #[default]
    Server,
    /// All files: `/`.
    Root,
    File,
    /// A resumable upload.
    Upload,
    /// A lab service, to which messages are posted.
    Service,
    /// A lab service that also answers without a message.
    Question,
    /// Heavy work.
    Work,
    /// State of the server.
    Status,
}

impl Resource {
    pub(super) fn of(target: &str) -> Result<Self, Refusal> {
        if target == "*" {
            return Ok(Self::Server);
        }
        path(target).map(|path| match path {
            "" => Self::Root,
            STATUS => Self::Status,
            path if path.starts_with(tus::FOLDER) => Self::Upload,
            _ => Self::File,
        })
    }

    pub(super) fn is_service(self) -> bool {
        matches!(self, Self::Service | Self::Question)
    }

    /// Allowed methods.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Server => "GET, HEAD, PUT, POST, PATCH, OPTIONS",
            Self::Root => "GET, HEAD, POST, OPTIONS",
            Self::File => "GET, HEAD, PUT, OPTIONS",
            Self::Upload => "GET, HEAD, PUT, PATCH, OPTIONS",
            Self::Service => "POST, OPTIONS",
            Self::Question => "GET, HEAD, POST, OPTIONS",
            Self::Work => "GET",
            Self::Status => "GET, HEAD, OPTIONS",
        }
    }
}

/// Path of a target without its leading slash, still encoded; a query is ignored.
pub(super) fn path(target: &str) -> Result<&str, Refusal> {
    let path = if target.starts_with('/') {
        target
    } else {
        split_authority(target).ok_or(Refusal::Malformed("malformed target"))?.1
    };
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if path.contains('#') {
        return Err(Refusal::Malformed("malformed target"));
    }
    Ok(path.strip_prefix('/').unwrap_or(path))
}

/// Host and port of the absolute form, which replace the Host field (RFC 9112, 3.2.2).
pub(super) fn authority(target: &str) -> Option<&str> {
    split_authority(target).map(|(authority, _)| authority)
}

/// Host and port of the absolute form, which is sent to proxies, and the part after them.
fn split_authority(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let is_known = ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme));
    let is_host = !authority.is_empty() && authority.bytes().all(fields::is_host_byte);
    (is_known && is_host).then_some((authority, rest))
}

/// Decodes a path once, and assigns it to a name.
pub(super) fn decode(path: &str, name: &mut FileName) -> Result<(), Refusal> {
    if !path.contains('%') {
        return name.assign(path.as_bytes()).map_err(Refusal::Name);
    }
    let mut decoded = [0; NAME_BYTES];
    let mut len = 0;
    for byte in percent::decode(path.as_bytes()) {
        let byte = byte.ok_or(Refusal::Malformed("malformed percent-encoding"))?;
        let room = decoded.get_mut(len).ok_or(Refusal::Name(crate::NameError::TooLong))?;
        *room = byte;
        len += 1;
    }
    name.assign(&decoded[..len]).map_err(Refusal::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(target: &str) -> Result<String, Refusal> {
        let mut name = FileName::default();
        decode(path(target)?, &mut name)?;
        Ok(name.to_string())
    }

    #[test]
    fn targets_name_files() {
        for (target, file) in [
            ("/a.txt", "a.txt"),
            ("/a/b%20c?x=/y", "a/b c"),
            ("/caf%C3%A9", "caf\u{e9}"),
            ("/caf\u{e9}", "caf\u{e9}"),
            ("/a%2Fb", "a/b"),
            ("/a+b", "a+b"),
            ("/%2525", "%25"),
            ("http://host/a", "a"),
            ("HTTPS://host:1/a?b", "a"),
        ] {
            assert_eq!(name(target), Ok(file.to_owned()), "{target}");
        }
        for target in ["/", "/?a", "http://host", "http://host?a"] {
            assert_eq!(path(target), Ok(""), "{target}");
        }
    }

    #[test]
    fn targets_that_name_none_are_refused() {
        for target in [
            "",
            "*",
            "a",
            "host:80",
            "ftp://host/a",
            "/a#b",
            "http:///a",
            "http://host#/a",
            "http://user@host/a",
            "http://host\\/a",
        ] {
            assert!(matches!(path(target), Err(Refusal::Malformed(_))), "{target}");
        }
        for target in ["/%", "/%4", "/%zz", "/%+1", "/a%2"] {
            assert!(matches!(name(target), Err(Refusal::Malformed(_))), "{target}");
        }
        let long = format!("/%20{}", "a/".repeat(3000));
        for target in ["//a", "/..", "/%2e%2e/a", "/a%00", "/%ff", "/a%5cb", "/%2Fetc", &long] {
            assert!(matches!(name(target), Err(Refusal::Name(_))), "{target}");
        }
    }
}
