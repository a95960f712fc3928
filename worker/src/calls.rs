//! Tool calls in the loop: admission, the hand-over to a database's pool, progress, and the way back. The only room where
//! clients and databases meet. Knows nothing of bytes on either side.

use std::sync::Arc;
use std::time::Instant;

use crate::catalog::{self, Builtin, Content, Outcome, Step};
use crate::client::{Asker, Batch, Stage, Work};
use crate::connection::{Input, State};
use crate::db;
use crate::event_loop::Worker;
use crate::mcp::{self, Call};
use crate::progress::Progress;
use crate::record::{Ending, Record};
use crate::settings::LATE;
use crate::token;

impl Worker {
    /// Begins a call: at once if there is a place, else it waits for one.
    pub fn start(&mut self, key: usize, mut call: Box<Call>, asker: Asker, batch: Option<Batch>) {
        self.slot().counters.tool_calls.add(1);
        call.request = self.request_ids.next();
        let asker = Asker {
            began: self.now,
            ..asker
        };
        self.learn_client(key, &mut call.asked);
        if let catalog::Work::Builtin(builtin) = &call.work {
            let outcome = self.builtin(builtin, asker);
            return self.finish(key, &call, &outcome, asker, batch, &Ending::default());
        }
        let work = Work {
            stage: Stage::Admission(call),
            started: batch.as_ref().map_or(self.now, |batch| batch.started),
            asker,
            stream: None,
            batch,
        };
        let now = self.now;
        let Some(client) = self.client(key) else {
            return;
        };
        // A batch is one request: its next call takes the place that the last one has just given up.
        let goes_on = client.state == State::Running;
        client.work = Some(work);
        let room = self.inflight < self.settings.limits.concurrency && self.waiting.is_empty();
        if goes_on || room {
            return self.run_call(key);
        }
        self.input(key, Input::Hold);
        self.waiting.push_back(key);
        self.set_deadline(key, Some(now + self.settings.deadlines.queue));
    }

    /// Gives free places to those who wait longest.
    pub fn admit_waiting(&mut self) {
        while self.inflight < self.settings.limits.concurrency {
            let Some(key) = self.waiting.pop_front() else {
                return;
            };
            if self
                .client(key)
                .is_some_and(|client| client.state == State::Queued)
            {
                self.guarded(key, |worker| {
                    worker.run_call(key);
                    worker.advance(key);
                });
            }
        }
    }

    /// A queued call whose short wait is over, while the pool as a whole has room: its connection cannot be handed over, so it runs
    /// here above the limit rather than being told that all are full; true if so. Never more of them than the siblings have places.
    pub fn run_misplaced(&mut self, key: usize) -> bool {
        let queued = self
            .client(key)
            .is_some_and(|client| client.state == State::Queued);
        if !queued {
            return false;
        }
        let limit = self.settings.limits.concurrency;
        let above = self.inflight.saturating_sub(limit);
        let misplaced = above < limit && above < self.board.places_elsewhere(self.slot_number);
        if misplaced {
            self.run_call(key);
            self.advance(key);
        }
        misplaced
    }

    fn run_call(&mut self, key: usize) {
        let Some(client) = token::find(&mut self.clients, &self.generations, key) else {
            return;
        };
        let Some(work) = &mut client.work else {
            return;
        };
        let deadline = work.started + self.settings.deadlines.request;
        let mut call = match std::mem::replace(&mut work.stage, Stage::Between) {
            Stage::Admission(call) => call,
            other => {
                work.stage = other;
                return;
            }
        };
        self.inflight += 1;
        self.input(key, Input::Run);
        self.set_deadline(key, Some(deadline + LATE));
        match &mut call.work {
            catalog::Work::Effect(acts) => {
                let acts = std::mem::take(acts);
                self.act(key, call, acts);
            }
            _ => self.query(key, call),
        }
    }

    /// Runs the call's next statement.
    pub fn query(&mut self, key: usize, mut call: Box<Call>) {
        let Some(started) = self.started(key) else {
            return;
        };
        let (Some(number), catalog::Work::Sql(sql)) =
            (self.settings.database_of(&call.tool), &mut call.work)
        else {
            // The start refuses such a catalog, so this is a fault of ours and not of the caller.
            let outcome = Outcome::error("The tool's database is not configured on this server");
            return self.ended(key, &call, &outcome, &Ending::default());
        };
        let job = sql.job(started + self.settings.deadlines.request);
        let (Some(pool), Some(events)) =
            (self.pools.get_mut(number), self.db_events.get_mut(number))
        else {
            return;
        };
        let job = pool.submit(self.poll.registry(), self.now, job, events);
        self.jobs.insert((number, job), key);
        self.set_stage(
            key,
            Stage::Database {
                pool: number,
                job,
                call,
                progress: Progress::default(),
            },
        );
    }

    /// When the client's request began, while it has one.
    pub fn started(&mut self, key: usize) -> Option<Instant> {
        Some(self.client(key)?.work.as_ref()?.started)
    }

    pub fn set_stage(&mut self, key: usize, stage: Stage) {
        if let Some(work) = self.client(key).and_then(|client| client.work.as_mut()) {
            work.stage = stage;
        }
    }

    /// What the client waits for, which has come: the next step is up to the caller.
    pub fn take_stage(&mut self, key: usize) -> Option<Stage> {
        let work = self.client(key)?.work.as_mut()?;
        Some(std::mem::replace(&mut work.stage, Stage::Between))
    }

