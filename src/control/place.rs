//! Where a server's control socket is: where `control` says, else at a place that the server and whoever looks for it derive
//! alike from the configuration file's name. Connects to nothing.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::config::{Inputs, Settings};

/// NAME of a server without a configuration file.
const NAME: &str = "tine";
const FILE: &str = "control";

/// Where a server with this configuration file binds its socket, when the option doesn't say.
pub fn default(config: Option<&Path>) -> PathBuf {
    let mut places = places(config, &Process::ours());
    places.swap_remove(0)
}

/// Where the server that the flags, the environment and the file describe has its socket. Of the file only this option
/// counts, so that nothing else that is wrong with it stands between an operator and the server.
///
/// A place that was derived comes with the name of the server that is meant: another one whose file has the same name may be there.
pub fn find(inputs: &Inputs) -> (PathBuf, Option<String>) {
    let (value, config) = Settings::only("control", inputs);
    if let Some(path) = value.path() {
        return (path, None);
    }
    let owner = owner(config.as_deref());
    let process = Process::ours();
    let mut places = places(config.as_deref(), &process);
    // What can't be looked into may be the place.
    let there = |path: &PathBuf| match path.symlink_metadata() {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::NotFound,
    };
    let found = places.iter().position(there).unwrap_or_default();
    // systemd's folder is one service's alone.
    let derived = found > 0 || process.service().is_none();
    (places.swap_remove(found), derived.then_some(owner))
}

/// What a server with this configuration file is called by itself and by whoever looks for it: the file's true path; empty without one.
pub fn owner(config: Option<&Path>) -> String {
    let path = config.map(|path| {
        let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        path.canonicalize().unwrap_or_else(|_| absolute())
    });
    path.unwrap_or_default().to_string_lossy().into_owned()
}

/// What the place depends on beside the file's name.
struct Process {
    /// systemd's, for a unit with RuntimeDirectory= (systemd.exec(5)).
    runtime_directory: Option<OsString>,
    /// Of the user's session (XDG Base Directory Specification).
    xdg_runtime_dir: Option<OsString>,
    root: bool,
}

impl Process {
    fn ours() -> Process {
        Process {
            runtime_directory: std::env::var_os("RUNTIME_DIRECTORY"),
            xdg_runtime_dir: std::env::var_os("XDG_RUNTIME_DIR"),
            root: geteuid().is_root(),
        }
    }

    /// The place in systemd's folder.
    fn service(&self) -> Option<PathBuf> {
        folder(self.runtime_directory.as_ref()).map(|folder| folder.join(FILE))
    }
}

// Several are separated by colons; the specification calls a relative one invalid.
fn folder(folders: Option<&OsString>) -> Option<PathBuf> {
    let folder = std::env::split_paths(folders?).next();
    folder.filter(|folder| folder.is_absolute())
}

/// At least one: a server takes the first, whoever looks for it the first that is there. A user's command looks at the
/// system's place too, for a service that runs as this user.
fn places(config: Option<&Path>, process: &Process) -> Vec<PathBuf> {
    let name = config.and_then(Path::file_stem).unwrap_or(OsStr::new(NAME));
    let below = |folder: &Path| folder.join("tine").join(name).join(FILE);
    let service = process.service();
    let session = folder(process.xdg_runtime_dir.as_ref()).map(|folder| below(&folder));
    let session = session.filter(|_| !process.root);
    let system = below(Path::new("/run"));
    service.into_iter().chain(session).chain([system]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_and_client_derive_the_same_places() {
        let table = [
            (None, None, None, true, vec!["/run/tine/tine/control"]),
            (
                Some("/etc/tine/swf.toml"),
                Some("/run/tine/swf"),
                None,
                false,
                vec!["/run/tine/swf/control", "/run/tine/swf/control"],
            ),
            (
                Some("/etc/tine/swf.toml"),
                None,
                Some("/run/user/0"),
                true,
                vec!["/run/tine/swf/control"],
            ),
            (
                Some("swf.toml"),
                None,
                Some("/run/user/7"),
                false,
                vec!["/run/user/7/tine/swf/control", "/run/tine/swf/control"],
            ),
            (
                Some("a.b.toml"),
                Some("/run/a:/run/b"),
                Some(""),
                false,
                vec!["/run/a/control", "/run/tine/a.b/control"],
            ),
            (
                None,
                Some("relative"),
                None,
                false,
                vec!["/run/tine/tine/control"],
            ),
        ];
        for (config, runtime_directory, xdg_runtime_dir, root, expected) in table {
            let process = Process {
                runtime_directory: runtime_directory.map(OsString::from),
                xdg_runtime_dir: xdg_runtime_dir.map(OsString::from),
                root,
            };
            let found = places(config.map(Path::new), &process);
            assert_eq!(
                found,
                expected.iter().map(PathBuf::from).collect::<Vec<_>>()
            );
        }
    }
}
