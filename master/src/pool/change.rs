//! The part of the policy that changes what the pool runs: a new configuration (SIGHUP), a new binary (SIGUSR2).
//!
//! One change at a time, in three steps. A short-lived child proves what is to come, so that nothing that is wrong with it can
//! hurt the master. Then the master adopts it: bytes that the child has proven, or the program itself, executed in place. Then
//! workers are replaced one by one, each challenger ready before its incumbent drains. The first challenger is the proof:
//! if it can't become ready, everything is as before. Orders that arrive meanwhile merge into one that follows.
//!
//! From gunicorn: the new ones first. From HAProxy: ready, or keep the old ones; the same process id; and a child that reads the
//! configuration, never the long-lived master.

use std::fmt;
use std::time::Duration;

use log::Level;
use serde::{Deserialize, Serialize};

use super::{Action, Doing, Notice, Phase, Pool, Slot, Time, Worker};
use crate::backoff::LONGEST_DELAY;
use crate::settings::Settings;

/// So many challengers may fail after the first one was ready; then the change stays unfinished.
const FAILURES: u32 = 5;

/// What is to change. An upgrade reads the configuration too, so of two that wait it is the one to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum What {
    /// The configuration.
    Reload,
    /// The binary, and with it the configuration.
    Upgrade,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Reload => "reload",
            What::Upgrade => "upgrade",
        })
    }
}

/// How far the change is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// There is none.
    None,
    /// A child reads and checks; it has no `pid` before its fork is reported.
    Checking {
        what: What,
        pid: Option<u32>,
        deadline: Time,
    },
    /// Proven. The answer to `Action::Adopt` or `Action::Execute` is due at once.
    Adopting { what: What },
    /// Workers are replaced. `from` is the generation to go back to with the settings `before`, until one of the new
    /// generation was ready and has `proven` it. The next one must be ready by `until`.
    Rolling {
        until: Time,
        what: What,
        from: u64,
        before: Box<Before>,
        proven: bool,
        failures: u32,
    },
}

/// What a change that fails goes back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) settings: Settings,
    pub(crate) target: usize,
}

impl Pool {
    /// The number of the change that an order given now would be answered by.
    pub fn next_change(&self) -> u64 {
        self.begun + 1
    }

    /// An order to change something.
    pub(super) fn order(&mut self, what: What, out: &mut Vec<Action>) {
        if self.change != Change::None || !matches!(self.phase, Phase::Running) {
            let text = format!("{what} noted: it follows what is under way");
            out.push(Action::Log(Level::Info, text));
        }
        self.pending = self.pending.max(Some(what));
    }

    /// Begins what waits, as soon as nothing else is under way.
    pub(super) fn begin_change(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.change != Change::None || self.phase != Phase::Running {
            return;
        }
        let Some(what) = self.pending.take() else {
            return;
        };
        self.begun += 1;
        self.change = Change::Checking {
            what,
            pid: None,
            deadline: now.saturating_add(self.settings.check_timeout),
        };
        out.push(Action::Notify(Notice::Reloading));
        out.push(Action::Log(Level::Info, format!("{what}: checking")));
        out.push(Action::Check(what));
    }

    /// The child that checks was forked, or could not be.
    pub(super) fn check_begun(&mut self, begun: Result<u32, String>, out: &mut Vec<Action>) {
        if let Change::Checking { pid, .. } = &mut self.change {
            match begun {
                Ok(number) => *pid = Some(number),
                Err(text) => self.refuse(&text, out),
            }
        }
    }

    /// The child has ended with its verdict.
    pub(super) fn checked(&mut self, pid: u32, verdict: Result<(), String>, out: &mut Vec<Action>) {
        let Change::Checking {
            what,
            pid: Some(checker),
            ..
        } = self.change
        else {
            return;
        };
        if checker != pid {
            return;
        }
        match verdict {
            Err(text) => self.refuse(&text, out),
            Ok(()) => {
                self.change = Change::Adopting { what };
                out.push(match what {
                    What::Reload => Action::Adopt,
                    What::Upgrade => Action::Execute,
                });
            }
        }
    }

