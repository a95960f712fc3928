//! A server in the test's own hands, which answers as an MCP server does or misbehaves as the test says. Knows four questions
//! and no protocol beyond them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Health,
    Greeting,
    List,
    Call,
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Act {
    /// As a healthy server with two tools.
    Well,
    /// With this status, these headers (each with its line end) and this body.
    Answer(u16, &'static str, String),
    /// Not at all: the connection stays open until the client leaves.
    Silence,
    /// The connection is closed.
    Close,
    /// With half a head, then nothing more.
    HalfHead,
    /// With half a head, then the end.
    HalfHeadAndClose,
    /// With a head that never ends, a byte at a time.
    TrickleHead,
    /// With a body that never ends, a byte at a time.
    TrickleBody,
    /// With a body of so many bytes.
    Flood(u64),
}

type Play = dyn FnMut(Topic, &str) -> Act + Send;

/// The server. Dropping it ends it.
pub struct Fake {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
}

impl Fake {
    /// `play` decides about each connection in turn, once its request is read.
    pub fn new(mut play: impl FnMut(Topic) -> Act + Send + 'static) -> Fake {
        Fake::reading(move |topic, _| play(topic))
    }

    /// The same for one that looks at the request's body.
    pub fn reading(play: impl FnMut(Topic, &str) -> Act + Send + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let ended = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(AtomicUsize::new(0));
        let play: Arc<Mutex<Play>> = Arc::new(Mutex::new(play));
        let (over, count) = (Arc::clone(&ended), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let play = Arc::clone(&play);
                // What the client does to its connection is its affair.
                thread::spawn(move || stream.and_then(|stream| serve(stream, &play)));
            }
        });
        Fake {
            address,
            ended,
            connections,
        }
    }

    /// Answers well, but for one topic.
    pub fn except(topic: Topic, act: Act) -> Fake {
        Fake::new(move |asked| {
            if asked == topic {
                act.clone()
            } else {
                Act::Well
            }
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, play: &Mutex<Play>) -> io::Result<()> {
    let request = read(&mut stream)?;
    let topic = if request.starts_with("GET") {
        Topic::Health
    } else if request.contains("tools/list") {
        Topic::List
    } else if request.contains("tools/call") {
        Topic::Call
    } else {
        Topic::Greeting
    };
    let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let act = (play.lock().expect("the play"))(topic, body);
    match act {
        Act::Well => stream.write_all(&answer(200, "", &well(topic))),
        Act::Answer(status, headers, body) => stream.write_all(&answer(status, headers, &body)),
        Act::Close => Ok(()),
        Act::Silence => until_left(&mut stream),
        Act::HalfHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le")?;
            until_left(&mut stream)
        }
        Act::HalfHeadAndClose => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le"),
        Act::TrickleHead => trickle(&mut stream, b"HTTP/1.1 200 OK\r\nX-Slow: "),
        Act::TrickleBody => trickle(
            &mut stream,
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n{\"",
        ),
        Act::Flood(length) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes())?;
            io::copy(&mut io::repeat(b'7').take(length), &mut stream).map(|_| ())
        }
    }
}

/// One request, head and body.
fn read(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Ok(text.into_owned());
            }
        }
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&chunk[..count]);
    }
}

fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn well(topic: Topic) -> String {
    match topic {
        Topic::Health => r#"{"status":"ok"}"#.to_owned(),
        Topic::Greeting => r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"fake","version":"1"}}}"#.to_owned(),
        Topic::List => r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#.to_owned(),
        Topic::Call => r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}],"isError":false}}"#.to_owned(),
    }
}

fn until_left(stream: &mut TcpStream) -> io::Result<()> {
    let mut byte = [0];
    while stream.read(&mut byte)? > 0 {}
    Ok(())
}

fn trickle(stream: &mut TcpStream, start: &[u8]) -> io::Result<()> {
    stream.write_all(start)?;
    loop {
        // The pace of the misbehaviour, nothing that is waited for.
        thread::sleep(Duration::from_millis(20));
        stream.write_all(b"x")?;
    }
}
