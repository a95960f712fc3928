//! The answers to one call, message by message, in the order of its [`Plan`]. A pure state machine: it collects rows and
//! the first error, and says what the connection has to do.

use super::job::{DbError, Event, Job, JobId, Rows, ServerError};
use super::session::{Finish, Plan};
use super::wire::{self, Columns, Garbled, Report};

/// What the connection has to do after a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read on.
    More,
    /// Send COMMIT or ROLLBACK, then read on.
    Finish { commit: bool },
    /// More bytes of rows came than one call may read: cancel it. Told once.
    TooLarge,
    /// The call is over; the session is idle (`clean`), or in a state that no call of ours leaves.
    Over { clean: bool },
}

/// Why the connection is of no further use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Garbled(Garbled),
    /// The server said goodbye.
    Fatal(Box<ServerError>),
    /// The statement did something that a call must not, so that the session's state is not known.
    Misuse(&'static str),
}

impl From<Garbled> for Fault {
    fn from(garbled: Garbled) -> Fault {
        Fault::Garbled(garbled)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The SETs before a plain call.
    Limits,
    /// The Sync group with the statement.
    Statement,
    /// COMMIT or ROLLBACK.
    Finish,
}

/// How far the server got with the statement itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Nothing,
    Parsed,
    Bound,
    Completed,
}

/// One call in flight.
#[derive(Debug)]
pub(super) struct Call {
    phase: Phase,
    plan: Plan,
    preamble_left: u8,
    reached: Reached,
    max_rows: u64,
    max_bytes: usize,
    /// Bytes of rows that may still be read.
    allowance: usize,
    too_large: bool,
    seen: u64,
    rows: Rows,
    /// Columns 1.. of the last kept row: their count and bytes, decoded at the end only.
    keys: (u16, Vec<u8>),
    error: Option<Box<ServerError>>,
    limits_failed: bool,
}

impl Call {
    pub(super) fn new(job: &Job, plan: Plan, read_limit: usize) -> Call {
        Call {
            phase: if plan.limits {
                Phase::Limits
            } else {
                Phase::Statement
            },
            plan,
            preamble_left: plan.preamble,
            reached: Reached::Nothing,
            max_rows: u64::from(job.max_rows),
            max_bytes: job.max_bytes,
            allowance: read_limit,
            too_large: false,
            seen: 0,
            rows: Rows::default(),
            keys: (0, Vec::new()),
            error: None,
            limits_failed: false,
        }
    }

    /// One message. `notices`: where to tell the statement's notices, if the job wants them.
    pub(super) fn message(
        &mut self,
        tag: u8,
        body: &[u8],
        notices: Option<(JobId, &mut Vec<Event>)>,
    ) -> Result<Step, Fault> {
        match tag {
            wire::DATA_ROW_TAG if self.reached == Reached::Bound => return self.row(body),
            wire::READY_FOR_QUERY_TAG => return Ok(self.ready(body.first() == Some(&b'I'))),
            wire::ERROR_RESPONSE_TAG => return self.failed(Report::of(body)?),
            wire::NOTICE_RESPONSE_TAG => {
                let notice = Report::of(body)?.into_notice();
                match notices {
                    Some((id, out)) if self.phase == Phase::Statement => {
                        out.push(Event::Notice(id, notice))
                    }
                    _ => log::debug!("PostgreSQL: {}: {}", notice.severity, notice.message),
                }
            }
            wire::PARSE_COMPLETE_TAG if self.in_statement() => self.reach(Reached::Parsed),
            wire::BIND_COMPLETE_TAG if self.in_statement() => self.reach(Reached::Bound),
            wire::PARSE_COMPLETE_TAG | wire::BIND_COMPLETE_TAG
                if self.phase == Phase::Statement => {}
            wire::CLOSE_COMPLETE_TAG => {}
            wire::COMMAND_COMPLETE_TAG => match self.phase {
                Phase::Statement if self.preamble_left > 0 => self.preamble_left -= 1,
                Phase::Statement => {
                    self.rows.affected = wire::command_rows(body);
                    self.reach(Reached::Completed);
                }
                Phase::Limits | Phase::Finish => {}
            },
            wire::PORTAL_SUSPENDED_TAG if self.reached == Reached::Bound => {
                self.rows.affected = self.seen;
                self.reach(Reached::Completed);
            }
            wire::EMPTY_QUERY_RESPONSE_TAG if self.reached == Reached::Bound => {
                self.reach(Reached::Completed)
            }
            wire::COPY_IN_RESPONSE_TAG
            | wire::COPY_OUT_RESPONSE_TAG
            | wire::COPY_BOTH_RESPONSE_TAG => {
                return Err(Fault::Misuse(
                    "the statement is a COPY, which a call cannot carry",
                ));
            }
            _ => return Err(Garbled("an unexpected message in a call").into()),
        }
        Ok(Step::More)
    }

