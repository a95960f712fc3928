//! One configuration with everything that it names, ready to be served: from the command line, the environment and files, or from the
//! record that another process made of the same files. Knows no process.

use std::sync::Arc;

use tine_worker::catalog::Catalog;
use tine_worker::files::Files;
use tine_worker::settings::{Deadlines, Health, Limits, LogCalls};
use tine_worker::{auth, http, mcp};

use crate::config::token::Token;
use crate::config::{ConfigError, Inputs, Settings};
use crate::exit::Exit;
use crate::fault::{Fault, Origin, Severity};
use crate::parts;

/// Requests on one connection before it is closed: bounds what a long-lived client can pin to one worker (nginx's default).
const KEEP_ALIVE_REQUESTS: u32 = 1000;
/// The health of the process.
pub const HEALTH: &str = "/health";

/// Options that take effect once, when the server starts.
const FIXED: [&str; 7] = [
    "host", "port", "uds", "uds_mode", "fd", "backlog", "control",
];

/// What workers are forked with.
pub struct Generation {
    pub settings: Settings,
    pub worker: Arc<tine_worker::Settings>,
    pub master: tine_master::Settings,
    /// What is odd, but no fault.
    pub warnings: Vec<Fault>,
}

/// Why there is none.
pub struct Refusal {
    pub faults: Vec<Fault>,
    pub exit: Exit,
    /// A tool is at fault, or the name of a toolset: `tine check` tells more.
    pub tools: bool,
}

impl Generation {
    /// Reads everything and checks it.
    ///
    /// # Errors
    /// All faults, warnings too.
    pub fn load(inputs: &Inputs, files: &Files) -> Result<Generation, Refusal> {
        Generation::of(Settings::load(inputs, files)?, files)
    }

    /// What these settings name. A tool that is wrong would be missing from every bot's list, so then there is nothing to serve.
    ///
    /// # Errors
    /// All faults, warnings too.
    pub fn of(settings: Settings, files: &Files) -> Result<Generation, Refusal> {
        let (catalog, mut faults) = parts::catalog(&settings, files);
        faults.extend(parts::unknown_toolsets(&settings, &catalog));
        if faults.iter().any(|fault| fault.severity == Severity::Error) {
            return Err(Refusal {
                faults,
                exit: Exit::Configuration,
                tools: true,
            });
        }
        let worker = Arc::new(worker_settings(&settings, files, Arc::new(catalog))?);
        let master = master_settings(&settings);
        master
            .check()
            .map_err(|error| ConfigError(vec![Fault::error(Origin::Nowhere, error.to_string())]))?;
        Ok(Generation {
            settings,
            worker,
            master,
            warnings: faults,
        })
    }

    /// That nothing has changed which takes effect at the start only. `passed`: somebody else has bound the socket, so that
    /// where to listen is no setting.
    ///
    /// # Errors
    /// What has, and what to do.
    pub fn keeps(&self, started: &Settings, passed: bool) -> Result<(), Refusal> {
        let changed = FIXED.iter().filter(|key| !passed || **key == "control");
        let changed = changed.filter_map(|key| {
            let (now, then) = (self.settings.shown(key)?, started.shown(key)?);
            let text = format!("{key} is {now} now, but was {then} when the server started");
            let fault = Fault::error(Origin::Nowhere, text);
            (now != then).then(|| fault.help("restart the server to change it, or set it back"))
        });
        match changed.collect::<Vec<Fault>>() {
            faults if faults.is_empty() => Ok(()),
            faults => Err(ConfigError(faults).into()),
        }
    }
}

impl Refusal {
    /// In one line: the first fault, and how many there are more.
    pub fn line(&self) -> String {
        let errors = self.faults.iter();
        let errors = errors.filter(|fault| fault.severity == Severity::Error);
        let mut lines = errors.map(Fault::line);
        let first = lines.next().unwrap_or_default();
        match lines.count() {
            0 => first,
            more => format!("{first} (and {more} more; `tine check` tells all)"),
        }
    }
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Refusal {
        Refusal {
            exit: error.exit(),
            faults: error.0,
            tools: false,
        }
    }
}

fn worker_settings(
    settings: &Settings,
    files: &Files,
    catalog: Arc<Catalog>,
) -> Result<tine_worker::Settings, ConfigError> {
    let databases = parts::databases(settings, files)?;
    let log_table = parts::log_table(settings, files)?;
    Ok(tine_worker::Settings {
        limits: Limits {
            concurrency: settings.limit_concurrency,
            connections: settings.limit_connections,
            subscriptions: settings.limit_subscriptions,
            requests: (settings.limit_max_requests > 0).then_some(settings.limit_max_requests),
            memory: (settings.limit_memory > 0).then_some(settings.limit_memory as u64),
            keep_alive_requests: KEEP_ALIVE_REQUESTS,
        },
        deadlines: Deadlines {
            head: settings.timeout_head,
            keep_alive: settings.timeout_keep_alive,
            request: settings.timeout_request,
            queue: settings.timeout_queue,
            drain: settings.timeout_graceful_shutdown,
        },
        http: http::Limits {
            head_bytes: settings.limit_head_size,
            body_bytes: settings.limit_body_size,
            ..http::Limits::default()
        },
        paths: settings.paths.clone(),
        health: Health {
            path: HEALTH.to_owned(),
            database_path: settings.health_path.clone(),
            databases: settings
                .health_databases()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            service: settings
                .health_service
                .clone()
                .unwrap_or_else(|| settings.server_name.clone()),
        },
        allowed: auth::Allowed {
            hosts: settings.allowed_hosts.clone(),
            origins: settings.allowed_origins.clone(),
        },
        tokens: auth::Tokens(settings.tokens.iter().map(token).collect()),
        server: mcp::ServerInfo {
            name: settings.server_name.clone(),
            title: settings.server_title.clone(),
            version: settings.server_version.clone(),
        },
        instructions: settings.instructions.clone(),
        caching: mcp::Caching {
            ttl_ms: u64::try_from(settings.list_ttl.as_millis()).unwrap_or(u64::MAX),
            public: !settings.list_is_private(),
        },
        databases,
        effects: Arc::new(parts::effects(settings, files)?),
        catalog,
        default_toolset: settings.default_toolset.clone(),
        log_table,
        log_calls: match settings.log_calls.as_str() {
            "failed" => LogCalls::Failed,
            "none" => LogCalls::None,
            _ => LogCalls::All,
        },
    })
}

fn token(token: &Token) -> auth::Token {
    auth::Token {
        name: token.name.clone(),
        sha256: token.sha256,
        user: token.user.clone(),
        toolset: token.toolset.clone(),
    }
}

fn master_settings(settings: &Settings) -> tine_master::Settings {
    tine_master::Settings {
        workers: settings.workers,
        max_workers: settings
            .workers
            .max(tine_master::Settings::default().max_workers),
        boot_timeout: settings.timeout_boot,
        heartbeat_timeout: settings.timeout_heartbeat,
        ..tine_master::Settings::default()
    }
    .with_drain(settings.timeout_graceful_shutdown)
}
