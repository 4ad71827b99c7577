//! A reference server's own count of requests.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Time within which an idle server reports its count.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reader of the count of nginx's module `stub_status`. Apache counts only with `ExtendedStatus`,
/// which takes time in every request, and lighttpd only with a module that is often not installed.
#[derive(Debug)]
pub struct RequestCounter {
    socket: PathBuf,
}

impl RequestCounter {
    /// Counter behind a Unix domain socket.
    pub fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Number of requests since the start of the server, this one included. `None` if it cannot be
    /// read.
    pub fn read(&self) -> Option<u64> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        requests(&reply)
    }
}

/// Third number of the line after the heading `server accepts handled requests`, see the
/// documentation of `ngx_http_stub_status_module`.
fn requests(reply: &str) -> Option<u64> {
    let mut lines =
        reply.lines().skip_while(|line| !line.starts_with("server accepts handled requests"));
    lines.nth(1)?.split_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    const REPLY: &str = "HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nActive connections: 2 \n\
        server accepts handled requests\n 16630948 16630949 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n";

    #[test]
    fn the_count_is_the_third_number() {
        assert_eq!(requests(REPLY), Some(31_070_465));
        assert_eq!(requests(&REPLY.replace("31070465", "")), None);
        assert_eq!(requests("HTTP/1.1 404 Not Found\r\n\r\n"), None);
    }

    #[test]
    fn a_count_is_read_from_its_socket_and_missing_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("status.sock");
        let counter = RequestCounter::at(socket.clone());
        assert_eq!(counter.read(), None);
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 18];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(REPLY.as_bytes()).unwrap();
        });
        assert_eq!(counter.read(), Some(31_070_465));
        server.join().unwrap();
    }
}
