//! Why there is no control socket, in words that say what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::listen::BindError;

/// Why there is no control socket.
#[derive(Debug)]
#[non_exhaustive]
pub enum ControlError {
    /// The folder is missing and cannot be made.
    Folder {
        /// Which.
        folder: PathBuf,
        /// From the system.
        error: io::Error,
    },
    /// The socket cannot be bound.
    Bind(BindError),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlError::Folder { folder, error } => write!(
                f,
                "no control socket: the folder {} can't be made: {error}; choose another path",
                folder.display()
            ),
            ControlError::Bind(error) => write!(f, "no control socket: {error}"),
        }
    }
}

impl std::error::Error for ControlError {}
