//! The pool of one database in one worker: a bounded queue before a few connections, opened as they are needed. This
//! file is what the loop sees; `pool/calls.rs` runs calls, `pool/cancels.rs` ends them early, `pool/openings.rs` gets
//! connections, `pool/probes.rs` proves that the database lives. Knows nothing of tools, HTTP or MCP.
//!
//! Ideas taken: pgbouncer's last-in-first-out reuse of server connections, so that surplus ones grow idle and are
//! closed; HikariCP's rule that who waits for a connection and who waits for a statement hear different errors.

mod calls;
mod cancels;
mod openings;
mod probes;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event as Readiness;
use mio::{Registry, Token, Waker};

use super::cancel::Cancel;
use super::connection::Connection;
use super::job::{DbError, Event, Job, JobId, Statement};
use super::opening::Opening;
use super::resolve::{self, Resolver};
use super::session;
use super::settings::Settings;
use probes::Probing;

/// One visit of the loop: what it brings, and where the pool tells what happened.
struct Moment<'a> {
    registry: &'a Registry,
    now: Instant,
    out: &'a mut Vec<Event>,
}

/// A job that waits for a connection.
struct Waiting {
    id: JobId,
    job: Job,
    /// During an outage it waits no longer than this for an attempt that another job has started.
    give_up: Option<Instant>,
}

/// What a slot of the pool holds. A slot being opened is [`Pool::opening`]'s.
enum Slot {
    Empty,
    Open(Box<Connection>),
}

/// Why no connection can be had, and when to try again.
#[derive(Default)]
struct Outage {
    /// Failed attempts in a row.
    failures: u32,
    retry_at: Option<Instant>,
    last_error: Option<String>,
}

/// How a pool stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Open connections.
    pub connected: usize,
    /// Those of them that run a call.
    pub busy: usize,
    /// Jobs that wait for one.
    pub queued: usize,
    /// Why the last attempt to connect failed or the last connection was lost; `None` once one was opened again.
    pub last_error: Option<String>,
    /// When the server last answered.
    pub last_proof: Option<Instant>,
}

/// Non-blocking connections to one database, in the loop of one worker.
pub struct Pool {
    settings: Settings,
    first_token: usize,
    slots: Vec<Slot>,
    /// The cancel request of each slot's call.
    cancels: Vec<Option<Cancel>>,
    /// Slots without a call; the last one is used next.
    idle: Vec<usize>,
    queue: VecDeque<Waiting>,
    /// The one connection being opened, and its slot.
    opening: Option<(usize, Opening)>,
    probing: Probing,
    outage: Outage,
    resolver: Resolver,
    /// The server is a transaction pooler: set, or found out.
    pooler: bool,
    /// Slots whose socket has more to read.
    unread: Vec<usize>,
    probe_statement: Arc<Statement>,
    last_proof: Option<Instant>,
    next_id: u64,
    random: u64,
}

impl Pool {
    /// The most connections that [`super::Options::connections`] may ask for.
    pub const MAX_CONNECTIONS: usize = 64;
    /// Tokens that a pool uses: one for each connection and for its cancel request, one for the probe.
    pub const TOKENS: usize = 2 * Pool::MAX_CONNECTIONS + 1;

    /// A pool without connections; nothing is opened before the first job or probe. Uses the tokens from `first_token` to
    /// `first_token + Pool::TOKENS - 1`. `waker` wakes the loop when a name was resolved; the loop then calls [`Pool::woken`].
    pub fn new(settings: Settings, first_token: usize, waker: Arc<Waker>) -> Pool {
        let count = settings.options.connections;
        let seed = u64::from(std::process::id()) << 32 | first_token as u64;
        Pool {
            first_token,
            slots: (0..count).map(|_| Slot::Empty).collect(),
            cancels: (0..count).map(|_| None).collect(),
            idle: Vec::with_capacity(count),
            queue: VecDeque::new(),
            opening: None,
            probing: Probing::default(),
            outage: Outage::default(),
            resolver: Resolver::new(waker, resolve::system),
            pooler: settings.options.pooler,
            unread: Vec::new(),
            probe_statement: session::probe_statement(),
            last_proof: None,
            next_id: 1,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            settings,
        }
    }

