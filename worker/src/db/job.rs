//! What a caller asks of a database and what comes back: plain data, shared by the tool
//! engine (which builds jobs) and the pool (which runs them). Knows nothing of sockets,
//! HTTP or MCP.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// A statement as PostgreSQL sees it: placeholders are `$1..$n`, already wrapped so that
/// column 0 of every row is one JSON text and columns 1.. are the page's key values.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    /// `tine_` and 16 hex digits of a digest of the SQL and the types. The same name is always the same
    /// statement, so a name that already exists behind a pooler is never another one.
    pub name: String,
    pub sql: String,
    /// Parameter type OIDs for Parse; 0 lets the server infer the type.
    pub types: Vec<u32>,
}

/// What a call's transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

/// One call for the database.
#[derive(Debug)]
pub struct Job {
    pub statement: Arc<Statement>,
    /// Values in text format; `None` is NULL.
    pub parameters: Vec<Option<String>>,
    pub access: Access,
    /// `statement_timeout` (and `lock_timeout`) of this call.
    pub timeout: Duration,
    /// Run with `plan_cache_mode = force_custom_plan`.
    pub custom_plan: bool,
    /// The most rows to fetch (Execute's row count); one more existing row sets [`Rows::more`].
    pub max_rows: u32,
    /// The most bytes of [`Rows::json`]; whole rows beyond it are dropped and [`Rows::truncated`] is set.
    pub max_bytes: usize,
    /// Roll back, and answer [`DbError::ExpectRows`], unless exactly so many rows were affected.
    pub expect_rows: Option<u64>,
    /// Deliver the statement's notices as [`Event::Notice`].
    pub notices: bool,
    /// When the caller stops waiting: queued jobs fail, a running one is cancelled.
    pub deadline: Instant,
}

/// Names a submitted job within its pool; never reused while a worker lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// What a finished job yields.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// The kept rows' column 0, joined by `,` (no brackets). A NULL column 0 counts as `null`.
    pub json: Vec<u8>,
    /// Rows kept in `json`.
    pub count: usize,
    /// Rows existed beyond `max_rows`.
    pub more: bool,
    /// Rows were fetched but dropped, because `max_bytes` was reached.
    pub truncated: bool,
    /// Columns 1.. of the last row kept, as text.
    pub keys: Vec<Option<String>>,
    /// The row count of the command tag (`INSERT 0 3` is 3).
    pub affected: u64,
}

/// A NOTICE that a statement raised while it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub severity: String,
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
}

/// An error that PostgreSQL reported (protocol message ErrorResponse).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// 1-based character position in the statement's SQL.
    pub position: Option<usize>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
}

/// Why a job has no rows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DbError {
    /// The statement failed; the connection goes on.
    Server(Box<ServerError>),
    /// No connection can be had now (refused, login failed, out of connections, backing off). Nothing was run.
    Unavailable(String),
    /// The connection was lost while the statement ran: a write may or may not have happened.
    Lost(String),
    /// The deadline passed while the job waited for a free connection. Nothing was run.
    QueueTimeout,
    /// The deadline passed while the statement ran; it was cancelled.
    Timeout,
    /// The queue is full. Nothing was run.
    Overloaded,
    /// [`Job::expect_rows`] did not hold; rolled back.
    ExpectRows { expected: u64, affected: u64 },
    /// The result was larger than the connection's hard cap; it was cancelled.
    TooLarge,
}

/// What the pool tells the loop.
#[derive(Debug)]
pub enum Event {
    Notice(JobId, Notice),
    Done(JobId, Result<Rows, DbError>),
    /// The answer to [`super::Pool::probe`].
    Probed(Result<(), DbError>),
}
