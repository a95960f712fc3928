//! The databases' health check in the loop: pools that are probed by the clock, and clients who are told what the last probes brought. What
//! the answer says is `health`'s.

use crate::catalog;
use crate::client::{Asker, Stage, Takes, Work};
use crate::connection::Input;
use crate::db;
use crate::event_loop::Worker;
use crate::health::{self, Change};
use crate::http::Reply;

impl Worker {
    /// Renews the databases' proofs of life that are not young any more.
    pub fn watch_databases(&mut self) {
        for number in self.health.due(self.now) {
            if let (Some(pool), Some(events)) =
                (self.pools.get_mut(number), self.db_events.get_mut(number))
            {
                pool.probe(self.poll.registry(), self.now, events);
            }
        }
    }

    /// Answers the database health from the last proofs: at once, unless this worker is too young to have any.
    pub fn probe(&mut self, key: usize) {
        let now = self.now;
        let Some(client) = self.client(key) else {
            return;
        };
        let takes = Takes::Json;
        let asker = Asker {
            served: 0,
            takes,
            token: None,
            began: now,
        };
        client.work = Some(Work {
            stage: Stage::Probe,
            started: now,
            asker,
            stream: None,
            batch: None,
        });
        self.input(key, Input::Run);
        self.set_deadline(key, Some(now + health::PATIENCE));
        self.health.wait(key);
        self.watch_databases();
        self.deliver();
        self.answer_probes();
    }

    /// A probe came to its end.
    pub fn probed(&mut self, number: usize, result: Result<(), db::DbError>) {
        let pool = self.pools.get(number);
        let proof = pool
            .and_then(db::Pool::last_proof)
            .filter(|_| result.is_ok());
        let told = result
            .as_ref()
            .err()
            .map(catalog::detail)
            .unwrap_or_default();
        let change = self.health.heard(number, proof.unwrap_or(self.now), result);
        let name = (self.settings.databases.get(number)).map_or("", |database| &database.name);
        match change {
            Some(Change::Lost) => log::warn!("database {name}: no sign of life: {told}"),
            Some(Change::Back) => log::info!("database {name}: lives again"),
            None => {}
        }
        self.answer_probes();
    }

    // Everybody who waits, once the last database has spoken (or none has to).
    fn answer_probes(&mut self) {
        for key in self.health.answered(self.now) {
            self.answer_health(key);
            self.advance(key);
        }
    }

    /// Answers the database health with what is known now; false for a client that waits for something else.
    pub fn answer_health(&mut self, key: usize) -> bool {
        let Some(client) = self.client(key) else {
            return false;
        };
        if client
            .work
            .take_if(|work| matches!(work.stage, Stage::Probe))
            .is_none()
        {
            return false;
        }
        let (status, body) = health::databases(
            &self.settings,
            &self.board.snapshot(),
            self.mode,
            &self.health,
            self.board.header().shutting_down(),
            self.now,
        );
        self.answer(key, &Reply::json(status, &[&body]));
        true
    }
}
