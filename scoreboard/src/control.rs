//! The private line between the master and one worker: a pair of sockets that carry typed messages of 16 bytes.
//!
//! `SOCK_SEQPACKET` keeps message borders, so one datagram is one message, and it reports the peer's end as end of file:
//! that is how a worker learns that its master died (unicorn's soft-kill pipe works the same way). This module must not
//! know what either side does with a message.
//!
//! Wire: byte 0 is the message's number, byte 1 its small argument, bytes 4..8 its 32-bit argument (native order: both ends
//! are on the same machine, and of builds that an upgrade lets follow each other), the rest is zero. What does not fit this is refused.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, sendmsg, socketpair};

/// Length of every message.
pub const MESSAGE_BYTES: usize = 16;

/// Why a worker asks to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecycleReason {
    /// It has served as many requests as one worker should.
    Requests,
    /// It has grown beyond the memory that one worker should use.
    Memory,
    /// Something in it is broken, and a new process is the cure.
    Broken,
}

/// From a worker to the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToMaster {
    /// The worker takes requests.
    Ready,
    /// Bring up a replacement, then drain me; the worker goes on serving until then.
    Recycle {
        /// Why.
        reason: RecycleReason,
    },
    /// The worker drains, and has left the listener.
    Draining,
    /// The worker cannot serve and is about to exit. `fatal`: no other worker could either.
    BootFailed {
        /// Whether trying again is pointless.
        fatal: bool,
    },
}

/// From the master to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToWorker {
    /// Take nothing new, finish what there is, exit within so many milliseconds.
    Drain {
        /// Milliseconds from the receipt.
        deadline_ms: u32,
    },
    /// Exit at once, answering what can be answered without waiting.
    Quick,
}

/// A message of one direction.
pub trait Message: Sized {
    /// The message's 16 bytes.
    fn encode(&self) -> [u8; MESSAGE_BYTES];
    /// The message in `bytes`; `None` when no sender writes such bytes.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

fn pack(number: u8, small: u8, large: u32) -> [u8; MESSAGE_BYTES] {
    let [a, b, c, d] = large.to_ne_bytes();
    [number, small, 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn unpack(bytes: &[u8]) -> Option<(u8, u8, u32)> {
    match *bytes {
        [number, small, 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0] => {
            Some((number, small, u32::from_ne_bytes([a, b, c, d])))
        }
        _ => None,
    }
}

impl Message for ToMaster {
    fn encode(&self) -> [u8; MESSAGE_BYTES] {
        match *self {
            ToMaster::Ready => pack(1, 0, 0),
            ToMaster::Recycle {
                reason: RecycleReason::Requests,
            } => pack(2, 0, 0),
            ToMaster::Recycle {
                reason: RecycleReason::Memory,
            } => pack(2, 1, 0),
            ToMaster::Recycle {
                reason: RecycleReason::Broken,
            } => pack(2, 2, 0),
            ToMaster::Draining => pack(3, 0, 0),
            ToMaster::BootFailed { fatal } => pack(4, u8::from(fatal), 0),
        }
    }

    fn decode(bytes: &[u8]) -> Option<ToMaster> {
        Some(match unpack(bytes)? {
            (1, 0, 0) => ToMaster::Ready,
            (2, 0, 0) => ToMaster::Recycle {
                reason: RecycleReason::Requests,
            },
            (2, 1, 0) => ToMaster::Recycle {
                reason: RecycleReason::Memory,
            },
            (2, 2, 0) => ToMaster::Recycle {
                reason: RecycleReason::Broken,
            },
            (3, 0, 0) => ToMaster::Draining,
            (4, 0, 0) => ToMaster::BootFailed { fatal: false },
            (4, 1, 0) => ToMaster::BootFailed { fatal: true },
            _ => return None,
        })
    }
}

impl Message for ToWorker {
    fn encode(&self) -> [u8; MESSAGE_BYTES] {
        match *self {
            ToWorker::Drain { deadline_ms } => pack(65, 0, deadline_ms),
            ToWorker::Quick => pack(66, 0, 0),
        }
    }

    fn decode(bytes: &[u8]) -> Option<ToWorker> {
        Some(match unpack(bytes)? {
            (65, 0, deadline_ms) => ToWorker::Drain { deadline_ms },
            (66, 0, 0) => ToWorker::Quick,
            _ => return None,
        })
    }
}

/// What one look into the channel found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<M> {
    /// A message.
    Message(M),
    /// Nothing yet.
    Empty,
    /// The other process is gone, and everything that it sent has been read.
    Closed,
}

/// One end. Non-blocking, closed on exec.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl Channel {
    /// Both ends; which process keeps which is the caller's choice.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok((Channel(a), Channel(b)))
    }

