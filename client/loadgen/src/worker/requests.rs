//! Requests and upload bodies, prepared before the load begins.

use std::ops::Range;
use std::sync::Arc;

use fileserver_proto::client::{framed, http};
use fileserver_proto::{FileName, Wire};

use crate::content::Content;
use crate::engine::EngineSetup;
use crate::spec::check::LINE_END;
use crate::spec::{
    ConnectionUse, Direction, FileBody, LoadSpec, RequestClass, RequestFile, SpecError,
    Verification,
};
use crate::worker::draw::WeightedDraw;

/// Bodies of at most this total size are prepared; larger ones are generated in parts while they are
/// sent or compared.
const PREPARED_BODIES_BYTES: u64 = 256 << 20;

/// Room for the head of a reply.
const REPLY_HEAD_BYTES: u64 = 1024;

/// Files of a load with their prepared requests; shared by the threads.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) files: Vec<PreparedFile>,
    pub(crate) draw: WeightedDraw,
    wire: Wire,
    host: String,
    keep_alive: bool,
    direction: Direction,
}

/// One file of a load.
#[derive(Debug)]
pub(crate) struct PreparedFile {
    pub(crate) size_bytes: u64,
    pub(crate) content: Content,
    pub(crate) class: RequestClass,
    /// True if replies can be compared with expected bytes.
    pub(crate) is_known: bool,
    /// Whole request, for downloads.
    pub(crate) request: Vec<u8>,
    /// Bytes to upload or to expect, if prepared.
    pub(crate) body: Option<Arc<[u8]>>,
    name: String,
}

impl PreparedFile {
    /// Checks that the bytes received at `offset` equal the expected ones, as far as they belong to
    /// a part of the body.
    #[inline]
    pub(crate) fn matches(&self, part: &Range<u64>, offset: u64, bytes: &[u8]) -> bool {
        let from = part.start.max(offset);
        let to = part.end.min(offset + bytes.len() as u64);
        if from >= to {
            return true;
        }
        let received = &bytes[(from - offset) as usize..(to - offset) as usize];
        match &self.body {
            Some(body) => received == &body[from as usize..to as usize],
            None => self.content.matches(from, received),
        }
    }
}

/// Head of one connection's upload of one file.
#[derive(Debug)]
pub(crate) struct UploadHead {
    pub(crate) bytes: Vec<u8>,
    /// Number of bytes after which the server's consent is awaited; all of them if it is not.
    pub(crate) announced: usize,
}

impl Catalogue {
    pub(crate) fn new(spec: &LoadSpec) -> Result<Self, SpecError> {
        let weights: Vec<f64> = spec.files.iter().map(|file| file.weight).collect();
        let mut catalogue = Self {
            files: Vec::with_capacity(spec.files.len()),
            draw: WeightedDraw::new(&weights),
            wire: spec.wire,
            host: spec.target.to_string(),
            keep_alive: spec.connection_use == ConnectionUse::KeepAlive,
            direction: spec.direction,
        };
        let upload = catalogue.is_upload();
        let body_bytes = spec.files.iter().map(|file| file.size_bytes);
        let are_needed = upload || spec.verification != Verification::Off;
        let prepare =
            are_needed && body_bytes.fold(0, u64::saturating_add) <= PREPARED_BODIES_BYTES;
        for file in &spec.files {
            let prepared = catalogue.prepare(file, prepare)?;
            catalogue.files.push(prepared);
        }
        Ok(catalogue)
    }

    fn is_upload(&self) -> bool {
        self.direction == Direction::Upload
    }

    /// True if any request is heavy.
    pub(crate) fn has_heavy(&self) -> bool {
        self.files.iter().any(|file| file.class == RequestClass::Heavy)
    }

    /// Heads of this connection's uploads of each file; empty for downloads.
    pub(crate) fn upload_heads(&self, connection: usize) -> Result<Vec<UploadHead>, SpecError> {
        if !self.is_upload() {
            return Ok(Vec::new());
        }
        self.files.iter().map(|file| self.upload_head(file, connection)).collect()
    }

    /// Engine setup for this number of connections.
    pub(crate) fn engine_setup(&self, spec: &LoadSpec, sockets: usize) -> EngineSetup {
        EngineSetup {
            target: spec.target,
            sockets,
            keep_alive: self.keep_alive,
            reply_bytes: if self.is_upload() { 0 } else { mean_bytes(&spec.files) }
                + REPLY_HEAD_BYTES,
            makes_content: self.is_upload() && self.files.iter().any(|file| file.body.is_none()),
        }
    }

