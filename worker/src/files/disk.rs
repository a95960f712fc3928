//! The disk itself, and what the system keeps there for everybody. Records nothing.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use nix::unistd::{Uid, User};

use super::error::FileError;
use super::record::Kind;

/// The zone that needs no file.
pub(super) const UTC: &str = "UTC";
/// Where the tz database may be, if `TZDIR` doesn't say: jiff's own order.
const ZONES: [&str; 3] = [
    "/usr/share/zoneinfo",
    "/usr/share/lib/zoneinfo",
    "/etc/zoneinfo",
];

/// `None`: it has more than `limit` bytes. A size is not asked for: a file may grow, and a pipe has none.
pub(super) fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, FileError> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut content = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut content)?;
    Ok((content.len() <= limit).then_some(content))
}

type Entry = Result<(OsString, Kind), FileError>;

pub(super) fn folder(path: &Path) -> Result<impl Iterator<Item = Entry>, FileError> {
    Ok(fs::read_dir(path)?.map(|entry| {
        let entry = entry?;
        // What a link leads to; an entry that has gone by now is nothing that anybody could read.
        let kind = match fs::metadata(entry.path()) {
            Ok(found) if found.is_file() => Kind::File,
            Ok(found) if found.is_dir() => Kind::Folder,
            _ => Kind::Other,
        };
        Ok((entry.file_name(), kind))
    }))
}

pub(super) fn canonical(path: &Path) -> Result<PathBuf, FileError> {
    Ok(path.canonicalize()?)
}

/// A zone's own name and its TZif data.
pub(super) fn zone(name: &str, limit: usize) -> Option<(String, Vec<u8>)> {
    // jiff forgives letters of the wrong case, and keeps the names of files that are no zones apart.
    let name = TimeZone::get(name).ok()?.iana_name()?.to_owned();
    if name == UTC {
        return Some((name, Vec::new()));
    }
    let told = std::env::var_os("TZDIR").map(PathBuf::from);
    let folders = told.into_iter().chain(ZONES.iter().map(PathBuf::from));
    let data = folders
        .filter_map(|folder| read(&folder.join(&name), limit).ok().flatten())
        .find(|data| TimeZone::tzif(&name, data).is_ok())?;
    Some((name, data))
}

pub(super) fn system_roots() -> Vec<Vec<u8>> {
    let found = rustls_native_certs::load_native_certs();
    found.certs.iter().map(|root| root.to_vec()).collect()
}

pub(super) fn user() -> Result<String, FileError> {
    let uid = Uid::effective();
    match User::from_uid(uid) {
        Ok(Some(user)) => Ok(user.name),
        Ok(None) => Err(FileError::Other(format!("no user has the number {uid}"))),
        Err(number) => Err(FileError::System(number as i32)),
    }
}
