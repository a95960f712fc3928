//! Reads a connection's requests one after another out of its [`Buffer`]. Knows nothing of sockets, deadlines or replies.

use super::buffer::Buffer;
use super::chunked::{Decoder, is_token_byte};
use super::error::HttpError;
use super::framing::Content;
use super::head::Head;
use super::scan::HeadScan;

/// What one request may take, in bytes unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Request line and headers with all line ends. Default 16 KiB; the request line alone is held to 8 KiB.
    pub head_bytes: usize,
    /// Header lines, at most 128. Default 64.
    pub headers: usize,
    /// The decoded body. Default 4 MiB.
    pub body_bytes: usize,
    /// The trailer section of a chunked body. Default 4 KiB.
    pub trailer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head_bytes: 16 * 1024,
            headers: 64,
            body_bytes: 4 * 1024 * 1024,
            trailer_bytes: 4 * 1024,
        }
    }
}

/// How far the current request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes must arrive.
    Incomplete(Stage),
    /// [`Reader::head`] is readable. Reported once for each request, before its body is looked at; call
    /// [`Reader::advance`] again to go on.
    HeadDone,
    /// The whole request was read. [`Reader::next_request`] begins the next one.
    Complete,
}

/// What an incomplete request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The rest of the head, or its beginning.
    Head,
    /// The rest of the body, of which so many decoded bytes arrived.
    Body { received: usize },
}

#[derive(Debug)]
enum State {
    /// `blank`: the one empty line that may precede a request was there.
    Head {
        blank: bool,
        scan: HeadScan,
    },
    HeadDone,
    Fixed {
        left: usize,
    },
    Chunked(Decoder),
    Complete,
    Failed(HttpError),
}

const START: State = State::Head {
    blank: false,
    scan: HeadScan::START,
};

/// What a connection that waits for its next request may keep of the last body's memory.
const KEPT_BODY: usize = 4 * 1024;

/// What a body's first allocation may be on the client's word alone.
const FIRST_ALLOCATION: usize = 16 * 1024;

/// The requests of one connection, strictly in order: after a complete request the reader takes nothing from the buffer until
/// [`Reader::next_request`]. After an error it returns the same error for ever.
#[derive(Debug)]
pub struct Reader {
    state: State,
    head: Head,
    body: Vec<u8>,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader::new()
    }
}

impl Reader {
    /// A reader before its first request.
    pub fn new() -> Reader {
        Reader {
            state: START,
            head: Head::new(),
            body: Vec::new(),
        }
    }

    /// Looks at the unread bytes and consumes what it used of them. Reads no further than the current request's end.
    ///
    /// How the bytes were split makes no difference to requests or errors. Call it after each read, and again after
    /// [`Progress::HeadDone`]; it may answer `Incomplete(Body)` to that, which is the moment for [`super::CONTINUE`] if
    /// [`Head::expect_continue`] holds.
    ///
    /// # Errors
    /// The request cannot be read: answer [`HttpError::status`] and close. A body that is announced larger than
    /// [`Limits::body_bytes`] fails only after [`Progress::HeadDone`], so that a wrong path or a missing token can be answered first.
    pub fn advance(&mut self, buffer: &mut Buffer, limits: &Limits) -> Result<Progress, HttpError> {
        let result = self.step(buffer, limits);
        if let Err(error) = result {
            self.state = State::Failed(error);
        }
        result
    }

