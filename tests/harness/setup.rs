//! What a `tine serve` of a test is started with: options, tools, databases, arguments, limits. Starts it, and hands it over to
//! [`Server`].

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::resource::{Resource, setrlimit};

use super::database::Database;
use super::process::{DeathPipe, inherit};
use super::server::Server;

/// Waits inside PostgreSQL while the test holds the gate: see [`Database::close_gate`].
const GATE_TOOL: &str = r#"/*+++
description = "Answers when the test lets it."
+++*/
SELECT 'open' AS gate FROM (SELECT pg_advisory_xact_lock_shared(1)) AS passed
"#;

const ECHO_TOOL: &str = r#"/*+++
description = "Answers with what it was given."
[params.words]
type = "text"
description = "Anything."
+++*/
SELECT :words AS words
"#;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tine");
const OWN_PROGRAM: &str = "program";

/// Puts a copy of the file where a server with a program of its own finds it, in one step, as package managers do.
pub fn install(file: &Path, folder: &Path) {
    let fresh = folder.join("program.new");
    fs::copy(file, &fresh).expect("a copy");
    fs::rename(&fresh, folder.join(OWN_PROGRAM)).expect("in its place");
}

/// Deadlines under which a closed gate holds a call for as long as any test takes.
pub const PATIENT: &str =
    "timeout_statement = \"60s\"\ntimeout_request = \"70s\"\ntimeout_graceful_shutdown = \"80s\"\n";

/// What a server is started with.
pub struct Setup {
    folder: PathBuf,
    config: String,
    databases: String,
    toolsets: Vec<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    open_files: Option<u64>,
    listen: bool,
    socket: Option<TcpListener>,
    workers: usize,
    shell: Option<String>,
    own_program: bool,
}

impl Setup {
    /// Four workers, the tools `gate` and `echo`, and this database.
    pub fn new(database: &Database) -> Setup {
        Setup::at(&database.url)
    }

    /// The same with a database at this URL, whether or not there is one.
    pub fn at(url: &str) -> Setup {
        Setup::bare()
            .database("main", url)
            .tool("gate", GATE_TOOL)
            .tool("echo", ECHO_TOOL)
    }

    /// No tools, no database.
    pub fn bare() -> Setup {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "tine-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a folder of our own");
        Setup {
            folder,
            config: String::new(),
            databases: String::new(),
            toolsets: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            open_files: None,
            listen: true,
            socket: None,
            workers: 4,
            shell: None,
            own_program: false,
        }
    }

    pub fn workers(mut self, workers: usize) -> Setup {
        self.workers = workers;
        self
    }

    /// Adds a line to `tine.toml`, before any table.
    pub fn option(mut self, line: &str) -> Setup {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    /// Adds `[databases.NAME]`.
    pub fn database(self, name: &str, url: &str) -> Setup {
        self.table(&format!("[databases.{name}]\nurl = \"{url}\""))
    }

    /// Adds a table, or lines to the last one.
    pub fn table(mut self, lines: &str) -> Setup {
        self.databases.push_str(lines);
        self.databases.push('\n');
        self
    }

    /// Adds a tool file to the test's own toolset, `own`.
    pub fn tool(self, name: &str, text: &str) -> Setup {
        self.tool_file(&format!("{name}.sql"), text)
    }

    /// The same with the file's whole name.
    pub fn tool_file(mut self, name: &str, text: &str) -> Setup {
        let own = self.folder.join("own");
        if !own.exists() {
            fs::create_dir(&own).expect("toolset folder");
            self.toolsets.push(own.clone());
        }
        fs::write(own.join(name), text).expect("tool file");
        self
    }

    /// Serves the toolset in this folder as well.
    pub fn toolset(mut self, folder: impl Into<PathBuf>) -> Setup {
        self.toolsets.push(folder.into());
        self
    }

    /// Adds command-line arguments.
    pub fn arguments(mut self, arguments: &[&str]) -> Setup {
        self.arguments
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// RLIMIT_NOFILE of every process.
    pub fn open_files(mut self, limit: u64) -> Setup {
        self.open_files = Some(limit);
        self
    }

    /// The server binds by itself, as `arguments` or `option` say, instead of getting a socket of ours.
    pub fn binds_itself(mut self) -> Setup {
        self.listen = false;
        self
    }

    /// The server gets this socket, which outlives it, as from a service manager.
    pub fn socket(mut self, socket: &TcpListener) -> Setup {
        self.socket = Some(socket.try_clone().expect("a second handle"));
        self
    }

    /// A shell runs this line and then becomes the server.
    pub fn behind_shell(mut self, line: &str) -> Setup {
        self.shell = Some(line.into());
        self
    }

    /// The server runs a copy of the program, which the test may replace: see [`Server::install`].
    pub fn own_program(mut self) -> Setup {
        self.own_program = true;
        self
    }

    /// A path beside `tine.toml`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A file of this test, beside `tine.toml`.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file of the test");
        path
    }

    /// Starts the server and waits until all its workers serve.
    pub fn start(self) -> Server {
        let server = self.launch();
        server.until_all_serve();
        server
    }

    /// Starts the server and waits for nothing.
    pub fn launch(mut self) -> Server {
        let toolsets: Vec<String> = self
            .toolsets
            .iter()
            .map(|folder| format!("{:?}", folder.display().to_string()))
            .collect();
        let config = format!(
            "{}workers = {}\ntoolsets = [{}]\n{}",
            self.config,
            self.workers,
            toolsets.join(", "),
            self.databases
        );
        let config_file = self.file("tine.toml", &config);
        let log = self.folder.join("log");
        let output = File::create(&log).expect("log file");

        let mut death = DeathPipe::new();
        let passed = self.socket.take();
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let listener = self.listen.then(|| passed.unwrap_or_else(free));
        let address = listener
            .as_ref()
            .map(|listener| listener.local_addr().expect("an address"));
        let mut inherited = vec![death.write_end().as_raw_fd()];
        let program = if self.own_program {
            install(PROGRAM.as_ref(), &self.folder);
            self.path(OWN_PROGRAM)
        } else {
            PathBuf::from(PROGRAM)
        };
        let mut command = match &self.shell {
            None => Command::new(program),
            Some(line) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{line} exec \"$0\" \"$@\"")]);
                shell.arg(program);
                shell
            }
        };
        command.arg("serve").arg("--config").arg(config_file);
        if let Some(listener) = &listener {
            let number = listener.as_fd().as_raw_fd();
            command.arg("--fd").arg(number.to_string());
            inherited.push(number);
        }
        // Settings of whoever runs the tests are not the test's.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TINE_")) {
            command.env_remove(name);
        }
        let open_files = self.open_files;
        command
            // No test touches the places of the machine's own servers.
            .env("TINE_CONTROL", self.folder.join("control"))
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("log file"))
            .stderr(output);
        // SAFETY: the hook runs in the forked child and makes nothing but system calls; it allocates nothing.
        unsafe {
            command.pre_exec(move || {
                for &fd in &inherited {
                    inherit(fd)?;
                }
                if let Some(limit) = open_files {
                    setrlimit(Resource::RLIMIT_NOFILE, limit, limit)?;
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("tine starts");
        death.let_go();
        Server::new(child, address, self.folder, death, self.workers)
    }
}
