//! `tine serve`: from checked settings to a running pool. Everything that can be wrong with configuration, tools or address is
//! found here, before the first fork; the tools are loaded once, so that all workers of a generation share them and their memory.

use std::fmt::Display;
use std::sync::Arc;

use tine_master::listen::{descriptor, inherited};
use tine_master::{Address, BindError, Hooks, Local, bind};
use tine_scoreboard::Scoreboard;
use tine_worker::catalog::Catalog;
use tine_worker::files::Files;
use tine_worker::settings::{Deadlines, Health, Limits};
use tine_worker::{Boot, auth, http, mcp};

use crate::config::token::Token;
use crate::config::{Listen, Settings};
use crate::exit::Exit;
use crate::fault::Severity;
use crate::logging::{self, Role};
use crate::{parts, terminal};

/// Requests on one connection before it is closed: bounds what a long-lived client can pin to one worker (nginx's default).
const KEEP_ALIVE_REQUESTS: u32 = 1000;
/// The health of the process.
const HEALTH: &str = "/health";

/// Serves until told to stop. `announce` hears where, once nothing is left that could be wrong.
pub fn run(settings: &Settings, files: &Files, announce: impl FnOnce(&str)) -> Exit {
    logging::start(&settings.log_level);
    match prepare(settings, files) {
        Ok(prepared) => start(settings, prepared, announce),
        Err(exit) => exit,
    }
}

struct Prepared {
    worker: tine_worker::Settings,
    listener: tine_master::Listener,
    board: &'static Scoreboard,
    master: tine_master::Settings,
}

// The reason for a failure has been printed.
fn prepare(settings: &Settings, files: &Files) -> Result<Prepared, Exit> {
    let catalog = load_catalog(settings, files)?;
    let worker = worker_settings(settings, files, Arc::new(catalog))?;
    let master = master_settings(settings);
    let fail = |error: &dyn Display, exit| {
        terminal::print_error(error.to_string());
        exit
    };
    master
        .check()
        .map_err(|error| fail(&error, Exit::Configuration))?;
    let slots = master.max_workers * 2;
    let board = Scoreboard::create(slots, settings.limit_concurrency);
    let board = board.map_err(|error| fail(&error, Exit::Internal))?;
    let listener = address(settings).and_then(|address| bind(address, settings.backlog));
    let listener = listener.map_err(|error| fail(&error, Exit::CannotBind))?;
    Ok(Prepared {
        worker,
        listener,
        board,
        master,
    })
}

fn start(settings: &Settings, prepared: Prepared, announce: impl FnOnce(&str)) -> Exit {
    let Prepared {
        worker,
        listener,
        board,
        master,
    } = prepared;
    logging::set_role(Role::Master);
    let local = match listener.local() {
        Local::Tcp(address) => format!(
            "http://{address}{}",
            settings.paths.first().map_or("", String::as_str)
        ),
        local => local.to_string(),
    };
    announce(&local);
    let (tools, workers) = (worker.catalog.tools().len(), master.workers);
    let worker = Arc::new(worker);
    let jitter = settings.limit_max_requests_jitter;
    let hooks = Hooks {
        ready: Box::new(move || {
            log::info!("serving {tools} tools at {local} with {workers} workers")
        }),
        ..Hooks::default()
    };
    let body = |child: tine_master::Child| {
        let slot = u16::try_from(child.slot).unwrap_or(u16::MAX);
        logging::set_role(Role::Worker {
            slot,
            generation: child.generation,
        });
        let mut settings = Arc::clone(&worker);
        if let Some(requests) = settings.limits.requests {
            // Spread by process id, so that workers which began together do not end together.
            let spread = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
            Arc::make_mut(&mut settings).limits.requests = Some(
                requests
                    + if jitter == 0 {
                        0
                    } else {
                        spread % (jitter + 1)
                    },
            );
        }
        tine_worker::run(Boot {
            settings,
            slot: child.slot,
            board: child.board,
            listener: child.listener,
            control: child.control,
        })
    };
    Exit::from_master(tine_master::run(master, board, listener, body, hooks))
}

// All faults are printed. A tool that is wrong would be missing from every bot's list, so nothing is served.
fn load_catalog(settings: &Settings, files: &Files) -> Result<Catalog, Exit> {
    let (catalog, mut faults) = parts::catalog(settings, files);
    faults.extend(parts::unknown_toolsets(settings, &catalog));
    terminal::print_faults(&faults);
    if faults.iter().any(|fault| fault.severity == Severity::Error) {
        terminal::print_error(
            "not serving: a tool file or the name of a toolset is wrong (`tine check` tells the same, and more)",
        );
        return Err(Exit::Configuration);
    }
    Ok(catalog)
}

fn worker_settings(
    settings: &Settings,
    files: &Files,
    catalog: Arc<Catalog>,
) -> Result<tine_worker::Settings, Exit> {
    let databases = parts::databases(settings, files).map_err(|error| {
        terminal::print_config_error(&error);
        error.exit()
    })?;
    Ok(tine_worker::Settings {
        limits: Limits {
            concurrency: settings.limit_concurrency,
            connections: settings.limit_connections,
            requests: (settings.limit_max_requests > 0).then_some(settings.limit_max_requests),
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
        catalog,
        default_toolset: settings.default_toolset.clone(),
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

fn address(settings: &Settings) -> Result<Address, BindError> {
    // A socket from the service manager goes before any setting: it is already bound.
    if let Some(fd) = inherited()? {
        return Ok(Address::Inherited(fd));
    }
    Ok(match settings.listen() {
        Listen::Tcp { host, port } => Address::Tcp { host, port },
        Listen::Unix { path, mode } => Address::Unix { path, mode },
        Listen::Inherited(number) => Address::Inherited(descriptor(number)?),
    })
}