    /// The master has taken over what was proven, or could not. After an execution this is another program's first event.
    pub(super) fn adopted(
        &mut self,
        now: Time,
        adopted: Result<Settings, String>,
        out: &mut Vec<Action>,
    ) {
        let Change::Adopting { what } = self.change else {
            return;
        };
        match adopted {
            Err(text) => self.refuse(&text, out),
            Ok(settings) => {
                let from = self.generation;
                self.newest += 1;
                self.generation = self.newest;
                let before = Before {
                    settings: std::mem::replace(&mut self.settings, settings),
                    target: self.target,
                };
                self.set_target(now, self.settings.workers, out);
                self.change = Change::Rolling {
                    until: now.saturating_add(self.patience()),
                    what,
                    from,
                    before: Box::new(before),
                    proven: false,
                    failures: 0,
                };
                let text = format!("{what}: replacing workers, generation {}", self.generation);
                out.push(Action::Log(Level::Info, text));
            }
        }
    }

    fn set_target(&mut self, now: Time, target: usize, out: &mut Vec<Action>) {
        self.target = target.clamp(1, self.places.len());
        for place in self.target..self.places.len() {
            for slot in self.pair(place) {
                self.retire(now, slot, false, out);
            }
        }
    }

    /// Gives up a change that gets no further, before anybody is forked for it.
    pub(super) fn expire_change(&mut self, now: Time, out: &mut Vec<Action>) {
        if matches!(self.change, Change::Rolling { until, .. } if now >= until) {
            self.give_up_change(now, "no other worker became ready", out);
        }
    }

    /// Replaces the next worker of an older generation, if none is on its way; ends the change when none is left.
    pub(super) fn roll(&mut self, now: Time, out: &mut Vec<Action>) {
        let Change::Rolling { what, proven, .. } = self.change else {
            return;
        };
        if self.on_their_way() {
            return;
        }
        let stale = (0..self.target).any(|place| self.is_stale(place));
        // An old one that has not left the listener yet could still answer whoever comes after the good news.
        if proven && !stale && self.live().any(|(_, worker)| self.may_answer(worker)) {
            return;
        }
        if proven && !stale {
            let text = format!(
                "{what} done: {} of {} workers run generation {}",
                self.ready_count(),
                self.target,
                self.generation
            );
            self.refusal = None;
            return self.end_change(true, text, out);
        }
        let next = (0..self.target).find_map(|place| {
            let slot = self.empty_slot(place)?;
            let due = self.is_stale(place) && now >= self.places[place].not_before();
            due.then_some(slot)
        });
        if let Some(slot) = next {
            self.fork(slot, out);
        }
    }

    /// Whether a worker of the place belongs to another generation, and is not on its way out.
    pub(super) fn is_stale(&self, place: usize) -> bool {
        self.pair(place).iter().any(|slot| match self.slots[*slot] {
            Slot::Empty => false,
            Slot::Forking { generation } => generation != self.generation,
            Slot::Live(worker) => {
                worker.generation != self.generation
                    && matches!(worker.doing, Doing::Booting { .. } | Doing::Serving { .. })
            }
        })
    }

    fn may_answer(&self, worker: Worker) -> bool {
        worker.generation != self.generation
            && matches!(worker.doing, Doing::Retiring { parted: false, .. })
    }

    fn on_their_way(&self) -> bool {
        self.slots.iter().any(|slot| match slot {
            Slot::Empty => false,
            Slot::Forking { .. } => true,
            Slot::Live(worker) => matches!(worker.doing, Doing::Booting { .. }),
        })
    }

    /// A worker of this generation is ready: from the first one on there is no way back.
    pub(super) fn challenger_ready(&mut self, now: Time, generation: u64, out: &mut Vec<Action>) {
        let next = now.saturating_add(self.patience());
        if let Change::Rolling {
            until,
            what,
            proven,
            ..
        } = &mut self.change
            && generation == self.generation
        {
            *until = next;
            if !std::mem::replace(proven, true) {
                out.push(Action::Proven(*what));
            }
        }
    }

    /// How long one step of a change may take: a place may have to wait for the end of a worker that drains there already, then
    /// for its own back-off, then for the boot.
    fn patience(&self) -> Duration {
        let settings = &self.settings;
        let longest = settings.kill_after.saturating_add(settings.boot_timeout);
        longest
            .saturating_add(LONGEST_DELAY)
            .saturating_add(settings.heartbeat_timeout)
    }

    /// The change gets no further.
    fn give_up_change(&mut self, now: Time, why: &str, out: &mut Vec<Action>) {
        if let Change::Rolling {
            what, proven: true, ..
        } = self.change
        {
            let text = format!("{what} unfinished: {why}; the others stay as they are");
            self.refusal = Some(text.clone());
            self.end_change(false, text, out);
        } else {
            self.go_back(now, why, out);
        }
    }

