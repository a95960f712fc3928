//! One worker: its state, and the loop that turns readiness into work. What the work is stands in the neighbouring rooms
//! (`clients`, `requests`, `calls`, `drain`), each an `impl Worker` of its own; this one knows only the order.
//!
//! The order within a turn is fixed: the listener first (a wake-up that is not used is lost to the siblings), then master and signals,
//! then databases (they free places), then clients, then timers, and the heartbeat last. Nothing in a turn blocks.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use slab::Slab;
use tine_scoreboard::control::{Channel, ToMaster};
use tine_scoreboard::{Scoreboard, Slot, monotonic_ns};

use crate::admission::{self, Load, Mode};
use crate::blocking::{Blocking, Ticket};
use crate::client::{Client, READ_SCRATCH};
use crate::db;
use crate::effects;
use crate::http::Date;
use crate::listener::Listener;
use crate::recycle::{Memory, Wish};
use crate::request_id::RequestIds;
use crate::served::Served;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::timers::Timers;
use crate::token::{self, Kind};

/// The longest sleep: an idle worker looks once for connections whose wake-up was lost (see `listener`), and beats its heart.
const IDLE_TURN: Duration = Duration::from_millis(100);
/// The longest sleep of a full worker: others may free a place, or somebody may be waiting.
const FULL_TURN: Duration = Duration::from_millis(10);
/// A turn that comes so much later than it should tells of a loop that stood still.
const STALL: Duration = Duration::from_millis(400);
/// How long the kernel's queue may hold somebody before a full worker accepts again: a health check that happens to wait there should
/// still be answered within 50 ms, and nobody sees so short a wait in a call.
const ATTENTION: Duration = Duration::from_millis(15);
const EVENTS: usize = 256;

pub(crate) struct Worker {
    pub settings: Arc<Settings>,
    pub served: Vec<Served>,
    pub request_ids: RequestIds,
    pub board: &'static Scoreboard,
    pub slot_number: usize,
    pub poll: Poll,
    pub listener: Option<Listener>,
    pub control: Channel,
    pub signals: Signals,
    pub clients: Slab<Client>,
    /// How often each place of the slab was used: a late event for an earlier user misses.
    pub generations: Vec<u32>,
    pub timers: Timers,
    pub pools: Vec<db::Pool>,
    /// What each pool said and nobody has looked at yet.
    pub db_events: Vec<Vec<db::Event>>,
    /// Which client waits for which job.
    pub jobs: HashMap<(usize, db::JobId), usize>,
    /// Work that blocks.
    pub blocking: Blocking<Vec<effects::Outcome>>,
    /// Which client waits for which of it.
    pub tickets: HashMap<Ticket, usize>,
    /// Clients whose calls wait for a place, oldest first.
    pub waiting: VecDeque<usize>,
    /// Open subscriptions.
    pub subscriptions: u32,
    /// Which lists of tools this worker serves; see [`Settings::catalog_digest`].
    pub catalog: u64,
    pub health: crate::health::Watch,
    pub log_writer: Option<crate::log_table::Writer>,
    pub mode: Mode,
    /// Since when this worker is full and the kernel's queue was never found empty.
    pub waited_since: Option<Instant>,
    pub inflight: u32,
    pub requests: u64,
    /// To be replaced.
    pub wish: Wish,
    pub memory: Memory,
    pub started: Instant,
    /// When the loop last went on after it had stood still, because the process was stopped or got no processor.
    pub stalled: Option<Instant>,
    pub draining: Option<Instant>,
    pub now: Instant,
    pub date: Date,
    /// The wall clock of the last tick.
    pub unix_seconds: i64,
    pub host: String,
    pub scratch: Box<[u8; READ_SCRATCH]>,
    pub last_tick: Instant,
}

/// How the worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything that was accepted is answered.
    Drained,
    /// The drain's deadline passed with requests unanswered.
    Aborted,
}

