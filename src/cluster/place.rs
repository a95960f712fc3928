//! Folders, files, names and ports of a private cluster. Knows nothing of processes.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::ClusterError;
use super::programs::Account;

/// `sun_path` of unix(7) holds 108 bytes with the final NUL; the server adds `/.s.PGSQL.` and the port.
const SOCKET_FOLDER_MAX: usize = 107 - "/.s.PGSQL.65535".len();

/// A name that no other cluster has.
pub(super) fn fresh_name(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |age| age.subsec_nanos());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{number}-{nanos:08x}", std::process::id())
}

pub(super) fn choose_socket_folder(folder: &Path) -> PathBuf {
    let socket_folder = folder.join("socket");
    if socket_folder.as_os_str().len() <= SOCKET_FOLDER_MAX {
        return socket_folder;
    }
    Path::new("/tmp").join(fresh_name("tine-socket"))
}

/// Makes the folder and its missing parents, for the server's account alone.
pub(super) fn prepare_folder(folder: &Path, account: &Account) -> Result<(), ClusterError> {
    if folder.exists() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        prepare_folder(parent, account)?;
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .create(folder)
        .and_then(|()| chown(folder, account.uid(), account.gid()))
        .map_err(|source| ClusterError::io("make", folder, source))
}

pub(super) fn write_private(
    path: &Path,
    text: &str,
    account: &Account,
) -> Result<(), ClusterError> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| chown(path, account.uid(), account.gid()))
        .map_err(|source| ClusterError::io("write", path, source))
}

pub(super) fn free_port() -> Result<u16, ClusterError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(ClusterError::NoPort)
}

/// Percent-encodes everything that RFC 3986 does not call unreserved.
pub(super) fn percent(text: &OsStr) -> String {
    use std::fmt::Write as _;
    text.as_encoded_bytes()
        .iter()
        .fold(String::new(), |mut out, &byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
}

/// The last lines of the server's log.
pub(super) fn log_tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
