//! The databases' health check in the loop: clients who wait for a sign of life, and the pools that are asked for one. What the answer says is
//! `health`'s.

use crate::client::{Asker, Stage, Takes, Work};
use crate::connection::Input;
use crate::db;
use crate::event_loop::Worker;
use crate::health;
use crate::http::Reply;

impl Worker {
    /// Asks all databases for a sign of life; the client waits for the last of them.
    pub fn probe(&mut self, key: usize) {
        let now = self.now;
        let Some(client) = self.client(key) else {
            return;
        };
        let takes = Takes::Json;
        let asker = Asker { served: 0, takes };
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
        for (number, (pool, events)) in self.pools.iter_mut().zip(&mut self.db_events).enumerate() {
            if self.health.asks(number) {
                pool.probe(self.poll.registry(), now, events);
            }
        }
        self.deliver();
        self.answer_probes();
    }

    pub fn probed(&mut self, number: usize, result: Result<(), db::DbError>) {
        self.health.heard(number, self.now, result);
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
