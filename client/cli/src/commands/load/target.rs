//! Target of a load.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use fileserver_proto::Wire;
use fileserver_proto::client::http;
use loadgen::line_reply::LineReply;
use loadgen::{FileBody, RequestFile};

use crate::commands::WireArg;
use crate::failure::{Failure, OrRemedy};
use crate::net::address::{Address, Operand, none_left, split_front};
use crate::net::link::{Link, ReplyPart, connect};
use crate::terminal::screen::sanitized;

/// Server, wire and file of a load.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) wire: Wire,
    /// Path of the URL, unchanged.
    pub(super) path: Option<String>,
}

impl Target {
    /// Parses the server operands. The address is the first of the host that accepts a connection.
    pub(super) fn parse(words: &[String], wire: Option<WireArg>) -> Result<Self, Failure> {
        let (Operand { address, path }, rest) = split_front(words)?;
        none_left(rest)?;
        if let (Some(_), Some(wire @ (WireArg::Framed | WireArg::Text))) = (&path, wire) {
            let wire = Wire::from(wire).name();
            return Err(usage(&format!(
                "a URL is requested over http: use HOST and PORT with --wire {wire}"
            )));
        }
        let wire = match (wire, &path) {
            (Some(wire), _) => wire.into(),
            (None, Some(_)) => Wire::Http,
            (None, None) => Wire::Framed,
        };
        let stream = connect(&address)?;
        let address = stream.peer_addr().context("the server closed the connection")?;
        Ok(Self { address, wire, path })
    }

    /// Sends a line twice to learn the reply. A reply without an end is complete after 300 ms of
    /// silence.
    pub(super) fn learn_reply(
        &self,
        line: &str,
        timeout: Duration,
        stop: &AtomicBool,
    ) -> Result<LearnedReply, Failure> {
        let request = || {
            let reply = LineReply::request(self.address, line, timeout);
            if stop.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            let reply = reply.or_remedy(
                format_args!("cannot determine the reply to {line:?}"),
                "check that the server runs and speaks lines",
            )?;
            if let Some(reason) = reply.bytes.strip_prefix(b"ERROR ") {
                let reason = sanitized(reason.trim_ascii());
                return Err(Failure::Failed(anyhow!("the server refused {line:?}: {reason}")));
            }
            Ok(reply)
        };
        let (first, second) = (request()?, request()?);
        let lengths = (first.bytes.len(), second.bytes.len());
        match lengths {
            (0, _) => Err(Failure::Failed(anyhow!(
                "the server closed the connection without a reply to {line:?}: it cannot be measured"
            ))),
            (one, other) if one != other => Err(Failure::Failed(anyhow!(
                "the replies to {line:?} have {one} and {other} bytes: only replies of one length \
                 can be measured"
            ))),
            _ => Ok(LearnedReply {
                differs: first.bytes != second.bytes,
                closes: first.closes,
                bytes: first.bytes,
            }),
        }
    }

    /// Requests a file once to learn its length.
    pub(super) fn ask_length(
        &self,
        path: &str,
        timeout: Duration,
        stop: &AtomicBool,
    ) -> Result<u64, Failure> {
        let server = Address { host: self.address.ip().to_string(), port: self.address.port() };
        let mut link = Link::open(&server, Wire::Http, timeout, stop)?;
        let mut request = Vec::new();
        http::get(path, &self.address.to_string(), false, &mut request);
        link.send(&request)?;
        let head = link.read_head()?;
        if !head.kind.is_success() {
            let reason = link.refusal(head)?;
            return Err(Failure::Failed(anyhow!(
                "cannot determine the length of {path}: {reason}, or use --file NAME:SIZE"
            )));
        }
        let mut length = 0;
        while let ReplyPart::Body(range) = link.next_part()? {
            length += range.len() as u64;
        }
        Ok(length)
    }
}

/// Reply to a line, from two requests.
#[derive(Debug)]
pub(super) struct LearnedReply {
    bytes: Vec<u8>,
    /// True if the second reply had other bytes.
    differs: bool,
    /// True if the server closes the connection after it.
    pub(super) closes: bool,
}

impl LearnedReply {
    /// Request for it; `may_differ` replies have unknown bytes.
    pub(super) fn file(self, line: &str, may_differ: bool) -> Result<RequestFile, Failure> {
        if self.differs || may_differ {
            let size_bytes = self.bytes.len() as u64;
            return Ok(RequestFile {
                body: FileBody::Unknown,
                ..RequestFile::new(line, size_bytes)
            });
        }
        Ok(RequestFile::known(line, self.bytes))
    }
}

fn usage(what: &str) -> Failure {
    Failure::Usage(anyhow!("{what}"))
}
