//! What one worker does, from the first byte of a request to the last of its answer:
//! `listener → clients → http (head, body) → requests → mcp (era, method) → catalog (tool) → calls → db → reply`.
//! One thread, one loop; the master is known only as a control channel and a line of the scoreboard.

mod acting;
mod admission;
pub mod auth;
pub mod blocking;
mod call_stream;
mod calls;
pub mod catalog;
mod client;
mod clients;
mod connection;
pub mod db;
mod drain;
pub mod effects;
mod event_loop;
pub mod files;
mod guard;
mod health;
pub mod http;
mod listener;
pub mod log_table;
pub mod mcp;
pub mod pairs;
mod probing;
mod progress;
mod record;
mod records;
mod recycle;
mod request_id;
mod requests;
mod route;
mod served;
pub mod settings;
mod signals;
mod subscriptions;
#[cfg(test)]
mod testing;
mod timers;
mod token;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use mio::unix::SourceFd;
use mio::{Interest, Poll, Token, Waker};
use slab::Slab;
use tine_scoreboard::Scoreboard;
use tine_scoreboard::control::{Channel, ToMaster};

use admission::Mode;
use event_loop::{Ended, Worker};
use listener::Listener;
pub use record::TARGET as RECORDS;
use request_id::RequestIds;
pub use settings::Settings;
use signals::Signals;

/// What a forked worker starts from.
pub struct Boot {
    pub settings: Arc<Settings>,
    pub slot: usize,
    pub board: &'static Scoreboard,
    pub listener: OwnedFd,
    pub control: Channel,
}

/// Exit codes that the master understands.
pub mod exit {
    /// Drained, or replaced.
    pub const CLEAN: i32 = 0;
    /// This boot failed; another may succeed.
    pub const TRANSIENT: i32 = 4;
}

/// Why a worker could not start or go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// What was being done, and what the system said.
    System(&'static str, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error::System(what, error) = self;
        write!(out, "cannot {what}: {error}")
    }
}

impl std::error::Error for Error {}

/// Serves until the master, a signal, or the master's death ends it; the process's exit code.
pub fn run(boot: Boot) -> i32 {
    let mut worker = match assemble(boot) {
        Ok(worker) => worker,
        Err((error, control)) => {
            log::error!("worker cannot start: {error}");
            let _ = control.send(&ToMaster::BootFailed { fatal: false });
            return exit::TRANSIENT;
        }
    };
    let ended = worker.run();
    let code = match ended {
        Ok(Ended::Drained) => exit::CLEAN,
        Ok(Ended::Aborted) => {
            let aborted = worker.slot().counters.aborted.get();
            log::warn!("the drain's deadline passed: {aborted} requests were given up");
            exit::CLEAN
        }
        Err(error) => {
            log::error!("worker cannot go on: the poll failed: {error}");
            exit::TRANSIENT
        }
    };
    worker.flush_log();
    worker.pools.iter_mut().for_each(db::Pool::close);
    worker.blocking.close();
    worker.slot().hot.set_phase(tine_scoreboard::Phase::Done);
    code
}

fn assemble(boot: Boot) -> Result<Worker, (Error, Channel)> {
    let Boot {
        settings,
        slot,
        board,
        listener,
        control,
    } = boot;
    match sources(listener, &control) {
        Err(error) => Err((error, control)),
        Ok(Sources {
            poll,
            waker,
            listener,
            signals,
            request_ids,
        }) => {
            let now = Instant::now();
            let catalog = settings.catalog_digest();
            board.slot(slot).hot.set_catalog(catalog);
            let asked = settings
                .databases
                .iter()
                .map(|database| settings.health.databases.contains(&database.name))
                .collect();
            // The log table's comes last, so that a tool's database has the number that the settings give it.
            let log = settings.log_table.as_ref();
            let pools: Vec<db::Pool> = (settings.databases.iter())
                .chain(log.map(|log| &log.database))
                .enumerate()
                .map(|(number, database)| {
                    db::Pool::new(database.clone(), token::pool(number), Arc::clone(&waker))
                })
                .collect();
            let log_writer =
                log.map(|log| log_table::Writer::begin(log, settings.databases.len(), now));
            Ok(Worker {
                request_ids,
                served: served::served(&settings),
                db_events: pools.iter().map(|_| Vec::new()).collect(),
                log_writer,
                health: health::Watch::new(asked),
                settings,
                board,
                slot_number: slot,
                poll,
                listener: Some(listener),
                control,
                signals,
                clients: Slab::new(),
                generations: Vec::new(),
                timers: timers::Timers::default(),
                pools,
                jobs: HashMap::new(),
                blocking: blocking::Blocking::new(Arc::clone(&waker)),
                tickets: HashMap::new(),
                waiting: VecDeque::new(),
                subscriptions: 0,
                catalog,
                mode: Mode::Serving,
                waited_since: None,
                inflight: 0,
                requests: 0,
                wish: recycle::Wish::default(),
                memory: recycle::Memory::default(),
                started: now,
                stalled: None,
                draining: None,
                now,
                date: http::Date::new(),
                unix_seconds: jiff::Timestamp::now().as_second(),
                host: nix::unistd::gethostname()
                    .ok()
                    .and_then(|name| name.into_string().ok())
                    .unwrap_or_default(),
                scratch: Box::new([0; client::READ_SCRATCH]),
                last_tick: now,
            })
        }
    }
}

struct Sources {
    poll: Poll,
    waker: Arc<Waker>,
    listener: Listener,
    signals: Signals,
    request_ids: RequestIds,
}

// Everything that can fail: made before the worker exists, so that a failed boot can still be told to the master.
fn sources(listener: OwnedFd, control: &Channel) -> Result<Sources, Error> {
    let failed = |what| move |error| Error::System(what, error);
    let poll = Poll::new().map_err(failed("create an epoll instance"))?;
    let waker =
        Waker::new(poll.registry(), Token(token::WAKER)).map_err(failed("create a waker"))?;
    let signals = Signals::install().map_err(failed("install signal handlers"))?;
    let request_ids = RequestIds::new().map_err(failed("read /dev/urandom"))?;
    let listener = Listener::new(listener, poll.registry(), Token(token::LISTENER))
        .map_err(failed("use the listener"))?;
    let watch = |fd: i32, token| {
        poll.registry()
            .register(&mut SourceFd(&fd), Token(token), Interest::READABLE)
    };
    watch(signals.stream.as_raw_fd(), token::SIGNALS).map_err(failed("watch signals"))?;
    watch(control.as_raw_fd(), token::CONTROL).map_err(failed("watch the master"))?;
    // One that has no descriptor left for a client would be ready and serve nobody.
    let spare = control.as_fd().try_clone_to_owned();
    drop(spare.map_err(failed("have a descriptor for a client"))?);
    Ok(Sources {
        poll,
        waker: Arc::new(waker),
        listener,
        signals,
        request_ids,
    })
}
