//! One client connection: its socket, its buffers, where it stands. Reads and writes bytes; decides nothing.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use crate::blocking::Ticket;
use crate::connection::State;
use crate::db::JobId;
use crate::http::{Buffer, EventStream, Head, Reader, accepts};
use crate::listener::Stream;
use crate::mcp;
use crate::progress::Progress;
use crate::route::Route;
use crate::subscriptions::Subscription;
use crate::timers::Timer;

/// The most that one read takes from a socket.
pub const READ_SCRATCH: usize = 16 * 1024;

pub struct Client {
    pub stream: Stream,
    pub state: State,
    pub input: Buffer,
    pub reader: Reader,
    pub output: Vec<u8>,
    pub sent: usize,
    pub timer: Timer,
    /// Bytes may wait in the socket: edge-triggered readiness is reported once and must be remembered (epoll(7)).
    pub readable: bool,
    /// The peer's FIN was reported; it may lie behind bytes that are still to be read.
    pub ended: bool,
    /// Requests answered on this connection.
    pub requests: u32,
    /// Where the current request goes, once its head is good.
    pub route: Option<Route>,
    /// The call that waits or runs, if one does.
    pub work: Option<Work>,
    /// What its open stream tells, if it is one that waits for changed tools.
    pub subscription: Option<Box<Subscription>>,
    /// The body's deadline is running.
    pub body_timed: bool,
    /// The write-stall deadline is running.
    pub stalled: bool,
    /// Bytes read since our side was shut.
    pub lingered: usize,
}

/// An unanswered request.
pub struct Work {
    pub stage: Stage,
    pub started: Instant,
    pub asker: Asker,
    /// The answer's event stream, once it is open.
    pub stream: Option<EventStream>,
    /// A legacy batch, while one of its calls is under way.
    pub batch: Option<Batch>,
}

/// What the request waits for.
pub enum Stage {
    /// A free place in this worker.
    Admission(Box<mcp::Call>),
    /// A job of a database's pool.
    Database {
        pool: usize,
        job: JobId,
        call: Box<mcp::Call>,
        progress: Progress,
    },
    /// Work of the blocking pool.
    Effects {
        ticket: Ticket,
        call: Box<mcp::Call>,
    },
    /// Its next step, which is being decided; it keeps its place meanwhile.
    Between,
    /// The databases' signs of life.
    Probe,
}

/// The answers of a batch so far, and what is left of it.
pub struct Batch {
    /// When the whole of it arrived: its calls share one deadline.
    pub started: Instant,
    pub answers: Vec<Vec<u8>>,
    pub rest: VecDeque<mcp::Answer>,
}

/// Whose request it is: the endpoint that was asked, how the client takes its answer, and who it is.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// Index of the toolset's prepared answers.
    pub served: usize,
    pub takes: Takes,
    /// Index of the caller's token.
    pub token: Option<usize>,
    /// When the call began: the request's last byte, or its turn in a batch.
    pub began: Instant,
}

/// Which of the two content types of a POST's answer the client takes (MCP, basic/transports).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// JSON alone.
    Json,
    /// JSON, or an event stream where a tool reports progress.
    Either,
    /// Nothing but an event stream.
    Stream,
}

/// How reading or writing went.
#[derive(Debug, PartialEq, Eq)]
pub enum Moved {
    /// Something was read, or everything was written.
    Done,
    /// The socket has nothing now, or takes nothing now.
    Blocked,
    /// The peer sent its FIN.
    Ended,
    Failed,
}

impl Client {
    pub fn new(stream: Stream) -> Client {
        Client {
            stream,
            state: State::Idle { first: true },
            input: Buffer::default(),
            reader: Reader::new(),
            output: Vec::new(),
            sent: 0,
            timer: Timer::default(),
            // Data often comes with the connection; trying costs less than a turn of the loop.
            readable: true,
            ended: false,
            requests: 0,
            route: None,
            work: None,
            subscription: None,
            body_timed: false,
            stalled: false,
            lingered: 0,
        }
    }

    /// One read into the input, through the loop's scratch buffer so that an idle connection owns none.
    pub fn read(&mut self, scratch: &mut [u8; READ_SCRATCH]) -> Moved {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Moved::Ended,
                Ok(n) => {
                    // A short read means that the socket is empty (epoll(7), question 9): saves a read that would block.
                    self.readable = n == scratch.len() || self.ended;
                    self.input.append(&scratch[..n]);
                    return Moved::Done;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Moved::Blocked;
                }
                Err(_) => return Moved::Failed,
            }
        }
    }

    /// Reads and drops, for a connection whose last answer is out.
    pub fn discard(&mut self, scratch: &mut [u8; READ_SCRATCH]) -> Moved {
        let moved = self.read(scratch);
        self.lingered += self.input.len();
        self.input = Buffer::new();
        moved
    }

    /// Writes what is in the output. `Done` when it is empty.
    pub fn flush(&mut self) -> Moved {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(0) => return Moved::Failed,
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Moved::Blocked,
                Err(_) => return Moved::Failed,
            }
        }
        self.sent = 0;
        // Not kept: an idle connection owns no buffer, and the allocator's own cache makes the next one cheap.
        self.output = Vec::new();
        Moved::Done
    }
}

impl Takes {
    pub fn of(head: &Head) -> Takes {
        // `*/*` takes a stream too, but whoever says only that is no MCP client that waits for progress.
        let names_stream = head
            .accept()
            .is_some_and(|accept| accept.to_ascii_lowercase().contains("text/event-stream"));
        let stream = names_stream && accepts(head.accept(), "text/event-stream");
        match (stream, accepts(head.accept(), "application/json")) {
            (true, true) => Takes::Either,
            (true, false) => Takes::Stream,
            // Never 406: clients that accept neither do read JSON.
            (false, _) => Takes::Json,
        }
    }
}
