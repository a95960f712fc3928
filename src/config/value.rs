//! An option's value, once it is known to be of its kind; prints as an operator would write it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::credential;

/// A value that passed its [`super::kind::Kind`]'s check. `None` is an optional value that is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    None,
    Number(u64),
    Bytes(u64),
    Span(Duration),
    Text(String),
    Path(PathBuf),
    Texts(Vec<String>),
    Paths(Vec<PathBuf>),
    Mode(u32),
}

/// What an option's `put` takes from a value that passed the option's own kind. The option table's test loads
/// every option, so that a kind and its field cannot disagree.
impl Value {
    pub fn text(self) -> String {
        self.optional_text().unwrap_or_default()
    }

    pub fn optional_text(self) -> Option<String> {
        if let Value::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// Bounds keep the number within `T`.
    pub fn number<T: TryFrom<u64> + Default>(self) -> T {
        self.optional_number().unwrap_or_default()
    }

    pub fn optional_number<T: TryFrom<u64>>(self) -> Option<T> {
        if let Value::Number(number) = self {
            T::try_from(number).ok()
        } else {
            None
        }
    }

    pub fn bytes(self) -> usize {
        if let Value::Bytes(bytes) = self {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        } else {
            0
        }
    }

    pub fn span(self) -> Duration {
        if let Value::Span(span) = self {
            span
        } else {
            Duration::ZERO
        }
    }

    pub fn path(self) -> Option<PathBuf> {
        if let Value::Path(path) = self {
            Some(path)
        } else {
            None
        }
    }

    pub fn texts(self) -> Vec<String> {
        if let Value::Texts(texts) = self {
            texts
        } else {
            Vec::new()
        }
    }

    pub fn paths(self) -> Vec<PathBuf> {
        if let Value::Paths(paths) = self {
            paths
        } else {
            Vec::new()
        }
    }

    pub fn mode(self) -> u32 {
        if let Value::Mode(mode) = self {
            mode
        } else {
            0
        }
    }

    /// Relative paths start at `folder`; credentials have a place of their own.
    pub fn under(self, folder: &Path) -> Value {
        match self {
            Value::Path(path) if credential::is_credential(&path) => Value::Path(path),
            Value::Path(path) => Value::Path(folder.join(path)),
            Value::Paths(paths) => {
                Value::Paths(paths.iter().map(|path| folder.join(path)).collect())
            }
            other => other,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::None => f.write_str("none"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Bytes(bytes) => {
                let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
                match units
                    .iter()
                    .find(|(size, _)| *bytes >= *size && bytes % size == 0)
                {
                    Some((size, unit)) => write!(f, "{}{unit}", bytes / size),
                    None => write!(f, "{bytes}"),
                }
            }
            Value::Span(span) => {
                let micros = span.as_micros();
                match () {
                    () if micros == 0 => f.write_str("0s"),
                    () if micros % 3_600_000_000 == 0 => write!(f, "{}h", micros / 3_600_000_000),
                    () if micros % 60_000_000 == 0 => write!(f, "{}m", micros / 60_000_000),
                    () if micros % 1_000_000 == 0 => write!(f, "{}s", micros / 1_000_000),
                    () if micros % 1_000 == 0 => write!(f, "{}ms", micros / 1_000),
                    () => write!(f, "{}s", span.as_secs_f64()),
                }
            }
            Value::Text(text) => f.write_str(text),
            Value::Path(path) => write!(f, "{}", path.display()),
            Value::Texts(texts) if texts.is_empty() => f.write_str("none"),
            Value::Texts(texts) => f.write_str(&texts.join(", ")),
            Value::Paths(paths) if paths.is_empty() => f.write_str("none"),
            Value::Paths(paths) => {
                let paths: Vec<String> = paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                f.write_str(&paths.join(", "))
            }
            Value::Mode(mode) => write!(f, "{mode:04o}"),
        }
    }
}
