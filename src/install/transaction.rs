//! Changes files so that all of them can be taken back: what stood there is kept beside it until the end. Every file appears
//! whole or not at all: it is written under another name, synced, and renamed (rename(2)), which is how dpkg replaces files too.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::error::InstallError;
use super::layout::Item;
use super::plan::{Change, Group};

/// Steps taken, the last one last. Dropped without [`Transaction::commit`], it takes all of them back.
pub struct Transaction {
    steps: Vec<Step>,
    /// The id of the configurations' group; none where owners don't matter.
    group: Option<u32>,
}

#[derive(Debug)]
enum Step {
    Folder(PathBuf),
    Created(PathBuf),
    /// The old file now stands at `kept`.
    Moved {
        path: PathBuf,
        kept: PathBuf,
    },
    Permissions {
        path: PathBuf,
        mode: u32,
        group: u32,
    },
}

impl Transaction {
    pub fn new(group: Group) -> Transaction {
        Transaction {
            steps: Vec::new(),
            group: match group {
                Group::Known(id) => Some(id),
                Group::Ignored | Group::Missing => None,
            },
        }
    }

    /// Carries out one change.
    ///
    /// # Errors
    /// The file system refuses it; the steps before it stand until they are taken back.
    pub fn apply(&mut self, change: &Change) -> Result<(), InstallError> {
        match change {
            Change::Create(item) | Change::Replace { item, .. } => self.put(item),
            Change::Permissions(item) => self.set_permissions(item),
            Change::Remove(path) => {
                let kept = beside(path, "before");
                fs::rename(path, &kept).map_err(InstallError::io("remove", path))?;
                self.moved(path, kept);
                Ok(())
            }
        }
    }

    fn put(&mut self, item: &Item) -> Result<(), InstallError> {
        let path = &item.path;
        let parent = path.parent().unwrap_or(Path::new("/"));
        self.make_folders(parent)?;
        let Some(content) = &item.content else {
            return self.make_folder(path, item);
        };
        let new = beside(path, "new");
        let written = write(&new, content, item.mode).and_then(|()| match self.group {
            Some(group) if item.grouped => chown(&new, None, Some(group)),
            _ => Ok(()),
        });
        if let Err(error) = written {
            let _ = fs::remove_file(&new);
            return Err(InstallError::io("write", &new)(error));
        }
        let step = match keep(path) {
            Ok(Some(kept)) => Step::Moved {
                path: path.clone(),
                kept,
            },
            Ok(None) => Step::Created(path.clone()),
            Err(error) => {
                let _ = fs::remove_file(&new);
                return Err(InstallError::io("keep", path)(error));
            }
        };
        // Taken back also when the rename fails: then there is nothing to take back but the second name.
        self.steps.push(step);
        fs::rename(&new, path)
            .and_then(|()| sync_folder(parent))
            .map_err(|error| {
                let _ = fs::remove_file(&new);
                InstallError::io("replace", path)(error)
            })
    }

    fn make_folders(&mut self, folder: &Path) -> Result<(), InstallError> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.make_folders(parent)?;
        }
        DirBuilder::new()
            .mode(0o755)
            .create(folder)
            .map_err(InstallError::io("make", folder))?;
        self.steps.push(Step::Folder(folder.to_owned()));
        Ok(())
    }

    fn make_folder(&mut self, path: &Path, item: &Item) -> Result<(), InstallError> {
        self.make_folders(path)?;
        self.own(path, item)
    }

    fn set_permissions(&mut self, item: &Item) -> Result<(), InstallError> {
        let path = &item.path;
        let found = fs::metadata(path).map_err(InstallError::io("look at", path))?;
        self.steps.push(Step::Permissions {
            path: path.clone(),
            mode: found.permissions().mode() & 0o7777,
            group: found.gid(),
        });
        self.own(path, item)
    }

    fn own(&self, path: &Path, item: &Item) -> Result<(), InstallError> {
        let group = self.group.filter(|_| item.grouped);
        fs::set_permissions(path, Permissions::from_mode(item.mode))
            .and_then(|()| group.map_or(Ok(()), |group| chown(path, None, Some(group))))
            .map_err(InstallError::io("set the permissions of", path))
    }

    fn moved(&mut self, path: &Path, kept: PathBuf) {
        let path = path.to_owned();
        self.steps.push(Step::Moved { path, kept });
    }

    /// Keeps everything, and removes what was kept of the old.
    pub fn commit(mut self) {
        for step in self.steps.drain(..) {
            if let Step::Moved { kept, .. } = step {
                let _ = fs::remove_file(kept);
            }
        }
    }

    /// Takes every step back, the last one first. What can't be taken back is returned, and the others are taken back all the same.
    pub fn roll_back(mut self) -> Vec<InstallError> {
        self.undo()
    }

    fn undo(&mut self) -> Vec<InstallError> {
        let mut errors = Vec::new();
        for step in self.steps.drain(..).rev() {
            let (path, undone) = match step {
                // Somebody else may have put something there since.
                Step::Folder(path) => match fs::remove_dir(&path) {
                    Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                        (path, Ok(()))
                    }
                    undone => (path, undone),
                },
                Step::Created(path) => match fs::remove_file(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => (path, Ok(())),
                    undone => (path, undone),
                },
                Step::Moved { path, kept } => {
                    let undone = fs::rename(&kept, &path);
                    // rename(2) does nothing when both are the same file: the old one was never replaced.
                    let _ = fs::remove_file(&kept);
                    (path, undone)
                }
                Step::Permissions { path, mode, group } => {
                    let undone = chown(&path, None, Some(group))
                        .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)));
                    (path, undone)
                }
            };
            errors.extend(undone.err().map(InstallError::io("put back", &path)));
        }
        errors
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let _ = self.undo();
    }
}

/// A name beside the file that nobody reads: units and lists of users begin with no dot.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

/// Gives the file a second name, if there is a file.
fn keep(path: &Path) -> io::Result<Option<PathBuf>> {
    let kept = beside(path, "before");
    // Left behind by an installation that was killed.
    let _ = fs::remove_file(&kept);
    match fs::hard_link(path, &kept) {
        Ok(()) => Ok(Some(kept)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
