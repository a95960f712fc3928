//! One open session with at most one call in flight: sends it, receives its answers, and tells the pool what came of it.
//! Decides nothing about queues, deadlines or other connections.

use std::io;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use postgres_protocol::message::frontend;

use super::call::{Call, Fault, Step};
use super::job::{Event, Job, JobId};
use super::link::{Filled, Link};
use super::opening::Opened;
use super::session::{self, Session};
use super::settings::Target;
use super::wire::{self, Report};

/// Reads of one turn. A server that sends without a pause must not hold up the rest of the loop.
const READS_PER_TURN: usize = 32;

/// A job on its connection.
pub(super) struct Running {
    pub(super) id: JobId,
    pub(super) job: Job,
    pub(super) call: Call,
    /// It was sent a second time, with a fresh statement or in pooler mode.
    pub(super) retried: bool,
    /// Its caller has the answer, or is gone.
    pub(super) delivered: bool,
    /// It read more than a call may.
    pub(super) too_large: bool,
    pub(super) cancelling: Option<Cancelling>,
}

/// A call that is being cancelled.
#[derive(Debug)]
pub(super) struct Cancelling {
    pub(super) why: Why,
    /// The caller hears by then, with or without the outcome.
    pub(super) answer_by: Instant,
    /// The connection is closed then.
    pub(super) close_at: Instant,
    /// The cancel request can do no more harm.
    pub(super) request_over: bool,
    /// The call's own end has come; whether the session is idle.
    pub(super) call_over: Option<bool>,
}

/// Why a call is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Deadline,
    HangUp,
    TooLarge,
}

/// What came of one turn of reading.
#[derive(Debug)]
pub(super) enum Turn {
    /// Nothing to do until the next event.
    Pending,
    /// There is more to read; come back soon.
    Again,
    /// The call is over; whether the session is idle.
    Over { clean: bool },
    /// A single row is larger than everything that a call may read.
    Oversized,
    /// The connection is of no further use.
    Lost(String),
    /// The statement cannot be run over such a connection, which is lost with it.
    Misused(&'static str),
}

/// An open session.
pub(super) struct Connection {
    pub(super) link: Link,
    pub(super) session: Session,
    pub(super) target: Target,
    pub(super) idle_since: Instant,
    /// It must not be used for another call.
    pub(super) retire: bool,
    pub(super) running: Option<Running>,
}

impl Connection {
    pub(super) fn new(
        opened: Opened,
        pooler: bool,
        timeout: Duration,
        capacity: NonZeroUsize,
        now: Instant,
    ) -> Connection {
        Connection {
            session: Session::new(&opened.greeting, pooler, timeout, capacity),
            link: opened.link,
            target: opened.target,
            idle_since: now,
            retire: false,
            running: None,
        }
    }

