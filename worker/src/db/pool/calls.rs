//! Calls on the pool's connections: start, end, another try, loss.

use super::{Moment, Pool, Slot};
use crate::db::connection::{Running, StartFault, Turn, Why};
use crate::db::job::{DbError, Event, Job, JobId, Rows, ServerError};
use crate::db::session;

impl Pool {
    /// Starts a job on the connection used last. Gives the job back when none is free.
    pub(super) fn start_on_idle(
        &mut self,
        at: &mut Moment<'_>,
        id: JobId,
        mut job: Job,
    ) -> Option<Job> {
        while let Some(slot) = self.idle.pop() {
            job = self.start_on(at, slot, id, job)?;
        }
        Some(job)
    }

    /// Gives the job back when the connection turns out to be dead.
    fn start_on(&mut self, at: &mut Moment<'_>, slot: usize, id: JobId, job: Job) -> Option<Job> {
        let read_limit = self.settings.options.read_limit;
        let Some(connection) = self.connection(slot) else {
            return Some(job);
        };
        match connection.start(id, job, false, read_limit) {
            Ok(()) => {
                self.attend(at, slot);
                None
            }
            Err((job, StartFault::Dead(fault))) => {
                self.lost(at, slot, fault.to_string());
                Some(job)
            }
            Err((_, StartFault::Unsendable(fault))) => {
                self.drop_connection(slot);
                self.deliver(at, id, Err(DbError::Server(Box::new(unsendable(&fault)))));
                None
            }
        }
    }

    /// Hears of room for sending while a connection has unsent bytes.
    fn attend(&mut self, at: &mut Moment<'_>, slot: usize) {
        let token = self.slot_token(slot);
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if let Err(fault) = connection.link.attend(at.registry, token) {
            self.lost(at, slot, fault.to_string());
        }
    }

    /// The connection's socket is ready.
    pub(super) fn connection_ready(&mut self, at: &mut Moment<'_>, slot: usize, hung_up: bool) {
        let read_limit = self.settings.options.read_limit;
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let turn = match connection.link.flush() {
            Ok(()) => connection.receive(hung_up, read_limit, at.out),
            Err(fault) => Turn::Lost(fault.to_string()),
        };
        match turn {
            Turn::Pending => {}
            Turn::Again => {
                if !self.unread.contains(&slot) {
                    self.unread.push(slot);
                }
            }
            Turn::Over { clean } => return self.call_over(at, slot, clean),
            Turn::Oversized => {
                // The server notices by itself that nobody reads what it sends.
                self.answer(at, slot, Why::TooLarge);
                self.lost(
                    at,
                    slot,
                    "a row was larger than a call may read".to_string(),
                );
                return self.grow(at);
            }
            Turn::Lost(reason) => {
                self.lost(at, slot, reason);
                return self.grow(at);
            }
            Turn::Misused(reason) => {
                if let Some(running) = self.running(slot) {
                    let id = running.id;
                    if !std::mem::replace(&mut running.delivered, true) {
                        self.deliver(at, id, Err(DbError::Server(Box::new(misused(reason)))));
                    }
                }
                self.drop_connection(slot);
                return self.grow(at);
            }
        }
        if self
            .running(slot)
            .is_some_and(|running| running.too_large && running.cancelling.is_none())
        {
            self.request_cancel(at, slot, Why::TooLarge);
        }
        self.attend(at, slot);
    }

    pub(super) fn running(&mut self, slot: usize) -> Option<&mut Running> {
        self.connection(slot)?.running.as_mut()
    }

    /// The call's last ReadyForQuery has come.
    fn call_over(&mut self, at: &mut Moment<'_>, slot: usize, clean: bool) {
        self.last_proof = Some(at.now);
        if clean && self.retry(at, slot) {
            return;
        }
        let Some(connection) = self.connection(slot) else {
            return;
        };
        let Some(mut running) = connection.running.take() else {
            return;
        };
        if running.call.limits_failed() {
            connection.session.forget_limits();
        }
        if running.call.parse_failed() {
            connection.session.forget_statement(&running.job);
        }
        let outcome = running.call.take_outcome();
        let result = super::cancels::confirmed(&running, outcome);
        let (id, delivered) = (running.id, std::mem::replace(&mut running.delivered, true));
        let request_over = running.cancelling.as_mut().is_none_or(|cancelling| {
            cancelling.call_over = Some(clean);
            cancelling.request_over
        });
        if !request_over {
            // A cancel request is still under way: it must not hit the next call.
            connection.running = Some(running);
        }
        if !delivered {
            self.deliver(at, id, result);
        }
        if request_over {
            self.release(at, slot, clean);
        }
    }

