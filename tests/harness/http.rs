//! A small blocking HTTP/1.1 client that hides nothing: it sends the bytes it is given and says
//! how a connection ended. Knows nothing of MCP.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::wait;

/// One answer, decoded: `body` holds the data of chunks, not their framing.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The header's value; panics when it was sent twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} was sent more than once");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|fault| panic!("{fault} in {:?}", self.text()))
    }

    /// Whether the server said that this is the connection's last answer.
    pub fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// How the server's side of a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// FIN, with nothing unread before it.
    Clean,
    /// The kernel reports a reset.
    Reset,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// One client connection. Every read fails after [`wait::LIMIT`].
pub struct Connection {
    stream: Stream,
    /// What was read but not yet used.
    unread: Vec<u8>,
    /// A head was read whose body was not.
    within: bool,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Connection {
        Connection::try_open(address).expect("connect")
    }

    pub fn try_open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, wait::LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(wait::LIMIT))?;
        stream.set_write_timeout(Some(wait::LIMIT))?;
        Ok(Connection {
            stream: Stream::Tcp(stream),
            unread: Vec::new(),
            within: false,
        })
    }

    pub fn open_unix(path: &Path) -> Connection {
        let stream = UnixStream::connect(path).expect("connect");
        stream
            .set_read_timeout(Some(wait::LIMIT))
            .expect("read timeout");
        Connection {
            stream: Stream::Unix(stream),
            unread: Vec::new(),
            within: false,
        }
    }

    /// Sends the bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("send");
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// No more will be sent; answers can still be read.
    pub fn finish_sending(&self) {
        // The server may have ended the connection already.
        let _ = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// The same connection, for a thread that sends while this one reads.
    pub fn second_handle(&self) -> Connection {
        let stream = match &self.stream {
            Stream::Tcp(stream) => stream.try_clone().map(Stream::Tcp),
            Stream::Unix(stream) => stream.try_clone().map(Stream::Unix),
        };
        Connection {
            stream: stream.expect("a second handle"),
            unread: Vec::new(),
            within: false,
        }
    }

    pub fn set_read_timeout(&self, limit: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(limit)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(limit)),
        }
        .expect("read timeout");
    }

    /// The next answer; an interim 100 is skipped.
    pub fn response(&mut self) -> Response {
        self.try_response().expect("an answer")
    }

    pub fn try_response(&mut self) -> io::Result<Response> {
        self.try_response_to("POST")
    }

    /// The next answer; one to HEAD has no body, whatever its length says.
    pub fn try_response_to(&mut self, method: &str) -> io::Result<Response> {
        loop {
            let mut response = self.head()?;
            if response.status >= 200 {
                self.within = true;
                if method != "HEAD" {
                    response.body = self.body(&response)?;
                }
                self.within = false;
                return Ok(response);
            }
        }
    }

    /// The next head alone, interim ones too; the body stays unread.
    pub fn head(&mut self) -> io::Result<Response> {
        let end = loop {
            if let Some(at) = self
                .unread
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break at;
            }
            self.more()?;
        };
        let head = String::from_utf8(self.unread.drain(..end + 4).collect()).map_err(invalid)?;
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| invalid(format!("status line {status_line:?}")))?;
        let headers = lines
            .map(|line| {
                let (name, value) = line
                    .split_once(':')
                    .ok_or_else(|| invalid(format!("header {line:?}")))?;
                Ok((name.to_ascii_lowercase(), value.trim().to_string()))
            })
            .collect::<io::Result<_>>()?;
        Ok(Response {
            status,
            headers,
            body: Vec::new(),
        })
    }

    fn body(&mut self, response: &Response) -> io::Result<Vec<u8>> {
        if response.status == 204 || response.status == 304 {
            return Ok(Vec::new());
        }
        if response.header("transfer-encoding") == Some("chunked") {
            let mut body = Vec::new();
            while let Some(chunk) = self.chunk()? {
                body.extend(chunk);
            }
            return Ok(body);
        }
        match response.header("content-length") {
            Some(length) => {
                let length = length.parse().map_err(invalid)?;
                while self.unread.len() < length {
                    self.more()?;
                }
                Ok(self.unread.drain(..length).collect())
            }
            None => self.rest(),
        }
    }

    /// The next chunk's data; nothing after the last one.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = usize::from_str_radix(&self.line()?, 16).map_err(invalid)?;
        while self.unread.len() < size + 2 {
            self.more()?;
        }
        let chunk: Vec<u8> = self.unread.drain(..size).collect();
        let line_end = self.line()?;
        if line_end.is_empty() {
            Ok((size > 0).then_some(chunk))
        } else {
            Err(invalid(format!("{line_end:?} after a chunk")))
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.unread.windows(2).position(|window| window == b"\r\n") {
                let line = self.unread.drain(..at + 2).take(at).collect();
                return String::from_utf8(line).map_err(invalid);
            }
            self.more()?;
        }
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.more() {
                Ok(()) => {}
                Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(std::mem::take(&mut self.unread));
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Reads until these bytes have come, and keeps them unread.
    pub fn until(&mut self, bytes: &[u8]) {
        while !self
            .unread
            .windows(bytes.len())
            .any(|window| window == bytes)
        {
            self.more().unwrap_or_else(|fault| {
                panic!("{fault} after {:?}", String::from_utf8_lossy(&self.unread))
            });
        }
    }

    /// Waits for the end; panics when the server sends something instead.
    pub fn end(&mut self) -> End {
        assert!(
            self.unread.is_empty(),
            "unread: {:?}",
            String::from_utf8_lossy(&self.unread)
        );
        match self.more() {
            Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => End::Clean,
            Err(fault) if fault.kind() == io::ErrorKind::ConnectionReset => End::Reset,
            Err(fault) => panic!("the server did not close: {fault}"),
            Ok(()) => panic!("not the end: {:?}", String::from_utf8_lossy(&self.unread)),
        }
    }

    /// Whether nothing has arrived and the connection is open, at this moment.
    pub fn is_silent(&mut self) -> bool {
        self.set_read_timeout(Duration::from_millis(1));
        let silent = matches!(
            self.more(),
            Err(fault) if matches!(fault.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        );
        self.set_read_timeout(wait::LIMIT);
        silent && self.unread.is_empty()
    }

    /// Whether the server has closed its side, as far as can be seen at this moment. An error is a reset.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        self.set_nonblocking(true);
        let more = self.more();
        self.set_nonblocking(false);
        match more {
            Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(fault) => Err(fault),
            Ok(()) => Ok(false),
        }
    }

    /// Whether part of an answer has arrived, and not all of it.
    pub fn is_within_answer(&self) -> bool {
        self.within || !self.unread.is_empty()
    }

    fn set_nonblocking(&self, nonblocking: bool) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(nonblocking),
            Stream::Unix(stream) => stream.set_nonblocking(nonblocking),
        }
        .expect("blocking mode");
    }

    fn more(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let count = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut buffer)?,
            Stream::Unix(stream) => stream.read(&mut buffer)?,
        };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unread.extend_from_slice(&buffer[..count]);
        Ok(())
    }
}

fn invalid(fault: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

/// One request on a connection of its own.
pub fn exchange(address: SocketAddr, request: &[u8]) -> Response {
    let mut connection = Connection::open(address);
    connection.send(request);
    connection.response()
}

/// A GET of `path`, with nothing more than it takes.
pub fn get(address: SocketAddr, path: &str) -> Response {
    exchange(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes(),
    )
}