    fn step(&mut self, buffer: &mut Buffer, limits: &Limits) -> Result<Progress, HttpError> {
        loop {
            match &mut self.state {
                State::Head { blank, scan } => {
                    if !scan.started() && !begin(buffer, blank)? {
                        return Ok(Progress::Incomplete(Stage::Head));
                    }
                    let unread = buffer.unread();
                    let Some(length) = scan.find_end(unread, limits)? else {
                        return Ok(Progress::Incomplete(Stage::Head));
                    };
                    self.head
                        .read(unread.get(..length).unwrap_or_default(), limits)?;
                    buffer.consume(length);
                    self.state = State::HeadDone;
                    return Ok(Progress::HeadDone);
                }
                State::HeadDone => {
                    self.state = match self.head.content() {
                        Content::None => State::Complete,
                        Content::Chunked => State::Chunked(Decoder::new()),
                        Content::Length(length) => match usize::try_from(length) {
                            Ok(left) if left <= limits.body_bytes => {
                                self.body.reserve_exact(left.min(FIRST_ALLOCATION));
                                State::Fixed { left }
                            }
                            _ => {
                                return Err(HttpError::BodyTooLarge {
                                    limit: limits.body_bytes,
                                });
                            }
                        },
                    };
                }
                State::Fixed { left } => {
                    let unread = buffer.unread();
                    let here = unread.get(..*left).unwrap_or(unread);
                    let count = here.len();
                    let whole = self.body.len() + *left;
                    keep(&mut self.body, here, whole);
                    buffer.consume(count);
                    *left -= count;
                    if *left > 0 {
                        return Ok(Progress::Incomplete(Stage::Body {
                            received: self.body.len(),
                        }));
                    }
                    self.state = State::Complete;
                }
                State::Chunked(decoder) => {
                    let used = decoder.decode(buffer.unread(), limits, &mut self.body)?;
                    buffer.consume(used);
                    if !decoder.is_done() {
                        return Ok(Progress::Incomplete(Stage::Body {
                            received: self.body.len(),
                        }));
                    }
                    self.state = State::Complete;
                }
                State::Complete => return Ok(Progress::Complete),
                State::Failed(error) => return Err(*error),
            }
        }
    }

    /// True from a request's first byte (not counting an empty line before it) until [`Reader::next_request`]: the connection isn't idle.
    pub fn started(&self) -> bool {
        match &self.state {
            State::Head { scan, .. } => scan.started(),
            _ => true,
        }
    }

    /// The current request's head, from [`Progress::HeadDone`] until [`Reader::next_request`].
    pub fn head(&self) -> Option<&Head> {
        match self.state {
            State::HeadDone | State::Fixed { .. } | State::Chunked(_) | State::Complete => {
                Some(&self.head)
            }
            State::Head { .. } | State::Failed(_) => None,
        }
    }

    /// The body as far as it was decoded.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Moves the body out. The head stays readable.
    pub fn take_body(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.body)
    }

    /// Forgets a complete request and makes ready for the next. False, and nothing changes, when the current request was not read to its
    /// end: what follows in the buffer is not a request, so the connection must close.
    #[must_use]
    pub fn next_request(&mut self) -> bool {
        if !matches!(self.state, State::Complete) {
            return false;
        }
        self.state = START;
        self.head.clear();
        self.body.clear();
        self.body.shrink_to(KEPT_BODY);
        true
    }
}

/// Skips one empty line before a request (RFC 9112 section 2.2; some old clients end a body with one) and checks that a
/// request's first byte is there.
fn begin(buffer: &mut Buffer, blank: &mut bool) -> Result<bool, HttpError> {
    loop {
        match buffer.unread() {
            [] => return Ok(false),
            [b'\r', ..] if *blank => return Err(HttpError::BlankLines),
            [b'\r'] => return Ok(false),
            [b'\r', b'\n', ..] => {
                buffer.consume(2);
                *blank = true;
            }
            [b'\r', ..] => return Err(HttpError::BareCr),
            [b'\n', ..] => return Err(HttpError::BareLf),
            // RFC 8446 section 5.1: the content type of a handshake record.
            [0x16, ..] => return Err(HttpError::Tls),
            [byte, ..] if is_token_byte(*byte) => return Ok(true),
            _ => return Err(HttpError::NotHttp),
        }
    }
}

/// Adds to a body. Its memory grows by doubling, but never beyond `ceiling`, the most that the body can become.
pub(super) fn keep(body: &mut Vec<u8>, data: &[u8], ceiling: usize) {
    let needed = body.len() + data.len();
    if needed > body.capacity() {
        let target = body
            .capacity()
            .saturating_mul(2)
            .clamp(needed, ceiling.max(needed));
        body.reserve_exact(target - body.len());
    }
    body.extend_from_slice(data);
}

#[cfg(test)]
mod tests;
