//! Bytes to and from a server: a socket, TLS on it where there is any, and the two buffers. Knows where a message ends
//! and nothing of what it says.
//!
//! Readiness is edge-triggered, so a socket is read until it is known to be empty. On a stream socket a read that
//! returns less than was asked for has emptied it (epoll(7), question 9), which saves the second read of a call.

use std::io::{self, Read, Write};

use bytes::{Buf, BytesMut};
use mio::{Interest, Registry, Token};
use rustls::ClientConnection;

use super::socket::Socket;
use super::wire::{self, Front, Garbled};

/// What a fresh or idle connection keeps for reading. Most answers fit.
const INPUT_SIZE: usize = 16 << 10;
/// A larger buffer than this is given back after the call that needed it.
const INPUT_KEPT: usize = 256 << 10;

/// What a read found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// There may be more; parse what is here and read again.
    More,
    /// The socket is empty.
    Drained,
    /// The peer has closed.
    Closed,
}

/// Received bytes not yet parsed: `bytes[start..end]`.
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    fn new() -> Input {
        Input {
            bytes: vec![0; INPUT_SIZE],
            start: 0,
            end: 0,
        }
    }

    /// The next whole message, which is thereby taken. `Ok(None)`: read more.
    pub(super) fn message(&mut self) -> Result<Option<(u8, &[u8])>, Garbled> {
        match wire::front(&self.bytes[self.start..self.end])? {
            Front::Message { tag, body, size } => {
                self.start += size;
                Ok(Some((tag, body)))
            }
            Front::Partial { .. } => Ok(None),
        }
    }

    /// The size of the message that is being received; at least 5.
    pub(super) fn expected(&self) -> Result<usize, Garbled> {
        match wire::front(&self.bytes[self.start..self.end])? {
            Front::Message { size, .. } | Front::Partial { size } => Ok(size),
        }
    }

    /// The single byte that answers an SSLRequest.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes[self.start..self.end].first()?;
        self.start += 1;
        Some(byte)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room at the end, enough for the message that is being received or for a good part of it.
    fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.bytes.len() {
            if self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.bytes.resize(self.bytes.len() * 2, 0);
            }
        }
        &mut self.bytes[self.end..]
    }

    fn shrink(&mut self) {
        if self.is_empty() && self.bytes.len() > INPUT_KEPT {
            *self = Input::new();
        }
    }
}

/// A connecting or connected stream of messages.
pub(super) struct Link {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    pub(super) input: Input,
    /// Encoded messages that are not sent yet.
    pub(super) output: BytesMut,
    interest: Interest,
}

impl Link {
    pub(super) fn new(socket: Socket) -> Link {
        Link {
            socket,
            tls: None,
            input: Input::new(),
            output: BytesMut::with_capacity(1024),
            // As Socket::connect registers it.
            interest: Interest::READABLE | Interest::WRITABLE,
        }
    }

    /// Events come under this token from now on.
    pub(super) fn move_to(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.socket.reregister(registry, token, self.interest)
    }

