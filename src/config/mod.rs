//! The configuration: one typed [`Settings`] from defaults, `tine.toml`, the environment and flags, in rising
//! order of strength. Every fault of every source is reported at once. Knows nothing of the processes that use it.

mod credential;
pub mod database;
mod database_url;
mod document;
mod dump;
mod env_file;
pub mod form;
pub mod kind;
mod load;
pub mod log_table;
pub mod reach;
mod relations;
mod sources;
mod tables;
#[cfg(test)]
mod tests;
pub mod token;
pub mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tine_worker::effects::{Network, Program};
use tine_worker::files::Files;

use crate::exit::Exit;
use crate::fault::{Fault, Origin};
use crate::options::Opt;
use database::Database;
use log_table::LogTable;
use reach::Broker;
use token::Token;
use value::Value;

/// What [`Settings::load`] reads. Kept by the program, so that a reload reads the same again.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// `--config`; without it `TINE_CONFIG`, without that `tine.toml` in the working directory if it exists.
    pub file: Option<PathBuf>,
    pub environment: BTreeMap<String, String>,
    /// The flags that were given: option key to its texts, one per repetition.
    pub flags: BTreeMap<&'static str, Vec<String>>,
}

/// Where an effective value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    /// `tine.toml`: the bytes of the value, and its line, from 1.
    File {
        span: std::ops::Range<usize>,
        line: usize,
    },
    Variable,
    Flag,
}

/// One option's value and source.
#[derive(Clone)]
pub struct Effective {
    pub option: &'static Opt,
    pub value: Value,
    pub source: Source,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Tcp {
        host: String,
        port: u16,
    },
    Unix {
        path: PathBuf,
        mode: u32,
    },
    /// A listening socket that the parent process left open under this number.
    Inherited(i32),
}

/// The whole configuration, checked. Fields are named after the options of [`crate::options::OPTIONS`],
/// which say their defaults, bounds and meaning.
#[derive(Clone, Default)]
pub struct Settings {
    pub host: String,
    pub port: u16,
    pub uds: Option<PathBuf>,
    pub uds_mode: u32,
    pub fd: Option<i32>,
    pub backlog: u32,
    /// Where it is when not given: see [`crate::control::place`].
    pub control: Option<PathBuf>,

    pub workers: usize,
    /// Requests in flight per worker.
    pub limit_concurrency: u32,
    /// Client connections per worker.
    pub limit_connections: usize,
    /// Per worker.
    pub limit_subscriptions: u32,
    /// 0 is never.
    pub limit_max_requests: u64,
    pub limit_max_requests_jitter: u64,
    /// Bytes; 0 is never.
    pub limit_memory: usize,

    /// Bytes.
    pub limit_head_size: usize,
    /// Bytes.
    pub limit_body_size: usize,

    pub timeout_statement: Duration,
    pub timeout_request: Duration,
    pub timeout_graceful_shutdown: Duration,
    pub timeout_head: Duration,
    pub timeout_keep_alive: Duration,
    pub timeout_queue: Duration,
    pub timeout_boot: Duration,
    pub timeout_heartbeat: Duration,

    /// Each starts with a slash and ends without one.
    pub paths: Vec<String>,
    pub server_name: String,
    pub server_title: Option<String>,
    pub server_version: String,
    pub instructions: Option<String>,
    pub list_page_size: usize,
    pub list_ttl: Duration,
    /// `auto`, `public` or `private`; see [`Settings::list_is_private`].
    pub list_scope: String,
    /// Starts with a slash and ends without one.
    pub health_path: String,
    /// Empty: all databases; see [`Settings::health_databases`].
    pub health_databases: Vec<String>,
    pub health_service: Option<String>,

    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub tokens_file: Option<PathBuf>,
    pub token_env: Option<String>,

    pub toolsets: Vec<PathBuf>,
    pub default_toolset: Option<String>,
    pub db_connections: usize,
    pub env_file: Option<PathBuf>,

    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub log_level: String,
    /// `text` or `json`.
    pub log_format: String,
    /// `all`, `failed` or `none`.
    pub log_calls: String,

    /// `[databases.NAME]`, in the file's order: the first is that of tools which name none.
    pub databases: Vec<Database>,
    /// `[log]`
    pub log_table: Option<LogTable>,
    /// `[programs.NAME]`: what tools may run.
    pub programs: BTreeMap<String, Program>,
    /// `[brokers.NAME]`: where tools may publish.
    pub brokers: Vec<Broker>,
    /// `[http] private`: private addresses that tools may reach.
    pub http_private: Vec<Network>,
    /// `[settings]`: free values that tools may bind.
    pub values: BTreeMap<String, String>,
    /// Variables of the environment and, below them, of `env_file`. Never shown.
    pub environment: BTreeMap<String, String>,
    /// From the tokens file, and from `TINE_TOKEN` and the variable `token_env` under the name `environment`.
    pub tokens: Vec<Token>,

    /// The `tine.toml` that was read.
    pub file: Option<PathBuf>,
    /// Every option's value with its source, in the table's order.
    pub effective: Vec<Effective>,
    /// What is odd but not wrong.
    pub warnings: Vec<Fault>,
}

impl Settings {
    /// Reads, merges and checks everything. The same inputs and files with the same record give the same settings.
    ///
    /// # Errors
    /// All faults found, each with its place.
    pub fn load(inputs: &Inputs, files: &Files) -> Result<Settings, ConfigError> {
        load::load(inputs, files)
    }

