//! Tools of the configured files, called in this process: the catalog, the checks and the database connections are the
//! server's own, for one call. Knows no HTTP and forks nothing.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::{Events, Poll, Token, Waker};
use serde_json::Value;
use tine_worker::blocking::Cancel;
use tine_worker::catalog::{Builtin, Caller, Catalog, Era, Outcome, Step, Tool, Toolset, Work};
use tine_worker::db::{self, DbError, Event, Job, Pool, Rows};
use tine_worker::effects::{self, Act, Whose};
use tine_worker::files::Files;
use tine_worker::mcp::{self, Caching, Listed, Prepared, ServerInfo};

use crate::config::{ConfigError, Settings};
use crate::fault::{Fault, Severity};
use crate::parts;

/// The configuration's tools.
pub struct Local {
    settings: Settings,
    files: Files,
    catalog: Catalog,
    faults: Vec<Fault>,
    user: Option<String>,
}

/// Why a call has no result, not even an error of the tool.
#[derive(Debug)]
pub enum LocalError {
    /// There is no such tool.
    NoTool(String),
    /// The database's URL is missing or unusable, or the arguments are no object.
    Config(ConfigError),
    /// The database can't be reached. Nothing was run.
    Unreachable { database: String, reason: String },
    /// The operating system refused a poll or a pipe.
    System(io::Error),
    /// The tool tells what only a running server knows.
    NeedsServer(String),
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LocalError::NoTool(name) => write!(f, "there is no tool {name}"),
            LocalError::Config(error) => error.fmt(f),
            LocalError::Unreachable { database, reason } => {
                write!(f, "can't reach database {database}: {reason}")
            }
            LocalError::System(error) => write!(f, "can't wait for the database: {error}"),
            LocalError::NeedsServer(name) => write!(
                f,
                "{name} tells about a running server: call it with --running or --url URL"
            ),
        }
    }
}

impl std::error::Error for LocalError {}

impl Local {
    /// Reads all tool files. Faults cost the tools of their files only: see [`Local::faults`].
    pub fn open(settings: Settings, files: Files, user: Option<String>) -> Local {
        let (catalog, faults) = parts::catalog(&settings, &files);
        Local {
            settings,
            files,
            catalog,
            faults,
            user,
        }
    }

    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Whether tools are missing, because their files are wrong.
    pub fn is_incomplete(&self) -> bool {
        self.faults
            .iter()
            .any(|fault| fault.severity == Severity::Error)
    }

    /// What a client finds at the server's path itself. A default toolset that doesn't exist is `serve`'s and `check`'s to
    /// tell; here all tools stand in for it.
    fn toolset(&self) -> Option<&Toolset> {
        let default = self.settings.default_toolset.as_deref();
        self.catalog
            .toolset(default)
            .or_else(|| self.catalog.toolset(None))
    }

    /// Every tool as `tools/list` shows it.
    pub fn tools(&self) -> Vec<Value> {
        // The catalog has rendered them as JSON.
        let tools = self.toolset().map_or(&[][..], Toolset::tools).iter();
        tools
            .filter_map(|tool| serde_json::from_slice(tool.definition(Era::Legacy)).ok())
            .collect()
    }

    /// The result object of one call, as a server would answer it.
    ///
    /// # Errors
    /// See [`LocalError`].
    pub fn call(&self, name: &str, arguments: &Value) -> Result<Value, LocalError> {
        let tool = self.catalog.tools().iter().find(|tool| tool.name == name);
        let tool = tool.ok_or_else(|| LocalError::NoTool(name.to_owned()))?;
        let outcome = self.outcome(tool, arguments)?;
        let server = ServerInfo {
            name: String::new(),
            title: None,
            version: String::new(),
        };
        let prepared = Prepared::new(
            &server,
            None,
            &Caching {
                ttl_ms: 0,
                public: false,
            },
            Listed {
                hash: "",
                list_changed: false,
            },
        );
        let reply = mcp::call_result("1", Era::Legacy, &prepared, &outcome, None);
        let mut message: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        Ok(message
            .get_mut("result")
            .map(Value::take)
            .unwrap_or_default())
    }

