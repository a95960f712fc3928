//! The policy: what the master does about each event. A pure step function: no system call, no clock, no thread.
//!
//! Each *place* 0..N of the pool has two *slots*, `place` and `place + max`: an incumbent serves while its challenger boots,
//! and is retired when the challenger is ready (HAProxy's "ready, or keep the old one"). So nothing that is replaced on
//! purpose leaves a gap. Events change slots; then `settle` looks at the whole and fills what is missing, so that no
//! event needs to know what another one left undone.

mod change;
#[cfg(test)]
mod change_table;
mod deadlines;
mod event;
mod kept;
mod lifecycle;
#[cfg(test)]
mod random;
mod stop;
#[cfg(test)]
mod table;

use std::time::Duration;

use log::Level;
use serde::{Deserialize, Serialize};
use tine_scoreboard::SlotState;

use crate::backoff::{Backoff, CrashLoop, Jitter};
use crate::settings::Settings;

pub use crate::backoff::Time;
pub(crate) use change::Change;
pub use change::What;
pub use event::{Action, Command, Ended, Event, Notice};
pub(crate) use kept::Kept;

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
    Forking {
        generation: u64,
    },
    Live(Worker),
}

/// A process that was forked and not reaped. Its pid lives here and nowhere else, so a reaped pid cannot be signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Worker {
    pub(crate) pid: u32,
    /// The number of the configuration that it was forked with.
    pub(crate) generation: u64,
    pub(crate) doing: Doing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// `parted`: it has left the listener, so whoever comes now is served by others.
    Retiring {
        parted: bool,
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
    /// What new workers are forked with.
    generation: u64,
    /// The highest number that a generation ever had; one that was refused is not used again.
    newest: u64,
    change: Change,
    pending: Option<What>,
    /// How many changes have begun.
    begun: u64,
    /// Why the last change came to nothing, until one is made.
    refusal: Option<String>,
    reported: Option<String>,
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
        Event::CheckBegun(begun) => pool.check_begun(begun, &mut out),
        Event::Checked { pid, verdict } => pool.checked(pid, verdict, &mut out),
        Event::Adopted(adopted) => pool.adopted(now, adopted, &mut out),
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
            generation: 1,
            newest: 1,
            change: Change::None,
            pending: None,
            begun: 0,
            refusal: None,
            reported: None,
            settings,
        }
    }

    /// The slot's state in the words of the scoreboard.
    pub fn slot_state(&self, slot: usize) -> SlotState {
        match self.slots.get(slot) {
            None | Some(Slot::Empty) => SlotState::Empty,
            Some(Slot::Forking { .. }) => SlotState::Starting,
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

    /// The number of the configuration that new workers are forked with.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How long a new worker has to become ready.
    pub fn boot_timeout(&self) -> Duration {
        self.settings.boot_timeout
    }

    /// How many workers there are to be.
    pub fn target(&self) -> usize {
        self.target
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
                Slot::Empty | Slot::Forking { .. } => None,
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
        self.expire_change(now, out);
        self.begin_change(now, out);
        for place in 0..self.target {
            self.fill(now, place, out);
        }
        self.roll(now, out);
        self.report(out);
    }

    fn fill(&mut self, now: Time, place: usize, out: &mut Vec<Action>) {
        if self.lacks_worker(place)
            && now >= self.places[place].not_before()
            && let Some(slot) = self.empty_slot(place)
        {
            self.fork(slot, out);
        }
    }

    fn empty_slot(&self, place: usize) -> Option<usize> {
        let slots = self.pair(place).into_iter();
        slots
            .into_iter()
            .find(|slot| self.slots[*slot] == Slot::Empty)
    }

    fn fork(&mut self, slot: usize, out: &mut Vec<Action>) {
        let generation = self.generation;
        self.slots[slot] = Slot::Forking { generation };
        out.push(Action::Fork { slot, generation });
    }

    /// Nobody serves the place, or is about to, without having asked to leave.
    fn lacks_worker(&self, place: usize) -> bool {
        self.pair(place).iter().all(|slot| match self.slots[*slot] {
            Slot::Empty => true,
            Slot::Forking { .. } => false,
            Slot::Live(worker) => !matches!(
                worker.doing,
                Doing::Booting { .. } | Doing::Serving { leaving: false, .. }
            ),
        })
    }

    /// The pool in one line, for the service manager and for an operator.
    pub fn summary(&self) -> String {
        let mut text = format!(
            "{} of {} workers ready, generation {}",
            self.ready_count(),
            self.target,
            self.generation
        );
        match (&self.change, &self.refusal) {
            (Change::None, Some(refusal)) => text += &format!("; {refusal}"),
            (Change::None, None) => {}
            (Change::Checking { what, .. } | Change::Adopting { what }, _) => {
                text += &format!("; {what}: checking");
            }
            (Change::Rolling { what, .. }, _) => text += &format!("; {what}: replacing workers"),
        }
        text
    }

    fn report(&mut self, out: &mut Vec<Action>) {
        let text = self.summary();
        if self.reported.as_ref() != Some(&text) {
            self.reported = Some(text.clone());
            out.push(Action::Notify(Notice::Status(text)));
        }
    }
}
