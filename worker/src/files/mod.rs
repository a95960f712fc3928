//! Everything that configuration and tool files are read through: from the disk, with a record of every answer, or from
//! such a record alone. A record that was sealed in one process gives the same configuration in another, whatever has
//! happened to the disk since. Knows nothing of what the files say.
//!
//! nginx and HAProxy parse a new configuration in the process that then serves it; here a short-lived process reads and
//! proves it, and the master takes the proven bytes: it never waits for a disk, and can't meet a half-written file.

mod disk;
mod error;
mod octets;
mod record;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;

pub use error::{FileError, SnapshotError};
use octets::Octets;
pub use record::Kind;
use record::Record;

/// The most bytes of one file, or of the names in one folder.
pub const FILE_LIMIT: usize = 16 << 20;
/// The most bytes of all files and names together.
pub const TOTAL_LIMIT: usize = 64 << 20;
/// What an answer takes beside its bytes.
const OVERHEAD: usize = 64;

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: PathBuf,
    /// Of what a symbolic link leads to.
    pub kind: Kind,
}

/// A reader of files, for one thread. Nothing is read twice: the first answer stays, so that what was read is also what
/// is recorded. Paths are taken as they are written, relative ones from the working directory.
#[derive(Debug)]
pub struct Files {
    held: bool,
    record: RefCell<Record>,
    limits: Limits,
    /// Bytes that may still be read.
    left: Cell<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    file: usize,
    total: usize,
}

const LIMITS: Limits = Limits {
    file: FILE_LIMIT,
    total: TOTAL_LIMIT,
};

impl Files {
    /// Reads the disk and records.
    pub fn disk() -> Files {
        Files::new(false, Record::default(), LIMITS)
    }

    /// Answers from a [`Files::snapshot`] only, errors included.
    ///
    /// # Errors
    /// The bytes are no snapshot of this version of the program.
    pub fn held(snapshot: &[u8]) -> Result<Files, SnapshotError> {
        Ok(Files::new(true, Record::unseal(snapshot)?, LIMITS))
    }

    fn new(held: bool, record: Record, limits: Limits) -> Files {
        Files {
            held,
            record: RefCell::new(record),
            limits,
            left: Cell::new(limits.total),
        }
    }

