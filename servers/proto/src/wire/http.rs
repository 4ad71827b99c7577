//! The http wire: HTTP/1.1 and HTTP/1.0 (RFC 9110, RFC 9112), strict about the end of a message.
//!
//! | target | methods |
//! | --- | --- |
//! | `/<name>` | GET and HEAD with conditions and a range; PUT, with a digest |
//! | `/` | GET and HEAD of the listing as text, JSON or a page; POST of a form; POST to create a resumable upload |
//! | `/.tus/<id>` | HEAD and PATCH of a resumable upload (see `tus.rs`) |
//! | any, `*` | OPTIONS |
//! | `/.status` | GET and HEAD of the server's state, also of a lab service |
//! | `/.work` | GET, if heavy requests are served (see `work.rs`) |
//!
//! A lab service has the target `/` alone: POST of a message, and GET if it answers without one.

pub(crate) mod base64;
mod conditions;
pub(crate) mod date;
mod digest;
mod fields;
mod head;
mod host;
mod listing;
mod media;
mod origin;
mod range;
pub(crate) mod reply;
mod target;
pub(crate) mod tus;
mod work;

use std::mem::MaybeUninit;
use std::ops::Range;

use super::body::Body;
use super::form::Form;
use super::sniff;
use crate::exchange::{Append, Decoded, Persist, Reply, Request, Sink};
use crate::refusal::Refusal;
use crate::{Buffer, FileDescription, FileName, Limits, Now, PartialInfo, Service, Settings};
use conditions::{Conditions, Selection};
use fields::Fields;
use head::Scan;
use listing::Format;
use target::Resource;

