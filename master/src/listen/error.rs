//! Why there is no listening socket, in words that say what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

/// Why there is no listening socket.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The host name has no address.
    Resolve {
        /// As given.
        host: String,
        /// From the resolver.
        error: io::Error,
    },
    /// None of the host's addresses could be bound.
    Tcp {
        /// As given.
        host: String,
        /// As given.
        port: u16,
        /// From the last address tried.
        error: Errno,
    },
    /// The unix socket could not be bound.
    Unix {
        /// As given.
        path: PathBuf,
        /// From the system.
        error: io::Error,
    },
    /// A server answers on the unix socket.
    Alive(PathBuf),
    /// The path is taken by something that is no socket.
    NotASocket(PathBuf),
    /// The service manager's variables or descriptors are not as they must be.
    Inherited(String),
}

impl BindError {
    /// The master's exit code for this.
    pub fn exit_code(&self) -> u8 {
        crate::exit::CANNOT_BIND
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::Resolve { host, error } => {
                write!(
                    f,
                    "cannot listen: the host {host:?} has no address ({error}); give an IP address or a name of this machine"
                )
            }
            BindError::Tcp { host, port, error } => {
                let host = if host.contains(':') && !host.starts_with('[') {
                    format!("[{host}]")
                } else {
                    host.clone()
                };
                write!(
                    f,
                    "cannot listen on {host}:{port}: {}; {}",
                    error.desc(),
                    tcp_advice(*error)
                )
            }
            BindError::Unix { path, error } => {
                write!(
                    f,
                    "cannot listen on the unix socket {}: {error}; the folder must exist and be writable, and the path have at most 107 bytes",
                    path.display()
                )
            }
            BindError::Alive(path) => {
                write!(
                    f,
                    "cannot listen on the unix socket {}: a server is listening there; stop it or choose another path",
                    path.display()
                )
            }
            BindError::NotASocket(path) => {
                write!(
                    f,
                    "cannot listen on the unix socket {}: the path exists and is no socket; choose another path",
                    path.display()
                )
            }
            BindError::Inherited(what) => write!(f, "cannot use the inherited socket: {what}"),
        }
    }
}

fn tcp_advice(error: Errno) -> &'static str {
    match error {
        Errno::EADDRINUSE => "another process listens there; stop it or choose another port",
        Errno::EACCES => {
            "ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one or let systemd pass the socket"
        }
        Errno::EADDRNOTAVAIL => "no interface of this machine has the address",
        _ => "choose another address or port",
    }
}

impl std::error::Error for BindError {}
