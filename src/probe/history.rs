//! The restarts of one unit that were ordered, in a small file, and the lock that lets one probe decide at a time. Times are
//! CLOCK_MONOTONIC, so that no set clock bends the limit; after a boot they are in the future or old, and count for nothing for
//! long. Knows no rule.

use std::env;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

/// Restarts that are remembered, the newest ones. So the highest limit there can be.
pub const LONGEST: usize = 100;
/// Bytes that are read of the file; far more than [`LONGEST`] lines take.
const MOST: u64 = 64 << 10;

#[derive(Debug)]
pub enum HistoryError {
    /// No folder is named, and this user has none.
    Nowhere,
    Io {
        path: PathBuf,
        source: io::Error,
    },
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::Nowhere => write!(
                f,
                "there is no folder to remember restarts in; name one with --state FOLDER"
            ),
            HistoryError::Io { path, source } => write!(
                f,
                "can't keep the history of restarts in {}: {source}",
                path.display()
            ),
        }
    }
}

impl std::error::Error for HistoryError {}

/// Where restarts are remembered when nothing is said: what systemd prepared (`RuntimeDirectory=`, `StateDirectory=`), else a
/// folder that only this user can write.
///
/// # Errors
/// There is none.
pub fn folder() -> Result<PathBuf, HistoryError> {
    let prepared = ["RUNTIME_DIRECTORY", "STATE_DIRECTORY"]
        .into_iter()
        .filter_map(env::var_os)
        .find_map(|list| env::split_paths(&list).find(|path| path.is_absolute()));
    if let Some(folder) = prepared {
        return Ok(folder);
    }
    if geteuid().is_root() {
        return Ok("/run/tine-watchdog".into());
    }
    match env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if !folder.is_empty() => Ok(Path::new(&folder).join("tine-watchdog")),
        _ => Err(HistoryError::Nowhere),
    }
}

/// The history of one unit.
pub struct History {
    file: PathBuf,
    lock: PathBuf,
}

/// The history while no other probe can change it.
pub struct Held<'h> {
    history: &'h History,
    _lock: Flock<File>,
}

impl History {
    /// Makes the folder if it isn't there, and proves that it can be written. `unit` is a name as systemd allows it.
    ///
    /// # Errors
    /// It can't.
    pub fn open(folder: &Path, unit: &str) -> Result<History, HistoryError> {
        let history = History {
            file: folder.join(format!("{unit}.restarts")),
            lock: folder.join(format!("{unit}.lock")),
        };
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.map_err(|source| HistoryError::Io {
            path: folder.to_owned(),
            source,
        })?;
        history.open_lock()?;
        Ok(history)
    }

    /// `None` while another probe holds it.
    ///
    /// # Errors
    /// The lock can't be opened or taken.
    pub fn hold(&self) -> Result<Option<Held<'_>>, HistoryError> {
        match Flock::lock(self.open_lock()?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Held {
                history: self,
                _lock: lock,
            })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(failed(&self.lock)(errno.into())),
        }
    }

    fn open_lock(&self) -> Result<File, HistoryError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.open(&self.lock).map_err(failed(&self.lock))
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> HistoryError + '_ {
    |source| HistoryError::Io {
        path: path.to_owned(),
        source,
    }
}

impl Held<'_> {
    /// The times of the restarts so far. What can't be understood counts for nothing.
    ///
    /// # Errors
    /// The file is there and can't be read.
    pub fn restarts(&self) -> Result<Vec<Duration>, HistoryError> {
        let path = &self.history.file;
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file.map_err(failed(path))?,
        };
        let mut bytes = Vec::new();
        file.take(MOST)
            .read_to_end(&mut bytes)
            .map_err(failed(path))?;
        let text = String::from_utf8_lossy(&bytes);
        let times = text.lines().filter_map(|line| line.trim().parse().ok());
        Ok(times.map(Duration::from_millis).collect())
    }

    /// Adds a restart. The file is replaced as a whole, so that a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// It can't be written.
    pub fn add(&self, now: Duration) -> Result<(), HistoryError> {
        let mut times = self.restarts()?;
        times.push(now);
        let newest = times.split_off(times.len().saturating_sub(LONGEST));
        let lines = newest.iter().map(|time| format!("{}\n", time.as_millis()));
        let text: String = lines.collect();
        let path = &self.history.file;
        let new = path.with_extension("restarts.new");
        let written = File::create(&new)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&new, path));
        written.map_err(failed(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = env::temp_dir().join(format!("tine-history-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn restarts_are_remembered_and_bounded() {
        let folder = Folder::new("kept");
        let inner = folder.0.join("deep/er");
        let history = History::open(&inner, "a.service").unwrap();
        for second in 0..150 {
            let held = history.hold().unwrap().unwrap();
            held.add(Duration::from_secs(second)).unwrap();
        }
        let again = History::open(&inner, "a.service").unwrap();
        let restarts = again.hold().unwrap().unwrap().restarts().unwrap();
        assert_eq!(restarts.len(), LONGEST);
        assert_eq!(restarts.last(), Some(&Duration::from_secs(149)));
        let other = History::open(&inner, "b.service").unwrap();
        assert!(
            other
                .hold()
                .unwrap()
                .unwrap()
                .restarts()
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn one_holds_it_at_a_time() {
        let folder = Folder::new("lock");
        let (one, two) = (
            History::open(&folder.0, "a.service").unwrap(),
            History::open(&folder.0, "a.service").unwrap(),
        );
        let held = one.hold().unwrap();
        assert!(held.is_some() && two.hold().unwrap().is_none());
        drop(held);
        assert!(two.hold().unwrap().is_some());
    }

    #[test]
    fn garbage_counts_for_nothing() {
        let folder = Folder::new("garbage");
        let history = History::open(&folder.0, "a.service").unwrap();
        let mut bytes =
            b"1000\n-5\n1e9\nrestart\n\xff\xfe\n 2000 \n99999999999999999999999\n".to_vec();
        fs::write(&history.file, &bytes).unwrap();
        let held = history.hold().unwrap().unwrap();
        let times = [Duration::from_secs(1), Duration::from_secs(2)];
        assert_eq!(held.restarts().unwrap(), times);
        bytes.resize(1 << 20, b'7');
        fs::write(&history.file, &bytes).unwrap();
        assert_eq!(held.restarts().unwrap(), times);
        held.add(Duration::from_secs(3)).unwrap();
        assert_eq!(fs::read(&history.file).unwrap(), b"1000\n2000\n3000\n");
    }

    #[test]
    fn a_folder_that_cannot_be_is_said_at_once() {
        let Err(error) = History::open(Path::new("/dev/null/x"), "a.service") else {
            panic!("it can't be opened");
        };
        assert!(error.to_string().contains("/dev/null/x"), "{error}");
    }
}