/// Status code of a refusal.
pub(crate) fn status_code(refusal: Refusal) -> u16 {
    let code = reply::status(refusal).split(' ').next();
    code.and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// Room on the stack for parsed header fields.
const MAX_HEADERS: usize = 256;

/// Server's half of the http wire.
#[derive(Debug, Default)]
pub(crate) struct Http {
    scan: Scan,
    request: RequestInfo,
    /// Conditions of the current request, if it has any.
    conditions: Option<Box<Conditions>>,
}

/// Properties of the current request that its answer depends on.
#[derive(Debug, Clone, Copy, Default)]
struct RequestInfo {
    is_1_0: bool,
    /// The method is HEAD, whose answer has no content.
    is_head: bool,
    /// The request belongs to the protocol for resumable uploads.
    is_tus: bool,
    resource: Resource,
    format: Format,
}

impl Http {
    pub(crate) fn decode(
        &mut self,
        input: &mut Buffer,
        name: &mut FileName,
        settings: &Settings,
    ) -> Decoded {
        if self.scan.is_at_start() {
            self.request = RequestInfo::default();
            self.conditions = None;
            let empty_lines = head::empty_lines(input.filled());
            input.consume(empty_lines);
            // This may be half of another empty line.
            if input.filled() == b"\r" {
                return Decoded::Incomplete;
            }
        }
        let end = match self.scan.head_end(input.filled(), &settings.limits) {
            Ok(Some(end)) => end,
            Ok(None) => return Decoded::Incomplete,
            Err(refusal) => return refused_and_closed(refusal),
        };
        self.scan = Scan::default();
        let decoded = match self.head(&input.filled()[..end], name, settings) {
            Ok(decoded) => decoded,
            Err(refusal) => refused_and_closed(refusal),
        };
        input.consume(end);
        decoded
    }

    /// Decodes a complete head. After an error, the rest of the stream cannot be trusted.
    fn head(
        &mut self,
        head: &[u8],
        name: &mut FileName,
        settings: &Settings,
    ) -> Result<Decoded, Refusal> {
        let limits = &settings.limits;
        let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut []);
        let room = &mut room[..limits.headers.min(MAX_HEADERS)];
        match parsed.parse_with_uninit_headers(head, room) {
            Ok(httparse::Status::Complete(len)) if len == head.len() => {}
            Ok(_) => return Err(Refusal::Malformed("malformed head")),
            Err(error) => return Err(refusal_of(error, head)),
        }
        let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
        self.request.is_1_0 = parsed.version == Some(0);
        self.request.is_head = method == "HEAD";
        let fields = Fields::read(parsed.headers)?;
        if fields.hosts > 1 || (fields.hosts == 0 && !self.request.is_1_0) {
            return Err(Refusal::Malformed("one Host field is required"));
        }
        let host = target::authority(target).unwrap_or(fields.host);
        // The target would be a URI without a host (RFC 9110, 4.2.1).
        if host.is_empty() && fields.hosts > 0 {
            return Err(Refusal::Malformed("the Host field is empty"));
        }
        let body = fields.body(self.request.is_1_0, limits)?;
        let has_body = body.is_some_and(|body| body != Body::EMPTY);
        let expects_continue = fields.expects_continue && !self.request.is_1_0;
        let mut persist = match (self.request.is_1_0, fields.close, fields.keep_alive) {
            (_, true, _) | (true, _, false) => Persist::PeerCloses,
            _ => Persist::Keep,
        };
        match (method, body) {
            // This content has no meaning; rather than wait for it, the server closes the
            // connection.
            ("GET" | "HEAD" | "OPTIONS", _) if has_body => persist = Persist::Close,
            // Without a length the body may be empty, or end with the connection.
            ("PUT" | "PATCH", None) => return Err(Refusal::LengthRequired),
            ("POST", None) if !fields.tus => return Err(Refusal::LengthRequired),
            _ => {}
        }

        let upload = Upload { body: body.unwrap_or(Body::EMPTY), expects_continue };
        let request = match method {
            _ if !host.is_empty() && !settings.hosts.accept(host) => Err(Refusal::HostUnknown),
            _ if !settings.service.is_files() => {
                self.message(method, target, &fields, &settings.service, upload)
            }
            "GET" if settings.work && work::is_requested(target) => {
                self.request.resource = Resource::Work;
                work::read(target).map(Request::Work)
            }
            "GET" | "HEAD" => self.read(target, &fields, name),
            "PUT" => self.put(target, &fields, name, upload),
            "POST" => self.post(target, &fields, name, limits, upload),
            "PATCH" => self.patch(target, &fields, upload),
            "OPTIONS" => Resource::of(target).map(|resource| {
                self.request.resource = resource;
                Request::Options
            }),
            // The standards define these methods; this server does not serve them.
            "DELETE" | "TRACE" | "CONNECT" => {
                self.request.resource = Resource::of(target).unwrap_or_default();
                Err(Refusal::MethodNotAllowed)
            }
            _ => Err(Refusal::MethodUnknown),
        };
        let request = match request {
            Ok(_) if fields.unknown_expectation && !self.request.is_1_0 => {
                Err(Refusal::ExpectationUnknown)
            }
            request => request,
        };
        Ok(match request {
            Ok(request) => Decoded::Request { request, persist },
            Err(refusal) => {
                // The peer may send the body it held back or not, so its next bytes cannot be
                // interpreted.
                if has_body && expects_continue {
                    persist = Persist::Close;
                }
                Decoded::Refused { refusal, body: body.unwrap_or(Body::EMPTY), persist }
            }
        })
    }

    /// Decodes a message to a lab service.
    fn message(
        &mut self,
        method: &str,
        target: &str,
        fields: &Fields<'_>,
        service: &Service,
        upload: Upload,
    ) -> Result<Request, Refusal> {
        let path = target::path(target)?;
        if path == target::STATUS && matches!(method, "GET" | "HEAD") {
            self.request.resource = Resource::Status;
            return Ok(Request::Status);
        }
        if !path.is_empty() {
            return Err(Refusal::NotServedHere);
        }
        let answers_alone = service.answers_without_message();
        self.request.resource = match answers_alone {
            true => Resource::Question,
            false => Resource::Service,
        };
        let held_message = Sink::Message { held: 0 };
        match method {
            "GET" | "HEAD" if answers_alone => {
                Ok(Upload { body: Body::EMPTY, ..upload }.into(held_message, None))
            }
            "POST" => {
                origin::check(fields)?;
                refuse_codings(fields)?;
                Ok(upload.into(held_message, None))
            }
            "OPTIONS" => Ok(Request::Options),
            "GET" | "HEAD" | "PUT" | "PATCH" | "DELETE" | "TRACE" | "CONNECT" => {
                Err(Refusal::MethodNotAllowed)
            }
            _ => Err(Refusal::MethodUnknown),
        }
    }

    /// Decodes a GET or HEAD.
    fn read(
        &mut self,
        target: &str,
        fields: &Fields<'_>,
        name: &mut FileName,
    ) -> Result<Request, Refusal> {
        let path = target::path(target)?;
        if path.is_empty() {
            self.request.format = listing::negotiate(fields);
            return Ok(Request::List);
        }
        if path == target::STATUS {
            self.request.resource = Resource::Status;
            return Ok(Request::Status);
        }
        if self.request.is_head
            && fields.tus
            && let Some(id) = tus::id(path)
        {
            self.answer_in_tus(fields)?;
            let info = PartialInfo { len: 0, offset: 0 };
            return Ok(Request::InspectPartial { append: Box::new(Append { id, info }) });
        }
        target::decode(path, name)?;
        if fields.conditional {
            self.conditions = Some(Box::new(Conditions::read(fields, self.request.is_head)));
        }
        Ok(Request::Download)
    }

    fn put(
        &mut self,
        target: &str,
        fields: &Fields<'_>,
        name: &mut FileName,
        upload: Upload,
    ) -> Result<Request, Refusal> {
        origin::check(fields)?;
        self.request.resource = Resource::of(target)?;
        if !matches!(self.request.resource, Resource::File | Resource::Upload) {
            return Err(Refusal::MethodNotAllowed);
        }
        if ["if-match", "if-none-match", "if-unmodified-since"].iter().any(|name| fields.has(name))
        {
            return Err(Refusal::ConditionalUpload);
        }
        if fields.has("content-range") {
            return Err(Refusal::Malformed("a PUT of a range is not supported"));
        }
        refuse_codings(fields)?;
        target::decode(target::path(target)?, name)?;
        let digest = digest::read(fields, &["repr-digest", "content-digest"])?.map(Box::new);
        Ok(upload.into(Sink::File, digest))
    }

    /// Decodes a form, or the creation of a resumable upload.
    fn post(
        &mut self,
        target: &str,
        fields: &Fields<'_>,
        name: &mut FileName,
        limits: &Limits,
        upload: Upload,
    ) -> Result<Request, Refusal> {
        origin::check(fields)?;
        self.request.resource = Resource::of(target)?;
        if self.request.resource != Resource::Root {
            return Err(Refusal::MethodNotAllowed);
        }
        if !fields.tus {
            refuse_codings(fields)?;
            let form = Form::new(fields.single("content-type").unwrap_or_default())?;
            return Ok(upload.into(Sink::Form(Box::new(form)), None));
        }
        self.answer_in_tus(fields)?;
        if upload.body != Body::EMPTY {
            return Err(Refusal::Malformed("a resumable upload is created without content"));
        }
        let len = tus::length(fields)?;
        if len > limits.upload_bytes {
            return Err(Refusal::TooLarge);
        }
        tus::name(fields, name)?;
        match len {
            // No piece will follow.
            0 => {
                let digest = digest::read(fields, &["repr-digest"])?.map(Box::new);
                Ok(upload.into(Sink::File, digest))
            }
            len => Ok(Request::CreatePartial { len }),
        }
    }

    /// Decodes a piece of a resumable upload.
    fn patch(
        &mut self,
        target: &str,
        fields: &Fields<'_>,
        upload: Upload,
    ) -> Result<Request, Refusal> {
        origin::check(fields)?;
        self.request.resource = Resource::of(target)?;
        if self.request.resource != Resource::Upload {
            return Err(Refusal::MethodNotAllowed);
        }
        self.answer_in_tus(fields)?;
        let id = tus::id(target::path(target)?).ok_or(tus::UNKNOWN)?;
        if !fields
            .single("content-type")
            .is_some_and(|value| value.eq_ignore_ascii_case(tus::MEDIA_TYPE.as_bytes()))
        {
            return Err(Refusal::NotAPiece);
        }
        refuse_codings(fields)?;
        let info = PartialInfo { len: 0, offset: tus::offset(fields)? };
        let digest = digest::read(fields, &["repr-digest"])?.map(Box::new);
        Ok(upload.into(Sink::Partial(Box::new(Append { id, info })), digest))
    }

    /// Selects the protocol for resumable uploads for the answer.
    fn answer_in_tus(&mut self, fields: &Fields<'_>) -> Result<(), Refusal> {
        self.request.is_tus = true;
        tus::check_version(fields)
    }

    pub(crate) fn file(
        &mut self,
        output: &mut Buffer,
        name: &FileName,
        file: &FileDescription,
        keep: bool,
        now: Now,
    ) -> Range<u64> {
        let info = file.info();
        let conditions = self.conditions.take();
        let selection =
            conditions.map_or(Selection::Whole, |conditions| conditions.select(&info, now));
        reply::write_file(output, name, file, &selection, self.context(keep, now));
        match selection {
            _ if self.request.is_head => 0..0,
            Selection::Whole => 0..info.len,
            Selection::Part(part) => part,
            Selection::NotModified | Selection::PreconditionFailed | Selection::Unsatisfiable => {
                0..0
            }
        }
    }

    pub(crate) fn reply(&self, output: &mut Buffer, reply: &Reply<'_>, keep: bool, now: Now) {
        reply::write(output, reply, self.context(keep, now));
    }

    fn context(&self, keep: bool, now: Now) -> reply::Context {
        let connection = match (keep, self.request.is_1_0) {
            (false, _) => reply::Connection::Close,
            (true, true) => reply::Connection::KeepAlive,
            (true, false) => reply::Connection::Unsaid,
        };
        reply::Context { request: self.request, connection, now }
    }
}

/// Framing of an upload's body.
struct Upload {
    body: Body,
    expects_continue: bool,
}

impl Upload {
    fn into(self, sink: Sink, digest: Option<Box<crate::Digest>>) -> Request {
        let Self { body, expects_continue } = self;
        Request::Upload { sink, body, expects_continue, digest }
    }
}

/// Refuses encoded content: it is stored as it arrives, and the file would differ.
fn refuse_codings(fields: &Fields<'_>) -> Result<(), Refusal> {
    let is_coded = fields
        .all("content-encoding")
        .flat_map(|value| value.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
    match is_coded {
        true => Err(Refusal::CodingUnsupported),
        false => Ok(()),
    }
}

fn refused_and_closed(refusal: Refusal) -> Decoded {
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

/// Returns true if the request line has another HTTP version, and is not merely malformed.
fn names_other_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    sniff::names_http(line) && !line.ends_with(b"/1.0") && !line.ends_with(b"/1.1")
}