    /// A worker of this generation did not become ready. Whether that was a change's affair: then the place's own
    /// patience is not at stake.
    pub(super) fn challenger_failed(
        &mut self,
        now: Time,
        generation: u64,
        out: &mut Vec<Action>,
    ) -> bool {
        if generation != self.generation {
            return false;
        }
        let new = self.generation;
        match &mut self.change {
            Change::Rolling { proven: false, .. } => {
                let why = format!(
                    "the first worker of generation {new} did not become ready (see the log)"
                );
                self.go_back(now, &why, out);
                true
            }
            Change::Rolling { failures, .. } => {
                *failures += 1;
                if *failures >= FAILURES {
                    let why =
                        format!("{FAILURES} workers of generation {new} did not become ready");
                    self.give_up_change(now, &why, out);
                }
                false
            }
            Change::None | Change::Checking { .. } | Change::Adopting { .. } => false,
        }
    }

    /// `Event::Adopted` answers the action: with the reason, from this program or from the one before.
    fn go_back(&mut self, now: Time, why: &str, out: &mut Vec<Action>) {
        let Change::Rolling {
            what, from, before, ..
        } = std::mem::replace(&mut self.change, Change::None)
        else {
            return;
        };
        let failed = self.generation;
        self.generation = from;
        self.settings = before.settings;
        self.set_target(now, before.target, out);
        for slot in 0..self.slots.len() {
            if matches!(self.slots[slot], Slot::Live(worker) if worker.generation == failed) {
                self.retire(now, slot, true, out);
            }
        }
        self.change = Change::Adopting { what };
        out.push(Action::Revert {
            what,
            why: why.to_owned(),
        });
    }

    /// Ends the change without one: everything goes on as before.
    fn refuse(&mut self, text: &str, out: &mut Vec<Action>) {
        let what = match self.change {
            Change::None => return,
            Change::Checking { what, .. }
            | Change::Adopting { what }
            | Change::Rolling { what, .. } => what,
        };
        let text = format!(
            "{what} refused, generation {} goes on: {text}",
            self.generation
        );
        self.refusal = Some(text.clone());
        self.end_change(false, text, out);
    }

    /// sd_notify(3): READY=1 ends every RELOADING=1, also one that came to nothing.
    fn end_change(&mut self, ok: bool, text: String, out: &mut Vec<Action>) {
        self.change = Change::None;
        let level = if ok { Level::Info } else { Level::Error };
        let change = self.begun;
        // Before the log, which is also told to those who wait: they need not hear it twice.
        out.push(Action::Outcome {
            change,
            ok,
            text: text.clone(),
        });
        out.push(Action::Log(level, text));
        self.report(out);
        out.push(Action::Notify(Notice::Reloaded));
    }

    /// A stop comes first: what was under way is dropped, what waited is forgotten.
    pub(super) fn drop_change(&mut self, out: &mut Vec<Action>) {
        if let Change::Checking { pid: Some(pid), .. } = self.change {
            out.push(Action::Kill { pid });
        }
        self.change = Change::None;
        self.pending = None;
        out.push(Action::Outcome {
            change: u64::MAX,
            ok: false,
            text: "the pool is stopping".to_owned(),
        });
    }

    /// A check that takes too long is given up, whether it dies of it or not: it may wait in the kernel for a disk that is gone.
    pub(super) fn check_overdue(&mut self, now: Time, out: &mut Vec<Action>) {
        if let Change::Checking {
            pid: Some(pid),
            deadline,
            ..
        } = self.change
            && now >= deadline
        {
            out.push(Action::Kill { pid });
            let text = format!(
                "the check took longer than {:?}",
                self.settings.check_timeout
            );
            self.refuse(&text, out);
        }
    }

    /// When time alone next moves the change on.
    pub(super) fn change_deadline(&self) -> Option<Time> {
        match self.change {
            Change::Checking { deadline, .. } => Some(deadline),
            Change::Rolling { until, .. } if self.on_their_way() => Some(until),
            Change::Rolling { until, .. } => (0..self.target)
                .filter(|place| self.is_stale(*place) && self.empty_slot(*place).is_some())
                .map(|place| self.places[place].not_before())
                .chain([until])
                .min(),
            Change::None | Change::Adopting { .. } => None,
        }
    }
}
