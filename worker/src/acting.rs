//! Effects of a call in the loop: handed to the blocking pool, and back with what came of them. Knows which call waits for what;
//! neither effects nor statements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::blocking::{Panicked, Refused, Ticket};
use crate::catalog;
use crate::client::Stage;
use crate::effects::{self, Act, Whose};
use crate::event_loop::Worker;
use crate::mcp::Call;
use crate::record::Ending;

/// What of a call's time effects leave to the statement that reports, so that it can tell of one that took too long; never more than a
/// quarter of the whole.
const FOR_FINISH: Duration = Duration::from_secs(1);

impl Worker {
    /// Begins a call's effects; the call keeps its place until they are done.
    pub fn act(&mut self, key: usize, mut call: Box<Call>, acts: Vec<Act>) {
        if acts.is_empty() {
            return self.acted(key, call, Ok(Vec::new()));
        }
        let Some(started) = self.started(key) else {
            return;
        };
        let deadline = self.effects_end(started, &call);
        let settings = Arc::clone(&self.settings);
        let whose = Whose {
            tool: call.tool.name.clone(),
            request: call.request.clone(),
        };
        let names: Vec<&str> = acts.iter().map(|act| act.name.as_str()).collect();
        // Stands in the record of a call that is given up meanwhile.
        call.effects = Some(format!("{} handed over", names.join(", ")));
        let work = move |cancel: &crate::blocking::Cancel| {
            effects::perform(&acts, &settings.effects, deadline, cancel, &whose)
        };
        match self.blocking.submit(deadline, work) {
            Ok(ticket) => {
                self.tickets.insert(ticket, key);
                self.set_stage(key, Stage::Effects { ticket, call });
            }
            Err(refused) => {
                let text = match refused {
                    Refused::Full => "Too much is being done already; try again in a second.",
                    Refused::NoThread(reason) => {
                        self.broken(&format!("no thread for effects: {reason}"));
                        "The server can't do this now; try again in a second."
                    }
                };
                call.effects = None;
                let outcome = call.tool.untried(text);
                self.ended(key, &call, &outcome, &Ending::default());
            }
        }
    }

    fn effects_end(&self, started: Instant, call: &Call) -> Instant {
        let whole = self.settings.deadlines.request;
        let reserve = match call.work {
            catalog::Work::Sql(_) => FOR_FINISH.min(whole / 4),
            _ => Duration::ZERO,
        };
        started + whole - reserve
    }

    /// Takes what the blocking pool has done.
    pub fn take_effects(&mut self) {
        while let Some((ticket, result)) = self.blocking.result() {
            if result.is_err() {
                self.broken("a panic while effects were performed");
            }
            if let Some(key) = self.tickets.remove(&ticket) {
                self.guarded(key, |worker| worker.effects_done(key, ticket, result));
            }
        }
    }

    fn effects_done(
        &mut self,
        key: usize,
        ticket: Ticket,
        result: Result<Vec<effects::Outcome>, Panicked>,
    ) {
        let call = match self.take_stage(key) {
            Some(Stage::Effects { ticket: own, call }) if own == ticket => call,
            _ => return,
        };
        self.acted(key, call, result);
        self.advance(key);
    }

    fn acted(
        &mut self,
        key: usize,
        mut call: Box<Call>,
        result: Result<Vec<effects::Outcome>, Panicked>,
    ) {
        let tool = Arc::clone(&call.tool);
        let Ok(outcomes) = result else {
            let outcome = tool.untried(
                "An internal fault while the tool acted; what it was to do may or may not have happened.",
            );
            return self.ended(key, &call, &outcome, &Ending::default());
        };
        call.effects = (!outcomes.is_empty()).then(|| effects::summary(&outcomes));
        let outcome = match &mut call.work {
            catalog::Work::Sql(sql) => {
                tool.acted(sql, &outcomes);
                return self.query(key, call);
            }
            _ => tool.told(outcomes),
        };
        self.ended(key, &call, &outcome, &Ending::default());
    }

    /// Finds out about a thread that never comes back.
    pub fn watch_blocking(&mut self) {
        if self.blocking.lost(self.now) {
            self.broken("an effect has not ended long after its deadline");
        }
    }
}
