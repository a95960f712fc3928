//! Compares what is to be installed with what is there, and shows the difference. Changes nothing.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use similar::TextDiff;

use super::error::InstallError;
use super::layout::{Item, Kind};

/// The group that configurations belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Owners don't matter: the folder is not the machine's root.
    Ignored,
    /// It is made before any file.
    Missing,
    Known(u32),
}

/// What has to happen at one path.
#[derive(Debug, Clone)]
pub enum Change {
    /// Nothing is there.
    Create(Item),
    /// Something else is there, with these bytes.
    Replace {
        item: Item,
        before: Vec<u8>,
    },
    /// The content is right, its permission bits or its group are not.
    Permissions(Item),
    Remove(PathBuf),
}

impl Change {
    pub fn path(&self) -> &Path {
        match self {
            Change::Create(item) | Change::Replace { item, .. } | Change::Permissions(item) => {
                &item.path
            }
            Change::Remove(path) => path,
        }
    }
}

/// What differs.
///
/// # Errors
/// A path can't be read, or holds something that is not ours to replace.
pub fn to_install(items: &[Item], group: Group) -> Result<Vec<Change>, InstallError> {
    let mut changes = Vec::new();
    for item in items {
        changes.extend(compare(item.clone(), group)?);
    }
    Ok(changes)
}

/// What is there of these files.
pub fn to_remove(paths: Vec<PathBuf>) -> Vec<Change> {
    let there = paths
        .into_iter()
        .filter(|path| path.symlink_metadata().is_ok());
    there.map(Change::Remove).collect()
}

fn compare(item: Item, group: Group) -> Result<Option<Change>, InstallError> {
    let found = match fs::symlink_metadata(&item.path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(Change::Create(item)));
        }
        Err(error) => return Err(InstallError::io("look at", &item.path)(error)),
    };
    let (right, wanted) = match item.content {
        Some(_) => (found.is_file(), "regular file"),
        None => (found.is_dir(), "folder"),
    };
    if !right {
        let path = item.path;
        return Err(InstallError::Occupied { path, wanted });
    }
    // An operator's own file is left as it is, with the permissions that it was given.
    if item.kind == Kind::Configuration && item.content.is_some() {
        return Ok(None);
    }
    if let Some(content) = &item.content {
        let before = fs::read(&item.path).map_err(InstallError::io("read", &item.path))?;
        if before != *content {
            return Ok(Some(Change::Replace { item, before }));
        }
    }
    let strange = item.grouped
        && match group {
            Group::Ignored => false,
            Group::Missing => true,
            Group::Known(id) => id != found.gid(),
        };
    let differs = found.permissions().mode() & 0o7777 != item.mode || strange;
    Ok(differs.then_some(Change::Permissions(item)))
}

/// One line for each change, and below it what changes in a text that is there.
pub fn show(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let path = change.path().display();
        let _ = match change {
            Change::Create(_) => writeln!(text, "create   {path}"),
            Change::Permissions(item) => {
                let group = if item.grouped { ", group tine" } else { "" };
                writeln!(text, "set      {path} to {:04o}{group}", item.mode)
            }
            Change::Remove(_) => writeln!(text, "remove   {path}"),
            Change::Replace { item, before } => {
                let _ = writeln!(text, "replace  {path}");
                let after = item.content.as_deref().unwrap_or_default();
                text.push_str(&difference(before, after));
                Ok(())
            }
        };
    }
    text
}

/// A unified diff where both are text, else the sizes.
fn difference(before: &[u8], after: &[u8]) -> String {
    match (std::str::from_utf8(before), std::str::from_utf8(after)) {
        (Ok(before), Ok(after)) => TextDiff::from_lines(before, after)
            .unified_diff()
            .header("there", "new")
            .to_string(),
        _ => format!("  {} bytes, before {}\n", after.len(), before.len()),
    }
}
