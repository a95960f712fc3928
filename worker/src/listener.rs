//! The shared listening socket as one worker sees it: armed or left to the siblings, one accept at a time.
//! Knows nothing of what is done with a connection.
//!
//! All workers wait on one socket. `EPOLLEXCLUSIVE` wakes one of them for a new connection instead of all, but then nearly
//! always the same one; nginx's cure is to leave the wait queue and join it again at its end every 16 accepts. Here it is done
//! at each: a call can hold a database connection for seconds, so the next client belongs to the next worker. A wake-up that a
//! worker does not use is lost for its siblings, so idle workers look for themselves from time to time. mio cannot ask for
//! `EPOLLEXCLUSIVE`, hence the second handle to its epoll instance (epoll_ctl(2)).

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::socket::{
    AddressFamily, SockaddrLike, SockaddrStorage, getsockname, setsockopt, sockopt,
};

/// The pause after the process or the system ran out of descriptors or memory (nginx uses the same).
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(500);

/// A client's socket.
pub enum Stream {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

enum Socket {
    Tcp(mio::net::TcpListener),
    Unix(mio::net::UnixListener),
}

/// What one accept brought.
pub enum Accepted {
    Connection(Stream),
    /// Nothing waits.
    Empty,
    /// The connection was gone before it was accepted; ask again.
    Gone,
    /// No descriptor or memory for it; the listener is disarmed for a while.
    Exhausted(Errno),
}

pub struct Listener {
    socket: Socket,
    epoll: Epoll,
    token: u64,
    armed: bool,
    paused_until: Option<Instant>,
}

impl Listener {
    /// # Errors
    /// A descriptor that is no listening stream socket, or no memory for another epoll handle.
    pub fn new(fd: OwnedFd, registry: &Registry, token: Token) -> io::Result<Listener> {
        let address: SockaddrStorage = getsockname(fd.as_raw_fd())?;
        let socket = match address.family() {
            Some(AddressFamily::Inet | AddressFamily::Inet6) => {
                // Accepted sockets inherit it (tcp(7)): one system call here instead of one a connection.
                setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
                let listener = std::net::TcpListener::from(fd);
                listener.set_nonblocking(true)?;
                Socket::Tcp(mio::net::TcpListener::from_std(listener))
            }
            Some(AddressFamily::Unix) => {
                let listener = std::os::unix::net::UnixListener::from(fd);
                listener.set_nonblocking(true)?;
                Socket::Unix(mio::net::UnixListener::from_std(listener))
            }
            family => {
                return Err(io::Error::new(
                    ErrorKind::InvalidInput,
                    format!("not an IP or unix socket: {family:?}"),
                ));
            }
        };
        let epoll = Epoll(registry.as_fd().try_clone_to_owned()?);
        Ok(Listener {
            socket,
            epoll,
            token: token.0 as u64,
            armed: false,
            paused_until: None,
        })
    }

    pub fn armed(&self) -> bool {
        self.armed
    }

    /// Asks for wake-ups. A pause after exhaustion stays in force.
    pub fn arm(&mut self, now: Instant) -> io::Result<()> {
        if self.paused_until.is_some_and(|until| now < until) {
            return Ok(());
        }
        self.paused_until = None;
        if !self.armed {
            // Level-triggered: one accept a wake-up is enough, what is left wakes again.
            let event =
                EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE, self.token);
            self.epoll.add(self.as_fd(), event)?;
            self.armed = true;
        }
        Ok(())
    }

    /// Stops wake-ups. The caller then accepts until [`Accepted::Empty`].
    pub fn disarm(&mut self) -> io::Result<()> {
        if self.armed {
            self.epoll.delete(self.as_fd())?;
            self.armed = false;
        }
        Ok(())
    }

    /// True when a connection waits to be accepted, here or in a sibling (poll(2)).
    pub fn pending(&self) -> bool {
        let mut watched = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        nix::poll::poll(&mut watched, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Takes one connection.
    pub fn accept(&mut self, now: Instant) -> Accepted {
        let accepted = match &self.socket {
            Socket::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
            Socket::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
        };
        match accepted {
            Ok(stream) => {
                if self.armed && self.disarm().is_ok() {
                    // Adding it again reports a connection that waits, so none is lost in between.
                    let _ = self.arm(now);
                }
                Accepted::Connection(stream)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accepted::Empty,
            Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                    // Level-triggered readiness would spin at full speed until a descriptor comes free.
                    let _ = self.disarm();
                    self.paused_until = Some(now + EXHAUSTED_PAUSE);
                    Accepted::Exhausted(errno)
                }
                // accept(2): errors of the connection itself are passed on by accept, and are no reason to stop.
                _ => Accepted::Gone,
            },
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Unix(listener) => listener.as_fd(),
        }
    }
}

impl Stream {
    /// From now on the kernel ends the connection when the peer has acknowledged nothing for so long of what was sent (tcp(7),
    /// TCP_USER_TIMEOUT): without it, a peer that has vanished is noticed after a quarter of an hour. The peer of a unix socket cannot vanish.
    pub fn notice_loss_within(&self, patience: Duration) -> io::Result<()> {
        if let Stream::Tcp(stream) = self {
            let milliseconds = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
            setsockopt(stream, sockopt::TcpUserTimeout, &milliseconds)?;
        }
        Ok(())
    }

    /// Sends a FIN; what the peer sends can still be read.
    pub fn shut(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.register(registry, token, interests),
            Stream::Unix(stream) => stream.register(registry, token, interests),
        }
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.reregister(registry, token, interests),
            Stream::Unix(stream) => stream.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.deregister(registry),
            Stream::Unix(stream) => stream.deregister(registry),
        }
    }
}