    /// Runs the job now if a connection is free, else queues it. Its end is an [`Event::Done`], which may be in `out` already.
    pub fn submit(
        &mut self,
        registry: &Registry,
        now: Instant,
        job: Job,
        out: &mut Vec<Event>,
    ) -> JobId {
        let id = self.next_id();
        if job.deadline <= now {
            out.push(Event::Done(id, Err(DbError::QueueTimeout)));
            return id;
        }
        let at = &mut Moment { registry, now, out };
        let Some(job) = self.start_on_idle(at, id, job) else {
            return id;
        };
        if self.queue.len() >= self.settings.options.queue {
            at.out.push(Event::Done(id, Err(DbError::Overloaded)));
            return id;
        }
        let mut give_up = None;
        if self.outage.failures > 0 && self.connected() == 0 {
            if self.opening.is_some() {
                give_up = Some(now + openings::PATIENCE);
            } else if self.outage.retry_at.is_some_and(|retry_at| now < retry_at) {
                at.out.push(Event::Done(
                    id,
                    Err(DbError::Unavailable(self.outage_reason())),
                ));
                return id;
            }
        }
        self.queue.push_back(Waiting { id, job, give_up });
        self.grow(at);
        id
    }

    /// The caller of a job is gone: it leaves the queue, or its statement is cancelled. No [`Event::Done`] comes for it any more.
    pub fn cancel(&mut self, registry: &Registry, now: Instant, id: JobId, out: &mut Vec<Event>) {
        if let Some(at) = self.queue.iter().position(|waiting| waiting.id == id) {
            self.queue.remove(at);
            return;
        }
        self.hang_up(&mut Moment { registry, now, out }, id);
    }

    /// An event for one of the pool's tokens. Tokens of others are ignored.
    pub fn ready(
        &mut self,
        registry: &Registry,
        now: Instant,
        token: usize,
        event: &Readiness,
        out: &mut Vec<Event>,
    ) {
        let Some(offset) = token.checked_sub(self.first_token) else {
            return;
        };
        let at = &mut Moment { registry, now, out };
        let hung_up = event.is_read_closed() || event.is_write_closed() || event.is_error();
        if offset < Pool::MAX_CONNECTIONS {
            if self
                .opening
                .as_ref()
                .is_some_and(|(slot, _)| *slot == offset)
            {
                self.opening_ready(at, hung_up);
            } else {
                self.connection_ready(at, offset, hung_up);
            }
        } else if offset < 2 * Pool::MAX_CONNECTIONS {
            self.cancel_ready(at, offset - Pool::MAX_CONNECTIONS, hung_up);
        } else if offset == 2 * Pool::MAX_CONNECTIONS {
            self.probe_ready(at, hung_up);
        }
    }

    /// The waker fired: takes in what was resolved.
    pub fn woken(&mut self, registry: &Registry, now: Instant, out: &mut Vec<Event>) {
        while let Some(answer) = self.resolver.answer() {
            let at = &mut Moment { registry, now, out };
            self.opening_resolved(at, &answer);
            self.probe_resolved(at, &answer);
        }
    }

    /// Does what is due: deadlines, attempts, unread input, idle connections. Cheap when nothing is; call it when
    /// [`Pool::next_deadline`] has passed, or in every turn of the loop.
    pub fn tick(&mut self, registry: &Registry, now: Instant, out: &mut Vec<Event>) {
        if self.next_deadline().is_none_or(|due| now < due) {
            return;
        }
        let at = &mut Moment { registry, now, out };
        for slot in std::mem::take(&mut self.unread) {
            self.connection_ready(at, slot, false);
        }
        self.expire_queue(at);
        self.expire_calls(at);
        self.expire_opening(at);
        self.expire_probe(at);
        self.close_idle(now);
        self.grow(at);
    }

    /// When [`Pool::tick`] has something to do. In the past: now.
    pub fn next_deadline(&self) -> Option<Instant> {
        if let Some(&slot) = self.unread.first() {
            // Long past: there is work at hand.
            return self.idle_since(slot);
        }
        let queue = self.queue.iter().map(|waiting| {
            waiting
                .give_up
                .map_or(waiting.job.deadline, |at| at.min(waiting.job.deadline))
        });
        let opening = self.opening.as_ref().map(|(_, opening)| opening.deadline());
        let retry = self
            .outage
            .retry_at
            .filter(|_| !self.queue.is_empty() && self.opening.is_none() && self.has_room());
        let slots = self
            .slots
            .iter()
            .filter_map(|slot| self.slot_deadline(slot));
        queue
            .chain(opening)
            .chain(retry)
            .chain(slots)
            .chain(self.probing.deadline())
            .min()
    }

