//! Why a private cluster could not be started or stopped, told so that an operator can act.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::Signal;

/// What went wrong, where, and what to do.
#[derive(Debug)]
pub enum ClusterError {
    /// `initdb` and `postgres` are nowhere; the places that were looked at.
    NoPrograms { looked: Vec<PathBuf> },
    /// We are root, PostgreSQL refuses root, and there is no account `postgres`.
    NoAccount,
    /// The server's account cannot enter or write the folder.
    Unreachable { folder: PathBuf, account: String },
    /// `initdb` failed; what it said.
    Initdb { folder: PathBuf, output: String },
    /// The server did not accept a login; the end of its log.
    DidNotStart {
        folder: PathBuf,
        reason: String,
        log: String,
    },
    /// The server still runs after its stop was ordered.
    DidNotStop { pid: i32 },
    /// No free TCP port of 127.0.0.1.
    NoPort(io::Error),
    /// A signal to the server failed.
    Signal {
        pid: i32,
        signal: Signal,
        errno: Errno,
    },
    /// A file or program could not be used.
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl ClusterError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> ClusterError {
        ClusterError::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClusterError::NoPrograms { looked } => {
                let places: Vec<String> = looked
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                write!(
                    f,
                    "the PostgreSQL server programs initdb and postgres were not found (looked in {}); \
                     install them with `apt-get install postgresql`, or set TINE_POSTGRES_BIN to their folder",
                    places.join(", ")
                )
            }
            ClusterError::NoAccount => write!(
                f,
                "PostgreSQL refuses to run as root and there is no account named postgres; \
                 run as an ordinary user, or install PostgreSQL from Debian, which makes the account"
            ),
            ClusterError::Unreachable { folder, account } => write!(
                f,
                "the account {account} cannot write to {}; choose a folder that it can reach \
                 (a folder below /root is closed to it), or run as an ordinary user",
                folder.display()
            ),
            ClusterError::Initdb { folder, output } => {
                write!(
                    f,
                    "initdb could not make a cluster in {}: {output}",
                    folder.display()
                )
            }
            ClusterError::DidNotStart {
                folder,
                reason,
                log,
            } => {
                write!(
                    f,
                    "PostgreSQL in {} did not start: {reason}",
                    folder.display()
                )?;
                if !log.is_empty() {
                    write!(f, "; the end of its log:\n{log}")?;
                }
                Ok(())
            }
            ClusterError::DidNotStop { pid } => {
                write!(
                    f,
                    "PostgreSQL (process {pid}) did not stop in time; end it with `kill -QUIT {pid}`"
                )
            }
            ClusterError::NoPort(source) => write!(f, "no free TCP port on 127.0.0.1: {source}"),
            ClusterError::Signal { pid, signal, errno } => {
                write!(
                    f,
                    "could not send {signal} to PostgreSQL process {pid}: {errno}"
                )
            }
            ClusterError::Io {
                action,
                path,
                source,
            } => write!(f, "could not {action} {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for ClusterError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ClusterError::NoPort(source) | ClusterError::Io { source, .. } => Some(source),
            ClusterError::Signal { errno, .. } => Some(errno),
            _ => None,
        }
    }
}