    /// Every answer so far, as JSON. The same answers give the same bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        self.record.borrow().seal()
    }

    /// A file's content.
    ///
    /// # Errors
    /// What the system said, or a limit.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        let read = || self.read_disk(path).map(Octets);
        self.answer(|record| &mut record.files, path, read)
            .unwrap_or(Err(FileError::Unrecorded))
            .map(|content| content.0)
    }

    /// A file's content, which must be UTF-8.
    ///
    /// # Errors
    /// As [`Files::read`], and [`FileError::NotUtf8`].
    pub fn text(&self, path: &Path) -> Result<String, FileError> {
        String::from_utf8(self.read(path)?).map_err(|_| FileError::NotUtf8)
    }

    /// A folder's entries, by name. An entry that went away in the meantime is [`Kind::Other`].
    ///
    /// # Errors
    /// As [`Files::read`].
    pub fn folder(&self, path: &Path) -> Result<Vec<Entry>, FileError> {
        let read = || self.list_disk(path);
        let names = self
            .answer(|record| &mut record.folders, path, read)
            .unwrap_or(Err(FileError::Unrecorded))?;
        let entry = |(name, kind): (Octets, Kind)| Entry {
            path: path.join(OsString::from_vec(name.0)),
            kind,
        };
        Ok(names.into_iter().map(entry).collect())
    }

    /// Whether there is anything at this path that can be looked at.
    ///
    /// # Errors
    /// [`FileError::Unrecorded`] only.
    pub fn exists(&self, path: &Path) -> Result<bool, FileError> {
        self.answer(|record| &mut record.exists, path, || path.exists())
            .ok_or(FileError::Unrecorded)
    }

    /// The absolute path without links, dots and double dots.
    ///
    /// # Errors
    /// What the system said.
    pub fn canonical(&self, path: &Path) -> Result<PathBuf, FileError> {
        let read = || disk::canonical(path).map(|found| octets(&found));
        self.answer(|record| &mut record.canonical, path, read)
            .unwrap_or(Err(FileError::Unrecorded))
            .map(|found| OsString::from_vec(found.0).into())
    }

    /// A time zone of the system's tz database.
    ///
    /// # Errors
    /// [`FileError::Other`]: no zone has this name; a limit, or [`FileError::Unrecorded`].
    pub fn zone(&self, name: &str) -> Result<TimeZone, FileError> {
        let unknown = || FileError::Other("not in the tz database".to_owned());
        let read = || {
            let (name, data) = disk::zone(name, self.limits.file).ok_or_else(unknown)?;
            self.charge(data.len() + name.len())?;
            Ok((name, Octets(data)))
        };
        let (name, data) = self
            .answer(|record| &mut record.zones, name, read)
            .unwrap_or(Err(FileError::Unrecorded))?;
        if name == disk::UTC {
            return Ok(TimeZone::UTC);
        }
        TimeZone::tzif(&name, &data.0).map_err(|_| unknown())
    }

    /// The certificates of the authorities that the system trusts; empty if it has none.
    ///
    /// # Errors
    /// A limit, or [`FileError::Unrecorded`].
    pub fn system_roots(&self) -> Result<Vec<CertificateDer<'static>>, FileError> {
        let read = || {
            let found = disk::system_roots();
            self.charge(found.iter().map(|root| root.len() + OVERHEAD).sum())?;
            Ok(found.into_iter().map(Octets).collect())
        };
        let roots = self.answer_once(|record| &mut record.system_roots, read)?;
        Ok(roots.into_iter().map(|root| root.0.into()).collect())
    }

    /// The operating system's name of the user that this process runs as. It is in the user database, which may be a file
    /// or a server far away.
    ///
    /// # Errors
    /// The user has no name, or [`FileError::Unrecorded`].
    pub fn user(&self) -> Result<String, FileError> {
        self.answer_once(|record| &mut record.user, disk::user)
    }

    /// The recorded answer, else a new one. `None`: there is no record, and nothing else to ask.
    fn answer<K, Q, V>(
        &self,
        answers: impl Fn(&mut Record) -> &mut BTreeMap<K, V>,
        question: &Q,
        read: impl FnOnce() -> V,
    ) -> Option<V>
    where
        K: Ord + for<'q> From<&'q Q>,
        Q: ?Sized,
        V: Clone,
    {
        let question = K::from(question);
        let recorded = answers(&mut self.record.borrow_mut())
            .get(&question)
            .cloned();
        if recorded.is_some() || self.held {
            return recorded;
        }
        let answer = read();
        answers(&mut self.record.borrow_mut()).insert(question, answer.clone());
        Some(answer)
    }

    /// As [`Files::answer`], to a question that there is only one of.
    fn answer_once<V: Clone>(
        &self,
        slot: impl Fn(&mut Record) -> &mut Option<Result<V, FileError>>,
        read: impl FnOnce() -> Result<V, FileError>,
    ) -> Result<V, FileError> {
        let recorded = slot(&mut self.record.borrow_mut()).clone();
        match recorded {
            Some(answer) => answer,
            None if self.held => Err(FileError::Unrecorded),
            None => {
                let answer = read();
                *slot(&mut self.record.borrow_mut()) = Some(answer.clone());
                answer
            }
        }
    }

    fn read_disk(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        let (file, left) = (self.limits.file, self.left.get());
        let content = disk::read(path, file.min(left))?.ok_or(match left < file {
            true => self.too_much(),
            false => FileError::FileTooLarge { limit: file },
        })?;
        self.charge(path.as_os_str().len() + content.len())?;
        Ok(content)
    }

    fn list_disk(&self, path: &Path) -> Result<Vec<(Octets, Kind)>, FileError> {
        let mut names = Vec::new();
        for entry in disk::folder(path)? {
            let (name, kind) = entry?;
            self.charge(name.len())?;
            names.push((Octets(name.into_vec()), kind));
        }
        names.sort();
        Ok(names)
    }

    fn charge(&self, bytes: usize) -> Result<(), FileError> {
        let left = self.left.get().checked_sub(bytes.saturating_add(OVERHEAD));
        self.left.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or_else(|| self.too_much())
    }

    fn too_much(&self) -> FileError {
        FileError::TooMuch {
            limit: self.limits.total,
        }
    }
}

fn octets(path: &(impl AsRef<OsStr> + ?Sized)) -> Octets {
    Octets(path.as_ref().as_bytes().to_vec())
}
