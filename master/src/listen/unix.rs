//! Binds a unix socket: its permissions from the first moment, and what to do with a file that is there already.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, socket};
use nix::sys::stat::{Mode, umask};
use serde::{Deserialize, Serialize};

use super::{BindError, listen};

/// The file of a unix socket that this process bound.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SocketFile {
    pub(crate) path: PathBuf,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl SocketFile {
    /// Removes the file, unless another server has put its own in its place. To be called while the socket is open: a
    /// bound socket keeps its inode, so the number cannot have become another file's.
    pub(crate) fn remove(&self) {
        match self.path.symlink_metadata() {
            Ok(found) if found.dev() == self.device && found.ino() == self.inode => {
                if let Err(error) = std::fs::remove_file(&self.path) {
                    log::warn!(
                        "the unix socket {} stays behind: {error}",
                        self.path.display()
                    );
                }
            }
            Ok(_) => log::info!(
                "the unix socket {} is another server's by now and stays",
                self.path.display()
            ),
            Err(_) => {}
        }
    }
}

/// Binds and listens, non-blocking and closed on exec.
pub(crate) fn bind_file(
    path: &Path,
    mode: u32,
    backlog: u32,
) -> Result<(OwnedFd, SocketFile), BindError> {
    remove_stale(path)?;
    let failed = |error: io::Error| BindError::Unix {
        path: path.to_owned(),
        error,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .map_err(|error| failed(error.into()))?;
    let address = UnixAddr::new(path).map_err(|error| failed(error.into()))?;
    // The kernel makes the file with 0777 less the mask. A chmod afterwards would leave a moment in which anyone may connect.
    let before = umask(Mode::from_bits_truncate(!mode & 0o777));
    let bound = nix::sys::socket::bind(fd.as_raw_fd(), &address);
    umask(before);
    bound.map_err(|error| failed(error.into()))?;
    listen(&fd, backlog).map_err(|error| failed(error.into()))?;
    let found = path.symlink_metadata().map_err(failed)?;
    let file = SocketFile {
        path: path.to_owned(),
        device: found.dev(),
        inode: found.ino(),
    };
    Ok((fd, file))
}

/// A server that was killed leaves its file behind, on which nobody listens. Only a refused connection proves that.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |error: io::Error| BindError::Unix {
        path: path.to_owned(),
        error,
    };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match connect(path) {
        Ok(()) => Err(BindError::Alive(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                _ => {
                    log::info!("replaced the stale unix socket {}", path.display());
                    Ok(())
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A full queue (EAGAIN) has a server behind it too.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(BindError::Alive(path.to_owned()))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Connects without waiting: a blocking connect(2) sleeps while the server's queue is full.
fn connect(path: &Path) -> io::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    nix::sys::socket::connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(())
}