    /// Takes what the databases have said. A finished call may start another (a batch), which may fail at once, so until nothing is left.
    pub fn deliver(&mut self) {
        for number in 0..self.db_events.len() {
            while self
                .db_events
                .get(number)
                .is_some_and(|events| !events.is_empty())
            {
                for event in std::mem::take(&mut self.db_events[number]) {
                    match event {
                        db::Event::Notice(job, notice) => {
                            self.for_job(number, job, |worker, key| worker.notice(key, &notice));
                        }
                        db::Event::Done(_, result) if self.is_log(number) => {
                            self.log_written(&result);
                        }
                        db::Event::Done(job, result) => {
                            self.for_job(number, job, |worker, key| {
                                worker.done(number, job, key, result);
                            });
                        }
                        db::Event::Probed(result) => self.probed(number, result),
                    }
                }
            }
        }
    }

    // Nobody waits any more for a job that is not there.
    fn for_job(&mut self, number: usize, job: db::JobId, work: impl FnOnce(&mut Worker, usize)) {
        if let Some(key) = self.jobs.get(&(number, job)).copied() {
            self.guarded(key, |worker| work(worker, key));
        }
    }

    fn done(
        &mut self,
        number: usize,
        job: db::JobId,
        key: usize,
        result: Result<db::Rows, db::DbError>,
    ) {
        self.jobs.remove(&(number, job));
        let Some(Stage::Database { mut call, .. }) = self.take_stage(key) else {
            return;
        };
        if result.is_err() {
            self.slot().counters.database_errors.add(1);
        }
        let ending = Ending::of(&result);
        let tool = Arc::clone(&call.tool);
        let catalog::Work::Sql(sql) = &mut call.work else {
            return;
        };
        match tool.answered(sql, result) {
            Step::Act(acts) => self.act(key, call, acts),
            Step::Done(outcome) => self.ended(key, &call, &outcome, &ending),
        }
        self.advance(key);
    }

    /// The call has its result: its place is free, and the client is answered.
    pub fn ended(&mut self, key: usize, call: &Call, outcome: &Outcome, ending: &Ending) {
        let Some(Work {
            asker,
            stream,
            batch,
            ..
        }) = self.client(key).and_then(|client| client.work.take())
        else {
            return;
        };
        self.inflight -= 1;
        match stream {
            Some(stream) => self.end_stream(key, call, outcome, asker, stream, ending),
            None => self.finish(key, call, outcome, asker, batch, ending),
        }
    }

    fn finish(
        &mut self,
        key: usize,
        call: &Call,
        outcome: &Outcome,
        asker: Asker,
        batch: Option<Batch>,
        ending: &Ending,
    ) {
        let Some(reply) = self.render(call, outcome, asker, ending) else {
            return;
        };
        match batch {
            Some(mut batch) => {
                batch.answers.push(reply.body);
                self.next_of_batch(key, batch, asker);
            }
            None => self.answer_message(key, &reply, asker.takes),
        }
    }

    /// Every answer of a call that was made, and its record.
    pub fn render(
        &self,
        call: &Call,
        outcome: &Outcome,
        asker: Asker,
        ending: &Ending,
    ) -> Option<mcp::Reply> {
        if outcome.is_error {
            self.slot().counters.tool_errors.add(1);
        }
        let served = self.served.get(asker.served)?;
        let (id, request) = (&call.id, Some(call.request.as_str()));
        let reply = mcp::call_result(id, call.era, &served.prepared, outcome, request);
        self.write_record(
            asker,
            &call.asked,
            Record {
                rows: ending.rows,
                bytes: Some(reply.body.len()),
                sqlstate: ending.sqlstate.as_deref(),
                error: ending.error.as_deref(),
                effects: call.effects.as_deref(),
                note: call.tool.note(outcome).as_deref(),
                ..Record::new(&call.request, &call.tool.name, ending.end(outcome))
            },
        );
        Some(reply)
    }

    fn builtin(&self, builtin: &Builtin, asker: Asker) -> Outcome {
        let toolset = self
            .served
            .get(asker.served)
            .and_then(|served| self.settings.catalog.toolset(served.toolset.as_deref()));
        let Some(toolset) = toolset else {
            return Outcome::error("The toolset is gone");
        };
        match builtin {
            Builtin::Pool => {
                let bytes =
                    crate::health::process(&self.settings, &self.board.snapshot(), self.mode);
                Outcome {
                    is_error: false,
                    content: Content::Json {
                        object: true,
                        bytes,
                        notes: Vec::new(),
                    },
                }
            }
            other => toolset.builtin(other),
        }
    }

    /// Cancels what runs for a client's work; its call.
    pub fn cancel(&mut self, work: Work) -> Option<Box<Call>> {
        match work.stage {
            Stage::Admission(call) => Some(call),
            Stage::Probe => None,
            Stage::Between => {
                self.inflight -= 1;
                None
            }
            Stage::Effects { ticket, call } => {
                if self.tickets.remove(&ticket).is_some() {
                    self.inflight -= 1;
                }
                self.blocking.cancel(ticket);
                Some(call)
            }
            Stage::Database {
                pool: number,
                job,
                call,
                ..
            } => {
                if self.jobs.remove(&(number, job)).is_some() {
                    self.inflight -= 1;
                }
                if let (Some(pool), Some(events)) =
                    (self.pools.get_mut(number), self.db_events.get_mut(number))
                {
                    pool.cancel(self.poll.registry(), self.now, job, events);
                }
                Some(call)
            }
        }
    }
}
