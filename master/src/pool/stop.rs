//! The part of the policy that commands workers to leave: signals to the master, retirement, the stop and its end.

use std::time::Duration;

use log::Level;

use super::{Action, Command, Doing, Notice, Phase, Pool, Slot, Time, What, Worker};
use crate::exit;

/// From the end of a quick stop's timeout to SIGABRT, to SIGKILL and to the master's own end.
const QUICK_ABORT: Duration = Duration::from_millis(500);
const QUICK_KILL: Duration = Duration::from_millis(1000);
const QUICK_EXIT: Duration = Duration::from_millis(1500);
const _: () = assert!(
    QUICK_ABORT.as_nanos() < QUICK_KILL.as_nanos() && QUICK_KILL.as_nanos() < QUICK_EXIT.as_nanos()
);

impl Pool {
    pub(super) fn command(&mut self, now: Time, command: Command, out: &mut Vec<Action>) {
        let stopping = matches!(self.phase, Phase::Stopping { .. });
        match command {
            // The second order to stop means that the first one takes too long.
            Command::Stop => self.stop(now, stopping, exit::CLEAN, out),
            Command::QuickStop => self.stop(now, true, exit::CLEAN, out),
            Command::Dump => out.push(Action::Dump),
            Command::More | Command::Fewer | Command::Reload | Command::Upgrade if stopping => {
                out.push(Action::Log(
                    Level::Info,
                    format!("{command:?} ignored: the pool is stopping"),
                ));
            }
            Command::More if self.target >= self.settings.max_workers => {
                out.push(Action::Log(
                    Level::Warn,
                    format!("already {} workers, the most allowed", self.target),
                ));
            }
            Command::More => {
                self.target += 1;
                out.push(Action::Log(
                    Level::Info,
                    format!("one worker more: {}", self.target),
                ));
            }
            Command::Fewer if self.target <= 1 => {
                out.push(Action::Log(
                    Level::Warn,
                    "one worker is the fewest; SIGTERM stops the pool".to_owned(),
                ));
            }
            Command::Fewer => {
                self.target -= 1;
                out.push(Action::Log(
                    Level::Info,
                    format!("one worker fewer: {}", self.target),
                ));
                for slot in self.pair(self.target) {
                    self.retire(now, slot, false, out);
                }
            }
            Command::Reload => self.order(What::Reload, out),
            Command::Upgrade => self.order(What::Upgrade, out),
        }
    }

    /// Starts the stop, or makes a running one quick. A stop under way never becomes slower and keeps its exit code.
    pub(super) fn stop(&mut self, now: Time, quick: bool, code: u8, out: &mut Vec<Action>) {
        let (begins, code, latest) = match self.phase {
            Phase::Done => return,
            Phase::Stopping {
                quick: already,
                exit_at,
                code,
                ..
            } => {
                if already || !quick {
                    return;
                }
                (false, code, exit_at)
            }
            Phase::Booting { .. } | Phase::Running => (true, code, Time::MAX),
        };
        let after = if quick {
            self.settings.quick_timeout + QUICK_EXIT
        } else {
            self.settings.exit_after
        };
        self.phase = Phase::Stopping {
            quick,
            exit_at: latest.min(now.saturating_add(after)),
            code,
        };
        let how = if quick { "quickly" } else { "gracefully" };
        out.push(Action::Log(Level::Info, format!("stopping {how}")));
        if begins {
            self.drop_change(out);
            out.push(Action::Notify(Notice::Stopping));
            // First of all, so that the last copy is a worker's, which empties the queue before it closes it.
            out.push(Action::CloseListener);
        }
        for slot in 0..self.slots.len() {
            self.retire(now, slot, quick, out);
        }
    }

