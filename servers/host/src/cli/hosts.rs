//! Hosts that http requests may name.

use std::net::IpAddr;

use fileserver_proto::{HostAddresses, Hosts};

/// Value of `--allow-host` for all names.
const ANY: &str = "*";

/// Hosts of a server that listens on an address.
///
/// A server of other machines is reached by any address and by this machine's name, in the form of
/// the local network too.
pub(super) fn hosts(address: IpAddr, allowed: &[String]) -> Hosts {
    if allowed.iter().any(|name| name == ANY) {
        return Hosts::Any;
    }
    let mut names = allowed.to_vec();
    if address.is_loopback() {
        return Hosts::Known { addresses: HostAddresses::Loopback, names };
    }
    let system = rustix::system::uname();
    if let Some(name) = system.nodename().to_str().ok().filter(|name| !name.is_empty()) {
        names.extend([name.to_owned(), format!("{name}.local")]);
    }
    Hosts::Known { addresses: HostAddresses::All, names }
}

/// A name without a port, or `*`.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match text == ANY || (!text.is_empty() && text.bytes().all(is_name_byte)) {
        true => Ok(text.to_owned()),
        false => Err("write a name without a port, for example files.example, or *".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_port() {
        for text in ["files.example", "10.0.0.1", "a_b", "*"] {
            assert_eq!(name(text), Ok(text.to_owned()));
        }
        for text in ["", "a:80", "http://a", "a/b", "**", "[::1]"] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
