//! One order to a running master, and its answer, line by line, before a deadline. Knows no order and prints nothing.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde_json::{Map, Value};

/// More than the largest answer of a master.
const LONGEST_LINE: usize = 4 << 20;

/// What a master answers.
#[derive(Debug)]
pub enum Line {
    Progress(String),
    /// The last line: whether it was done, what it says, and what else programs may read.
    Done {
        ok: bool,
        text: String,
        fields: Map<String, Value>,
    },
}

/// Why there is no answer.
#[derive(Debug)]
pub enum TalkError {
    /// Nobody listens at the path.
    NoServer { path: PathBuf, error: io::Error },
    /// The socket is another user's.
    NotAllowed(PathBuf),
    /// The time that the caller gave is over.
    Late,
    /// The connection ended before the outcome.
    Ended,
    /// What came is no answer of a master.
    Garbled,
}

impl fmt::Display for TalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TalkError::NoServer { path, error } => write!(
                f,
                "no server answers at {}: {error}; name the server's configuration with --config FILE, or its socket with --control PATH",
                path.display()
            ),
            TalkError::NotAllowed(path) => write!(
                f,
                "{} belongs to another user; only root and the user that the server runs as may give it orders",
                path.display()
            ),
            TalkError::Late => f.write_str("no answer in time (--timeout)"),
            TalkError::Ended => {
                f.write_str("the master has gone without an answer; its log may say why")
            }
            TalkError::Garbled => f.write_str("what answers there is no Tine of this version"),
        }
    }
}

impl std::error::Error for TalkError {}

/// A connection to a master that has got its order.
#[derive(Debug)]
pub struct Talk {
    stream: UnixStream,
    heard: Vec<u8>,
    deadline: Instant,
}

impl Talk {
    /// Connects and gives the order. Everything together may take until the deadline.
    ///
    /// # Errors
    /// Nobody is there, or it isn't ours to ask.
    pub fn begin(path: &Path, order: &str, deadline: Instant) -> Result<Talk, TalkError> {
        let mut stream = open(path, deadline).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => TalkError::NotAllowed(path.to_owned()),
            // What connect(2) says of a queue that was full until the deadline.
            ErrorKind::WouldBlock => TalkError::Late,
            _ => TalkError::NoServer {
                path: path.to_owned(),
                error,
            },
        })?;
        // A master that refuses us has closed its end by now, but its reason is there to be read.
        let _ = stream.write_all(format!("{order}\n").as_bytes());
        Ok(Talk {
            stream,
            heard: Vec::new(),
            deadline,
        })
    }

    /// The next line of the answer.
    ///
    /// # Errors
    /// There is none.
    pub fn line(&mut self) -> Result<Line, TalkError> {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return parse(&line).ok_or(TalkError::Garbled);
            }
            if self.heard.len() > LONGEST_LINE {
                return Err(TalkError::Garbled);
            }
            if !self.hear()? {
                return Err(TalkError::Ended);
            }
        }
    }

    /// Waits for the end of the connection, which is that of the master's process when it has told that it stops.
    ///
    /// # Errors
    /// It doesn't come in time.
    pub fn until_end(&mut self) -> Result<(), TalkError> {
        while self.hear()? {
            self.heard.clear();
        }
        Ok(())
    }

    /// Takes what comes next; `false` at the end.
    fn hear(&mut self) -> Result<bool, TalkError> {
        let mut bytes = [0; 8192];
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
                return Err(TalkError::Late);
            }
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.heard.extend_from_slice(&bytes[..length]);
                    return Ok(true);
                }
                // How a connection ends whose other side had not read everything.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(TalkError::Late),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(TalkError::Ended),
            }
        }
    }
}

/// Connects within the deadline: unix(7) waits as long as the socket's send timeout while the master's queue is full.
fn open(path: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = left.max(Duration::from_millis(1));
    let milliseconds = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    setsockopt(
        &fd,
        sockopt::SendTimeout,
        &TimeVal::milliseconds(milliseconds),
    )?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(fd))
}

fn parse(line: &[u8]) -> Option<Line> {
    let Value::Object(mut fields) = serde_json::from_slice(line).ok()? else {
        return None;
    };
    let text = fields.shift_remove("text")?.as_str()?.to_owned();
    match (fields.shift_remove("done"), fields.shift_remove("ok")) {
        (None, None) => Some(Line::Progress(text)),
        (Some(Value::Bool(true)), Some(Value::Bool(ok))) => Some(Line::Done { ok, text, fields }),
        _ => None,
    }
}