impl Worker {
    pub fn slot(&self) -> &'static Slot {
        self.board.slot(self.slot_number)
    }

    /// Serves until a drain is over.
    ///
    /// # Errors
    /// Only when the poll itself fails, which leaves nothing to go on with.
    pub fn run(&mut self) -> io::Result<Ended> {
        let mut events = Events::with_capacity(EVENTS);
        self.now = Instant::now();
        self.watch_databases();
        // Before anybody can be served: a stop treats a worker that is not ready as one without clients.
        if self.control.send(&ToMaster::Ready).is_err() {
            self.begin_drain(self.settings.deadlines.drain);
        } else {
            self.arm();
        }
        self.publish();
        loop {
            match self.poll.poll(&mut events, Some(self.sleep())) {
                Err(error) if error.kind() == ErrorKind::Interrupted => events.clear(),
                other => other?,
            }
            let before = std::mem::replace(&mut self.now, Instant::now());
            if self.now.duration_since(before) > IDLE_TURN + STALL {
                self.stalled = Some(self.now);
            }
            self.turn(&events);
            if let Some(deadline) = self.draining {
                if self.clients.is_empty() {
                    return Ok(Ended::Drained);
                }
                if self.now >= deadline {
                    let unanswered = self.abandon_all();
                    return Ok(if unanswered == 0 {
                        Ended::Drained
                    } else {
                        Ended::Aborted
                    });
                }
            }
        }
    }

    /// Works through what one poll has brought, and what is due.
    pub fn turn(&mut self, events: &Events) {
        for event in events {
            if token::kind(event.token().0) == Kind::Listener {
                self.accept_one();
            }
        }
        for event in events {
            let key = event.token().0;
            match token::kind(key) {
                Kind::Control => self.read_control(),
                Kind::Signals => self.read_signals(),
                Kind::Waker => {
                    self.wake_pools();
                    self.take_effects();
                }
                Kind::Database(pool) => {
                    let registry = self.poll.registry();
                    if let (Some(pool), Some(events)) =
                        (self.pools.get_mut(pool), self.db_events.get_mut(pool))
                    {
                        pool.ready(registry, self.now, key, event, events);
                    }
                }
                Kind::Listener | Kind::Client => {}
            }
        }
        self.deliver();
        for event in events {
            let key = event.token().0;
            if token::kind(key) == Kind::Client {
                self.guarded(key, |worker| worker.client_event(key, event));
            }
        }
        self.expire();
        if self.now.duration_since(self.last_tick) >= IDLE_TURN {
            self.tick();
        }
        self.deliver();
        self.admit_waiting();
        self.write_log();
        self.deliver();
        self.recycle_if_due();
        self.adjust();
        self.publish();
        log::logger().flush();
    }

    fn wake_pools(&mut self) {
        for (pool, events) in self.pools.iter_mut().zip(&mut self.db_events) {
            pool.woken(self.poll.registry(), self.now, events);
        }
    }

    // Everything whose time has come, of databases and clients.
    fn expire(&mut self) {
        for (pool, events) in self.pools.iter_mut().zip(&mut self.db_events) {
            if pool
                .next_deadline()
                .is_some_and(|deadline| deadline <= self.now)
            {
                pool.tick(self.poll.registry(), self.now, events);
            }
        }
        // What a database has just given up on is told in its own words, before the client's patience ends in the same turn.
        self.deliver();
        while let Some(entry) = self.timers.pop(self.now) {
            let key = entry.1;
            let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
                continue;
            };
            if self.timers.due(&mut client.timer, entry, self.now) {
                self.guarded(key, |worker| worker.expired(key));
            }
        }
    }

    // Ten times a second at the least: what need not be exact.
    fn tick(&mut self) {
        self.last_tick = self.now;
        self.unix_seconds = jiff::Timestamp::now().as_second();
        if self.draining.is_none() {
            self.arm();
            self.rescue();
        }
        if self.subscriptions > 0 {
            self.tell_subscribers();
        }
        self.watch_databases();
        self.watch_memory();
        self.watch_pools();
        self.watch_blocking();
        let oldest = self
            .clients
            .iter()
            .filter_map(|(_, client)| client.work.as_ref())
            .map(|work| work.started)
            .min();
        let oldest_ns = oldest.map_or(0, |start| {
            monotonic_ns()
                .saturating_sub(self.now.duration_since(start).as_nanos() as u64)
                .max(1)
        });
        self.slot().hot.set_oldest_start_ns(oldest_ns);
    }

    fn sleep(&self) -> Duration {
        let mut until = self.now + IDLE_TURN;
        if !self.waiting.is_empty() || self.mode == Mode::Parked {
            until = until.min(self.now + FULL_TURN);
        }
        let deadlines = self
            .pools
            .iter()
            .filter_map(db::Pool::next_deadline)
            .chain(self.timers.next())
            .chain(self.draining);
        deadlines
            .fold(until, Instant::min)
            .saturating_duration_since(self.now)
    }

    /// Follows the load with the listener: armed, parked or rejecting.
    pub fn adjust(&mut self) {
        if self.draining.is_some() {
            return;
        }
        let full = self.inflight >= self.settings.limits.concurrency;
        // The queue and the siblings are asked only when it matters: it costs a system call, and other cores' cache lines.
        let pending = full && self.listener.as_ref().is_some_and(Listener::pending);
        if !pending {
            self.waited_since = None;
        }
        let kept_waiting = pending && self.mode != Mode::Rejecting && {
            let since = *self.waited_since.get_or_insert(self.now);
            self.now.duration_since(since) >= ATTENTION.min(self.settings.deadlines.queue)
        };
        let leaving = self.mode == Mode::Rejecting && full && !pending;
        let room_elsewhere = leaving && self.board.places_elsewhere(self.slot_number) > 0;
        let mode = admission::step(
            self.mode,
            Load {
                full,
                pending,
                kept_waiting,
                room_elsewhere,
            },
        );
        if mode != self.mode {
            log::debug!(
                "{:?} -> {mode:?} with {} calls in flight",
                self.mode,
                self.inflight
            );
            self.mode = mode;
            self.arm();
        }
    }

    /// Arms or disarms the listener as mode and connection count say.
    pub fn arm(&mut self) {
        let room = self.clients.len() < self.settings.limits.connections || self.evictable();
        let wanted = self.mode != Mode::Parked && room && self.draining.is_none();
        let Some(listener) = &mut self.listener else {
            return;
        };
        let done = if wanted {
            listener.arm(self.now)
        } else {
            listener.disarm()
        };
        if let Err(error) = done {
            log::error!(
                "cannot {} the listener: {error}; trying again",
                if wanted { "arm" } else { "leave" }
            );
        }
    }

    fn publish(&mut self) {
        let hot = &self.slot().hot;
        hot.inflight.set(self.inflight);
        hot.connections.set(self.clients.len() as u32);
        hot.subscriptions.set(self.subscriptions);
        hot.set_armed(self.listener.as_ref().is_some_and(Listener::armed));
        hot.set_phase(if self.draining.is_some() {
            tine_scoreboard::Phase::Draining
        } else {
            self.mode.into()
        });
        hot.beat(monotonic_ns());
    }
}
