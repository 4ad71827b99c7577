//! Host of a request, and the hosts that a server answers for.

use std::net::{IpAddr, Ipv6Addr};

use crate::Hosts;

impl Hosts {
    /// Returns true if requests for this host, with or without a port, are answered.
    pub(super) fn accept(&self, host: &str) -> bool {
        let Self::Known { addresses, names } = self else { return true };
        let Some(name) = without_port(host) else { return false };
        match literal(name) {
            Some(address) => addresses.contain(address),
            None => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name.eq_ignore_ascii_case("localhost")
                    || names.iter().any(|known| known.eq_ignore_ascii_case(name))
            }
        }
    }
}

/// Part of `host[:port]` before the port; `None` if it is malformed.
fn without_port(host: &str) -> Option<&str> {
    let end = match host.starts_with('[') {
        true => host.find(']')? + 1,
        false => host.find(':').unwrap_or(host.len()),
    };
    let (name, port) = host.split_at(end);
    let port = port.strip_prefix(':').unwrap_or(port);
    port.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
}

/// Address that a host denotes by itself, without a name server.
fn literal(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => Some(address.parse::<Ipv6Addr>().ok()?.to_canonical()),
        None => Some(IpAddr::V4(name.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostAddresses;

    fn known(addresses: HostAddresses) -> Hosts {
        Hosts::Known { addresses, names: vec!["files.example".to_owned()] }
    }

    #[test]
    fn a_server_answers_for_its_own_names_and_addresses() {
        let loopback = known(HostAddresses::Loopback);
        let all = known(HostAddresses::All);
        for host in [
            "localhost",
            "LOCALHOST:8800",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:8800",
            "127.255.0.9:",
            "[::1]",
            "[::1]:8800",
            "[::ffff:127.0.0.1]:1",
            "files.example:80",
            "Files.Example",
        ] {
            assert!(loopback.accept(host) && all.accept(host), "{host}");
        }
        for host in ["192.0.2.1", "192.0.2.1:8800", "0.0.0.0:8800", "[2001:db8::1]:8800"] {
            assert!(!loopback.accept(host) && all.accept(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8800",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:x",
            "127.1",
            "[::1",
            "[::1]x",
            "[localhost]",
            "::1",
            "files.example@evil.example",
        ] {
            assert!(!loopback.accept(host) && !all.accept(host), "{host}");
            assert!(Hosts::Any.accept(host));
        }
    }
}
