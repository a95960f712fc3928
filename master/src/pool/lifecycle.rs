//! The part of the policy that follows one worker: forked, ready, asking to leave, dead.

use std::time::Duration;

use log::Level;
use tine_scoreboard::control::{RecycleReason, ToMaster};

use super::{Action, Change, Doing, Ended, Phase, Pool, Slot, Time, Worker};
use crate::exit;

impl Pool {
    pub(super) fn forked(&mut self, now: Time, slot: usize, pid: u32, out: &mut Vec<Action>) {
        let Some(Slot::Forking { generation }) = self.slots.get(slot).copied() else {
            return;
        };
        let deadline = now.saturating_add(self.settings.boot_timeout);
        self.slots[slot] = Slot::Live(Worker {
            pid,
            generation,
            doing: Doing::Booting { deadline },
        });
        let place = self.place(slot);
        out.push(Action::Log(
            Level::Debug,
            format!("worker {pid} (w{place}) forked"),
        ));
        if let Phase::Stopping { quick, .. } = self.phase {
            self.retire(now, slot, quick, out);
        } else if place >= self.target || generation > self.generation {
            // What it was forked for was taken back meanwhile.
            self.retire(now, slot, true, out);
        }
    }

    pub(super) fn fork_failed(
        &mut self,
        now: Time,
        slot: usize,
        fatal: bool,
        out: &mut Vec<Action>,
    ) {
        let Some(Slot::Forking { generation }) = self.slots.get(slot).copied() else {
            return;
        };
        self.slots[slot] = Slot::Empty;
        if fatal {
            self.stop(now, true, exit::INTERNAL, out);
        } else {
            self.boot_failed(now, slot, generation, out);
        }
    }

    pub(super) fn message(
        &mut self,
        now: Time,
        slot: usize,
        pid: u32,
        message: ToMaster,
        out: &mut Vec<Action>,
    ) {
        let (place, drain) = (self.place(slot), self.drain_deadlines(now));
        let Some(worker) = self.worker_mut(slot, pid) else {
            return;
        };
        match (message, worker.doing) {
            (ToMaster::Ready, Doing::Booting { .. }) => {
                worker.doing = Doing::Serving {
                    since: now,
                    leaving: false,
                    deaf_until: None,
                };
                let generation = worker.generation;
                self.crash_loop.clear();
                out.push(Action::Log(
                    Level::Info,
                    format!("worker {pid} (w{place}) is ready"),
                ));
                self.challenger_ready(now, generation, out);
                for other in self.pair(place) {
                    if other != slot
                        && matches!(
                            self.slots[other],
                            Slot::Live(Worker {
                                doing: Doing::Serving { .. },
                                ..
                            })
                        )
                    {
                        self.retire(now, other, false, out);
                    }
                }
            }
            (
                ToMaster::Recycle { reason },
                Doing::Serving {
                    since,
                    leaving: false,
                    deaf_until,
                },
            ) => {
                worker.doing = Doing::Serving {
                    since,
                    leaving: true,
                    deaf_until,
                };
                let why = match reason {
                    RecycleReason::Requests => "it has served its number of requests",
                    RecycleReason::Memory => "it has grown beyond its memory",
                    RecycleReason::Broken => "something in it is broken",
                };
                out.push(Action::Log(
                    Level::Info,
                    format!("worker {pid} (w{place}) asks to be replaced: {why}"),
                ));
            }
            (ToMaster::Draining, Doing::Serving { since, .. }) => {
                worker.doing = drain;
                out.push(Action::Log(
                    Level::Info,
                    format!("worker {pid} (w{place}) drains of its own accord"),
                ));
                self.failed(now, slot, Some(now.saturating_sub(since)), out);
            }
            (
                ToMaster::Draining,
                Doing::Retiring {
                    abort_at, kill_at, ..
                },
            ) => {
                worker.doing = Doing::Retiring {
                    parted: true,
                    abort_at,
                    kill_at,
                };
            }
            (ToMaster::BootFailed { fatal }, Doing::Booting { .. }) => {
                let how = if fatal { "for good" } else { "for now" };
                out.push(Action::Log(
                    Level::Error,
                    format!("worker {pid} (w{place}) cannot boot, {how}"),
                ));
            }
            // Everything else says what is known already, or comes too late to matter.
            (
                ToMaster::Ready
                | ToMaster::Recycle { .. }
                | ToMaster::Draining
                | ToMaster::BootFailed { .. },
                _,
            ) => {}
        }
    }

