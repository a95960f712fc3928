//! What can go wrong with an installation. Each says what was being done to what, and what the system answered.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::exit::Exit;

/// Why nothing was installed or removed.
#[derive(Debug)]
pub enum InstallError {
    /// Only root may write there.
    NotRoot,
    /// `action` is an infinitive: "can't ACTION PATH".
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Something else than what is to be installed stands there.
    Occupied { path: PathBuf, wanted: &'static str },
    /// `systemd-analyze verify` refused the units; its own words.
    Refused(String),
    /// A program of the system could not be started, or took longer than any of its own deadlines.
    Program { program: String, what: String },
    /// It ran and failed; its own words.
    Failed {
        command: String,
        code: Option<i32>,
        output: String,
    },
    /// The drop-in for `Type=notify-reload` needs a newer systemd.
    TooOld { found: u32, needed: u32 },
}

impl InstallError {
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> InstallError {
        move |source| InstallError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            InstallError::NotRoot
            | InstallError::Occupied { .. }
            | InstallError::Refused(_)
            | InstallError::TooOld { .. }
            | InstallError::Failed { .. } => Exit::Failed,
            InstallError::Program { .. } => Exit::Unreachable,
            InstallError::Io { .. } => Exit::Internal,
        }
    }
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstallError::NotRoot => f.write_str(
                "only root may do this; run it with sudo, or try it in a folder with --root FOLDER",
            ),
            InstallError::Io {
                action,
                path,
                source,
            } => write!(f, "can't {action} {}: {source}", path.display()),
            InstallError::Occupied { path, wanted } => {
                write!(f, "{} is no {wanted}; move it away", path.display())
            }
            InstallError::Refused(words) => write!(
                f,
                "systemd-analyze verify refuses the units, together with the drop-ins that are there:\n{}",
                words.trim_end()
            ),
            InstallError::Program { program, what } => write!(f, "{program} {what}"),
            InstallError::Failed {
                command, output, ..
            } => {
                write!(f, "{command} failed:\n{}", output.trim_end())
            }
            InstallError::TooOld { found, needed } => write!(
                f,
                "Type=notify-reload needs systemd {needed}, and this is {found}; without --notify-reload everything works as well"
            ),
        }
    }
}

impl std::error::Error for InstallError {}
