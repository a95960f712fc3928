//! Getting connections: one attempt at a time, on demand, with a growing pause between failures.

use std::time::{Duration, Instant};

use super::{Moment, Outage, Pool, Slot};
use crate::db::connection::Connection;
use crate::db::job::{DbError, Event};
use crate::db::opening::{Opening, Progress, Surroundings};
use crate::db::resolve::Answer;

/// During an outage a job waits so long for an attempt that is already under way.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);
/// The pauses between attempts double from the first to the last. The last is short enough that calls go through
/// within a second of the server's return, and long enough that a dead server costs nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// A pause lasts 80 to 120 % of its length: the workers of a server must not try in step.
const JITTER: u64 = 41;

impl Outage {
    /// `jitter` is below [`JITTER`].
    fn failed(&mut self, now: Instant, reason: String, jitter: u64) {
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.failures.min(8))
            .min(LAST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + pause * (80 + u32::try_from(jitter).unwrap_or(20)) / 100);
        self.last_error = Some(reason);
    }
}

impl Pool {
    pub(super) fn outage_reason(&self) -> String {
        self.outage
            .last_error
            .clone()
            .unwrap_or_else(|| "no connection yet".to_string())
    }

    /// A connection more could be opened.
    pub(super) fn has_room(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Empty))
    }

    /// Opens a connection if jobs wait, there is room, and no pause holds.
    pub(super) fn grow(&mut self, at: &mut Moment<'_>) {
        // A pooler that shows itself ends an attempt, and the next is in its mode; a failed attempt makes a pause.
        while self.opening.is_none()
            && !self.queue.is_empty()
            && self
                .outage
                .retry_at
                .is_none_or(|retry_at| retry_at <= at.now)
        {
            let Some(slot) = self
                .slots
                .iter()
                .position(|slot| matches!(slot, Slot::Empty))
            else {
                return;
            };
            let (spin, pooler, token) = (self.spin(), self.pooler, self.slot_token(slot));
            let mut around = Surroundings {
                settings: &self.settings,
                registry: at.registry,
                resolver: &mut self.resolver,
                token,
                now: at.now,
            };
            let (opening, progress) = Opening::begin(pooler, None, spin, &mut around);
            self.opening = Some((slot, opening));
            self.opening_came_to(at, progress);
        }
    }

    pub(super) fn spin(&mut self) -> usize {
        usize::try_from(self.below(1 << 16)).unwrap_or(0)
    }

    pub(super) fn opening_ready(&mut self, at: &mut Moment<'_>, hung_up: bool) {
        self.with_opening(at, |opening, around| opening.ready(hung_up, around));
    }

    pub(super) fn opening_resolved(&mut self, at: &mut Moment<'_>, answer: &Answer) {
        self.with_opening(at, |opening, around| opening.resolved(answer, around));
    }

    pub(super) fn expire_opening(&mut self, at: &mut Moment<'_>) {
        if self
            .opening
            .as_ref()
            .is_some_and(|(_, opening)| opening.deadline() <= at.now)
        {
            self.with_opening(at, Opening::expire);
        }
    }

    fn with_opening(
        &mut self,
        at: &mut Moment<'_>,
        step: impl FnOnce(&mut Opening, &mut Surroundings<'_>) -> Progress,
    ) {
        let Some((slot, opening)) = &mut self.opening else {
            return;
        };
        let mut around = Surroundings {
            settings: &self.settings,
            registry: at.registry,
            resolver: &mut self.resolver,
            token: mio::Token(self.first_token + *slot),
            now: at.now,
        };
        let progress = step(opening, &mut around);
        self.opening_came_to(at, progress);
        self.grow(at);
    }

    fn opening_came_to(&mut self, at: &mut Moment<'_>, progress: Progress) {
        if matches!(progress, Progress::Pending) {
            return;
        }
        let Some((slot, _)) = self.opening.take() else {
            return;
        };
        match progress {
            Progress::Pending => {}
            Progress::Open(opened) => {
                let options = &self.settings.options;
                let (timeout, capacity) = (options.statement_timeout, options.prepared);
                let connection = Connection::new(*opened, self.pooler, timeout, capacity, at.now);
                log::info!(
                    "database {}: connected to {}",
                    self.settings.name,
                    connection.target.address
                );
                if let Some(place) = self.slots.get_mut(slot) {
                    *place = Slot::Open(Box::new(connection));
                }
                self.outage = Outage::default();
                self.last_proof = Some(at.now);
                self.idle.push(slot);
                self.feed(at);
                // The login may have ended in the middle of what the socket has: no event tells of the rest.
                self.connection_ready(at, slot, false);
            }
            Progress::Pooler(reason) => self.found_pooler(&reason),
            Progress::Failed(reason) => {
                if self.outage.failures == 0 {
                    log::warn!("database {}: cannot connect: {reason}", self.settings.name);
                }
                let jitter = self.below(JITTER);
                self.outage.failed(at.now, reason, jitter);
                if self.connected() == 0 {
                    let reason = self.outage_reason();
                    let refused = self.queue.drain(..);
                    at.out.extend(refused.map(|waiting| {
                        Event::Done(waiting.id, Err(DbError::Unavailable(reason.clone())))
                    }));
                }
            }
        }
    }

    pub(super) fn found_pooler(&mut self, reason: &str) {
        self.pooler = true;
        log::info!(
            "database {}: behind a transaction pooler: {reason}",
            self.settings.name
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_differ_between_workers() {
        let now = Instant::now();
        let mut outage = Outage::default();
        let table = [
            (20, 100),
            (20, 200),
            (0, 320),
            (40, 600),
            (20, 500),
            (20, 500),
        ];
        for (jitter, millis) in table {
            outage.failed(now, "refused".to_string(), jitter);
            assert_eq!(outage.retry_at, Some(now + Duration::from_millis(millis)));
        }
        for _ in 0..100 {
            outage.failed(now, "refused".to_string(), JITTER - 1);
        }
        assert_eq!(outage.retry_at, Some(now + Duration::from_millis(600)));
    }
}