    fn outcome(&self, tool: &Arc<Tool>, arguments: &Value) -> Result<Outcome, LocalError> {
        let host = nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let caller = Caller {
            user: self.user.as_deref(),
            token: None,
            now: jiff::Timestamp::now(),
            host: &host,
        };
        let arguments = serde_json::value::to_raw_value(arguments).ok();
        match tool.bind(arguments.as_deref(), &caller) {
            Err(refusal) => Ok(refusal.outcome),
            Ok(Work::Builtin(Builtin::Pool)) => Err(LocalError::NeedsServer(tool.name.clone())),
            Ok(Work::Builtin(builtin)) => match self.toolset() {
                Some(toolset) => Ok(toolset.builtin(&builtin)),
                None => Err(LocalError::NeedsServer(tool.name.clone())),
            },
            Ok(Work::Sql(mut call)) => {
                let deadline = Instant::now() + self.settings.timeout_request;
                loop {
                    let database = self.database(call.database().unwrap_or_default())?;
                    let name = database.name.clone();
                    let answer = match run(database, call.job(deadline)) {
                        Ok(Err(DbError::Unavailable(reason))) => {
                            return Err(LocalError::Unreachable {
                                database: name,
                                reason,
                            });
                        }
                        answer => answer.map_err(LocalError::System)?,
                    };
                    match tool.answered(&mut call, answer) {
                        Step::Done(outcome) => return Ok(outcome),
                        Step::Act(acts) => {
                            let outcomes = self.act(tool, &acts, deadline)?;
                            tool.acted(&mut call, &outcomes);
                        }
                    }
                }
            }
            Ok(Work::Effect(acts)) => {
                let deadline = Instant::now() + self.settings.timeout_request;
                Ok(tool.told(self.act(tool, &acts, deadline)?))
            }
        }
    }

    fn act(
        &self,
        tool: &Tool,
        acts: &[Act],
        deadline: Instant,
    ) -> Result<Vec<effects::Outcome>, LocalError> {
        let settings = parts::effects(&self.settings, &self.files).map_err(LocalError::Config)?;
        let nobody = Cancel::default();
        let whose = Whose {
            tool: tool.name.clone(),
            ..Whose::default()
        };
        Ok(effects::perform(acts, &settings, deadline, &nobody, &whose))
    }

    /// One database, so that a missing URL of another one is no obstacle.
    fn database(&self, name: &str) -> Result<db::Settings, LocalError> {
        let mut settings = self.settings.clone();
        settings.databases.retain(|database| database.name == name);
        let databases = parts::databases(&settings, &self.files).map_err(LocalError::Config)?;
        databases
            .into_iter()
            .next()
            .ok_or_else(|| LocalError::Unreachable {
                database: name.to_owned(),
                reason: "it is not configured".to_owned(),
            })
    }
}

/// Runs one job on a pool of its own, and waits for it.
fn run(mut database: db::Settings, job: Job) -> io::Result<Result<Rows, DbError>> {
    const WAKER: Token = Token(0);
    database.options.connections = 1;
    let mut poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let mut pool = Pool::new(database, WAKER.0 + 1, waker);
    let mut ready = Events::with_capacity(16);
    let mut told = Vec::new();
    pool.submit(poll.registry(), Instant::now(), job, &mut told);
    loop {
        for event in told.drain(..) {
            match event {
                Event::Done(_, answer) => {
                    pool.close();
                    return Ok(answer);
                }
                Event::Notice(_, notice) => {
                    eprintln!("{}: {}", notice.severity.to_lowercase(), notice.message)
                }
                Event::Probed(_) => {}
            }
        }
        let now = Instant::now();
        let patience = pool
            .next_deadline()
            .map(|at| at.saturating_duration_since(now));
        match poll.poll(&mut ready, patience) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let now = Instant::now();
        for event in &ready {
            match event.token() {
                WAKER => pool.woken(poll.registry(), now, &mut told),
                token => pool.ready(poll.registry(), now, token.0, event, &mut told),
            }
        }
        pool.tick(poll.registry(), now, &mut told);
    }
}
