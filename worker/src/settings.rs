//! What a worker is told: limits, deadlines, paths, names. Plain data, complete and checked before any worker exists.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::{Allowed, Tokens};
use crate::catalog::{Catalog, Tool};
use crate::db;
use crate::http;
use crate::log_table;
use crate::mcp::{Caching, ServerInfo};

/// Everything that does not change while a worker lives.
#[derive(Debug, Clone)]
pub struct Settings {
    pub limits: Limits,
    pub deadlines: Deadlines,
    pub http: http::Limits,
    /// Paths of the MCP endpoint, each beginning with `/` and without a slash at the end; a toolset follows as one more segment.
    pub paths: Vec<String>,
    pub health: Health,
    pub allowed: Allowed,
    pub tokens: Tokens,
    pub server: ServerInfo,
    pub caching: Caching,
    /// Where a toolset has none of its own.
    pub instructions: Option<String>,
    pub databases: Vec<db::Settings>,
    /// What tools may reach beside them.
    pub effects: Arc<crate::effects::Settings>,
    pub catalog: Arc<Catalog>,
    /// The toolset at the bare path; `None` is all tools.
    pub default_toolset: Option<String>,
    pub log_calls: LogCalls,
    pub log_table: Option<log_table::Settings>,
}

/// Which calls have a record in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogCalls {
    #[default]
    All,
    /// All but those that went well.
    Failed,
    None,
}

impl Settings {
    /// A number for which list of tools stands at which URL, for [`tine_scoreboard::Header::set_catalog`]: two configurations with one
    /// number show the same tools everywhere. Never 0.
    pub fn catalog_digest(&self) -> u64 {
        crate::served::digest(self)
    }

    /// The index of a tool's database: the one it names, or the only one that there is.
    pub fn database_of(&self, tool: &Tool) -> Option<usize> {
        match &tool.database {
            Some(name) => self
                .databases
                .iter()
                .position(|database| database.name == **name),
            None => (self.databases.len() == 1).then_some(0),
        }
    }
}

/// Counts, each for one worker.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls in flight.
    pub concurrency: u32,
    /// Client connections, idle ones included.
    pub connections: usize,
    /// Subscriptions among the connections, at most half of them; 0 is no subscriptions at all. See [`Limits::subscriptions`].
    pub subscriptions: u32,
    /// Requests after which the worker asks to be replaced; `None` is never. Jitter is added already.
    pub requests: Option<u64>,
    /// Bytes of memory of its own beyond which the worker asks to be replaced; `None` is never.
    pub memory: Option<u64>,
    /// Requests on one connection before it is closed.
    pub keep_alive_requests: u32,
}

impl Limits {
    /// How many subscriptions may be open. Half of the connections is kept for requests: a subscription is never closed to make room.
    pub fn subscriptions(&self) -> u32 {
        let half = u32::try_from(self.connections / 2).unwrap_or(u32::MAX);
        self.subscriptions.min(half)
    }
}

/// How long anything may take.
#[derive(Debug, Clone)]
pub struct Deadlines {
    /// From accept to the first byte, and for a whole head after its first byte.
    pub head: Duration,
    /// Between requests on a connection.
    pub keep_alive: Duration,
    /// A call, from its last byte to its answer.
    pub request: Duration,
    /// A call's wait for a free place while all workers are full.
    pub queue: Duration,
    /// A drain.
    pub drain: Duration,
}

/// The health endpoints.
#[derive(Debug, Clone)]
pub struct Health {
    /// Answers for the process alone, always at once.
    pub path: String,
    /// Answers for the databases too; empty: there is none.
    pub database_path: String,
    /// The databases that it asks.
    pub databases: Vec<String>,
    /// The `service` that the database health names.
    pub service: String,
}

/// From the first byte of a body on: this, plus the time that the body takes at [`BODY_RATE`], but at most [`BODY_MOST`].
pub const BODY_LEAST: Duration = Duration::from_secs(5);
pub const BODY_MOST: Duration = Duration::from_secs(30);
/// Bytes a second that a client must keep up while it sends a body.
pub const BODY_RATE: u64 = 16 * 1024;
/// A client that takes no byte of its answer for so long is dropped.
pub const WRITE_STALL: Duration = Duration::from_secs(10);
/// A subscription on which nothing is said carries a comment so often: less than the idle timeout of any proxy in common use, and what
/// the official SDKs do. One that is not taken before the next is due ends the stream.
pub const STREAM_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A subscriber that acknowledges no byte for so long has vanished.
pub const STREAM_LOST: Duration = Duration::from_secs(30);
/// How long, and for how many bytes, a shut connection is still read.
pub const LINGER: Duration = Duration::from_secs(2);
pub const LINGER_BYTES: usize = 1024 * 1024;
/// A drain's patience with connections that may be about to speak: accepted a moment ago, or in use while the pool goes on.
pub const GRACE: Duration = Duration::from_millis(1500);
/// The patience of a whole pool that stops, with connections that were served before: longer than a client at work is silent.
pub const BRIEF_GRACE: Duration = Duration::from_millis(250);
/// After a call's deadline the database layer reports it; if it does not within this time, the loop does.
pub const LATE: Duration = Duration::from_secs(1);