    fn prepare(&self, file: &RequestFile, prepare_body: bool) -> Result<PreparedFile, SpecError> {
        let content = match self.direction {
            Direction::Echo => Content::line_of_name(&file.name, file.size_bytes),
            Direction::Download | Direction::Upload => Content::of_name(&file.name),
        };
        let mut request = Vec::new();
        if !self.is_upload() {
            match self.wire {
                Wire::Framed => framed::get(&file_name(&file.name)?, &mut request),
                Wire::Http => {
                    http::get(&target(&file.name), &self.host, self.keep_alive, &mut request);
                }
                Wire::Text if self.direction == Direction::Download => {
                    request.extend_from_slice([&*file.name, LINE_END].concat().as_bytes());
                }
                Wire::Text => {
                    request.resize(file.size_bytes as usize, 0);
                    content.fill(0, &mut request);
                }
            }
        }
        let body = match &file.body {
            FileBody::Known(bytes) => Some(bytes.clone()),
            FileBody::Generated if prepare_body => {
                let mut bytes = vec![0; file.size_bytes as usize];
                content.fill(0, &mut bytes);
                Some(bytes.into())
            }
            FileBody::Generated | FileBody::Unknown => None,
        };
        let is_known = file.class == RequestClass::Light && file.body != FileBody::Unknown;
        let (name, size_bytes) = (file.name.clone(), file.size_bytes);
        Ok(PreparedFile { size_bytes, content, class: file.class, request, body, is_known, name })
    }

    fn upload_head(&self, file: &PreparedFile, connection: usize) -> Result<UploadHead, SpecError> {
        let name = numbered(&file.name, connection);
        let mut bytes = Vec::new();
        let announced = match self.wire {
            Wire::Framed => {
                framed::announce(&file_name(&name)?, &mut bytes);
                let announced = bytes.len();
                framed::data(file.size_bytes, &mut bytes);
                announced
            }
            Wire::Http => {
                let target = target(&name);
                http::put(&target, &self.host, file.size_bytes, self.keep_alive, &mut bytes);
                bytes.len()
            }
            Wire::Text => {
                let (wire, direction) = (self.wire, self.direction);
                return Err(SpecError::Direction { wire, direction });
            }
        };
        Ok(UploadHead { bytes, announced })
    }
}

/// Weighted mean size of the files in bytes.
fn mean_bytes(files: &[RequestFile]) -> u64 {
    let weights: f64 = files.iter().map(|file| file.weight).sum();
    let bytes: f64 = files.iter().map(|file| file.weight * file.size_bytes as f64).sum();
    (bytes / weights).ceil() as u64
}

fn file_name(name: &str) -> Result<FileName, SpecError> {
    FileName::new(name).map_err(|source| SpecError::Name { name: name.to_owned(), source })
}

/// Request target of a name. A name that begins with `/` is a target already, since no file name
/// does.
fn target(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { http::target(name) }
}

/// Inserts a number before the extension of the last component: `a/b.bin` → `a/b-7.bin`.
fn numbered(name: &str, number: usize) -> String {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let cut = match name[last..].rfind('.') {
        Some(dot) if dot > 0 => last + dot,
        _ => name.len(),
    };
    format!("{}-{number}{}", &name[..cut], &name[cut..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_is_compared_in_pieces_of_any_length() {
        let content = Content::of_name("a");
        let mut bytes = vec![0; 100];
        content.fill(0, &mut bytes);
        for body in [None, Some(bytes.clone().into())] {
            let (size_bytes, class) = (100, RequestClass::Light);
            let (request, name) = (Vec::new(), "a".to_owned());
            let is_known = true;
            let file = PreparedFile { size_bytes, content, class, request, body, is_known, name };
            for wrong in 0..100 {
                let mut received = bytes.clone();
                received[wrong as usize] ^= 1;
                for piece_bytes in [1, 7, 64, 100] {
                    let mut pieces = received.chunks(piece_bytes).zip((0..).step_by(piece_bytes));
                    let equal =
                        pieces.all(|(piece, offset)| file.matches(&(30..60), offset, piece));
                    assert_eq!(equal, !(30..60).contains(&wrong), "{wrong} {piece_bytes}");
                }
            }
        }
    }

    #[test]
    fn the_number_stands_before_the_extension() {
        for (name, with) in
            [("a.bin", "a-7.bin"), ("a", "a-7"), ("v1.2/a", "v1.2/a-7"), (".x", ".x-7")]
        {
            assert_eq!(numbered(name, 7), with);
        }
    }

    #[test]
    fn a_target_is_taken_as_it_is() {
        assert_eq!(target("a b"), "/a%20b");
        assert_eq!(target("/a%20b?x=1"), "/a%20b?x=1");
    }
}
