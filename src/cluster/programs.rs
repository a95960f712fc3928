//! Where the PostgreSQL server programs are, and the account they run under. Knows nothing of a cluster.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{User, getegid, geteuid};

use super::ClusterError;

/// Debian keeps each major version's programs apart from the PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder with `initdb` and `postgres`.
#[derive(Debug)]
pub(super) struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
}

impl Programs {
    /// `TINE_POSTGRES_BIN` when it is set, else Debian's newest version, else the PATH.
    pub(super) fn find() -> Result<Programs, ClusterError> {
        let looked = match env::var_os("TINE_POSTGRES_BIN") {
            Some(folder) => vec![PathBuf::from(folder)],
            None => {
                let mut folders = debian_folders(Path::new(DEBIAN));
                folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
                folders
            }
        };
        for folder in &looked {
            let programs = Programs {
                initdb: folder.join("initdb"),
                postgres: folder.join("postgres"),
            };
            if programs.initdb.is_file() && programs.postgres.is_file() {
                return Ok(programs);
            }
        }
        Err(ClusterError::NoPrograms { looked })
    }

    pub(super) fn initdb(&self) -> &Path {
        &self.initdb
    }

    pub(super) fn postgres(&self) -> &Path {
        &self.postgres
    }
}

/// `root/N/bin`, newest major version first.
fn debian_folders(root: &Path) -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    let mut folders: Vec<PathBuf> = versions
        .iter()
        .map(|version| root.join(version.to_string()).join("bin"))
        .collect();
    if folders.is_empty() {
        folders.push(root.to_path_buf());
    }
    folders
}

/// Whom the server runs as: ourselves, or `postgres` when we are root.
#[derive(Debug)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    switch: bool,
}

impl Account {
    pub(super) fn choose() -> Result<Account, ClusterError> {
        if !geteuid().is_root() {
            return Ok(Account {
                name: "of this user".to_string(),
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
                switch: false,
            });
        }
        match User::from_name("postgres") {
            Ok(Some(user)) => Ok(Account {
                name: user.name,
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
                switch: true,
            }),
            _ => Err(ClusterError::NoAccount),
        }
    }

    pub(super) fn uid(&self) -> Option<u32> {
        Some(self.uid)
    }

    pub(super) fn gid(&self) -> Option<u32> {
        Some(self.gid)
    }

    /// A command that runs under this account, without root's supplementary groups: `Command::uid` calls
    /// setgroups(2), setgid(2) and setuid(2) in the child, in that order.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        // PostgreSQL's own variables would lead the server or initdb to another cluster.
        for name in [
            "PGDATA",
            "PGHOST",
            "PGPORT",
            "PGUSER",
            "PGPASSWORD",
            "PGDATABASE",
            "PGOPTIONS",
        ] {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    /// Proves that the account can enter and write `folder`, before `initdb` fails with something vaguer.
    pub(super) fn check_reach(&self, folder: &Path) -> Result<(), ClusterError> {
        let status = self
            .command(Path::new("/bin/sh"))
            .args(["-c", "test -w \"$1\" && test -x \"$1\"", "tine-cluster"])
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::null())
            .status()
            .map_err(|source| ClusterError::io("run", Path::new("/bin/sh"), source))?;
        if !status.success() {
            return Err(ClusterError::Unreachable {
                folder: folder.to_path_buf(),
                account: self.name.clone(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_major_version_comes_first() {
        let root = std::env::temp_dir().join(format!("tine-programs-{}", std::process::id()));
        for version in ["9", "15", "17", "junk"] {
            fs::create_dir_all(root.join(version)).unwrap();
        }
        let folders = debian_folders(&root);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(
            folders,
            [root.join("17/bin"), root.join("15/bin"), root.join("9/bin")]
        );
    }
}
