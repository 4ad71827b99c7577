//! Addresses of servers on the command line.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use anyhow::anyhow;
use clap::Args as ClapArgs;

use crate::failure::Failure;

/// Host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Name or IP address; an IPv6 address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Display for Address {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(out, "[{}]:{}", self.host, self.port),
            false => write!(out, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    /// Parses `HOST:PORT`.
    fn from_str(text: &str) -> Result<Self, String> {
        match of_word(text) {
            Some(Ok(Operand { address, path: None })) => Ok(address),
            Some(Err(error)) => Err(error),
            _ => Err("give HOST:PORT, such as localhost:65432".to_owned()),
        }
    }
}

/// Server operand of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operand {
    pub(crate) address: Address,
    /// Path of a URL, unchanged; `/` if it has none.
    pub(crate) path: Option<String>,
}

impl Operand {
    /// Address of a server as a whole: a URL names no file.
    pub(crate) fn without_file(self) -> Result<Address, Failure> {
        match self.path.as_deref() {
            None | Some("/") => Ok(self.address),
            Some(path) => {
                Err(usage(format!("the URL names a file ({path}): remove it from the URL")))
            }
        }
    }
}

/// The server of a command without other operands.
#[derive(Debug, ClapArgs)]
pub(crate) struct ServerArgs {
    /// Server: HOST PORT, HOST:PORT or http://HOST:PORT
    #[arg(value_name = "SERVER", required = true, num_args = 1..=2)]
    server: Vec<String>,
}

impl ServerArgs {
    /// Address of the server.
    pub(crate) fn address(&self) -> Result<Address, Failure> {
        let (operand, rest) = split_front(&self.server)?;
        none_left(rest)?;
        operand.without_file()
    }
}

/// Splits the server off the front of the operands.
pub(crate) fn split_front(words: &[String]) -> Result<(Operand, &[String]), Failure> {
    if let Some(operand) = words.first().and_then(|word| of_word(word)) {
        return Ok((operand.map_err(usage)?, &words[1..]));
    }
    match words {
        [host, port, rest @ ..] => Ok((of_words(host, port).map_err(usage)?, rest)),
        [host] => Err(usage(format!(
            "no port after {host}: give HOST PORT, HOST:PORT or http://HOST:PORT"
        ))),
        [] => Err(usage("no server: give HOST PORT, HOST:PORT or http://HOST:PORT".to_owned())),
    }
}

/// Splits the server off the end of the operands.
pub(crate) fn split_back(words: &[String]) -> Result<(&[String], Operand), Failure> {
    if let [front @ .., last] = words
        && let Some(operand) = of_word(last)
    {
        return Ok((front, operand.map_err(usage)?));
    }
    match words {
        [_, host] if !host.bytes().all(|byte| byte.is_ascii_digit()) => Err(usage(format!(
            "no port after {host}: end with HOST PORT, HOST:PORT or http://HOST:PORT"
        ))),
        [front @ .., host, port] => Ok((front, of_words(host, port).map_err(usage)?)),
        _ => Err(usage("no server: end with HOST PORT, HOST:PORT or http://HOST:PORT".to_owned())),
    }
}

/// Fails if an operand follows the last expected one.
pub(crate) fn none_left(rest: &[String]) -> Result<(), Failure> {
    match rest.first() {
        None => Ok(()),
        Some(word) => {
            Err(usage(format!("unexpected operand {word:?} after the server: remove it")))
        }
    }
}

/// Returns true if the last words look like a server, and at least one word precedes them.
pub(crate) fn end_with_server(words: &[String]) -> bool {
    split_back(words).is_ok_and(|(front, _)| !front.is_empty())
}

/// Parses `HOST:PORT` or a URL; `None` for a word that is neither.
fn of_word(word: &str) -> Option<Result<Operand, String>> {
    if word.starts_with("https://") {
        return Some(Err("https is not supported: use http://".to_owned()));
    }
    if let Some(rest) = word.strip_prefix("http://") {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        let address = match split_port(authority) {
            Some((host, port)) => address(host, port),
            None if authority.contains(':') && !authority.ends_with(']') => {
                Err(format!("the port of {word} is not a number"))
            }
            None => address(authority, "80"),
        };
        return Some(address.map(|address| Operand { address, path: Some(path.to_owned()) }));
    }
    let (host, port) = split_port(word)?;
    Some(address(host, port).map(|address| Operand { address, path: None }))
}

fn of_words(host: &str, port: &str) -> Result<Operand, String> {
    Ok(Operand { address: address(host, port)?, path: None })
}

/// Splits `HOST:PORT`; an IPv6 address needs brackets.
fn split_port(word: &str) -> Option<(&str, &str)> {
    let (host, port) = word.rsplit_once(':')?;
    let is_host = !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_host && is_number).then_some((host, port))
}

fn address(host: &str, port: &str) -> Result<Address, String> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if bare.is_empty() {
        return Err("no host: give its name or address before the port".to_owned());
    }
    match port.parse() {
        Ok(0) => Err("0 is not the port of a server: give the port that it listens on".to_owned()),
        Ok(port) => Ok(Address { host: bare.to_owned(), port }),
        Err(_) => Err(format!(
            "{port:?} is not a port: give the server as HOST PORT, HOST:PORT or http://HOST:PORT"
        )),
    }
}

fn usage(what: String) -> Failure {
    Failure::Usage(anyhow!(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn every_form_is_the_same_server() {
        for text in ["h 80", "h:80", "http://h:80", "http://h", "http://h/", "http://h:80/a/b?c"] {
            let words = words(&format!("{text} rest"));
            let (operand, rest) = split_front(&words).unwrap();
            assert_eq!(
                (operand.address.to_string(), rest),
                ("h:80".to_owned(), &words[words.len() - 1..])
            );
            let path = text.starts_with("http").then_some(if text.ends_with('c') {
                "/a/b?c"
            } else {
                "/"
            });
            assert_eq!(operand.path.as_deref(), path, "{text}");
            let words = [vec!["front".to_owned()], words[..words.len() - 1].to_vec()].concat();
            let (front, behind) = split_back(&words).unwrap();
            assert_eq!((front, behind), (&words[..1], operand), "{text}");
        }
    }

    #[test]
    fn an_ipv6_address_may_have_brackets() {
        for text in ["::1 80", "[::1] 80", "[::1]:80", "http://[::1]:80", "http://[::1]"] {
            let words = words(text);
            let (operand, _) = split_front(&words).unwrap();
            assert_eq!(operand.address, Address { host: "::1".to_owned(), port: 80 }, "{text}");
            assert_eq!(operand.address.to_string(), "[::1]:80");
        }
    }

    #[test]
    fn other_words_are_refused_with_the_forms() {
        for (text, part) in [
            ("", "no server"),
            ("h", "no port after h"),
            ("h x", "\"x\" is not a port"),
            ("h 70000", "\"70000\" is not a port"),
            ("h:70000", "\"70000\" is not a port"),
            ("h 0", "0 is not the port"),
            (":80", "no host"),
            ("http://h:x/", "is not a number"),
            ("https://h/", "https is not supported"),
        ] {
            let words = words(text);
            let told = split_front(&words).unwrap_err().line();
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}