    pub(super) fn runs(&self, id: JobId) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.id == id)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.link.tls().is_some()
    }

    /// Sends a job. On an error nothing of it has run, and the connection must be dropped.
    pub(super) fn start(
        &mut self,
        id: JobId,
        job: Job,
        retried: bool,
        read_limit: usize,
    ) -> Result<(), (Job, StartFault)> {
        let plan = match self.session.encode(&job, &mut self.link.output) {
            Ok(plan) => plan,
            Err(fault) => return Err((job, StartFault::Unsendable(fault))),
        };
        if let Err(fault) = self.link.flush() {
            return Err((job, StartFault::Dead(fault)));
        }
        let call = Call::new(&job, plan, read_limit);
        self.running = Some(Running {
            id,
            job,
            call,
            retried,
            delivered: false,
            too_large: false,
            cancelling: None,
        });
        Ok(())
    }

    /// Reads and handles what has come, as far as one turn goes.
    pub(super) fn receive(
        &mut self,
        hung_up: bool,
        read_limit: usize,
        out: &mut Vec<Event>,
    ) -> Turn {
        for _ in 0..READS_PER_TURN {
            let filled = match self.link.fill(hung_up) {
                Ok(filled) => filled,
                Err(fault) => return Turn::Lost(fault.to_string()),
            };
            let over = match self.consume(out) {
                Ok(over) => over,
                Err(turn) => return turn,
            };
            match (over, filled) {
                (Some(clean), Filled::Drained) => return Turn::Over { clean },
                (Some(clean), filled) => {
                    // Nothing can follow the end of a call but the server's goodbye.
                    self.retire |= filled == Filled::Closed
                        || !matches!(self.link.fill(hung_up), Ok(Filled::Drained));
                    return Turn::Over { clean };
                }
                (None, Filled::Closed) => {
                    return Turn::Lost("the server closed the connection".to_string());
                }
                (None, Filled::Drained) => return Turn::Pending,
                (None, Filled::More) => {}
            }
            match self.link.input.expected() {
                Ok(size) if size > read_limit.saturating_add(4096) => return Turn::Oversized,
                Ok(_)
                    if self.running.as_ref().is_some_and(|running| {
                        running.too_large && running.cancelling.is_none()
                    }) =>
                {
                    return Turn::Again;
                }
                Ok(_) => {}
                Err(garbled) => return Turn::Lost(garbled.to_string()),
            }
        }
        Turn::Again
    }

    /// Handles whole messages. `Ok(Some(clean))`: the call is over.
    fn consume(&mut self, out: &mut Vec<Event>) -> Result<Option<bool>, Turn> {
        loop {
            let (tag, body) = match self.link.input.message() {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(None),
                Err(garbled) => return Err(Turn::Lost(garbled.to_string())),
            };
            match tag {
                wire::PARAMETER_STATUS_TAG => {
                    // A statement that lifts the session's read-only default must not leave it lifted for the next call.
                    if body.starts_with(b"default_transaction_read_only\0off") {
                        self.retire = true;
                    }
                    continue;
                }
                wire::NOTIFICATION_RESPONSE_TAG => continue,
                _ => {}
            }
            let Some(running) = &mut self.running else {
                match tag {
                    wire::NOTICE_RESPONSE_TAG => continue,
                    wire::ERROR_RESPONSE_TAG => {
                        let reason = Report::of(body).map_or_else(
                            |garbled| garbled.to_string(),
                            |report| report.error.message,
                        );
                        return Err(Turn::Lost(reason));
                    }
                    _ => {
                        return Err(Turn::Lost(
                            "the server spoke without being asked".to_string(),
                        ));
                    }
                }
            };
            let notices = if running.job.notices && !running.delivered {
                Some((running.id, &mut *out))
            } else {
                None
            };
            match running.call.message(tag, body, notices) {
                Ok(Step::More) => {}
                Ok(Step::TooLarge) => running.too_large = true,
                Ok(Step::Finish { commit }) => {
                    if let Err(fault) = session::finish(commit, &mut self.link.output)
                        .and_then(|()| self.link.flush())
                    {
                        return Err(Turn::Lost(fault.to_string()));
                    }
                }
                Ok(Step::Over { clean }) => return Ok(Some(clean)),
                Err(Fault::Garbled(garbled)) => return Err(Turn::Lost(garbled.to_string())),
                Err(Fault::Fatal(error)) => {
                    return Err(Turn::Lost(format!(
                        "{} ({})",
                        error.message, error.sqlstate
                    )));
                }
                Err(Fault::Misuse(reason)) => return Err(Turn::Misused(reason)),
            }
        }
    }

    /// Says goodbye as far as that goes without waiting.
    pub(super) fn terminate(&mut self) {
        frontend::terminate(&mut self.link.output);
        let _ = self.link.flush();
    }
}

/// Why a job could not be sent.
#[derive(Debug)]
pub(super) enum StartFault {
    /// The connection is dead; another may do.
    Dead(io::Error),
    /// The protocol cannot carry the job.
    Unsendable(io::Error),
}
