//! The log table: what a worker logs, written to a table of a database as well. Records wait in a bounded queue and are
//! inserted many at a time over a connection of the worker's own loop, so that no call ever waits for its record.
//!
//! `row` makes a record a row, `queue` keeps rows until they are in the table, `pace` decides when how many are sent, `writer` sends them.
//!
//! From Python's QueueHandler, whose table this is compatible with: a full queue drops the newest, since an outage is
//! understood by its beginning. From vector's disk-less buffers: a row leaves the queue when the database has it, not when it is sent.

mod pace;
mod queue;
mod row;
mod writer;

use std::sync::{Mutex, PoisonError};

use log::LevelFilter;

use crate::db;
use queue::Queue;
pub(crate) use writer::Writer;

/// Where records go.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A pool of its own, of one connection.
    pub database: db::Settings,
    /// As SQL names it: `"table"` or `"schema"."table"`.
    pub table: String,
    /// The least severe records that are written.
    pub level: LevelFilter,
    /// At most 100 characters, like the next.
    pub app_name: String,
    pub instance_name: String,
}

/// The queue of this process. A master has none: it has no database, and its lines go to standard error only.
static QUEUE: Mutex<Option<Queue>> = Mutex::new(None);

/// Puts a record into this worker's queue, if it has one and the record is severe enough. Never blocks, never fails, logs nothing.
pub fn offer(record: &log::Record) {
    with_queue(|queue| {
        if record.level() <= queue.level {
            queue.push(row::json(record, queue.process));
        }
    });
}

// What a panic left behind is still a queue of rows.
fn with_queue<T>(work: impl FnOnce(&mut Queue) -> T) -> Option<T> {
    let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
    queue.as_mut().map(work)
}
