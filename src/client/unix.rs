//! HTTP over a unix socket for ureq, which knows TCP only: connects to one path, whatever host the URL names. Knows no request.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Error, Timeout};

/// An agent whose every connection goes to this socket.
pub fn agent(config: Config, socket: PathBuf) -> Agent {
    Agent::with_parts(config, Door { socket }, NoResolver)
}

/// The host of the URL is only a header here: nobody looks it up.
#[derive(Debug)]
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(([0, 0, 0, 0], 0).into());
        Ok(addresses)
    }
}

#[derive(Debug)]
struct Door {
    socket: PathBuf,
}

impl Connector for Door {
    type Out = Stream;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Stream>, Error> {
        let stream = open(&self.socket, details.timeout)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Stream { stream, buffers }))
    }
}

/// connect(2) on a unix socket waits while the listener's queue is full, and a wedged server's is. Its deadline is
/// `SO_SNDTIMEO` (unix(7)), which std can set only once it is connected.
fn open(path: &PathBuf, timeout: NextTimeout) -> Result<UnixStream, Error> {
    let connected = || {
        let kind = SockType::Stream;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        if let Some(left) = timeout.not_zero() {
            let whole = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
            // Zero would mean for ever.
            let rest = i64::from(left.subsec_micros()).max(1);
            setsockopt(&socket, sockopt::SendTimeout, &TimeVal::new(whole, rest))?;
        }
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(UnixStream::from(socket))
    };
    connected().map_err(|errno| match errno {
        Errno::EAGAIN | Errno::EINPROGRESS => Error::Timeout(timeout.reason),
        errno => Error::Io(errno.into()),
    })
}

struct Stream {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl Stream {
    fn left(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
        if timeout.after.is_zero() {
            return Err(Error::Timeout(timeout.reason));
        }
        Ok(timeout.not_zero().map(|left| *left))
    }
}

fn failure(error: io::Error, reason: Timeout) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(reason),
        _ => Error::Io(error),
    }
}

impl Transport for Stream {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(Stream::left(timeout)?)?;
        let output = &self.buffers.output()[..amount];
        self.stream
            .write_all(output)
            .map_err(|error| failure(error, timeout.reason))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(Stream::left(timeout)?)?;
        let amount = self
            .stream
            .read(self.buffers.input_append_buf())
            .map_err(|error| failure(error, timeout.reason))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // Every connection serves one request.
        false
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}