    /// Asks to hear of room for sending only while something waits for it: a Unix socket would tell of it each time that
    /// the server takes a call, and wake the loop once more for nothing.
    pub(super) fn attend(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let unsent =
            !self.output.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        let interest = if unsent {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        if interest != self.interest {
            self.socket.reregister(registry, token, interest)?;
            self.interest = interest;
        }
        Ok(())
    }

    /// See [`Socket::connected`].
    pub(super) fn connected(&self) -> io::Result<bool> {
        self.socket.connected()
    }

    /// Everything from now on goes through TLS. The handshake runs inside [`Link::fill`] and [`Link::flush`].
    pub(super) fn secure(&mut self, session: ClientConnection) {
        self.tls = Some(Box::new(session));
    }

    pub(super) fn tls(&self) -> Option<&ClientConnection> {
        self.tls.as_deref()
    }

    /// Sends what it can. The rest goes when the socket is writable again.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => {
                while !self.output.is_empty() {
                    match self.socket.write(&self.output) {
                        Ok(sent) => self.output.advance(sent),
                        Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                        Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                        Err(fault) => return Err(fault),
                    }
                }
            }
            Some(tls) => {
                // Data of ours waits in `output` for the end of the handshake: the peer is not proven before.
                if !tls.is_handshaking() && !self.output.is_empty() {
                    tls.writer().write_all(&self.output)?;
                    self.output.clear();
                }
                while tls.wants_write() {
                    match tls.write_tls(&mut self.socket) {
                        Ok(_) => {}
                        Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                        Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                        Err(fault) => return Err(fault),
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads once. `hung_up`: the event said that the peer has closed, so only its end of file means empty.
    pub(super) fn fill(&mut self, hung_up: bool) -> io::Result<Filled> {
        match self.tls.take() {
            None => self.fill_plain(hung_up),
            Some(mut tls) => {
                let filled = self.fill_tls(&mut tls);
                self.tls = Some(tls);
                filled
            }
        }
    }

    fn fill_plain(&mut self, hung_up: bool) -> io::Result<Filled> {
        loop {
            let room = self.input.room();
            return match self.socket.read(room) {
                Ok(0) => Ok(Filled::Closed),
                Ok(received) => {
                    let drained = received < room.len() && !hung_up;
                    self.input.end += received;
                    Ok(if drained {
                        Filled::Drained
                    } else {
                        Filled::More
                    })
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => Ok(Filled::Drained),
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                Err(fault) => Err(fault),
            };
        }
    }

    /// Takes decrypted bytes first, so that the session never holds more than one read of the socket.
    fn fill_tls(&mut self, tls: &mut ClientConnection) -> io::Result<Filled> {
        loop {
            match tls.reader().read(self.input.room()) {
                // close_notify: an orderly end.
                Ok(0) => return Ok(Filled::Closed),
                Ok(received) => {
                    self.input.end += received;
                    return Ok(Filled::More);
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                // The peer closed without close_notify, as PostgreSQL does.
                Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Filled::Closed);
                }
                Err(fault) => return Err(fault),
            }
            match tls.read_tls(&mut self.socket) {
                Ok(received) => {
                    let was_handshaking = tls.is_handshaking();
                    let state = tls.process_new_packets();
                    if state.is_err() || tls.wants_write() {
                        // An alert, or our part of the handshake; a failed send shows at the next read.
                        while tls.wants_write() && tls.write_tls(&mut self.socket).is_ok() {}
                    }
                    state.map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))?;
                    if received == 0 && tls.is_handshaking() {
                        return Ok(Filled::Closed);
                    }
                    if was_handshaking && !tls.is_handshaking() {
                        return Ok(Filled::More);
                    }
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Filled::Drained);
                }
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Gives back what only a large result needed. Call it between calls.
    pub(super) fn shrink(&mut self) {
        self.input.shrink();
        if self.output.is_empty() && self.output.capacity() > INPUT_KEPT {
            self.output = BytesMut::with_capacity(1024);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Receives `bytes` in pieces of every size and expects the same messages each time.
    #[test]
    fn any_split_of_the_bytes_gives_the_same_messages() {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (tag, length) in [(b'D', 5), (b'C', 0), (b'D', 3 * INPUT_SIZE), (b'Z', 1)] {
            bytes.push(tag);
            bytes.extend((length as u32 + 4).to_be_bytes());
            bytes.extend((0..length).map(|at| at as u8));
            expected.push((tag, length));
        }
        for step in [1, 2, 5, 7, 1000, INPUT_SIZE, bytes.len()] {
            let mut input = Input::new();
            let mut seen = Vec::new();
            let mut left = &bytes[..];
            while !left.is_empty() {
                let room = input.room();
                let count = step.min(room.len()).min(left.len());
                room[..count].copy_from_slice(&left[..count]);
                input.end += count;
                left = &left[count..];
                while let Some((tag, body)) = input.message().unwrap() {
                    assert!(body.iter().enumerate().all(|(at, &byte)| byte == at as u8));
                    seen.push((tag, body.len()));
                }
            }
            assert_eq!(seen, expected, "in pieces of {step}");
            input.shrink();
            assert!(input.bytes.len() <= INPUT_KEPT);
        }
    }
}
