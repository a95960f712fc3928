//! What a logged-in connection remembers, and how one call is written for it: everything of a call goes out in one
//! piece. Pure: writes into a buffer, never touches a socket.
//!
//! Two ways to run a call:
//! - *Plain*: the session itself is read only by default and carries the limits, so a reading call is Bind, Execute,
//!   Sync in an implicit transaction, as cheap as pgbench's own. Limits that differ are changed by a SET before it.
//! - *Framed*: BEGIN, SET LOCAL, the statement and COMMIT. For calls that write, behind transaction poolers (whose
//!   sessions belong to nobody), and on servers that do not report that the session is read only. BEGIN stands in the
//!   same Sync group as the statement, so that a BEGIN that fails takes the statement with it; COMMIT is a Query
//!   message, which ends the transaction in one way or the other even after an error.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend::{self, BindError};

use super::cache::{Prepared, Use};
use super::job::{Access, Job};
use super::startup::Greeting;

/// What [`Session::encode`] wrote, for [`super::call::Call`] to read the answers by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// A Query message with SETs comes first.
    pub(super) limits: bool,
    /// Commands before the statement in its own Sync group: BEGIN and SET LOCAL.
    pub(super) preamble: u8,
    /// The statement is prepared in this call.
    pub(super) parses: bool,
    pub(super) finish: Finish,
}

/// How the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// It ends with the statement's Sync.
    Implicit,
    /// COMMIT is sent already.
    Sent,
    /// [`finish`] is sent when the count of affected rows is known.
    Decide { expected: u64 },
}

/// The limits that hold in a session now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limits {
    millis: u128,
    custom_plan: bool,
}

/// A logged-in connection's memory.
pub(super) struct Session {
    pub(super) key: Option<(i32, i32)>,
    prepared: Prepared,
    /// `None`: not known, set them all.
    limits: Option<Limits>,
    /// Every call is framed.
    framed: bool,
    /// Statements have names; behind a transaction pooler they must not.
    named: bool,
}

impl Session {
    /// A session of `startup`'s making. A server that did not confirm that it is read only gets every
    /// call framed: an old one cannot tell, and a pooler may have dropped the parameter.
    pub(super) fn new(
        greeting: &Greeting,
        pooler: bool,
        timeout: Duration,
        capacity: NonZeroUsize,
    ) -> Session {
        let pooler = pooler || (greeting.version >= 14 && !greeting.read_only);
        Session {
            key: greeting.key,
            prepared: Prepared::new(capacity),
            limits: (!pooler).then_some(Limits {
                millis: timeout.as_millis(),
                custom_plan: false,
            }),
            framed: pooler || !greeting.read_only,
            named: !pooler,
        }
    }

    /// The server turned out to be a transaction pooler.
    pub(super) fn enter_pooler_mode(&mut self) {
        self.framed = true;
        self.named = false;
        self.limits = None;
    }

    pub(super) fn is_named(&self) -> bool {
        self.named
    }

    /// The SET before a call failed.
    pub(super) fn forget_limits(&mut self) {
        self.limits = None;
    }

    /// The statement's Parse failed, or the server has another idea of it.
    pub(super) fn forget_statement(&mut self, job: &Job) {
        self.prepared.forget(&job.statement);
    }

    /// Writes a call. Fails only on text that the protocol cannot carry (a zero byte in the SQL, too many parameters);
    /// then nothing must be sent.
    pub(super) fn encode(&mut self, job: &Job, out: &mut BytesMut) -> io::Result<Plan> {
        let wanted = Limits {
            millis: job.timeout.as_millis().max(1),
            custom_plan: job.custom_plan,
        };
        let writes = job.access == Access::ReadWrite;
        let mut plan = Plan {
            limits: false,
            preamble: 0,
            parses: false,
            finish: Finish::Implicit,
        };
        let (name, parse) = self.prepare(job, out)?;
        if self.framed || writes {
            let begin = if writes {
                "BEGIN READ WRITE"
            } else {
                "BEGIN READ ONLY"
            };
            command(begin, out)?;
            plan.preamble = 1 + self.local_limits(wanted, out)?;
        } else if self.limits != Some(wanted) {
            frontend::query(&session_limits(self.limits, wanted), out)?;
            self.limits = Some(wanted);
            plan.limits = true;
        }
        let statement = &*job.statement;
        if parse {
            frontend::parse(name, &statement.sql, statement.types.iter().copied(), out)?;
            plan.parses = true;
        }
        bind(name, &job.parameters, out)?;
        frontend::execute("", row_limit(job), out)?;
        frontend::sync(out);
        if plan.preamble > 0 {
            plan.finish = match job.expect_rows {
                Some(expected) => Finish::Decide { expected },
                None => {
                    finish(true, out)?;
                    Finish::Sent
                }
            };
        }
        Ok(plan)
    }

