//! A first look at a server: what it can do of what the loads ask for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use loadgen::content::Content;

/// How a server answered a request for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// As it should.
    Right,
    /// It does not do that, or not have that: what it said.
    Refused(String),
    /// It tried and failed: how.
    Wrong(String),
}

/// An answer's head.
#[derive(Debug)]
struct Head {
    status: u16,
    length: Option<u64>,
    closes: bool,
}

/// For each read and write of a look.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longer heads are no heads.
const LONGEST_HEAD_BYTES: u64 = 64 << 10;

/// Whether something answers there in HTTP, whatever it says.
pub fn answers(address: SocketAddr) -> bool {
    let answer = Connection::open(address).and_then(|mut connection| {
        connection.ask("GET", "/", "Connection: close\r\n", b"")?;
        connection.head()
    });
    answer.is_ok()
}

/// Whether something sends a line back there as it is.
pub fn echoes(address: SocketAddr) -> bool {
    let line = b"is anybody there?\r\n";
    let mut heard = [0; 19];
    let answer = TcpStream::connect_timeout(&address, PATIENCE).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(line)?;
        stream.read_exact(&mut heard)
    });
    answer.is_ok() && heard == *line
}

/// Asks for a file twice on one connection and compares its bytes; the second value tells
/// whether the connection was kept, where that could be seen.
pub fn download(address: SocketAddr, name: &str, size: u64) -> (Answer, Option<bool>) {
    let look = || -> io::Result<(Answer, Option<bool>)> {
        let mut connection = Connection::open(address)?;
        let path = format!("/{name}");
        connection.ask("GET", &path, "", b"")?;
        let head = connection.head()?;
        if head.status != 200 {
            return Ok((judged(head.status, "GET"), None));
        }
        let answer = connection.body(&head, name, 0, size)?;
        if answer != Answer::Right {
            return Ok((answer, None));
        }
        let kept = !head.closes
            && connection.ask("GET", &path, "Connection: close\r\n", b"").is_ok()
            && connection.head().is_ok_and(|head| head.status == 200);
        Ok((answer, Some(kept)))
    };
    look().unwrap_or_else(|error| (Answer::Wrong(format!("GET: {error}")), None))
}

/// Asks for a part of a file.
pub fn range(address: SocketAddr, name: &str, size: u64) -> bool {
    let last = size.min(512) - 1;
    let look = || -> io::Result<bool> {
        let mut connection = Connection::open(address)?;
        let range = format!("Range: bytes={}-{last}\r\nConnection: close\r\n", last / 2);
        connection.ask("GET", &format!("/{name}"), &range, b"")?;
        let head = connection.head()?;
        let length = last - last / 2 + 1;
        Ok(head.status == 206 && connection.body(&head, name, last / 2, length)? == Answer::Right)
    };
    look().unwrap_or(false)
}

/// Puts a small file; the second value tells whether the connection was kept, where that could
/// be seen.
pub fn upload(address: SocketAddr, name: &str) -> (Answer, Option<bool>) {
    let look = || -> io::Result<(Answer, Option<bool>)> {
        let mut connection = Connection::open(address)?;
        let path = format!("/{name}");
        connection.ask("PUT", &path, "", b"probe")?;
        let head = connection.head()?;
        if !(200..300).contains(&head.status) {
            return Ok((judged(head.status, "PUT"), None));
        }
        connection.skip(&head)?;
        let kept = !head.closes
            && connection.ask("PUT", &path, "Connection: close\r\n", b"probe").is_ok()
            && connection.head().is_ok_and(|head| (200..300).contains(&head.status));
        Ok((Answer::Right, Some(kept)))
    };
    look().unwrap_or_else(|error| (Answer::Wrong(format!("PUT: {error}")), None))
}

fn judged(status: u16, method: &str) -> Answer {
    let text = format!("{method} is answered with {status}");
    match status {
        400..=499 | 501 => Answer::Refused(text),
        _ => Answer::Wrong(text),
    }
}

