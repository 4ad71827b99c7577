//! Resumable uploads by the tus protocol, version 1.0.0 with the extension *creation*
//! (<https://tus.io/protocols/resumable-upload>), which most existing clients use.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /` with `Upload-Length`, `Upload-Metadata: filename <base64>` | `201`, `Location: /.tus/<id>` |
//! | `HEAD /.tus/<id>` | `200` with `Upload-Offset` and `Upload-Length` |
//! | `PATCH /.tus/<id>` with `Upload-Offset` and a piece | `204` with the new `Upload-Offset` |
//!
//! Every request carries `Tus-Resumable: 1.0.0`. The received part of an interrupted PATCH is kept.
//!
//! The PATCH with the last byte publishes the file: its `204` carries `Content-Location: /<name>`
//! with the stored name. Its `Repr-Digest`, if any, is that of the whole file, not of the piece, as
//! RFC 9530 defines it for other PATCHes. If it does not match, the answer is `400` and the upload
//! is removed. `Content-Digest`, which is that of a piece, is ignored. If publishing fails
//! otherwise, an empty PATCH at the end tries again.
//!
//! An empty file needs no PATCH: its POST publishes it, and its `Location` is the file's.
//!
//! An upload's path hides no file. It denotes the upload for PATCH, which files do not have, and
//! for a HEAD with `Tus-Resumable`; for all else it denotes a file `.tus/<id>`.

use super::base64;
use super::fields::{self, Fields};
use crate::refusal::Refusal;
use crate::{FileName, PartialId, StoreError};

/// Supported version of the protocol.
pub(crate) const VERSION: &str = "1.0.0";
/// Supported extensions.
pub(super) const EXTENSIONS: &str = "creation";
/// Folder of the uploads' paths, without the leading slash.
pub(super) const FOLDER: &str = ".tus/";
/// Media type of a piece.
pub(crate) const MEDIA_TYPE: &str = "application/offset+octet-stream";
/// Answer to a path that is no upload's.
pub(super) const UNKNOWN: Refusal = Refusal::Store(StoreError::NotFound);

/// Checks the version of the protocol.
///
/// # Errors
/// The version is missing or another.
pub(super) fn check_version(fields: &Fields<'_>) -> Result<(), Refusal> {
    match fields.single("tus-resumable") {
        Some(version) if version == VERSION.as_bytes() => Ok(()),
        _ => Err(Refusal::TusVersion),
    }
}

/// Identifier in a path without its leading slash; `None` if the path is no upload's.
pub(super) fn id(path: &str) -> Option<PartialId> {
    let digits = path.strip_prefix(FOLDER)?;
    let is_id =
        digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then(|| u128::from_str_radix(digits, 16).ok()).flatten().map(PartialId)
}

/// Length of the complete upload in bytes.
pub(super) fn length(fields: &Fields<'_>) -> Result<u64, Refusal> {
    number(fields, "upload-length", "malformed or missing Upload-Length")
}

/// Offset of a piece in bytes.
pub(super) fn offset(fields: &Fields<'_>) -> Result<u64, Refusal> {
    number(fields, "upload-offset", "malformed or missing Upload-Offset")
}

fn number(fields: &Fields<'_>, name: &str, error: &'static str) -> Result<u64, Refusal> {
    fields
        .single(name)
        .filter(|value| !value.is_empty())
        .and_then(|value| fields::length(value).ok())
        .ok_or(Refusal::Malformed(error))
}

/// Assigns the file name in the metadata; clears the name if there is none.
pub(super) fn name(fields: &Fields<'_>, name: &mut FileName) -> Result<(), Refusal> {
    const MALFORMED: Refusal = Refusal::Malformed("malformed Upload-Metadata");
    name.clear();
    let Some(metadata) = fields.list("upload-metadata") else { return Ok(()) };
    let mut is_named = false;
    for pair in metadata.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        let mut words = pair.splitn(2, |&byte| byte == b' ');
        let key = words.next().unwrap_or_default();
        let value =
            base64::decode(words.next().unwrap_or_default().trim_ascii()).ok_or(MALFORMED)?;
        if key == b"filename" {
            if std::mem::replace(&mut is_named, true) {
                return Err(MALFORMED);
            }
            name.assign(&value).map_err(Refusal::Name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_32_small_hexadecimal_digits_name_an_upload() {
        let path = ".tus/0123456789abcdef0123456789abcdef";
        assert_eq!(id(path), Some(PartialId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)));
        for path in [
            "",
            ".tus/",
            "0123456789abcdef0123456789abcdef",
            ".tus/0123456789abcdef0123456789abcde",
            ".tus/0123456789abcdef0123456789abcdef0",
            ".tus/+123456789abcdef0123456789abcdef",
            ".tus/0123456789ABCDEF0123456789ABCDEF",
            "a/.tus/0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(id(path), None, "{path}");
        }
    }
}
