//! Target of a load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, anyhow};
use fileserver_proto::Wire;
use fileserver_proto::client::{ReplyEvent, ReplyKind, ReplyReader, http};

use crate::commands::WireArg;
use crate::failure::{Failure, OrRemedy};
use crate::net::link::{CONNECT_TIMEOUT, connect};

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
    pub(super) fn ask_length(&self, path: &str, timeout: Duration) -> Result<u64, Failure> {
        let asked = || -> anyhow::Result<u64> {
            let mut stream = TcpStream::connect_timeout(&self.address, CONNECT_TIMEOUT)?;
            stream.set_read_timeout(Some(timeout))?;
            let mut request = Vec::new();
            http::get(path, &self.address.to_string(), false, &mut request);
            stream.write_all(&request)?;
            let mut reader = ReplyReader::new(Wire::Http);
            let mut buffer = vec![0; 64 << 10];
            let mut length = 0;
            loop {
                let received = stream.read(&mut buffer)?;
                if received == 0 {
                    reader.close()?;
                    return Ok(length);
                }
                let mut input = &buffer[..received];
                loop {
                    match reader.next(&mut input)? {
                        ReplyEvent::NeedMore => break,
                        ReplyEvent::Head(head) if !head.kind.is_success() => {
                            return Err(match head.kind {
                                ReplyKind::Status(status) => anyhow!("status {status}"),
                                ReplyKind::Data | ReplyKind::Text | ReplyKind::Error => {
                                    anyhow!("not an http reply")
                                }
                            });
                        }
                        ReplyEvent::Head(_) => {}
                        ReplyEvent::Body(piece) => length += piece.len() as u64,
                        ReplyEvent::End => return Ok(length),
                    }
                }
            }
        };
        let failed = format_args!("cannot learn the length of {path}");
        Ok(asked().or_remedy(failed, "check the name, or use --file NAME:SIZE")?)
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
