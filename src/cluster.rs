//! A private PostgreSQL cluster made from the installed server programs: the demo's database
//! and the tests'. It listens on a Unix socket in its own folder, on loopback TCP if asked,
//! and cannot outlive its owner: a small `sh` holds the postmaster and reads a pipe that only
//! the owner can write to, so even the owner's SIGKILL ends the cluster (the "death pipe" of
//! s6 and of PostgreSQL's own postmaster). Knows nothing of tools, workers or HTTP.

mod error;
mod place;
mod process;
mod programs;

pub use error::ClusterError;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use postgres::{Config, NoTls};

use place::{
    choose_socket_folder, free_port, fresh_name, log_tail, percent, prepare_folder, write_private,
};
use process::{Files, Process};
use programs::{Account, Programs};

/// How long the server may take from its start to its first accepted login.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// The superuser of the cluster.
pub const SUPERUSER: &str = "postgres";

/// How clients prove who they are. Over the Unix socket every local user who can enter the folder is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    Trust,
    /// SCRAM-SHA-256 with this password for the superuser, over TCP and the Unix socket alike.
    Scram(String),
}

/// What cluster to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Everything lives under this folder; it is made when missing. An existing cluster in it is started again.
    pub folder: PathBuf,
    /// Remove the folder when the cluster stops, and trade durability for speed (`fsync = off`).
    pub temporary: bool,
    /// Listen on a free port of 127.0.0.1 as well.
    pub tcp: bool,
    pub auth: Auth,
    /// Further lines of `postgresql.conf`: name and value, quoted by us.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// A cluster that is kept in `folder` with the server's own durable defaults.
    pub fn kept(folder: impl Into<PathBuf>) -> Options {
        Options {
            folder: folder.into(),
            temporary: false,
            tcp: false,
            auth: Auth::Trust,
            settings: Vec::new(),
        }
    }

    /// A fast throw-away cluster in a fresh folder below the system's temporary folder.
    pub fn temporary() -> Options {
        Options {
            temporary: true,
            ..Options::kept(std::env::temp_dir().join(fresh_name("tine-cluster")))
        }
    }
}

