//! Sends rows to the log table from the worker's loop, over a pool of its own, and flushes them at the end. Never in a call's way: a
//! sending costs the loop what one more call does, and nothing waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Events;

use super::pace::{Effect, Ended, Pace};
use super::queue::Queue;
use super::{QUEUE, Settings, with_queue};
use crate::catalog;
use crate::db::{self, Access, DbError, Job, Statement};
use crate::event_loop::Worker;

/// The most bytes of one statement's rows.
const BYTES: usize = 1 << 20;
/// One statement, from its start to its end: a frozen server is found out, and a lock on the table is not waited for longer.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a worker that is done stays for its last rows: at a stop nobody waits longer, and it ends before the master's patience.
const FLUSH: Duration = Duration::from_secs(2);
/// Of which so much may lie behind the drain's deadline.
const OVERTIME: Duration = Duration::from_millis(1500);
/// The longest sleep while rows are flushed.
const TURN: Duration = Duration::from_millis(20);

/// What a worker with a log table has.
pub(crate) struct Writer {
    /// The number of its pool.
    pool: usize,
    pace: Pace,
    statement: Arc<Statement>,
    names: [Option<String>; 2],
}

impl Writer {
    /// From now on this process keeps its records for the table.
    pub fn begin(settings: &Settings, pool: usize, now: Instant) -> Writer {
        let queue = Queue::new(settings.level, std::process::id());
        *QUEUE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(queue);
        Writer {
            pool,
            pace: Pace::new(now),
            statement: Arc::new(statement(&settings.table)),
            names: [&settings.app_name, &settings.instance_name].map(|name| Some(name.clone())),
        }
    }

    fn job(&self, rows: String, now: Instant) -> Job {
        let [app, instance] = self.names.clone();
        Job {
            statement: Arc::clone(&self.statement),
            parameters: vec![Some(rows), app, instance],
            access: Access::ReadWrite,
            timeout: LIMIT,
            custom_plan: false,
            max_rows: 1,
            max_bytes: 64,
            expect_rows: None,
            notices: false,
            deadline: now + LIMIT,
        }
    }
}

// One text for all rows: a statement that is prepared once, however many they are.
fn statement(table: &str) -> Statement {
    let sql = format!(
        "INSERT INTO {table} (app_name, instance_name, \"timestamp\", level, levelname, message, module, funcname, lineno, process, thread, extra_data) \
         SELECT $2, $3, r.\"timestamp\", r.level, r.levelname, r.message, r.module, r.funcname, r.lineno, r.process, r.thread, r.extra_data \
         FROM json_to_recordset($1) AS r(\"timestamp\" timestamptz, level integer, levelname text, message text, module text, funcname text, \
         lineno integer, process integer, thread bigint, extra_data jsonb)"
    );
    Statement {
        name: "tine_log".to_owned(),
        sql,
        // json and text, by PostgreSQL's catalog (pg_type.dat).
        types: vec![114, 25, 25],
    }
}

fn verdict(result: &Result<db::Rows, DbError>) -> Ended {
    match result {
        Ok(_) => Ended::Written,
        // Data exceptions and constraints: of one row, and the same again tomorrow.
        Err(error) if matches!(catalog::sqlstate(error).get(..2), Some("22" | "23")) => {
            Ended::Unfit
        }
        Err(_) => Ended::Failed,
    }
}

impl Worker {
    /// Sends what is due.
    pub fn write_log(&mut self) {
        let Some(writer) = &mut self.log_writer else {
            return;
        };
        let waiting = with_queue(|queue| queue.len()).unwrap_or(0);
        let Some(most) = writer.pace.due(self.now, waiting, self.draining.is_some()) else {
            return;
        };
        let (rows, count) = with_queue(|queue| queue.first(most, BYTES)).unwrap_or_default();
        writer.pace.sent(self.now, count);
        let (job, number) = (writer.job(rows, self.now), writer.pool);
        if let (Some(pool), Some(events)) =
            (self.pools.get_mut(number), self.db_events.get_mut(number))
        {
            pool.submit(self.poll.registry(), self.now, job, events);
        }
    }

    /// Whether this pool is the log table's.
    pub fn is_log(&self, pool: usize) -> bool {
        self.log_writer
            .as_ref()
            .is_some_and(|writer| writer.pool == pool)
    }

    /// A sending ended.
    pub fn log_written(&mut self, result: &Result<db::Rows, DbError>) {
        let Some(writer) = &mut self.log_writer else {
            return;
        };
        match writer.pace.ended(self.now, verdict(result)) {
            Effect::Nothing => {}
            Effect::Forget(rows) => {
                with_queue(|queue| queue.written(rows));
            }
            Effect::Recovered(rows) => {
                with_queue(|queue| queue.written(rows));
                log::info!("the log table is written again");
            }
            Effect::Refuse => {
                with_queue(Queue::refused);
                log::warn!("the log table refuses a record: {}", reason(result));
            }
            Effect::Complain => log::warn!(
                "the log table can't be written, records wait: {}",
                reason(result)
            ),
        }
        if result.is_ok()
            && let Some(dropped @ 1..) = with_queue(Queue::take_dropped)
        {
            log::warn!(
                "{dropped} records are not in the log table, only on standard error: too many waited for it, or it refused them"
            );
        }
    }

    /// Stays until the last rows are in the table, or it takes too long.
    pub fn flush_log(&mut self) {
        if self.log_writer.is_none() {
            return;
        }
        let overtime = self.draining.map(|deadline| deadline + OVERTIME);
        let until = overtime
            .into_iter()
            .fold(Instant::now() + FLUSH, Instant::min);
        let mut events = Events::with_capacity(64);
        while with_queue(|queue| queue.len()) > Some(0) && Instant::now() < until {
            if self.poll.poll(&mut events, Some(TURN)).is_err() {
                events.clear();
            }
            self.now = Instant::now();
            self.turn(&events);
        }
        let left = with_queue(|queue| (queue.len() as u64) + queue.take_dropped());
        if let Some(left @ 1..) = left {
            log::warn!(
                "{left} records did not reach the log table, they are only on standard error"
            );
        }
    }
}

fn reason(result: &Result<db::Rows, DbError>) -> String {
    result
        .as_ref()
        .err()
        .map(catalog::detail)
        .unwrap_or_default()
}