    /// The connection can take the next job, or must go.
    pub(super) fn release(&mut self, at: &mut Moment<'_>, slot: usize, clean: bool) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        connection.running = None;
        if !clean || connection.retire {
            connection.terminate();
            self.drop_connection(slot);
        } else {
            connection.idle_since = at.now;
            connection.link.shrink();
            self.idle.push(slot);
            self.feed(at);
        }
        self.grow(at);
    }

    /// Gives waiting jobs to idle connections.
    pub(super) fn feed(&mut self, at: &mut Moment<'_>) {
        while !self.idle.is_empty() {
            let Some(mut waiting) = self.queue.pop_front() else {
                return;
            };
            if waiting.job.deadline <= at.now {
                at.out
                    .push(Event::Done(waiting.id, Err(DbError::QueueTimeout)));
                continue;
            }
            if let Some(job) = self.start_on_idle(at, waiting.id, waiting.job) {
                waiting.job = job;
                self.queue.push_front(waiting);
            }
        }
    }

    /// Sends a call again that the server refused before anything of it ran, for a reason that lies in the session:
    /// a statement whose result type has changed (0A000), or a name that a transaction pooler's other session has or lacks
    /// (26000, 42P05).
    fn retry(&mut self, at: &mut Moment<'_>, slot: usize) -> bool {
        let read_limit = self.settings.options.read_limit;
        let Some(connection) = self.connection(slot) else {
            return false;
        };
        let Some(running) = &connection.running else {
            return false;
        };
        if running.retried || running.cancelling.is_some() || at.now >= running.job.deadline {
            return false;
        }
        let Some(error) = running.call.refused() else {
            return false;
        };
        let named = connection.session.is_named();
        let foreign_name = named && matches!(error.sqlstate.as_str(), "26000" | "42P05");
        let stale = named && error.sqlstate == "0A000" && !running.call.parse_failed();
        if !foreign_name && !stale {
            return false;
        }
        let Some(Running {
            id, job, delivered, ..
        }) = connection.running.take()
        else {
            return false;
        };
        connection.session.forget_statement(&job);
        if foreign_name {
            connection.session.enter_pooler_mode();
        } else if session::close_statement(&job, &mut connection.link.output).is_err() {
            connection.retire = true;
        }
        let started = connection.start(id, job, true, read_limit);
        if let Some(running) = &mut connection.running {
            running.delivered = delivered;
        }
        if foreign_name && !std::mem::replace(&mut self.pooler, true) {
            log::info!(
                "database {}: behind a transaction pooler, prepared statements are off",
                self.settings.name
            );
        }
        match started {
            Ok(()) => self.attend(at, slot),
            Err((_, StartFault::Dead(fault) | StartFault::Unsendable(fault))) => {
                if !delivered {
                    self.deliver(at, id, Err(DbError::Unavailable(fault.to_string())));
                }
                self.lost(at, slot, fault.to_string());
            }
        }
        true
    }

    /// The connection is gone, with the call on it.
    pub(super) fn lost(&mut self, at: &mut Moment<'_>, slot: usize, reason: String) {
        let running = self
            .connection(slot)
            .and_then(|connection| connection.running.take());
        self.drop_connection(slot);
        log::info!(
            "database {}: a connection was lost: {reason}",
            self.settings.name
        );
        if let Some(running) = running
            && !running.delivered
        {
            let error = match running.cancelling {
                Some(cancelling) => super::cancels::unconfirmed(running.job.access, cancelling.why),
                None => DbError::Lost(reason.clone()),
            };
            self.deliver(at, running.id, Err(error));
        }
        self.outage.last_error = Some(reason);
    }

    pub(super) fn drop_connection(&mut self, slot: usize) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Slot::Empty;
        }
        if let Some(cancel) = self.cancels.get_mut(slot) {
            *cancel = None;
        }
        self.idle.retain(|&idle| idle != slot);
        self.unread.retain(|&unread| unread != slot);
    }

    /// Hands a result to whom it belongs.
    pub(super) fn deliver(
        &mut self,
        at: &mut Moment<'_>,
        id: JobId,
        result: Result<Rows, DbError>,
    ) {
        if self.probing.is(id) {
            self.probed(at, result.map(drop));
        } else {
            at.out.push(Event::Done(id, result));
        }
    }
}

fn unsendable(fault: &std::io::Error) -> ServerError {
    let message = format!("the call cannot be sent: {fault}");
    ServerError {
        sqlstate: "08P01".to_string(),
        message,
        ..ServerError::default()
    }
}

fn misused(reason: &str) -> ServerError {
    ServerError {
        sqlstate: "0A000".to_string(),
        message: reason.to_string(),
        ..ServerError::default()
    }
}