    /// The name to bind, and whether it must be parsed first. An evicted statement is closed before anything that could
    /// fail, or its name would stay behind.
    fn prepare<'a>(&mut self, job: &'a Job, out: &mut BytesMut) -> io::Result<(&'a str, bool)> {
        if !self.named {
            return Ok(("", true));
        }
        match self.prepared.touch(&job.statement) {
            Use::Prepared => Ok((&job.statement.name, false)),
            Use::Prepare { evicted } => {
                if let Some(evicted) = evicted {
                    frontend::close(b'S', &evicted.name, out)?;
                }
                Ok((&job.statement.name, true))
            }
        }
    }

    /// Writes SET LOCAL for what differs from the session, and counts the commands.
    fn local_limits(&self, wanted: Limits, out: &mut BytesMut) -> io::Result<u8> {
        let mut count = 0;
        if self.limits.is_none_or(|now| now.millis != wanted.millis) {
            command(
                &format!("SET LOCAL statement_timeout = {}", wanted.millis),
                out,
            )?;
            command(&format!("SET LOCAL lock_timeout = {}", wanted.millis), out)?;
            count += 2;
        }
        // Not known means a pooler's session: nobody changes its default, so only the exception is set.
        if self.limits.map_or(wanted.custom_plan, |now| {
            now.custom_plan != wanted.custom_plan
        }) {
            command(
                &format!("SET LOCAL plan_cache_mode = {}", plan_cache_mode(wanted)),
                out,
            )?;
            count += 1;
        }
        Ok(count)
    }
}

/// Ends a framed call's transaction.
pub(super) fn finish(commit: bool, out: &mut BytesMut) -> io::Result<()> {
    frontend::query(if commit { "COMMIT" } else { "ROLLBACK" }, out)
}

/// Closes a statement that the server must parse anew.
pub(super) fn close_statement(job: &Job, out: &mut BytesMut) -> io::Result<()> {
    frontend::close(b'S', &job.statement.name, out)
}

/// One row more than wanted shows that there are more. A writing statement runs to its end, because its count matters;
/// so does one with a bound that Execute's 32 bits cannot express.
fn row_limit(job: &Job) -> i32 {
    match (job.access, job.max_rows.checked_add(1).map(i32::try_from)) {
        (Access::ReadOnly, Some(Ok(limit))) => limit,
        _ => 0,
    }
}

fn session_limits(now: Option<Limits>, wanted: Limits) -> String {
    let mut sql = String::with_capacity(96);
    if now.is_none_or(|now| now.millis != wanted.millis) {
        sql.push_str(&format!(
            "SET statement_timeout = {0}; SET lock_timeout = {0};",
            wanted.millis
        ));
    }
    if now.is_none_or(|now| now.custom_plan != wanted.custom_plan) {
        sql.push_str(&format!(
            "SET plan_cache_mode = {};",
            plan_cache_mode(wanted)
        ));
    }
    sql
}

fn plan_cache_mode(limits: Limits) -> &'static str {
    if limits.custom_plan {
        "force_custom_plan"
    } else {
        "auto"
    }
}

/// A command without parameters and rows, within the Sync group that follows.
fn command(sql: &str, out: &mut BytesMut) -> io::Result<()> {
    frontend::parse("", sql, [], out)?;
    bind("", &[], out)?;
    frontend::execute("", 0, out)
}

fn bind(name: &str, parameters: &[Option<String>], out: &mut BytesMut) -> io::Result<()> {
    let write = |value: &Option<String>, out: &mut BytesMut| {
        Ok(match value {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    };
    frontend::bind("", name, [], parameters, write, [], out).map_err(|fault| match fault {
        BindError::Serialization(fault) => fault,
        BindError::Conversion(fault) => io::Error::other(fault),
    })
}

/// The statement behind [`super::Pool::probe`].
pub(super) fn probe_statement() -> Arc<super::job::Statement> {
    Arc::new(super::job::Statement {
        name: "tine_probe".to_string(),
        sql: "SELECT '1'".to_string(),
        types: Vec::new(),
    })
}

#[cfg(test)]
#[path = "session_test.rs"]
mod tests;
