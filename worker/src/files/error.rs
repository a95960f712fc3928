//! Why a file could not be read, in a form that can be recorded, and why a record could not be. Knows no paths: whoever
//! asked for one names it.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// Why there is no answer. Equal to the error of the first reading, when it comes from a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileError {
    /// The system's error number (errno(3)).
    System(i32),
    NotUtf8,
    /// Bytes.
    FileTooLarge {
        limit: usize,
    },
    /// Bytes.
    TooMuch {
        limit: usize,
    },
    /// What has no number.
    Other(String),
    /// The record has no answer to this question.
    Unrecorded,
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> FileError {
        match error.raw_os_error() {
            Some(number) => FileError::System(number),
            None => FileError::Other(error.to_string()),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::System(number) => io::Error::from_raw_os_error(*number).fmt(f),
            FileError::NotUtf8 => f.write_str("stream did not contain valid UTF-8"),
            FileError::FileTooLarge { limit } => {
                write!(f, "it is larger than {}", size(*limit))
            }
            FileError::TooMuch { limit } => write!(
                f,
                "all files of the configuration together are larger than {}",
                size(*limit)
            ),
            FileError::Other(text) => f.write_str(text),
            FileError::Unrecorded => f.write_str(
                "it was not read when this configuration was checked; reload to read it now",
            ),
        }
    }
}

impl std::error::Error for FileError {}

fn size(bytes: usize) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        mebibytes => format!("{mebibytes} MiB"),
    }
}

/// Why bytes can't be used as a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Bytes.
    TooLarge { limit: usize },
    /// Another version of the program wrote it.
    Version { found: u32, known: u32 },
    /// What the JSON parser said.
    Malformed(String),
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::TooLarge { limit } => {
                write!(f, "the recorded files are larger than {}", size(*limit))
            }
            SnapshotError::Version { found, known } => write!(
                f,
                "the recorded files have version {found}, and version {known} is known here"
            ),
            SnapshotError::Malformed(text) => {
                write!(f, "the recorded files can't be understood: {text}")
            }
        }
    }
}

impl std::error::Error for SnapshotError {}
