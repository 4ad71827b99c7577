//! Messages to the operator at the start and at the end.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use bytesize::ByteSize;

use super::{DEFAULT_ROOT, ServerArgs, ServiceChoice, WireChoice};
use crate::{ServeReport, ServerState, StrategyKind};

/// Greeting: strategy, files, limits, and commands to paste.
pub(super) fn greeting(args: &ServerArgs, address: SocketAddr, server: &ServerState) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: String| {
        writeln!(text, "{label:<9} {value}").expect("a string takes any text");
    };
    let strategy = args.strategy;
    line("strategy", format!("{}: {}", strategy.name(), strategy.summary()));
    if matches!(
        strategy,
        StrategyKind::ThreadPool | StrategyKind::MultiSelector | StrategyKind::Hybrid
    ) {
        line("workers", server.workers.to_string());
    }
    let service = args.service.service;
    if service != ServiceChoice::Files {
        line("service", format!("{}: {}", service.name(), service.summary()));
    }
    if service.has_files() {
        let root = args.root.as_deref().unwrap_or(Path::new(DEFAULT_ROOT));
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        line("root", format!("{root:?}"));
    }
    if matches!(service, ServiceChoice::Files | ServiceChoice::Message) {
        line(
            "uploads",
            format!(
                "up to {}, durability {}, on conflict {}",
                ByteSize::b(args.limits.max_upload).display().iec(),
                args.durability.name(),
                args.on_conflict.name()
            ),
        );
    }
    let timeouts = &args.timeouts;
    line(
        "limits",
        format!(
            "{} connections; head {}, stall {}, idle {}, drain {}",
            server.limit.max(),
            humantime::format_duration(timeouts.head_timeout),
            humantime::format_duration(timeouts.stall_timeout),
            humantime::format_duration(timeouts.idle_timeout),
            humantime::format_duration(timeouts.drain_timeout),
        ),
    );
    let examples = if service == ServiceChoice::Files {
        examples(args.wire, address, client_program())
    } else {
        service_examples(service, args.wire, address, client_program())
    };
    for (number, example) in examples.into_iter().enumerate() {
        line(if number == 0 { "try" } else { "" }, example);
    }
    for (number, other) in lan_addresses(address, local_addresses()).into_iter().enumerate() {
        line(if number == 0 { "network" } else { "" }, other.to_string());
    }
    text
}

/// Farewell: the counts in one line.
pub(super) fn farewell(report: &ServeReport) -> String {
    let ServeReport { connections, requests, refused, panics, broken, sent: _ } = report;
    let counted = |count: u64, noun: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {noun}{plural}")
    };
    let (requests, connections) =
        (counted(*requests, "request"), counted(*connections, "connection"));
    let mut text = format!("served {requests} on {connections}");
    for (count, what) in [
        (refused, "refused: no thread could be created"),
        (panics, "ended by a panic"),
        (broken, "broken off at the end of the drain"),
    ] {
        if *count > 0 {
            write!(text, ", {count} {what}").expect("a string takes any text");
        }
    }
    text
}

/// Commands to paste into a shell on this machine, for the protocols that are spoken.
fn examples(wire: WireChoice, address: SocketAddr, client: &str) -> Vec<String> {
    let reachable = reachable(address);
    let (host, port) = (reachable.ip(), reachable.port());
    // The client's default is framed.
    let by_client = |wire: &str| {
        [
            format!("{client} send FILE {host} {port}{wire}"),
            format!("{client} get NAME {host} {port}{wire}"),
        ]
    };
    let http = [
        format!("curl -T FILE http://{reachable}/"),
        format!("curl -fO http://{reachable}/NAME"),
        format!("http://{reachable}/           (in a browser)"),
    ];
    let text = [format!("telnet {host} {port}      (then type the name of a file)")];
    match wire {
        WireChoice::Auto => by_client("").into_iter().chain(http).chain(text).collect(),
        WireChoice::Framed => by_client("").into(),
        WireChoice::Http => by_client(" --wire http").into_iter().chain(http).collect(),
        WireChoice::Text => text.into(),
    }
}