    /// Sends a slot's worker home, if it has one that is not on its way already; `quick` hurries one that is.
    pub(super) fn retire(&mut self, now: Time, slot: usize, quick: bool, out: &mut Vec<Action>) {
        let drain = self.drain_deadlines(now);
        let quickly = self.quick_deadlines(now);
        let stop_kill = match self.phase {
            Phase::Stopping { quick: true, .. } => {
                now.saturating_add(self.settings.quick_timeout + QUICK_KILL)
            }
            _ => now.saturating_add(self.settings.kill_after),
        };
        let timeout = self.settings.drain_timeout;
        let stopping = matches!(self.phase, Phase::Stopping { .. });
        let Some(Slot::Live(worker)) = self.slots.get_mut(slot) else {
            return;
        };
        let pid = worker.pid;
        match worker.doing {
            Doing::Serving { .. } if !quick => {
                worker.doing = drain;
                out.push(Action::Drain { slot, pid, timeout });
            }
            // One that seems to boot may serve already: that it is ready can be on its way. A stop doesn't wait for those that boot.
            Doing::Booting { .. } if !quick && !stopping => {
                worker.doing = drain;
                out.push(Action::Drain { slot, pid, timeout });
            }
            Doing::Serving { .. } | Doing::Booting { .. } => {
                worker.doing = quickly;
                out.push(Action::Quick { slot, pid });
            }
            Doing::Retiring {
                parted,
                abort_at,
                kill_at,
            } if quick => {
                if let Doing::Retiring {
                    abort_at: sooner_abort,
                    kill_at: sooner_kill,
                    ..
                } = quickly
                {
                    worker.doing = Doing::Retiring {
                        parted,
                        abort_at: abort_at.min(sooner_abort),
                        kill_at: kill_at.min(sooner_kill),
                    };
                }
                out.push(Action::Quick { slot, pid });
            }
            Doing::Aborted { kill_at } => {
                worker.doing = Doing::Aborted {
                    kill_at: kill_at.min(stop_kill),
                }
            }
            Doing::Retiring { .. } | Doing::Killed => {}
        }
    }

    /// The state of a worker that drains from now on.
    pub(super) fn drain_deadlines(&self, now: Time) -> Doing {
        Doing::Retiring {
            parted: false,
            abort_at: now.saturating_add(self.settings.abort_after),
            kill_at: now.saturating_add(self.settings.kill_after),
        }
    }

    fn quick_deadlines(&self, now: Time) -> Doing {
        Doing::Retiring {
            parted: false,
            abort_at: now.saturating_add(self.settings.quick_timeout + QUICK_ABORT),
            kill_at: now.saturating_add(self.settings.quick_timeout + QUICK_KILL),
        }
    }

    /// Leaves when nobody is left, or at the last deadline, whoever is left: a process that survives SIGKILL waits in the
    /// kernel, and nothing but a reboot may help it.
    pub(super) fn settle_stop(
        &mut self,
        now: Time,
        exit_at: Time,
        code: u8,
        out: &mut Vec<Action>,
    ) {
        let left: Vec<(usize, Worker)> = self.live().collect();
        if left.is_empty() && !self.forking() {
            out.push(Action::Log(Level::Info, "stopped".to_owned()));
            self.leave(code, out);
        } else if now >= exit_at {
            let spared = left
                .iter()
                .filter(|(_, worker)| worker.doing != Doing::Killed);
            let spared: Vec<usize> = spared.map(|(slot, _)| *slot).collect();
            if spared.is_empty() {
                let pids: Vec<u32> = left.iter().map(|(_, worker)| worker.pid).collect();
                out.push(Action::Log(
                    Level::Error,
                    format!("leaving, though workers did not die: {pids:?}"),
                ));
                self.leave(exit::INTERNAL, out);
            } else {
                // Only a master that was suspended gets here: the chain kills earlier.
                spared.into_iter().for_each(|slot| self.kill(slot, out));
                self.phase = Phase::Stopping {
                    quick: true,
                    exit_at: now.saturating_add(QUICK_ABORT),
                    code,
                };
            }
        }
    }

    fn forking(&self) -> bool {
        let forking = |slot: &Slot| matches!(slot, Slot::Forking { .. });
        self.slots.iter().any(forking)
    }

    fn leave(&mut self, code: u8, out: &mut Vec<Action>) {
        self.phase = Phase::Done;
        out.push(Action::Exit(code));
    }
}