/// A running cluster. Dropping it stops it.
#[derive(Debug)]
pub struct Cluster {
    options: Options,
    programs: Programs,
    account: Account,
    socket_folder: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Cluster {
    /// Makes (when needed) and starts the cluster, and returns once it accepts logins. `progress` gets a short line per step.
    pub fn start(
        options: Options,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Cluster, ClusterError> {
        let programs = Programs::find()?;
        let account = Account::choose()?;
        let folder = std::path::absolute(&options.folder)
            .map_err(|source| ClusterError::io("find", &options.folder, source))?;
        let options = Options { folder, ..options };
        let data = options.folder.join("data");
        prepare_folder(&options.folder, &account)?;
        let socket_folder = choose_socket_folder(&options.folder);
        let mut cluster = Cluster {
            programs,
            account,
            socket_folder,
            port: 5432,
            process: None,
            options,
        };
        cluster.account.check_reach(&cluster.options.folder)?;
        if !data.join("PG_VERSION").exists() {
            progress(&format!(
                "initialising a PostgreSQL cluster in {}",
                data.display()
            ));
            cluster.initialise(&data)?;
        }
        progress(&format!(
            "starting {}",
            cluster.programs.postgres().display()
        ));
        cluster.launch_on_a_free_port()?;
        progress(&format!(
            "PostgreSQL accepts connections in {}",
            cluster.socket_folder.display()
        ));
        Ok(cluster)
    }

    /// A connection URL over the Unix socket. Has the superuser's password when the cluster asks for one and `user` is the superuser.
    pub fn url(&self, database: &str, user: &str) -> String {
        let host = percent(self.socket_folder.as_os_str());
        format!(
            "postgresql://{}@{host}:{}/{}",
            self.login(user),
            self.port,
            percent(OsStr::new(database))
        )
    }

    /// A connection URL over loopback TCP; only answered when [`Options::tcp`] is set.
    pub fn tcp_url(&self, database: &str, user: &str) -> String {
        format!(
            "postgresql://{}@127.0.0.1:{}/{}",
            self.login(user),
            self.port,
            percent(OsStr::new(database))
        )
    }

    /// The port of the TCP listener and of the Unix socket's name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket, as `host` of a connection string.
    pub fn socket_folder(&self) -> &Path {
        &self.socket_folder
    }

    /// The data folder: `postgresql.conf`, `pg_hba.conf`.
    pub fn data_folder(&self) -> PathBuf {
        self.options.folder.join("data")
    }

    /// The server's log file.
    pub fn log_file(&self) -> PathBuf {
        self.options.folder.join("server.log")
    }

    /// The postmaster's process id; `None` while the cluster is halted.
    pub fn server_pid(&self) -> Option<i32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Stops the server (fast shutdown) and removes the folder of a temporary cluster.
    pub fn stop(mut self) -> Result<(), ClusterError> {
        self.end()
    }

    /// Stops the server and keeps its files, so that [`Cluster::relaunch`] can bring it back: an outage on purpose.
    pub fn halt(&mut self) -> Result<(), ClusterError> {
        self.process
            .take()
            .map_or(Ok(()), |mut process| process.end(Files::Keep))
    }

    /// Starts a server that [`Cluster::halt`] stopped, at the same addresses.
    pub fn relaunch(&mut self) -> Result<(), ClusterError> {
        self.launch()
    }

    /// Stops and starts the server at the same addresses.
    pub fn restart(&mut self) -> Result<(), ClusterError> {
        self.halt()?;
        self.relaunch()
    }

    /// Makes the server read `postgresql.conf` and `pg_hba.conf` again.
    pub fn reload(&self) -> Result<(), ClusterError> {
        self.process
            .as_ref()
            .map_or(Ok(()), |process| process.signal(Signal::SIGHUP))
    }

    /// Freezes the postmaster and its children (SIGSTOP), as a stuck machine would look from outside.
    pub fn pause(&self) -> Result<(), ClusterError> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        process.signal(Signal::SIGSTOP)?;
        process.signal_children(Signal::SIGSTOP)
    }

    /// Ends a [`Cluster::pause`].
    pub fn resume(&self) -> Result<(), ClusterError> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        process.signal_children(Signal::SIGCONT)?;
        process.signal(Signal::SIGCONT)
    }

    fn login(&self, user: &str) -> String {
        match &self.options.auth {
            Auth::Scram(password) if user == SUPERUSER => {
                format!(
                    "{}:{}",
                    percent(OsStr::new(user)),
                    percent(OsStr::new(password))
                )
            }
            _ => percent(OsStr::new(user)),
        }
    }

    fn initialise(&self, data: &Path) -> Result<(), ClusterError> {
        let mut initdb = self.account.command(self.programs.initdb());
        initdb
            .arg("-D")
            .arg(data)
            .args(["-U", SUPERUSER, "--encoding=UTF8", "--locale=C.UTF-8"]);
        let password_file = self.options.folder.join("password");
        match &self.options.auth {
            Auth::Trust => {
                initdb.arg("--auth=trust");
            }
            Auth::Scram(password) => {
                write_private(&password_file, password, &self.account)?;
                initdb
                    .arg("--auth=scram-sha-256")
                    .arg("--pwfile")
                    .arg(&password_file);
            }
        }
        if self.options.temporary {
            initdb.arg("--no-sync");
        }
        let output = initdb
            .current_dir(&self.options.folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| ClusterError::io("run", self.programs.initdb(), source))?;
        if let Auth::Scram(_) = self.options.auth {
            fs::remove_file(&password_file)
                .map_err(|source| ClusterError::io("remove", &password_file, source))?;
        }
        if !output.status.success() {
            return Err(ClusterError::Initdb {
                folder: data.to_path_buf(),
                output: String::from_utf8_lossy(&output.stderr).trim().to_string(),
            });
        }
        Ok(())
    }

