//! The snapshot as a JSON document: what `GET /health` and `tine status --json` say of the pool, in the same words.
//!
//! Only renders; whoever answers with it adds what only he knows.

use serde_json::{Map, Value, json};

use crate::snapshot::{SlotSnapshot, Snapshot};

impl Snapshot {
    /// The pool, its sums, and every living worker. Times are whole seconds.
    pub fn document(&self) -> Map<String, Value> {
        let totals: Map<String, Value> = self
            .totals
            .entries()
            .map(|(name, count)| (name.to_owned(), json!(count)))
            .collect();
        let workers: Vec<Value> = self.slots.iter().map(|slot| self.worker(slot)).collect();
        let fields = [
            ("generation", json!(self.generation)),
            ("uptime_seconds", json!(self.seconds_since(self.started_ns))),
            ("limit_concurrency", json!(self.limit_concurrency)),
            ("inflight", json!(self.inflight())),
            ("crashes", json!(self.crashes)),
            ("totals", Value::Object(totals)),
            ("workers", Value::Array(workers)),
        ];
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    fn worker(&self, slot: &SlotSnapshot) -> Value {
        json!({
            "slot": slot.slot, "pid": slot.pid, "generation": slot.generation, "state": slot.state.name(),
            "phase": slot.phase.name(), "armed": slot.armed, "inflight": slot.inflight, "connections": slot.connections,
            "subscriptions": slot.subscriptions, "restarts": slot.restarts, "served": slot.counters.served, "uptime_seconds": self.seconds_since(slot.started_ns),
        })
    }

    fn seconds_since(&self, then_ns: u64) -> u64 {
        self.taken_ns.saturating_sub(then_ns) / 1_000_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Phase, Scoreboard, SlotState, monotonic_ns};

    #[test]
    fn every_living_worker_is_there_and_the_words_are_the_boards() {
        let board = Scoreboard::create(4, 32).expect("map");
        let slot = board.slot(2);
        slot.master.starting(7, monotonic_ns(), monotonic_ns());
        slot.master.set_pid(4242);
        slot.master.set_state(SlotState::Ready);
        slot.hot.set_phase(Phase::Serving);
        slot.hot.inflight.set(3);
        slot.counters.served.add(5);
        let document = Value::Object(board.snapshot().document());
        assert_eq!(document["limit_concurrency"], 32);
        assert_eq!(document["inflight"], 3);
        assert_eq!(document["totals"]["served"], 5);
        let workers = document["workers"].as_array().expect("workers");
        assert_eq!(workers.len(), 1, "{document}");
        for (field, value) in [
            ("slot", json!(2)),
            ("pid", json!(4242)),
            ("generation", json!(7)),
            ("state", json!("ready")),
            ("phase", json!("serving")),
            ("served", json!(5)),
            ("uptime_seconds", json!(0)),
        ] {
            assert_eq!(workers[0][field], value, "{field}");
        }
    }
}
