//! Calls that must end before their statement does: a deadline, a client that hung up, a result without end.

use std::time::Duration;

use super::{Moment, Pool, Slot};
use crate::db::cancel::{Cancel, Standing};
use crate::db::connection::{Cancelling, Running, Why};
use crate::db::job::{Access, DbError, JobId, Rows};

/// After its deadline a caller hears within this time, whether or not the server has confirmed the cancel by then.
const CONFIRM: Duration = Duration::from_millis(200);
/// A cancelled call whose end does not come within this time costs its connection.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

impl Pool {
    /// Deadlines of running calls, and of their cancelling.
    pub(super) fn expire_calls(&mut self, at: &mut Moment<'_>) {
        for slot in 0..self.slots.len() {
            let Some(running) = self.running(slot) else {
                continue;
            };
            match &running.cancelling {
                None if running.job.deadline <= at.now => {
                    self.request_cancel(at, slot, Why::Deadline)
                }
                Some(cancelling) => {
                    let (why, close) = (cancelling.why, cancelling.close_at <= at.now);
                    if cancelling.answer_by <= at.now {
                        self.answer(at, slot, why);
                    }
                    if close {
                        self.lost(
                            at,
                            slot,
                            "the server did not obey a cancel request".to_string(),
                        );
                        self.grow(at);
                    }
                }
                None => {}
            }
        }
    }

    /// The client of a running job is gone.
    pub(super) fn hang_up(&mut self, at: &mut Moment<'_>, id: JobId) {
        let holds = |slot: &usize| matches!(self.slots.get(*slot), Some(Slot::Open(connection)) if connection.runs(id));
        let Some(slot) = (0..self.slots.len()).find(holds) else {
            return;
        };
        let Some(running) = self.running(slot) else {
            return;
        };
        running.delivered = true;
        if running.cancelling.is_none() {
            self.request_cancel(at, slot, Why::HangUp);
        }
    }

    /// Asks the server to end a slot's call.
    pub(super) fn request_cancel(&mut self, at: &mut Moment<'_>, slot: usize, why: Why) {
        let token = self.cancel_token(slot);
        let Some(Slot::Open(connection)) = self.slots.get_mut(slot) else {
            return;
        };
        let encrypt = connection.is_encrypted();
        let Some(running) = &mut connection.running else {
            return;
        };
        running.cancelling = Some(Cancelling {
            why,
            answer_by: at.now + CONFIRM,
            close_at: at.now + CANCEL_LIMIT,
            request_over: false,
            call_over: None,
        });
        let begun = match connection.session.key {
            Some(key) => Cancel::begin(
                &connection.target,
                key,
                encrypt,
                &self.settings,
                at.registry,
                token,
            ),
            None => Err(std::io::Error::other("the server gave no key for it")),
        };
        match begun {
            Ok(cancel) => {
                if let Some(place) = self.cancels.get_mut(slot) {
                    *place = Some(cancel);
                }
                self.cancel_ready(at, slot, false);
            }
            Err(fault) => {
                log::warn!(
                    "database {}: a cancel request could not be sent: {fault}",
                    self.settings.name
                );
                self.request_over(at, slot, Standing::Over);
            }
        }
    }

    /// The socket of a cancel request is ready.
    pub(super) fn cancel_ready(&mut self, at: &mut Moment<'_>, slot: usize, hung_up: bool) {
        let Some(Some(cancel)) = self.cancels.get_mut(slot) else {
            return;
        };
        match cancel.ready(hung_up, &self.settings) {
            Standing::Pending => {}
            standing => self.request_over(at, slot, standing),
        }
    }

    /// A cancel request has ended; the connection goes on if its call has ended too.
    fn request_over(&mut self, at: &mut Moment<'_>, slot: usize, standing: Standing) {
        if let Some(cancel) = self.cancels.get_mut(slot) {
            *cancel = None;
        }
        let Some(connection) = self.connection(slot) else {
            return;
        };
        connection.retire |= standing == Standing::Unknown;
        let Some(cancelling) = connection
            .running
            .as_mut()
            .and_then(|running| running.cancelling.as_mut())
        else {
            return;
        };
        cancelling.request_over = true;
        if let Some(clean) = cancelling.call_over {
            self.release(at, slot, clean);
        }
    }

    /// Answers a cancelled call whose end has not come in time.
    pub(super) fn answer(&mut self, at: &mut Moment<'_>, slot: usize, why: Why) {
        let Some(running) = self.running(slot) else {
            return;
        };
        if std::mem::replace(&mut running.delivered, true) {
            return;
        }
        let (id, error) = (running.id, unconfirmed(running.job.access, why));
        self.deliver(at, id, Err(error));
    }
}

/// What a caller hears when the call's own end has come, cancelled or not.
pub(super) fn confirmed(
    running: &Running,
    outcome: Result<Rows, DbError>,
) -> Result<Rows, DbError> {
    let Some(cancelling) = &running.cancelling else {
        return outcome;
    };
    let error = if cancelling.why == Why::TooLarge {
        DbError::TooLarge
    } else {
        DbError::Timeout
    };
    match outcome {
        Err(DbError::Server(server)) if server.sqlstate == "57014" => Err(error),
        // A write is committed by then: saying no would be a lie. A read has nothing to lose by it.
        Ok(_) if cancelling.why == Why::TooLarge && running.job.access == Access::ReadOnly => {
            Err(error)
        }
        outcome => outcome,
    }
}

/// What a cancelled caller hears when the call's end has not come.
pub(super) fn unconfirmed(access: Access, why: Why) -> DbError {
    match (access, why) {
        (Access::ReadOnly, Why::TooLarge) => DbError::TooLarge,
        (Access::ReadOnly, _) => DbError::Timeout,
        (Access::ReadWrite, _) => DbError::Lost(
            "it was cancelled, and the server did not confirm that in time".to_string(),
        ),
    }
}