    /// One option's value, however wrong everything else is, and the file that was read or should have been.
    pub fn only(key: &str, inputs: &Inputs) -> (Value, Option<PathBuf>) {
        load::only(key, inputs)
    }

    /// These options alone, however wrong everything else is; the others have no value. For who needs only them, and may not
    /// read what the server may, such as its tokens.
    ///
    /// # Errors
    /// The file can't be read, or the value of one of them is wrong.
    pub fn part(keys: &[&str], inputs: &Inputs, files: &Files) -> Result<Settings, ConfigError> {
        load::part(keys, inputs, files)
    }

    /// Where to listen: an inherited socket, else a unix socket, else TCP.
    pub fn listen(&self) -> Listen {
        match (self.fd, &self.uds) {
            (Some(fd), _) => Listen::Inherited(fd),
            (None, Some(path)) => Listen::Unix {
                path: path.clone(),
                mode: self.uds_mode,
            },
            (None, None) => Listen::Tcp {
                host: self.host.clone(),
                port: self.port,
            },
        }
    }

    /// When a worker that hasn't stopped gets SIGABRT, counted from the stop.
    pub fn abort_after(&self) -> Duration {
        self.timeout_graceful_shutdown + Duration::from_secs(2)
    }

    /// When it gets SIGKILL.
    pub fn kill_after(&self) -> Duration {
        self.timeout_graceful_shutdown + Duration::from_secs(3)
    }

    /// When the master itself has exited at the latest.
    pub fn exit_after(&self) -> Duration {
        self.timeout_graceful_shutdown + Duration::from_secs(5)
    }

    /// Whether `tools/list` must not be shared between users (cacheScope).
    pub fn list_is_private(&self) -> bool {
        match self.list_scope.as_str() {
            "public" => false,
            "private" => true,
            _ => self.tokens.iter().any(|token| token.toolset.is_some()),
        }
    }

    /// Where a client on this host reaches the server that this configuration describes.
    ///
    /// # Errors
    /// It listens on a unix socket or an inherited one, or on a port that is chosen at its start.
    pub fn url(&self) -> Result<String, ConfigError> {
        let path = self.paths.first().map_or("/", String::as_str);
        match self.listen() {
            Listen::Tcp { host, port } if port != 0 => {
                let host = match host.as_str() {
                    "0.0.0.0" => "127.0.0.1",
                    "::" | "[::]" => "::1",
                    host => host,
                };
                let (open, close) = if host.contains(':') && !host.starts_with('[') {
                    ("[", "]")
                } else {
                    ("", "")
                };
                Ok(format!("http://{open}{host}{close}:{port}{path}"))
            }
            _ => Err(ConfigError(vec![
                Fault::error(
                    Origin::Nowhere,
                    "the configuration doesn't tell the running server's URL",
                )
                .help("give it with --url URL"),
            ])),
        }
    }

    /// The names of the databases that the health check must reach.
    pub fn health_databases(&self) -> Vec<&str> {
        let all = self.databases.iter().map(|database| database.name.as_str());
        all.filter(|name| {
            self.health_databases.is_empty()
                || self.health_databases.iter().any(|wanted| wanted == name)
        })
        .collect()
    }

    /// That there is no tool, if so: fine for a client, odd for a server.
    pub fn no_tools(&self) -> Option<Fault> {
        self.toolsets.is_empty().then(|| {
            Fault::warning(Origin::Nowhere, "no toolsets: there is no tool").help(
                "name a folder of tool files with `toolsets = [\"FOLDER\"]` in tine.toml, or with --toolset FOLDER",
            )
        })
    }

    /// The databases, every URL known.
    ///
    /// # Errors
    /// A URL's file or variable can't be read.
    pub fn require_databases(&self) -> Result<Vec<(&Database, &database::Secret)>, ConfigError> {
        let mut found = Vec::new();
        let mut faults = Vec::new();
        for database in &self.databases {
            match &database.url {
                Ok(url) => found.push((database, url)),
                Err(fault) => faults.push(fault.as_ref().clone()),
            }
        }
        if faults.is_empty() {
            Ok(found)
        } else {
            Err(ConfigError(faults))
        }
    }

    /// An option's effective value, as it would be written.
    pub fn shown(&self, key: &str) -> Option<String> {
        let mut effective = self.effective.iter();
        effective
            .find(|effective| effective.option.key == key)
            .map(|effective| effective.value.to_string())
    }

    /// Every effective value and where it came from, without credentials.
    pub fn dump(&self) -> String {
        dump::dump(self)
    }
}

/// The configuration can't be used: every fault found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Fault>);

impl ConfigError {
    /// A wrong command line when only flags are at fault, else a wrong configuration.
    pub fn exit(&self) -> Exit {
        let flags = self
            .0
            .iter()
            .all(|fault| matches!(fault.origin, Origin::Flag(_)));
        if flags {
            Exit::Usage
        } else {
            Exit::Configuration
        }
    }

    /// The faults one below the other, coloured for a terminal or not.
    pub fn render(&self, colour: bool) -> String {
        let faults: Vec<String> = self.0.iter().map(|fault| fault.render(colour)).collect();
        faults.join("\n\n")
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigError {}
