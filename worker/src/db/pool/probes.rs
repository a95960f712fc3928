//! The proof that the database lives, without disturbing it: an answer seen lately, an idle connection, or a
//! connection of its own when there is none.

use std::time::{Duration, Instant};

use super::{Moment, Outage, Pool, Slot};
use crate::db::connection::{Connection, StartFault, Turn};
use crate::db::job::{Access, DbError, Event, Job, JobId};
use crate::db::opening::{Opening, Progress, Surroundings};
use crate::db::resolve::Answer;

/// An answer this young is proof enough.
const FRESH: Duration = Duration::from_millis(500);
/// A probe is answered by then.
const LIMIT: Duration = Duration::from_millis(900);

/// The probe under way.
#[derive(Default)]
pub(super) struct Probing {
    /// How many asked and wait for the same answer.
    waiting: usize,
    deadline: Option<Instant>,
    /// Its job, while it runs on one of the pool's connections.
    job: Option<JobId>,
    own: Own,
}

/// A connection made for the probe.
#[derive(Default)]
enum Own {
    #[default]
    None,
    Opening(Opening),
    Open(Box<Connection>),
}

impl Probing {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn is(&self, id: JobId) -> bool {
        self.job == Some(id)
    }
}

impl Pool {
    pub(super) fn start_probe(&mut self, at: &mut Moment<'_>) {
        if self
            .last_proof
            .is_some_and(|proof| at.now.saturating_duration_since(proof) <= FRESH)
        {
            at.out.push(Event::Probed(Ok(())));
            return;
        }
        self.probing.waiting += 1;
        if self.probing.deadline.is_some() {
            return;
        }
        self.probing.deadline = Some(at.now + LIMIT);
        let id = self.next_id();
        self.probing.job = Some(id);
        let job = self.probe_job(at.now);
        if self.start_on_idle(at, id, job).is_some() {
            self.probing.job = None;
            self.open_own(at);
        }
    }

    fn probe_job(&self, now: Instant) -> Job {
        Job {
            statement: self.probe_statement.clone(),
            parameters: Vec::new(),
            access: Access::ReadOnly,
            // The session's own limit, so that no SET is needed.
            timeout: self.settings.options.statement_timeout,
            custom_plan: false,
            max_rows: 1,
            max_bytes: 64,
            expect_rows: None,
            notices: false,
            deadline: now + LIMIT,
        }
    }

    fn open_own(&mut self, at: &mut Moment<'_>) {
        let (spin, token, pooler) = (self.spin(), self.probe_token(), self.pooler);
        let known = self.slots.iter().find_map(|slot| match slot {
            Slot::Open(connection) => Some(connection.target.clone()),
            Slot::Empty => None,
        });
        let mut around = Surroundings {
            settings: &self.settings,
            registry: at.registry,
            resolver: &mut self.resolver,
            token,
            now: at.now,
        };
        let (opening, progress) = Opening::begin(pooler, known, spin, &mut around);
        self.probing.own = Own::Opening(opening);
        self.own_came_to(at, progress);
    }

