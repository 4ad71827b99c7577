//! The kernel's counts of TCP's difficulties within the window of a load.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bench_data::trial::TcpCounts;
use loadgen::Progress;

use crate::machine::window::{begin_of_window, sleep_until};

/// Counts within the window of a running load, which it follows by `progress`. Returns soon after
/// `done` is set; `None` if the load never began, or the kernel does not report them.
pub(crate) fn watch(progress: &Progress, window: Duration, done: &AtomicBool) -> Option<TcpCounts> {
    let begin = begin_of_window(progress, done)?;
    sleep_until(begin, done);
    let before = now()?;
    sleep_until(begin + window, done);
    let after = now()?;
    Some(TcpCounts {
        listen_overflows: after.listen_overflows.saturating_sub(before.listen_overflows),
        listen_drops: after.listen_drops.saturating_sub(before.listen_drops),
        retransmissions: after.retransmissions.saturating_sub(before.retransmissions),
        resets: after.resets.saturating_sub(before.resets),
    })
}

/// Counts since the start of the network namespace.
fn now() -> Option<TcpCounts> {
    let extended = fs::read_to_string("/proc/net/netstat").ok()?;
    let basic = fs::read_to_string("/proc/net/snmp").ok()?;
    Some(TcpCounts {
        listen_overflows: value(&extended, "TcpExt:", "ListenOverflows")?,
        listen_drops: value(&extended, "TcpExt:", "ListenDrops")?,
        retransmissions: value(&basic, "Tcp:", "RetransSegs")?,
        resets: value(&basic, "Tcp:", "EstabResets")?,
    })
}

/// A count of a table whose groups have two lines each: names, then values.
fn value(table: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = table.lines().filter_map(|line| line.strip_prefix(group));
    let mut names = lines.next()?.split_whitespace();
    let index = names.position(|known| known == name)?;
    lines.next()?.split_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    #[test]
    fn a_value_is_found_by_its_name() {
        let table = "Ip: A B\nIp: 1 2\nTcp: MaxConn B C\nTcp: -1 5 6\n";
        assert_eq!(value(table, "Tcp:", "B"), Some(5));
        assert_eq!(value(table, "Ip:", "B"), Some(2));
        for (group, name) in [("Tcp:", "A"), ("Udp:", "B"), ("Tcp:", "MaxConn")] {
            assert_eq!(value(table, group, name), None);
        }
    }

    #[test]
    fn a_reset_connection_is_counted() {
        let Some(before) = now() else {
            assert_eq!(fs::read("/proc/net/netstat").unwrap_err().kind(), ErrorKind::NotFound);
            return;
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let abort = Some(Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(server.as_fd(), abort).unwrap();
        drop(server);
        assert!(now().unwrap().resets > before.resets);
        drop(client);
    }
}
