//! A real pgbouncer in transaction mode between a server under test and PostgreSQL.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::unistd::{User, geteuid};
use tine::cluster::{Cluster, SUPERUSER};

use super::database::{ROLE, connect};
use super::proxy::free_port;
use super::wait;

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A running pgbouncer. Dropping it ends it.
pub struct Pooler {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Pooler {
    /// In front of a cluster with a TCP port. `settings` are further lines of its `[pgbouncer]` section.
    pub fn start(cluster: &Cluster, settings: &str) -> Pooler {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: run tests/install.sh"
        );
        let folder = fresh_folder();
        let port = free_port();
        let users = folder.join("users.txt");
        let known = format!("\"{SUPERUSER}\" \"\"\n\"{ROLE}\" \"\"\n");
        fs::write(&users, known).expect("its users");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\nadmin_users = {SUPERUSER}\npool_mode = transaction\n\
             {settings}\n",
            cluster.port(),
            users.display()
        );
        fs::write(folder.join("pgbouncer.ini"), text).expect("its configuration");
        let child = run(&folder, port);
        Pooler {
            child,
            folder,
            port,
        }
    }

    /// A URL of a database behind it.
    pub fn url(&self, database: &str, user: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Gives an order at its console.
    pub fn order(&self, order: &str) {
        // The console knows the simple query protocol alone.
        connect(&self.url("pgbouncer", SUPERUSER))
            .simple_query(order)
            .unwrap_or_else(|fault| panic!("{order}: {fault}"));
    }

    /// Ends it without a word to its clients.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it anew at the same address.
    pub fn relaunch(&mut self) {
        self.child = run(&self.folder, self.port);
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn run(folder: &Path, port: u16) -> Child {
    let mut command = Command::new(PROGRAM);
    if geteuid().is_root() {
        // It refuses to run as root, as PostgreSQL does.
        let user = User::from_name("postgres").expect("passwd");
        let user = user.expect("PostgreSQL's account");
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let child = command
        .arg("-q")
        .arg(folder.join("pgbouncer.ini"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pgbouncer starts");
    wait::until("pgbouncer listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    child
}

fn fresh_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "tine-pooler-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder).expect("a folder of our own");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("its mode");
    folder
}