    fn with_own(
        &mut self,
        at: &mut Moment<'_>,
        step: impl FnOnce(&mut Opening, &mut Surroundings<'_>) -> Progress,
    ) {
        let token = self.probe_token();
        let Own::Opening(opening) = &mut self.probing.own else {
            return;
        };
        let mut around = Surroundings {
            settings: &self.settings,
            registry: at.registry,
            resolver: &mut self.resolver,
            token,
            now: at.now,
        };
        let progress = step(opening, &mut around);
        self.own_came_to(at, progress);
    }

    fn own_came_to(&mut self, at: &mut Moment<'_>, progress: Progress) {
        match progress {
            Progress::Pending => {}
            Progress::Open(opened) => {
                let options = &self.settings.options;
                let (timeout, capacity, read_limit) = (
                    options.statement_timeout,
                    options.prepared,
                    options.read_limit,
                );
                let mut connection = Box::new(Connection::new(
                    *opened,
                    self.pooler,
                    timeout,
                    capacity,
                    at.now,
                ));
                let (id, job) = (self.next_id(), self.probe_job(at.now));
                match connection.start(id, job, false, read_limit) {
                    Ok(()) => self.probing.own = Own::Open(connection),
                    Err((_, StartFault::Dead(fault) | StartFault::Unsendable(fault))) => {
                        self.probed(at, Err(DbError::Unavailable(fault.to_string())));
                    }
                }
            }
            Progress::Pooler(reason) => {
                self.found_pooler(&reason);
                self.open_own(at);
            }
            Progress::Failed(reason) => self.probed(at, Err(DbError::Unavailable(reason))),
        }
    }

    pub(super) fn probe_ready(&mut self, at: &mut Moment<'_>, hung_up: bool) {
        let Own::Open(connection) = &mut self.probing.own else {
            return self.with_own(at, |opening, around| opening.ready(hung_up, around));
        };
        let turn = match connection.link.flush() {
            Ok(()) => {
                connection.receive(hung_up, self.settings.options.read_limit, &mut Vec::new())
            }
            Err(fault) => Turn::Lost(fault.to_string()),
        };
        let result = match turn {
            Turn::Pending => return,
            Turn::Over { clean } => {
                let outcome = connection
                    .running
                    .take()
                    .map(|mut running| running.call.take_outcome());
                self.keep_own(at, clean);
                outcome.unwrap_or(Err(DbError::Timeout)).map(drop)
            }
            Turn::Lost(reason) => Err(DbError::Lost(reason)),
            Turn::Again | Turn::Oversized | Turn::Misused(_) => Err(DbError::Lost(
                "the server answered a probe with something else".to_string(),
            )),
        };
        if result.is_ok() {
            self.last_proof = Some(at.now);
        }
        self.probed(at, result);
    }

    /// The probe's own connection joins the pool if there is room: with nothing to do, the next probe finds it idle instead of
    /// making another one.
    fn keep_own(&mut self, at: &mut Moment<'_>, clean: bool) {
        let Own::Open(mut connection) = std::mem::take(&mut self.probing.own) else {
            return;
        };
        let being_opened = self.opening.as_ref().map(|(slot, _)| *slot);
        let free = |(slot, place): (usize, &Slot)| {
            (matches!(place, Slot::Empty) && being_opened != Some(slot)).then_some(slot)
        };
        let slot = self.slots.iter().enumerate().find_map(free);
        let Some(slot) = slot.filter(|_| clean && !connection.retire) else {
            return connection.terminate();
        };
        if connection
            .link
            .move_to(at.registry, self.slot_token(slot))
            .is_err()
        {
            return connection.terminate();
        }
        log::info!(
            "database {}: connected to {}",
            self.settings.name,
            connection.target.address
        );
        connection.idle_since = at.now;
        self.slots[slot] = Slot::Open(connection);
        self.outage = Outage::default();
        self.idle.push(slot);
        self.feed(at);
    }

    pub(super) fn probe_resolved(&mut self, at: &mut Moment<'_>, answer: &Answer) {
        self.with_own(at, |opening, around| opening.resolved(answer, around));
    }

    pub(super) fn expire_probe(&mut self, at: &mut Moment<'_>) {
        if self
            .probing
            .deadline
            .is_some_and(|deadline| deadline <= at.now)
        {
            if let Some(id) = self.probing.job {
                // Its late end must not answer the next probe.
                self.hang_up(at, id);
            }
            self.probed(at, Err(DbError::Timeout));
        }
    }

    /// Tells everybody who waits for the probe.
    pub(super) fn probed(&mut self, at: &mut Moment<'_>, result: Result<(), DbError>) {
        let waiting = std::mem::take(&mut self.probing).waiting;
        // Another session refused for want of room, while ours are at work, is a sign of life.
        let full =
            matches!(&result, Err(DbError::Unavailable(reason)) if reason.contains("(53300)"));
        let alive = full && self.connected() > 0;
        for _ in 0..waiting {
            at.out
                .push(Event::Probed(if alive { Ok(()) } else { result.clone() }));
        }
    }
}
