//! Non-blocking PostgreSQL connections in the worker's own loop.
//!
//! `settings` reads a connection string; [`Pool`] queues jobs and owns the connections; `opening` gets a session
//! (over `resolve`, `socket`, `tls`, `startup`), `connection` runs one call on it (`session` writes it, `call` reads the
//! answers), `cancel` stops one. `blocking` is a session outside of the loop, for a command that checks. `startup`, `session` and `call` are pure: bytes in, bytes out.

mod blocking;
mod cache;
mod call;
mod cancel;
mod connection;
mod job;
mod link;
mod opening;
mod pool;
mod resolve;
mod session;
mod settings;
mod socket;
mod startup;
mod tls;
mod wire;

pub use job::{Access, DbError, Event, Job, JobId, Notice, Rows, ServerError, Statement};
pub use pool::{Pool, Status};
pub use settings::{Options, Settings, SettingsError};
