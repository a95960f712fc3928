//! What of the policy's state outlives an upgrade: numbers and workers, in a form that can be written down. What is only memory of
//! misfortune (back-off, crash loop) begins anew with the new program. Deadlines stay what they were, by the clock that no
//! execution stops.

use serde::{Deserialize, Serialize};

use super::{Change, Phase, Pool, Slot, Time, What, Worker};
use crate::settings::Settings;

/// The state in writing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    generation: u64,
    newest: u64,
    begun: u64,
    target: usize,
    max_workers: usize,
    pending: Option<What>,
    /// By slot.
    workers: Vec<(usize, Worker)>,
}

impl Pool {
    /// The state to be written down. To be called between a change's proof and its adoption, when nothing is being forked.
    pub(crate) fn keep(&self) -> Kept {
        Kept {
            generation: self.generation,
            newest: self.newest,
            begun: self.begun,
            target: self.target,
            max_workers: self.places.len(),
            pending: self.pending,
            workers: self.live().collect(),
        }
    }

    /// The pool that was kept, under these settings, in the middle of the upgrade: `Event::Adopted` is due.
    pub(crate) fn resume(kept: Kept, settings: Settings, now: Time, seed: u64) -> Pool {
        let settings = Settings {
            max_workers: kept.max_workers,
            ..settings
        };
        let mut pool = Pool::new(settings, now, seed);
        pool.phase = Phase::Running;
        pool.target = kept.target.clamp(1, pool.places.len());
        pool.generation = kept.generation;
        pool.newest = kept.newest;
        pool.begun = kept.begun;
        pool.pending = kept.pending;
        pool.change = Change::Adopting {
            what: What::Upgrade,
        };
        for (slot, worker) in kept.workers {
            if let Some(place) = pool.slots.get_mut(slot) {
                *place = Slot::Live(worker);
            }
        }
        // The execution took time in which nobody looked at the workers.
        pool.guard_until = now.saturating_add(pool.settings.heartbeat_timeout);
        pool
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Doing;
    use std::time::Duration;

    #[test]
    fn what_is_written_is_read_again() {
        let second = Duration::from_secs(1);
        let mut pool = Pool::new(Settings::default(), second, 7);
        let doings = [
            Doing::Booting { deadline: second },
            Doing::Serving {
                since: second,
                leaving: true,
                deaf_until: Some(second * 2),
            },
            Doing::Retiring {
                parted: true,
                abort_at: second,
                kill_at: second * 3,
            },
            Doing::Aborted { kill_at: second },
            Doing::Killed,
        ];
        for (slot, doing) in doings.into_iter().enumerate() {
            pool.slots[slot] = Slot::Live(Worker {
                pid: 100 + slot as u32,
                generation: 3,
                doing,
            });
        }
        (pool.generation, pool.newest, pool.begun) = (3, 4, 5);
        pool.pending = Some(What::Reload);
        pool.target = 2;
        let kept = pool.keep();
        let text = serde_json::to_string(&kept).expect("writes");
        let again: Kept = serde_json::from_str(&text).expect("reads");
        assert_eq!(again, kept);
        let resumed = Pool::resume(again, Settings::default(), second, 7);
        assert_eq!(resumed.slots, pool.slots);
        assert_eq!(resumed.keep(), kept);
    }
}
