//! The one listening socket: bound by TCP address, bound as a unix socket, or inherited from a service manager.
//!
//! It is bound before the first fork and shared by all workers, so a full or dying worker never takes a queue of clients
//! with it (SO_REUSEPORT would). Nothing here accepts.

mod error;
mod inherited;
mod unix;

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr,
    getsockname, setsockopt, socket, sockopt,
};

pub use error::BindError;
pub use inherited::{descriptor, inherited, is_passed};
pub(crate) use unix::{SocketFile, bind_file};

/// Where to listen.
#[derive(Debug)]
pub enum Address {
    /// A name or an IP address (IPv6 with or without brackets), and a port; 0 lets the kernel choose.
    Tcp {
        /// Name or IP address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix socket. A stale file of a dead server is replaced, a living server's is not.
    Unix {
        /// Where; the folder must exist.
        path: PathBuf,
        /// Permission bits of the file, for example 0o660.
        mode: u32,
    },
    /// A socket that somebody else bound and listens on, see [`inherited()`].
    Inherited(OwnedFd),
}

/// What the socket is bound to in fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// Address and port.
    Tcp(SocketAddr),
    /// Path; empty when the socket has an abstract name or none.
    Unix(PathBuf),
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Local::Tcp(address) => address.fmt(f),
            Local::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound, listening, non-blocking socket that is closed on exec.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    local: Local,
    file: Option<SocketFile>,
}

impl Listener {
    /// What it is bound to.
    pub fn local(&self) -> &Local {
        &self.local
    }

    pub(crate) fn into_parts(self) -> (OwnedFd, Option<SocketFile>) {
        (self.fd, self.file)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Binds and listens. `backlog` is the kernel's queue of connections that no worker has accepted yet; the kernel clamps it to
/// `net.core.somaxconn`. An inherited socket keeps the backlog of whoever made it.
pub fn bind(address: Address, backlog: u32) -> Result<Listener, BindError> {
    match address {
        Address::Tcp { host, port } => bind_tcp(&host, port, backlog),
        Address::Unix { path, mode } => {
            let (fd, file) = bind_file(&path, mode, backlog)?;
            Ok(Listener {
                fd,
                local: Local::Unix(path),
                file: Some(file),
            })
        }
        Address::Inherited(fd) => inherited::adopt(fd),
    }
}

fn bind_tcp(host: &str, port: u16, backlog: u32) -> Result<Listener, BindError> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let mut addresses: Vec<SocketAddr> = (bare, port)
        .to_socket_addrs()
        .map_err(|error| BindError::Resolve {
            host: host.to_owned(),
            error,
        })?
        .collect();
    // One socket for one address: of a name with both, the IPv4 address is what people type in its place.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut last = nix::Error::EADDRNOTAVAIL;
    for address in addresses {
        match listen_at(address, backlog) {
            Ok(fd) => {
                let local = local_of(&fd).unwrap_or(Local::Tcp(address));
                return Ok(Listener {
                    fd,
                    local,
                    file: None,
                });
            }
            Err(error) => last = error,
        }
    }
    Err(BindError::Tcp {
        host: host.to_owned(),
        port,
        error: last,
    })
}

fn listen_at(address: SocketAddr, backlog: u32) -> nix::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family, SockType::Stream, flags, None)?;
    // A restart must not wait for connections of the last run that linger in TIME_WAIT.
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    nix::sys::socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&fd, backlog)?;
    Ok(fd)
}

fn listen(fd: &OwnedFd, backlog: u32) -> nix::Result<()> {
    let most = i32::from(Backlog::MAXCONN);
    let backlog = i32::try_from(backlog).unwrap_or(most).clamp(1, most);
    nix::sys::socket::listen(fd, Backlog::new(backlog)?)
}

fn local_of(fd: &OwnedFd) -> Option<Local> {
    let address: SockaddrStorage = getsockname(fd.as_raw_fd()).ok()?;
    match address.family()? {
        AddressFamily::Inet => address
            .as_sockaddr_in()
            .map(|v4| Local::Tcp(SocketAddr::V4((*v4).into()))),
        AddressFamily::Inet6 => address
            .as_sockaddr_in6()
            .map(|v6| Local::Tcp(SocketAddr::V6((*v6).into()))),
        AddressFamily::Unix => {
            let path = address.as_unix_addr().and_then(UnixAddr::path);
            Some(Local::Unix(path.map(PathBuf::from).unwrap_or_default()))
        }
        _ => None,
    }
}

pub(crate) fn set_flags(fd: &OwnedFd) -> nix::Result<()> {
    let status = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(status | OFlag::O_NONBLOCK))?;
    fcntl(fd, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// The file mode mask belongs to the whole process, so tests that bind unix sockets take turns.
#[cfg(test)]
pub(crate) static MASK: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
mod tests;
