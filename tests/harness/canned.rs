//! An HTTP server that answers whatever the test says, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What it does with a request.
#[derive(Clone)]
pub enum Does {
    /// Status line, content type and body.
    Answer(&'static str, &'static str, String),
    /// These bytes, and the end.
    Bytes(&'static [u8]),
    /// Nothing, until the client gives up.
    Hang,
    /// So many bytes of a good answer, of one letter.
    Pour(usize),
}

pub struct Canned {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    does: Does,
    asked: Vec<String>,
}

impl Canned {
    /// Its threads end with the test binary.
    pub fn start(does: Does) -> Canned {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            does,
            asked: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &state));
            }
        });
        Canned { address, state }
    }

    pub fn now(&self, does: Does) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .does = does;
    }

    /// Path and query of every request since the last time this was asked.
    pub fn asked(&self) -> Vec<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.asked)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut lines = BufReader::new(stream.try_clone().expect("a handle")).lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    while lines
        .next()
        .and_then(Result::ok)
        .is_some_and(|line| !line.is_empty())
    {}
    let does = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let target = first.split(' ').nth(1).unwrap_or_default();
        state.asked.push(target.to_owned());
        state.does.clone()
    };
    let head = |status: &str, kind: &str, length: usize| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
    };
    // A client that has had enough hangs up.
    let _ = match does {
        Does::Answer(status, kind, body) => {
            stream.write_all((head(status, kind, body.len()) + &body).as_bytes())
        }
        Does::Bytes(bytes) => stream.write_all(bytes),
        Does::Hang => stream.read(&mut [0; 1]).map(|_| ()),
        Does::Pour(length) => stream
            .write_all(head("200 OK", "application/json", length).as_bytes())
            .and_then(|()| {
                let piece = vec![b'x'; 1 << 20];
                (0..length >> 20).try_for_each(|_| stream.write_all(&piece))
            }),
    };
}