    fn launch_on_a_free_port(&mut self) -> Result<(), ClusterError> {
        let mut attempts = 5;
        loop {
            if self.options.tcp {
                self.port = free_port()?;
            }
            attempts -= 1;
            match self.launch() {
                // Somebody took the port between our look and the server's bind.
                Err(ClusterError::DidNotStart { log, .. })
                    if attempts > 0
                        && self.options.tcp
                        && log.contains("Address already in use") => {}
                other => return other,
            }
        }
    }

    fn launch(&mut self) -> Result<(), ClusterError> {
        self.configure()?;
        let mut remove: Vec<&Path> = Vec::new();
        if self.options.temporary {
            remove.push(&self.options.folder);
        }
        if !self.socket_folder.starts_with(&self.options.folder) {
            remove.push(&self.socket_folder);
        }
        prepare_folder(&self.socket_folder, &self.account)?;
        let shell = self.account.command(Path::new("/bin/sh"));
        let (data, log) = (self.data_folder(), self.log_file());
        let process = Process::spawn(shell, self.programs.postgres(), &data, &log, &remove)?;
        self.process = Some(process);
        self.wait_until_ready()
    }

    fn configure(&self) -> Result<(), ClusterError> {
        let mut text = String::new();
        let mut set = |name: &str, value: &str| {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        };
        set(
            "unix_socket_directories",
            &self.socket_folder.to_string_lossy(),
        );
        set("port", &self.port.to_string());
        set(
            "listen_addresses",
            if self.options.tcp { "127.0.0.1" } else { "" },
        );
        if self.options.temporary {
            for name in ["fsync", "synchronous_commit", "full_page_writes"] {
                set(name, "off");
            }
        }
        for (name, value) in &self.options.settings {
            set(name, value);
        }
        // The server reads this file after its own postgresql.conf, so ours wins and theirs stays untouched.
        write_private(
            &self.data_folder().join("postgresql.auto.conf"),
            &text,
            &self.account,
        )
    }

    fn wait_until_ready(&mut self) -> Result<(), ClusterError> {
        let mut config: Config = self
            .url("postgres", SUPERUSER)
            .parse()
            .map_err(|fault: postgres::Error| self.did_not_start(fault.to_string()))?;
        config.connect_timeout(Duration::from_secs(2));
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let fault = match config.connect(NoTls) {
                Ok(_) => return Ok(()),
                // It answers: whoever it lets in is the operator's own choice of pg_hba.conf.
                Err(fault)
                    if fault
                        .code()
                        .is_some_and(|code| code.code().starts_with("28")) =>
                {
                    return Ok(());
                }
                Err(fault) => fault.to_string(),
            };
            if !self.process.as_ref().is_some_and(Process::runs) {
                return Err(self.did_not_start("the server ended".to_string()));
            }
            if Instant::now() >= deadline {
                return Err(self.did_not_start(format!(
                    "no login after {} s: {fault}",
                    START_DEADLINE.as_secs()
                )));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn did_not_start(&mut self, reason: String) -> ClusterError {
        let log = log_tail(&self.log_file());
        // The log is told in the error; the folder stays for a second attempt or a closer look.
        let _ = self.halt();
        ClusterError::DidNotStart {
            folder: self.options.folder.clone(),
            reason,
            log,
        }
    }

    fn end(&mut self) -> Result<(), ClusterError> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        process.end(Files::Remove)?;
        if self.options.temporary && self.options.folder.exists() {
            // The server's account may remove what is in its folder, but not its name from a parent folder of ours.
            fs::remove_dir_all(&self.options.folder)
                .map_err(|source| ClusterError::io("remove", &self.options.folder, source))?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
