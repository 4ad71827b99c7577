//! Target of a load.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, anyhow};
use fileserver_proto::Wire;
use fileserver_proto::client::http;

use crate::commands::WireArg;
use crate::failure::Failure;
use crate::net::address::{Address, Operand, none_left, split_front};
use crate::net::link::{Link, ReplyPart, connect};

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
                "cannot learn the length of {path}: {reason}, or use --file NAME:SIZE"
            )));
        }
        let mut length = 0;
        while let ReplyPart::Body(range) = link.next_part()? {
            length += range.len() as u64;
        }
        Ok(length)
    }
}

fn usage(what: &str) -> Failure {
    Failure::Usage(anyhow!("{what}"))
}
