//! The policy: what the master does about each event. A pure step function: no system call, no clock, no thread.
//!
//! Each *place* 0..N of the pool has two *slots*, `place` and `place + max`: an incumbent serves while its challenger boots,
//! and is retired when the challenger is ready (HAProxy's "ready, or keep the old one"). So nothing that is replaced on
//! purpose leaves a gap. Events change slots; then `settle` looks at the whole and fills what is missing, so that no
//! event needs to know what another one left undone.

mod deadlines;
mod event;
mod lifecycle;
#[cfg(test)]
mod random;
mod stop;
#[cfg(test)]
mod table;

use std::time::Duration;

use log::Level;
use tine_scoreboard::SlotState;

use crate::backoff::{Backoff, CrashLoop, Jitter};
use crate::settings::Settings;

pub use crate::backoff::Time;
pub use event::{Action, Command, Ended, Event, Notice};

/// The whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first workers are on their way. Ends when all are ready, or at `until` with at least one.
    Booting { until: Time },
    /// Serving.
    Running,
    /// Waiting for workers to end.
    Stopping {
        quick: bool,
        exit_at: Time,
        code: u8,
    },
    /// Left.
    Done,
}

/// One slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Empty,
    /// `Action::Fork` was issued, its result is not known.
    Forking,
    Live(Worker),
}

/// A process that was forked and not reaped. Its pid lives here and nowhere else, so a reaped pid cannot be signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) pid: u32,
    pub(crate) doing: Doing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Booting {
        deadline: Time,
    },
    /// `leaving`: asked to be replaced. `deaf_until`: its control channel ended, its death is due by then.
    Serving {
        since: Time,
        leaving: bool,
        deaf_until: Option<Time>,
    },
    Retiring {
        abort_at: Time,
        kill_at: Time,
    },
    Aborted {
        kill_at: Time,
    },
    Killed,
}

/// The state of the policy.
#[derive(Debug, Clone)]
pub struct Pool {
    settings: Settings,
    phase: Phase,
    /// How many places are to be filled.
    target: usize,
    slots: Vec<Slot>,
    places: Vec<Backoff>,
    crash_loop: CrashLoop,
    jitter: Jitter,
    last_tick: Time,
    /// No worker is called stuck before this: the master itself may have been suspended (unicorn's guard).
    guard_until: Time,
    reported: Option<(usize, usize)>,
}

/// Applies one event; returns what is to be done, in order.
pub fn step(pool: &mut Pool, now: Time, event: Event) -> Vec<Action> {
    let mut out = Vec::new();
    if pool.phase == Phase::Done {
        return out;
    }
    match event {
        Event::Tick { heartbeats } => pool.tick(now, &heartbeats, &mut out),
        Event::Command(command) => pool.command(now, command, &mut out),
        Event::Forked { slot, pid } => pool.forked(now, slot, pid, &mut out),
        Event::ForkFailed { slot, fatal } => pool.fork_failed(now, slot, fatal, &mut out),
        Event::Exited { pid, ended } => pool.exited(now, pid, ended, &mut out),
        Event::Message { slot, pid, message } => pool.message(now, slot, pid, message, &mut out),
        Event::Eof { slot, pid } => pool.eof(now, slot, pid),
    }
    pool.settle(now, &mut out);
    out
}

impl Pool {
    /// A pool that begins to fork at its first event. The settings have been checked. `seed` spreads the respawn delays.
    pub fn new(settings: Settings, now: Time, seed: u64) -> Pool {
        Pool {
            phase: Phase::Booting {
                until: now.saturating_add(settings.boot_timeout),
            },
            target: settings.workers,
            slots: vec![Slot::Empty; settings.max_workers * 2],
            places: vec![Backoff::default(); settings.max_workers],
            crash_loop: CrashLoop::default(),
            jitter: Jitter::new(seed),
            last_tick: now,
            guard_until: Duration::ZERO,
            reported: None,
            settings,
        }
    }