    /// Asks for a proof that the database answers; [`Event::Probed`] brings it, within about a second. An answer of the last half
    /// second counts. Otherwise an idle connection is asked, or, when there is none, one made for the purpose, which stays if
    /// there is room.
    pub fn probe(&mut self, registry: &Registry, now: Instant, out: &mut Vec<Event>) {
        self.start_probe(&mut Moment { registry, now, out });
    }

    /// Why no connection can ever be opened again in this process, if that is so: a look-up of the host's name that does not end.
    pub fn broken(&self, now: Instant) -> Option<String> {
        self.resolver.lost(now).map(|host| {
            format!(
                "database {}: the look-up of {host} has not ended",
                self.settings.name
            )
        })
    }

    /// When the server last answered.
    pub fn last_proof(&self) -> Option<Instant> {
        self.last_proof
    }

    /// How the pool stands, for health and metrics.
    pub fn status(&self) -> Status {
        Status {
            connected: self.connected(),
            busy: self.connected() - self.idle.len(),
            queued: self.queue.len(),
            last_error: self.outage.last_error.clone(),
            last_proof: self.last_proof,
        }
    }

    /// Ends all sessions without waiting. Jobs still running or queued get no event; the pool must not be used again.
    pub fn close(&mut self) {
        for slot in &mut self.slots {
            if let Slot::Open(connection) = slot {
                connection.terminate();
            }
            *slot = Slot::Empty;
        }
        self.cancels.iter_mut().for_each(|cancel| *cancel = None);
        self.idle.clear();
        self.queue.clear();
        self.unread.clear();
        self.opening = None;
        self.probing = Probing::default();
    }

    fn next_id(&mut self) -> JobId {
        let id = JobId(self.next_id);
        self.next_id += 1;
        id
    }

    fn connected(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| matches!(slot, Slot::Open(_)))
            .count()
    }

    fn connection(&mut self, slot: usize) -> Option<&mut Connection> {
        match self.slots.get_mut(slot) {
            Some(Slot::Open(connection)) => Some(connection),
            _ => None,
        }
    }

    fn idle_since(&self, slot: usize) -> Option<Instant> {
        match self.slots.get(slot) {
            Some(Slot::Open(connection)) => Some(connection.idle_since),
            _ => None,
        }
    }

    fn slot_deadline(&self, slot: &Slot) -> Option<Instant> {
        let Slot::Open(connection) = slot else {
            return None;
        };
        let Some(running) = &connection.running else {
            return Some(connection.idle_since + self.settings.options.idle_timeout);
        };
        match &running.cancelling {
            None => Some(running.job.deadline),
            Some(cancelling) if !running.delivered => Some(cancelling.answer_by),
            Some(cancelling) => Some(cancelling.close_at),
        }
    }

    fn slot_token(&self, slot: usize) -> Token {
        Token(self.first_token + slot)
    }

    fn cancel_token(&self, slot: usize) -> Token {
        Token(self.first_token + Pool::MAX_CONNECTIONS + slot)
    }

    fn probe_token(&self) -> Token {
        Token(self.first_token + 2 * Pool::MAX_CONNECTIONS)
    }

    /// A number below `bound` that differs between workers (xorshift64, Marsaglia 2003); for spreading load, not for secrets.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound.max(1)
    }

    /// Waiting jobs whose time is up.
    fn expire_queue(&mut self, at: &mut Moment<'_>) {
        let reason = self.outage_reason();
        self.queue.retain(|waiting| {
            let error = if waiting.job.deadline <= at.now {
                DbError::QueueTimeout
            } else if waiting.give_up.is_some_and(|give_up| give_up <= at.now) {
                DbError::Unavailable(reason.clone())
            } else {
                return true;
            };
            at.out.push(Event::Done(waiting.id, Err(error)));
            false
        });
    }

    /// Closes connections that nobody has needed for a while.
    fn close_idle(&mut self, now: Instant) {
        let limit: Duration = self.settings.options.idle_timeout;
        let surplus: Vec<usize> = self
            .idle
            .iter()
            .copied()
            .filter(|&slot| {
                self.idle_since(slot)
                    .is_some_and(|since| now >= since + limit)
            })
            .collect();
        for slot in surplus {
            log::debug!(
                "database {}: closing an idle connection",
                self.settings.name
            );
            if let Some(connection) = self.connection(slot) {
                connection.terminate();
            }
            self.drop_connection(slot);
        }
    }
}