    /// Sends one message, or fails: `WouldBlock` when the peer reads nothing and its queue is full, `BrokenPipe` when it is gone.
    pub fn send(&self, message: &impl Message) -> io::Result<()> {
        let bytes = message.encode();
        let parts = [IoSlice::new(&bytes)];
        loop {
            match sendmsg::<()>(
                self.0.as_raw_fd(),
                &parts,
                &[],
                MsgFlags::MSG_NOSIGNAL,
                None,
            ) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes the next message. Bytes that are no message of this direction are an error of kind `InvalidData`; the
    /// channel stays usable.
    pub fn recv<M: Message>(&self) -> io::Result<Received<M>> {
        // One byte more than a message, so that a longer datagram is seen and refused.
        let mut bytes = [0; MESSAGE_BYTES + 1];
        let length = loop {
            match recv(self.0.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
                Ok(0) => return Ok(Received::Closed),
                Ok(length) => break length,
                // A reset is reported once, when the peer closed with messages unread; what it sent before is still queued.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                Err(Errno::EAGAIN) => return Ok(Received::Empty),
                Err(error) => return Err(error.into()),
            }
        };
        match bytes.get(..length).and_then(M::decode) {
            Some(message) => Ok(Received::Message(message)),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a control message that no peer of this version sends",
            )),
        }
    }
}

/// An end that another program had: non-blocking is a property of the socket, and stays.
impl From<OwnedFd> for Channel {
    fn from(fd: OwnedFd) -> Channel {
        Channel(fd)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    const TO_MASTER: [ToMaster; 7] = [
        ToMaster::Ready,
        ToMaster::Recycle {
            reason: RecycleReason::Requests,
        },
        ToMaster::Recycle {
            reason: RecycleReason::Memory,
        },
        ToMaster::Recycle {
            reason: RecycleReason::Broken,
        },
        ToMaster::Draining,
        ToMaster::BootFailed { fatal: false },
        ToMaster::BootFailed { fatal: true },
    ];
    const TO_WORKER: [ToWorker; 4] = [
        ToWorker::Drain { deadline_ms: 0 },
        ToWorker::Drain {
            deadline_ms: 15_000,
        },
        ToWorker::Drain {
            deadline_ms: u32::MAX,
        },
        ToWorker::Quick,
    ];

    fn round_trip<M: Message + PartialEq + Debug + Copy>(messages: &[M]) {
        let (a, b) = Channel::pair().expect("socketpair");
        for message in messages {
            a.send(message).expect("send");
        }
        for message in messages {
            assert_eq!(b.recv::<M>().expect("recv"), Received::Message(*message));
        }
        assert_eq!(b.recv::<M>().expect("recv"), Received::Empty);
    }

    #[test]
    fn every_message_survives_the_trip() {
        round_trip(&TO_MASTER);
        round_trip(&TO_WORKER);
    }

    #[test]
    fn garbage_is_refused_and_the_channel_stays_usable() {
        let (a, b) = Channel::pair().expect("socketpair");
        let mut samples: Vec<Vec<u8>> = vec![
            vec![1],
            vec![0; 16],
            vec![0xff; 16],
            vec![1; 17],
            vec![1; 300],
        ];
        for message in TO_MASTER {
            for i in 0..MESSAGE_BYTES {
                let mut bytes = message.encode();
                bytes[i] ^= 0x80;
                samples.push(bytes.to_vec());
            }
            samples.push(message.encode()[..15].to_vec());
        }
        for message in TO_WORKER {
            samples.push(message.encode().to_vec());
        }
        for bytes in samples {
            sendmsg::<()>(
                a.as_raw_fd(),
                &[IoSlice::new(&bytes)],
                &[],
                MsgFlags::empty(),
                None,
            )
            .expect("send");
            let error = b.recv::<ToMaster>().expect_err("no message");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
            a.send(&ToMaster::Ready).expect("send");
            assert_eq!(b.recv().expect("recv"), Received::Message(ToMaster::Ready));
        }
    }

    #[test]
    fn the_peers_end_is_seen_after_its_last_message() {
        let (a, b) = Channel::pair().expect("socketpair");
        a.send(&ToMaster::Draining).expect("send");
        drop(a);
        assert_eq!(
            b.recv().expect("recv"),
            Received::Message(ToMaster::Draining)
        );
        assert_eq!(b.recv::<ToMaster>().expect("recv"), Received::Closed);
        assert_eq!(b.recv::<ToMaster>().expect("recv"), Received::Closed);
        assert_eq!(
            b.send(&ToWorker::Quick).expect_err("gone").kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    #[test]
    fn a_peer_that_left_messages_unread_does_not_hide_its_own() {
        let (a, b) = Channel::pair().expect("socketpair");
        b.send(&ToWorker::Quick).expect("send");
        a.send(&ToMaster::Draining).expect("send");
        drop(a);
        assert_eq!(
            b.recv().expect("recv"),
            Received::Message(ToMaster::Draining)
        );
        assert_eq!(b.recv::<ToMaster>().expect("recv"), Received::Closed);
    }

    #[test]
    fn a_deaf_peer_costs_an_error_not_a_wait() {
        let (a, _b) = Channel::pair().expect("socketpair");
        let error = (0..1_000_000)
            .find_map(|_| a.send(&ToWorker::Quick).err())
            .expect("a full queue");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