struct Connection {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), host: address })
    }

    fn ask(&mut self, method: &str, path: &str, fields: &str, body: &[u8]) -> io::Result<()> {
        let length = match body {
            [] => String::new(),
            body => format!("Content-Length: {}\r\n", body.len()),
        };
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{fields}{length}\r\n", self.host);
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat())
    }

    fn head(&mut self) -> io::Result<Head> {
        let mut text = Vec::new();
        loop {
            let before = text.len();
            (&mut self.stream).take(LONGEST_HEAD_BYTES).read_until(b'\n', &mut text)?;
            let line = &text[before..];
            if !line.ends_with(b"\n") || text.len() as u64 > LONGEST_HEAD_BYTES {
                return Err(io::Error::other("it closed the connection without an answer"));
            }
            if line == b"\r\n" || line == b"\n" {
                break;
            }
        }
        let mut fields = [httparse::EMPTY_HEADER; 96];
        let mut reply = httparse::Response::new(&mut fields);
        reply.parse(&text).map_err(|error| io::Error::other(format!("no http answer: {error}")))?;
        let field = |name: &str| {
            let found = reply.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(found.value).ok().map(str::trim)
        };
        let connection = field("connection").unwrap_or("").to_ascii_lowercase();
        let status = reply.code.unwrap_or(0);
        let length = match field("content-length") {
            Some(digits) => digits.parse().ok(),
            None if status == 204 || status == 304 => Some(0),
            None => None,
        };
        let closes = connection.contains("close")
            || (reply.version == Some(0) && !connection.contains("keep-alive"));
        Ok(Head { status, length, closes })
    }

    /// Reads a body and compares it with what the file of this name holds there.
    fn body(&mut self, head: &Head, name: &str, from: u64, length: u64) -> io::Result<Answer> {
        match head.length {
            Some(told) if told == length => {}
            Some(told) => return Ok(Answer::Wrong(format!("{told} bytes in place of {length}"))),
            None => return Ok(Answer::Refused("answers come without Content-Length".to_owned())),
        }
        let content = Content::of_name(name);
        let mut piece = vec![0; 64 << 10];
        let mut at = 0;
        while at < length {
            let len = piece.len().min(usize::try_from(length - at).unwrap_or(usize::MAX));
            let piece = &mut piece[..len];
            if let Err(error) = self.stream.read_exact(piece) {
                return Ok(Answer::Wrong(format!("a body cut short after {at} bytes: {error}")));
            }
            if !content.matches(from + at, piece) {
                return Ok(Answer::Wrong("other bytes than the file has".to_owned()));
            }
            at += len as u64;
        }
        Ok(Answer::Right)
    }

    fn skip(&mut self, head: &Head) -> io::Result<()> {
        let length = head.length.unwrap_or(0);
        io::copy(&mut (&mut self.stream).take(length), &mut io::sink())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers each request of one connection after the other with the next of these.
    fn server(replies: Vec<Vec<u8>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            for reply in replies {
                let mut line = String::new();
                let mut body = 0;
                while line != "\r\n" {
                    line.clear();
                    if stream.read_line(&mut line).unwrap() == 0 {
                        return;
                    }
                    let length = line.strip_prefix("Content-Length: ");
                    body = length.map_or(body, |digits| digits.trim().parse().unwrap());
                }
                stream.read_exact(&mut vec![0; body]).unwrap();
                stream.get_mut().write_all(&reply).unwrap();
            }
        });
        address
    }

    fn reply(head: &str, name: &str, from: u64, length: usize) -> Vec<u8> {
        let mut body = vec![0; length];
        Content::of_name(name).fill(from, &mut body);
        [format!("HTTP/1.1 {head}\r\n\r\n").as_bytes(), &body].concat()
    }

    #[test]
    fn a_server_that_does_it_all_is_seen_to() {
        let file = reply("200 OK\r\nContent-Length: 9", "f", 0, 9);
        let address = server(vec![file.clone(), file]);
        assert_eq!(download(address, "f", 9), (Answer::Right, Some(true)));
        let part = reply("206 Partial Content\r\nContent-Length: 5", "f", 4, 5);
        assert!(range(server(vec![part]), "f", 9));
        let created = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok".to_vec();
        let replaced = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
        assert_eq!(upload(server(vec![created, replaced]), "f"), (Answer::Right, Some(true)));
    }

    #[test]
    fn refusals_faults_and_closed_connections_are_told_apart() {
        let refused = |status: &str| {
            download(
                server(vec![reply(&format!("{status}\r\nContent-Length: 0"), "f", 0, 0)]),
                "f",
                9,
            )
            .0
        };
        assert_eq!(refused("404 No"), Answer::Refused("GET is answered with 404".to_owned()));
        assert_eq!(refused("500 No"), Answer::Wrong("GET is answered with 500".to_owned()));
        for (head, length, expected) in [
            ("200 OK\r\nContent-Length: 8", 8, "8 bytes in place of 9"),
            ("200 OK\r\nContent-Length: 9", 5, "cut short after 0 bytes"),
            ("nonsense", 0, "no http answer"),
        ] {
            let (answer, _) = download(server(vec![reply(head, "f", 0, length)]), "f", 9);
            assert!(matches!(&answer, Answer::Wrong(why) if why.contains(expected)), "{answer:?}");
        }
        let other = server(vec![reply("200 OK\r\nContent-Length: 9", "g", 0, 9)]);
        assert_eq!(
            download(other, "f", 9).0,
            Answer::Wrong("other bytes than the file has".into())
        );
        let closing = reply("200 OK\r\nConnection: close\r\nContent-Length: 9", "f", 0, 9);
        assert_eq!(download(server(vec![closing]), "f", 9), (Answer::Right, Some(false)));
        let whole = reply("200 OK\r\nContent-Length: 9", "f", 0, 9);
        assert!(!range(server(vec![whole]), "f", 9));
        let answer = upload(server(vec![b"HTTP/1.1 405 No\r\n\r\n".to_vec()]), "f");
        assert_eq!(answer, (Answer::Refused("PUT is answered with 405".to_owned()), None));
    }

    #[test]
    fn nothing_there_answers_nothing() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(!answers(address));
        assert!(matches!(download(address, "f", 1).0, Answer::Wrong(_)));
    }
}
