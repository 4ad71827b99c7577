//! Media types, by the extension of a file's name.

use crate::FileName;

/// Media type of a file, by its name's extension.
pub(super) fn content_type(name: &FileName) -> &'static str {
    const TYPES: [(&str, &str); 17] = [
        ("txt", "text/plain; charset=utf-8"),
        ("md", "text/markdown; charset=utf-8"),
        ("csv", "text/csv; charset=utf-8"),
        ("html", "text/html; charset=utf-8"),
        ("htm", "text/html; charset=utf-8"),
        ("css", "text/css; charset=utf-8"),
        ("js", "text/javascript; charset=utf-8"),
        ("json", "application/json"),
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("gif", "image/gif"),
        ("webp", "image/webp"),
        ("svg", SVG),
        ("pdf", "application/pdf"),
        ("mp4", "video/mp4"),
        ("zip", "application/zip"),
    ];
    let (_, last) = name.split();
    let extension = last.rsplit_once('.').map_or("", |(_, extension)| extension);
    TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(extension))
        .map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// Returns true for media types with scripts, which a browser would run with this server's rights.
pub(super) fn is_active(content_type: &str) -> bool {
    content_type == SVG || content_type.starts_with("text/html")
}

const SVG: &str = "image/svg+xml";
