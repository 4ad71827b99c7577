//! Capability checks of a server before the first trial.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use fileserver_proto::Wire;
use fileserver_proto::client::{ReplyEvent, ReplyHead, ReplyKind, ReplyReader, http};
use loadgen::content::Content;
use loadgen::line_reply::LineReply;
use loadgen::{FileBody, RequestFile};

/// Result of a capability check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Correct.
    Right,
    /// Refused, because the server lacks the function or the file: its answer.
    Refused(String),
    /// Failed: the fault.
    Wrong(String),
}

/// Limit of each read and write of a check.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Content of an uploaded file.
const UPLOAD: &[u8] = b"probe";

/// Reason why a server does not pass the check of its readiness.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// No reply, or none yet.
    #[error("{0}")]
    Silent(#[from] io::Error),
    /// Reply of another kind, which waiting does not change.
    #[error("{0}")]
    Other(String),
}

/// Checks that a connection to a server can be opened.
///
/// # Errors
/// Nothing listens at the address.
pub fn listens(address: SocketAddr) -> io::Result<()> {
    TcpStream::connect_timeout(&address, TIMEOUT).map(drop)
}

/// Checks that a server answers in HTTP, whatever the answer.
///
/// # Errors
/// No reply, or one that is not HTTP.
pub fn answers(address: SocketAddr) -> Result<(), NotReady> {
    let mut connection = Connection::open(address)?;
    connection.get("/", false)?;
    match connection.head() {
        Ok(_) => Ok(()),
        Err(_) if !connection.input.is_empty() => {
            let received = quoted(&connection.input);
            Err(NotReady::Other(format!("it answered GET / with {received}, which is not HTTP")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Checks that a server sends a line back unchanged.
///
/// # Errors
/// No reply, or another one.
pub fn echoes(address: SocketAddr) -> Result<(), NotReady> {
    let line = b"is anybody there?\r\n";
    let mut received = Vec::new();
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(line)?;
    let mut piece = [0; 256];
    while received.len() < line.len() && line.starts_with(&received) {
        match stream.read(&mut piece) {
            Ok(len) if len > 0 => received.extend_from_slice(&piece[..len]),
            Err(error) if received.is_empty() => return Err(error.into()),
            Ok(_) if received.is_empty() => {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            Ok(_) | Err(_) => break,
        }
    }
    if received == line {
        return Ok(());
    }
    let (sent, received) = (quoted(line), quoted(&received));
    Err(NotReady::Other(format!(
        "it answered the line {sent} with {received}, not with the same line"
    )))
}

/// Requests a file by a line and compares its bytes. The second value states whether the connection
/// was kept.
pub fn text_download(address: SocketAddr, name: &str, size: u64) -> (Answer, Option<bool>) {
    let reply = match LineReply::request(address, name, TIMEOUT) {
        Ok(reply) => reply,
        Err(error) => return (Answer::Wrong(error.to_string()), None),
    };
    let received = || quoted(&reply.bytes);
    let answer = if reply.bytes.len() as u64 != size {
        Answer::Refused(format!("it answered the line {name:?} with {}", received()))
    } else if Content::of_name(name).matches(0, &reply.bytes) {
        Answer::Right
    } else {
        Answer::Wrong("other bytes than the file has".to_owned())
    };
    (answer, Some(!reply.closes))
}

/// Sends a line twice to learn the reply. The second value states whether the connection was kept.
///
/// # Errors
/// No reply, or two of different lengths.
pub fn learn(
    address: SocketAddr,
    line: &str,
    may_differ: bool,
) -> anyhow::Result<(RequestFile, bool)> {
    let request = || {
        LineReply::request(address, line, TIMEOUT)
            .with_context(|| format!("it does not answer the line {line:?}"))
    };
    let (first, second) = (request()?, request()?);
    let lengths = (first.bytes.len(), second.bytes.len());
    ensure!(lengths.0 > 0, "it closes the connection without a reply to the line {line:?}");
    ensure!(
        lengths.0 == lengths.1,
        "its replies to the line {line:?} have {} and {} bytes: only replies of one length can be \
         measured",
        lengths.0,
        lengths.1
    );
    let is_known = !may_differ && first.bytes == second.bytes;
    let body = if is_known { FileBody::Known(first.bytes.into()) } else { FileBody::Unknown };
    Ok((RequestFile { body, ..RequestFile::new(line, lengths.0 as u64) }, !first.closes))
}

/// Received bytes in quotes, shortened.
fn quoted(bytes: &[u8]) -> String {
    const MOST: usize = 60;
    let text = String::from_utf8_lossy(bytes.get(..MOST).unwrap_or(bytes));
    let more = if bytes.len() > MOST { "…" } else { "" };
    format!("{text:?}{more}")
}

/// Requests a file twice on one connection and compares its bytes. The second value states
/// whether the connection was kept, where that could be observed.
pub fn download(address: SocketAddr, name: &str, size: u64) -> (Answer, Option<bool>) {
    let check = || -> io::Result<(Answer, Option<bool>)> {
        let mut connection = Connection::open(address)?;
        let target = http::target(name);
        connection.get(&target, true)?;
        let head = connection.head()?;
        if status(head) != 200 {
            return Ok((refusal(head, "GET"), None));
        }
        let answer = connection.body(head, name, 0, size)?;
        if answer != Answer::Right {
            return Ok((answer, None));
        }
        let kept = head.keep_alive
            && connection.get(&target, false).is_ok()
            && connection.head().is_ok_and(|head| status(head) == 200);
        Ok((answer, Some(kept)))
    };
    check().unwrap_or_else(|error| (Answer::Wrong(format!("GET: {error}")), None))
}

/// Requests a part of a file and compares its bytes.
pub fn range(address: SocketAddr, name: &str, size: u64) -> bool {
    let last = size.min(512) - 1;
    let (first, length) = (last / 2, last - last / 2 + 1);
    let check = || -> io::Result<bool> {
        let mut connection = Connection::open(address)?;
        let range = format!(
            "GET {} HTTP/1.1\r\nHost: {address}\r\nRange: bytes={first}-{last}\r\n\
             Connection: close\r\n\r\n",
            http::target(name)
        );
        connection.send(range.as_bytes())?;
        let head = connection.head()?;
        Ok(status(head) == 206 && connection.body(head, name, first, length)? == Answer::Right)
    };
    check().unwrap_or(false)
}

/// Uploads a small file twice on one connection. The second value states whether the connection
/// was kept, where that could be observed.
pub fn upload(address: SocketAddr, name: &str) -> (Answer, Option<bool>) {
    let check = || -> io::Result<(Answer, Option<bool>)> {
        let mut connection = Connection::open(address)?;
        connection.put(name, true)?;
        let head = connection.head()?;
        if !head.kind.is_success() {
            return Ok((refusal(head, "PUT"), None));
        }
        connection.skip()?;
        let kept = head.keep_alive
            && connection.put(name, false).is_ok()
            && connection.head().is_ok_and(|head| head.kind.is_success());
        Ok((Answer::Right, Some(kept)))
    };
    check().unwrap_or_else(|error| (Answer::Wrong(format!("PUT: {error}")), None))
}

fn status(head: ReplyHead) -> u16 {
    match head.kind {
        ReplyKind::Status(status) => status,
        ReplyKind::Data | ReplyKind::Text | ReplyKind::Error => 0,
    }
}

fn refusal(head: ReplyHead, method: &str) -> Answer {
    let status = status(head);
    let text = format!("{method} is answered with {status}");
    match status {
        400..=499 | 501 => Answer::Refused(text),
        _ => Answer::Wrong(text),
    }
}

/// Blocking connection to a server under check.
struct Connection {
    stream: TcpStream,
    host: String,
    reader: ReplyReader,
    /// Received bytes that are not decoded yet.
    input: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let (host, reader) = (address.to_string(), ReplyReader::new(Wire::Http));
        Ok(Self { stream, host, reader, input: Vec::new() })
    }

    fn get(&mut self, target: &str, keep_alive: bool) -> io::Result<()> {
        let mut request = Vec::new();
        http::get(target, &self.host, keep_alive, &mut request);
        self.send(&request)
    }

    fn put(&mut self, name: &str, keep_alive: bool) -> io::Result<()> {
        let mut request = Vec::new();
        let target = http::target(name);
        http::put(&target, &self.host, UPLOAD.len() as u64, keep_alive, &mut request);
        self.send(&[&request, UPLOAD].concat())
    }

    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.reader.reset();
        self.stream.write_all(request)
    }

    /// Decodes the next event of the reply, and passes it to `handle`.
    fn next<T>(&mut self, handle: impl FnOnce(ReplyEvent<'_>) -> T) -> io::Result<T> {
        let mut rest = &self.input[..];
        let event = self.reader.next(&mut rest).map_err(io::Error::other)?;
        let result = handle(event);
        let used = self.input.len() - rest.len();
        self.input.drain(..used);
        Ok(result)
    }

    fn head(&mut self) -> io::Result<ReplyHead> {
        loop {
            let head = self.next(|event| match event {
                ReplyEvent::Head(head) => Some(head),
                ReplyEvent::NeedMore | ReplyEvent::Body(_) | ReplyEvent::End => None,
            })?;
            match head {
                Some(head) => return Ok(head),
                None => self.receive()?,
            }
        }
    }

    /// Reads a body and compares it with the content of the named file from `from` on.
    fn body(&mut self, head: ReplyHead, name: &str, from: u64, length: u64) -> io::Result<Answer> {
        match head.body_bytes {
            Some(declared) if declared == length => {}
            Some(declared) => {
                return Ok(Answer::Wrong(format!("{declared} bytes in place of {length}")));
            }
            None => return Ok(Answer::Refused("answers come without Content-Length".to_owned())),
        }
        let content = Content::of_name(name);
        let mut at = 0;
        while at < length {
            let piece = self.next(|event| match event {
                ReplyEvent::Body(piece) => Some((piece.len(), content.matches(from + at, piece))),
                ReplyEvent::Head(_) | ReplyEvent::NeedMore | ReplyEvent::End => None,
            })?;
            match piece {
                Some((len, true)) => at += len as u64,
                Some((_, false)) => {
                    return Ok(Answer::Wrong("other bytes than the file has".to_owned()));
                }
                None => {
                    if let Err(error) = self.receive() {
                        let fault = format!("a body cut short after {at} bytes: {error}");
                        return Ok(Answer::Wrong(fault));
                    }
                }
            }
        }
        self.skip().map(|()| Answer::Right)
    }

    /// Reads the reply to its end.
    fn skip(&mut self) -> io::Result<()> {
        loop {
            let (ended, lacks) =
                self.next(|event| (event == ReplyEvent::End, event == ReplyEvent::NeedMore))?;
            match (ended, lacks) {
                (true, _) => return Ok(()),
                (false, true) => self.receive()?,
                (false, false) => {}
            }
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece)? {
            0 => self.reader.close().map_err(io::Error::other),
            len => {
                self.input.extend_from_slice(&piece[..len]);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
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
            ("200 OK\r\nContent-Length: 9", 5, "cut short after 5 bytes"),
            ("nonsense", 0, "malformed reply"),
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
    fn another_reply_than_expected_is_quoted() {
        let answer = b"hello, is anybody there?\r\n".to_vec();
        let message = echoes(server_of_lines(&answer)).unwrap_err().to_string();
        let expected = "it answered the line \"is anybody there?\\r\\n\" with \"hello, is anybody \
                        there?\\r\\n\", not with the same line";
        assert_eq!(message, expected);
        let message = answers(server_of_lines(&answer)).unwrap_err().to_string();
        assert!(
            message.contains("with \"hello, is anybody there?\\r\\n\", which is not HTTP"),
            "{message}"
        );
        let same = b"is anybody there?\r\n";
        assert!(echoes(server_of_lines(same)).is_ok());
    }

    /// Answers the first line of one connection with these bytes, and closes.
    fn server_of_lines(answer: &[u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, answer) = (listener.local_addr().unwrap(), answer.to_vec());
        thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            stream.read_line(&mut String::new()).unwrap();
            stream.get_mut().write_all(&answer).unwrap();
            // Unread input would reset the connection.
            let _ = stream.get_mut().shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        address
    }

    #[test]
    fn nothing_there_answers_nothing() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(answers(address), Err(NotReady::Silent(_))));
        assert!(matches!(echoes(address), Err(NotReady::Silent(_))));
        assert!(listens(address).is_err());
        assert!(matches!(download(address, "f", 1).0, Answer::Wrong(_)));
    }
}
