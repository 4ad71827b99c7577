//! Target of a load.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, anyhow};
use fileserver_proto::Wire;
use fileserver_proto::client::http;

use crate::commands::WireArg;
use crate::failure::Failure;
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
    /// Parses a URL, or a host and a port. The address is the first of the host that accepts a
    /// connection.
    pub(super) fn parse(
        text: &str,
        port: Option<u16>,
        wire: Option<WireArg>,
    ) -> Result<Self, Failure> {
        let (host, port, path) = match (text.strip_prefix("http://"), port) {
            (Some(_), Some(_)) => {
                return Err(usage("the URL contains the port: remove PORT"));
            }
            (Some(rest), None) => {
                let (authority, path) = match rest.find('/') {
                    Some(slash) => rest.split_at(slash),
                    None => (rest, "/"),
                };
                let (host, port) = split_port(authority)?;
                (host, port, Some(path.to_owned()))
            }
            (None, Some(port)) => (text, port, None),
            (None, None) => {
                return Err(usage("no port: use http://HOST:PORT/NAME, or HOST and PORT"));
            }
        };
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
        let address =
            connect(host, port)?.peer_addr().context("the server closed the connection")?;
        Ok(Self { address, wire, path })
    }

    /// Requests a file once to learn its length.
    pub(super) fn ask_length(
        &self,
        path: &str,
        timeout: Duration,
        stop: &AtomicBool,
    ) -> Result<u64, Failure> {
        let (host, port) = (self.address.ip().to_string(), self.address.port());
        let mut link = Link::open(&host, port, Wire::Http, timeout, stop)?;
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

fn split_port(authority: &str) -> Result<(&str, u16), Failure> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let port = port.parse().map_err(|_| usage("the port of the URL is not a number"))?;
            Ok((host, port))
        }
        _ => Ok((authority, 80)),
    }
}

fn usage(what: &str) -> Failure {
    Failure::Usage(anyhow!("{what}"))
}