    /// A process closes its end when it dies, a moment before it can be reaped. One that goes on living without its
    /// channel cannot be told anything and is given up.
    pub(super) fn eof(&mut self, now: Time, slot: usize, pid: u32) {
        let deaf_until = now.saturating_add(self.settings.kill_grace);
        if let Some(Worker {
            doing:
                Doing::Serving {
                    deaf_until: deaf @ None,
                    ..
                },
            ..
        }) = self.worker_mut(slot, pid)
        {
            *deaf = Some(deaf_until);
        }
    }

    pub(super) fn exited(&mut self, now: Time, pid: u32, ended: Ended, out: &mut Vec<Action>) {
        let Some(slot) = self.slot_of(pid) else {
            out.push(Action::Log(
                Level::Debug,
                format!("reaped process {pid}, which is no worker"),
            ));
            return;
        };
        let Slot::Live(worker) = std::mem::replace(&mut self.slots[slot], Slot::Empty) else {
            return;
        };
        let place = self.place(slot);
        let how = match ended {
            Ended::Code(code) => format!("exited with code {code}"),
            Ended::Signal(number) => format!("was killed by signal {number}"),
        };
        let expected = matches!(worker.doing, Doing::Retiring { .. })
            && ended == Ended::Code(exit::WORKER_DONE);
        let level = if expected { Level::Info } else { Level::Error };
        out.push(Action::Log(level, format!("worker {pid} (w{place}) {how}")));
        match worker.doing {
            Doing::Booting { .. } => {
                // A worker that says "fatal" speaks for all when none has got further; beside others that serve, it may
                // have met something that passes.
                let alone = matches!(self.phase, Phase::Booting { .. }) || self.ready_count() == 0;
                if ended == Ended::Code(exit::WORKER_FATAL)
                    && alone
                    && !matches!(self.change, Change::Rolling { .. })
                {
                    out.push(Action::Log(
                        Level::Error,
                        "a worker found the configuration at fault; stopping".to_owned(),
                    ));
                    self.stop(now, true, exit::CONFIGURATION, out);
                } else {
                    self.boot_failed(now, slot, worker.generation, out);
                }
            }
            Doing::Serving { since, .. } => {
                self.failed(now, slot, Some(now.saturating_sub(since)), out)
            }
            // Counted when the order was given.
            Doing::Retiring { .. } | Doing::Aborted { .. } | Doing::Killed => {}
        }
    }

    /// A worker did not become ready: a change that has proven nothing yet is taken back, else the place tries again later.
    pub(super) fn boot_failed(
        &mut self,
        now: Time,
        slot: usize,
        generation: u64,
        out: &mut Vec<Action>,
    ) {
        if !self.challenger_failed(now, generation, out) {
            self.failed(now, slot, None, out);
        }
    }

    /// Notes an unplanned loss and says when the place is filled again.
    pub(super) fn failed(
        &mut self,
        now: Time,
        slot: usize,
        ready_for: Option<Duration>,
        out: &mut Vec<Action>,
    ) {
        if !matches!(self.phase, Phase::Booting { .. } | Phase::Running) {
            return;
        }
        let place = self.place(slot);
        let delay = self.places[place].failed(now, ready_for, &mut self.jitter);
        if ready_for.is_none() && self.ready_count() == 0 && self.crash_loop.died(now) {
            let text = "workers keep dying before they are ready; giving up";
            out.push(Action::Log(Level::Error, text.to_owned()));
            self.stop(now, true, exit::CRASH_LOOP, out);
        } else if !delay.is_zero() {
            let text = format!("w{place} is filled again in {:.1} s", delay.as_secs_f64());
            out.push(Action::Log(Level::Warn, text));
        }
    }
}