/// Commands to paste for a lab service.
fn service_examples(
    service: ServiceChoice,
    wire: WireChoice,
    address: SocketAddr,
    client: &str,
) -> Vec<String> {
    let reachable = reachable(address);
    let (host, port) = (reachable.ip(), reachable.port());
    let (command, what) = match service {
        ServiceChoice::GreetClose => (format!("{client} knock {host} {port}"), None),
        ServiceChoice::Chat => (format!("{client} chat {host} {port}"), Some("hello")),
        ServiceChoice::Date | ServiceChoice::DateLog => {
            (format!("{client} say {host} {port} 'what time is it?'"), Some("what time is it?"))
        }
        ServiceChoice::Files
        | ServiceChoice::Echo
        | ServiceChoice::Hello
        | ServiceChoice::Message
        | ServiceChoice::Ack
        | ServiceChoice::Transform => {
            (format!("{client} say {host} {port} 'Hello, world'"), Some("Hello, world"))
        }
    };
    let telnet = format!("telnet {host} {port}");
    let curl = what.map(|what| format!("curl -d '{what}' http://{reachable}/"));
    match wire {
        WireChoice::Auto => [command, telnet].into_iter().chain(curl).collect(),
        WireChoice::Text => vec![command, telnet],
        WireChoice::Http => curl.into_iter().collect(),
        WireChoice::Framed => vec![format!("{client} console {host} {port}")],
    }
}

/// Command of the bundled client: through cargo if the server was started that way.
fn client_program() -> &'static str {
    // Cargo sets it for what it runs.
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(_) => "cargo client",
        None => "client",
    }
}

/// Address for a client on this machine, also of a server that listens on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Addresses for clients on other machines, of a server that listens on all addresses.
fn lan_addresses(address: SocketAddr, local: Vec<IpAddr>) -> Vec<SocketAddr> {
    if !address.ip().is_unspecified() {
        return Vec::new();
    }
    let is_reachable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        // A link-local address needs an interface that is the client's.
        IpAddr::V6(ip) => address.is_ipv6() && !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let mut reachable: Vec<_> = local.into_iter().filter(is_reachable).collect();
    reachable.sort_unstable();
    reachable.dedup();
    reachable.into_iter().map(|ip| SocketAddr::new(ip, address.port())).collect()
}

/// Addresses of this machine's network interfaces.
fn local_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            if let Some(v4) = address.as_sockaddr_in() {
                return Some(IpAddr::V4(v4.ip()));
            }
            address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_to_paste_have_the_true_address_and_only_wires_that_are_spoken() {
        let anywhere: SocketAddr = "0.0.0.0:4711".parse().unwrap();
        let all = examples(WireChoice::Auto, anywhere, "client").join("\n");
        for part in ["client send FILE 127.0.0.1 4711", "http://127.0.0.1:4711/", "telnet"] {
            assert!(all.contains(part), "{all}");
        }
        let six = examples(WireChoice::Http, "[::]:4711".parse().unwrap(), "client").join("\n");
        assert!(six.contains("http://[::1]:4711/") && !six.contains("telnet"), "{six}");
    }

    #[test]
    fn a_server_on_all_addresses_shows_those_of_other_networks() {
        let local: Vec<IpAddr> = [
            "127.0.0.1",
            "192.168.1.5",
            "169.254.1.1",
            "10.0.0.2",
            "::1",
            "fe80::1",
            "2001:db8::5",
        ]
        .map(|ip| ip.parse().unwrap())
        .into();
        let shown = |listens: &str| {
            let shown = lan_addresses(listens.parse().unwrap(), local.clone());
            shown.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(shown("0.0.0.0:80"), ["10.0.0.2:80", "192.168.1.5:80"]);
        let all = ["10.0.0.2:80", "192.168.1.5:80", "[2001:db8::5]:80"];
        assert_eq!(shown("[::]:80"), all);
        assert!(shown("192.168.1.5:80").is_empty() && shown("127.0.0.1:80").is_empty());
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(local_addresses().contains(&loopback));
    }

    #[test]
    fn the_lines_to_paste_suit_the_service() {
        let address: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        let all = |service, wire| service_examples(service, wire, address, "client").join("\n");
        assert_eq!(
            all(ServiceChoice::Date, WireChoice::Auto),
            "client say 127.0.0.1 4711 'what time is it?'\ntelnet 127.0.0.1 4711\n\
             curl -d 'what time is it?' http://127.0.0.1:4711/"
        );
        assert!(all(ServiceChoice::Chat, WireChoice::Text).starts_with("client chat "));
        assert!(!all(ServiceChoice::GreetClose, WireChoice::Auto).contains("curl"));
    }

    #[test]
    fn the_farewell_names_only_what_happened() {
        let report = ServeReport { connections: 2, requests: 5, ..ServeReport::default() };
        assert_eq!(farewell(&report), "served 5 requests on 2 connections");
        let one = ServeReport { connections: 1, requests: 1, ..report };
        assert_eq!(farewell(&one), "served 1 request on 1 connection");
        let report = ServeReport { panics: 1, ..report };
        assert!(farewell(&report).ends_with(", 1 ended by a panic"));
        let report = ServeReport { panics: 0, broken: 2, ..report };
        assert!(farewell(&report).ends_with(" connections, 2 broken off at the end of the drain"));
    }
}