    /// Takes the result, once the call is over.
    pub(super) fn take_outcome(&mut self) -> Result<Rows, DbError> {
        if let Some(error) = self.error.take() {
            return Err(DbError::Server(error));
        }
        let mut rows = std::mem::take(&mut self.rows);
        if let Finish::Decide { expected } = self.plan.finish
            && rows.affected != expected
        {
            return Err(DbError::ExpectRows {
                expected,
                affected: rows.affected,
            });
        }
        let mut columns = Columns::from_parts(self.keys.0, &self.keys.1);
        while let Ok(Some(value)) = columns.next() {
            rows.keys
                .push(value.map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
        }
        Ok(rows)
    }

    /// The error so far, if it came before the statement was bound: then nothing of it ran.
    pub(super) fn refused(&self) -> Option<&ServerError> {
        self.error
            .as_deref()
            .filter(|_| self.reached < Reached::Bound)
    }

    /// The statement's Parse was sent and did not succeed.
    pub(super) fn parse_failed(&self) -> bool {
        self.plan.parses && self.reached < Reached::Parsed
    }

    /// The session's limits are not what was asked for.
    pub(super) fn limits_failed(&self) -> bool {
        self.limits_failed
    }

    fn in_statement(&self) -> bool {
        self.phase == Phase::Statement && self.preamble_left == 0
    }

    fn reach(&mut self, point: Reached) {
        self.reached = self.reached.max(point);
    }

    fn row(&mut self, body: &[u8]) -> Result<Step, Fault> {
        self.seen += 1;
        if let Some(left) = self.allowance.checked_sub(body.len()) {
            self.allowance = left;
        } else if !self.too_large {
            self.too_large = true;
            self.rows.truncated = true;
            return Ok(Step::TooLarge);
        }
        if self.seen > self.max_rows {
            self.rows.more = true;
            return Ok(Step::More);
        }
        if self.rows.truncated {
            return Ok(Step::More);
        }
        let mut columns = Columns::of(body)?;
        let value = columns.next()?.flatten().unwrap_or(b"null");
        let separator = usize::from(self.rows.count > 0);
        if self.rows.json.len() + separator + value.len() > self.max_bytes {
            self.rows.truncated = true;
            return Ok(Step::More);
        }
        if separator > 0 {
            self.rows.json.push(b',');
        }
        self.rows.json.extend_from_slice(value);
        self.rows.count += 1;
        if columns.left() > 0 {
            self.keys.0 = columns.left();
            self.keys.1.clear();
            self.keys.1.extend_from_slice(columns.rest());
        }
        Ok(Step::More)
    }

    /// The first error is the call's; what follows it are consequences.
    fn failed(&mut self, report: Report) -> Result<Step, Fault> {
        if report.is_fatal() {
            return Err(Fault::Fatal(Box::new(report.error)));
        }
        self.limits_failed |= self.phase == Phase::Limits;
        self.error.get_or_insert(Box::new(report.error));
        Ok(Step::More)
    }

    fn ready(&mut self, idle: bool) -> Step {
        match (self.phase, self.plan.finish) {
            (Phase::Limits, _) => {
                self.phase = Phase::Statement;
                Step::More
            }
            (Phase::Statement, Finish::Sent) => {
                self.phase = Phase::Finish;
                Step::More
            }
            (Phase::Statement, Finish::Decide { expected }) => {
                self.phase = Phase::Finish;
                Step::Finish {
                    commit: self.error.is_none() && self.rows.affected == expected,
                }
            }
            (Phase::Statement, Finish::Implicit) | (Phase::Finish, _) => Step::Over { clean: idle },
        }
    }
}

#[cfg(test)]
#[path = "call_test.rs"]
mod tests;