    /// The slot's state in the words of the scoreboard.
    pub fn slot_state(&self, slot: usize) -> SlotState {
        match self.slots.get(slot) {
            None | Some(Slot::Empty) => SlotState::Empty,
            Some(Slot::Forking) => SlotState::Starting,
            Some(Slot::Live(worker)) => match worker.doing {
                Doing::Booting { .. } => SlotState::Starting,
                Doing::Serving { .. } => SlotState::Ready,
                Doing::Retiring { .. } => SlotState::Retiring,
                Doing::Aborted { .. } | Doing::Killed => SlotState::Killing,
            },
        }
    }

    /// The slot that the process lives in.
    pub fn slot_of(&self, pid: u32) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| matches!(slot, Slot::Live(worker) if worker.pid == pid))
    }

    /// The worker's place in the pool, which is what its name and the log say.
    pub fn place(&self, slot: usize) -> usize {
        slot % self.places.len()
    }

    /// How long a new worker has to become ready.
    pub fn boot_timeout(&self) -> Duration {
        self.settings.boot_timeout
    }

    /// The process in the slot.
    pub fn pid_of(&self, slot: usize) -> Option<u32> {
        match self.slots.get(slot) {
            Some(Slot::Live(worker)) => Some(worker.pid),
            _ => None,
        }
    }

    fn live(&self) -> impl Iterator<Item = (usize, Worker)> + '_ {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(slot, state)| match state {
                Slot::Live(worker) => Some((slot, *worker)),
                Slot::Empty | Slot::Forking => None,
            })
    }

    fn ready_count(&self) -> usize {
        self.live()
            .filter(|(_, worker)| matches!(worker.doing, Doing::Serving { .. }))
            .count()
    }

    fn worker_mut(&mut self, slot: usize, pid: u32) -> Option<&mut Worker> {
        match self.slots.get_mut(slot) {
            Some(Slot::Live(worker)) if worker.pid == pid => Some(worker),
            _ => None,
        }
    }

    fn pair(&self, place: usize) -> [usize; 2] {
        [place, place + self.places.len()]
    }

    /// Brings the pool one step nearer to what it should be.
    fn settle(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.phase {
            Phase::Done => return,
            Phase::Stopping { exit_at, code, .. } => {
                return self.settle_stop(now, exit_at, code, out);
            }
            Phase::Booting { until } => {
                let ready = self.ready_count();
                if ready >= self.target || (ready > 0 && now >= until) {
                    self.phase = Phase::Running;
                    out.push(Action::Log(
                        Level::Info,
                        format!("the pool is ready: {ready} of {} workers", self.target),
                    ));
                    out.push(Action::Notify(Notice::Ready));
                }
            }
            Phase::Running => {}
        }
        for place in 0..self.target {
            self.fill(now, place, out);
        }
        self.report(out);
    }

    fn fill(&mut self, now: Time, place: usize, out: &mut Vec<Action>) {
        if !self.lacks_worker(place) || now < self.places[place].not_before() {
            return;
        }
        if let Some(slot) = self
            .pair(place)
            .into_iter()
            .find(|slot| self.slots[*slot] == Slot::Empty)
        {
            self.slots[slot] = Slot::Forking;
            out.push(Action::Fork { slot });
        }
    }

    /// Nobody serves the place, or is about to, without having asked to leave.
    fn lacks_worker(&self, place: usize) -> bool {
        self.pair(place).iter().all(|slot| match self.slots[*slot] {
            Slot::Empty => true,
            Slot::Forking => false,
            Slot::Live(worker) => !matches!(
                worker.doing,
                Doing::Booting { .. } | Doing::Serving { leaving: false, .. }
            ),
        })
    }

    fn report(&mut self, out: &mut Vec<Action>) {
        let now = (self.ready_count(), self.target);
        if self.reported != Some(now) {
            self.reported = Some(now);
            out.push(Action::Notify(Notice::Status(format!(
                "{} of {} workers ready",
                now.0, now.1
            ))));
        }
    }
}
