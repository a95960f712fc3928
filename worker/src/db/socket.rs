//! A non-blocking socket to a PostgreSQL server: TCP or Unix. Knows nothing of TLS and of messages.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{
    KeepAlive, TcpKeepCount, TcpKeepIdle, TcpKeepInterval, TcpUserTimeout,
};
use postgres::Config;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

/// How a dead peer is noticed on TCP: probes on a silent connection, a limit on unacknowledged data on a busy one (tcp(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keepalive {
    idle: Duration,
    interval: Duration,
    count: u32,
    user_timeout: Duration,
}

impl Keepalive {
    /// The connection string's values; ours notice a dead peer within a minute. `None` with `keepalives=0`.
    pub(super) fn of(config: &Config) -> Option<Keepalive> {
        // `postgres::Config` answers two hours when nothing was set: Linux's own default, useless here.
        let idle = config.get_keepalives_idle();
        let idle = if idle == Duration::from_secs(7200) {
            Duration::from_secs(30)
        } else {
            idle
        };
        config.get_keepalives().then(|| Keepalive {
            idle,
            interval: config
                .get_keepalives_interval()
                .unwrap_or(Duration::from_secs(10)),
            count: config.get_keepalives_retries().unwrap_or(3),
            // Just longer than a request may last, so that a call's own deadline is what its caller meets first.
            user_timeout: config
                .get_tcp_user_timeout()
                .copied()
                .unwrap_or(Duration::from_secs(12)),
        })
    }

    fn apply(self, stream: &TcpStream) -> nix::Result<()> {
        let seconds =
            |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).max(1);
        let millis = u32::try_from(self.user_timeout.as_millis()).unwrap_or(u32::MAX);
        setsockopt(stream, KeepAlive, &true)?;
        setsockopt(stream, TcpKeepIdle, &seconds(self.idle))?;
        setsockopt(stream, TcpKeepInterval, &seconds(self.interval))?;
        setsockopt(stream, TcpKeepCount, &self.count)?;
        setsockopt(stream, TcpUserTimeout, &millis)
    }
}

/// A connecting or connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Starts to connect. A writable event tells the end; [`Socket::connected`] tells how it ended.
    pub(super) fn connect(
        address: &Address,
        keepalive: Option<Keepalive>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Socket> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        match address {
            Address::Tcp(address) => {
                let mut stream = TcpStream::connect(*address)?;
                stream.set_nodelay(true)?;
                if let Some(keepalive) = keepalive {
                    keepalive.apply(&stream)?;
                }
                registry.register(&mut stream, token, interest)?;
                Ok(Socket::Tcp(stream))
            }
            Address::Unix(path) => {
                let mut stream = UnixStream::connect(path)?;
                registry.register(&mut stream, token, interest)?;
                Ok(Socket::Unix(stream))
            }
        }
    }

    /// Asks for events of this kind from now on.
    pub(super) fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => registry.reregister(stream, token, interest),
            Socket::Unix(stream) => registry.reregister(stream, token, interest),
        }
    }

    /// Whether the connection stands: `Ok(false)` while it is still being made.
    pub(super) fn connected(&self) -> io::Result<bool> {
        let (fault, peer) = match self {
            Socket::Tcp(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
            Socket::Unix(stream) => (stream.take_error()?, stream.peer_addr().map(drop)),
        };
        match (fault, peer) {
            (Some(fault), _) => Err(fault),
            (None, Ok(())) => Ok(true),
            // connect(2) with EINPROGRESS, not yet decided.
            (None, Err(fault)) if fault.kind() == io::ErrorKind::NotConnected => Ok(false),
            (None, Err(fault)) => Err(fault),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(bytes),
            Socket::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write_vectored(bytes),
            Socket::Unix(stream) => stream.write_vectored(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
