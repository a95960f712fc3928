//! The part of the policy that time decides: boot deadlines, heartbeats, the ladder from drain to SIGKILL.

use std::time::Duration;

use log::Level;

use super::{Action, Doing, Notice, Phase, Pool, Slot, Time};

/// A heartbeat from the future cannot have been written by a sound worker; so much is allowed for the order of reading.
const FUTURE_SLACK: Duration = Duration::from_secs(1);

/// Why a worker is given up.
enum Fault {
    Boot,
    Heartbeat(Duration),
    Deaf,
}

impl Pool {
    pub(super) fn tick(&mut self, now: Time, heartbeats: &[Time], out: &mut Vec<Action>) {
        // The workers may have been suspended together with the master (SIGSTOP to the group, a frozen machine), so
        // nothing of what their silence says can be believed before they had the time to speak again.
        if now.saturating_sub(self.last_tick) > self.settings.tick * 2 {
            self.guard_until = now.saturating_add(self.settings.heartbeat_timeout);
            out.push(Action::Log(
                Level::Warn,
                "the master was suspended; giving the workers time".to_owned(),
            ));
        }
        self.last_tick = now;
        for slot in 0..self.slots.len() {
            let heartbeat = heartbeats.get(slot).copied().unwrap_or_default();
            self.check(now, slot, heartbeat, out);
        }
        self.check_overdue(now, out);
        self.feed_watchdog(now, heartbeats, out);
    }

    fn check(&mut self, now: Time, slot: usize, heartbeat: Time, out: &mut Vec<Action>) {
        let Slot::Live(worker) = self.slots[slot] else {
            return;
        };
        let (pid, place) = (worker.pid, self.place(slot));
        let guarded = now < self.guard_until;
        match worker.doing {
            Doing::Booting { deadline } if now >= deadline && !guarded => {
                self.give_up(now, slot, Fault::Boot, out);
            }
            Doing::Serving {
                deaf_until: Some(until),
                ..
            } if now >= until => {
                self.give_up(now, slot, Fault::Deaf, out);
            }
            Doing::Serving { since, .. } if !guarded => {
                let age = heartbeat_age(now, since, heartbeat);
                if age > self.settings.heartbeat_timeout {
                    self.give_up(now, slot, Fault::Heartbeat(age), out);
                }
            }
            // Before SIGABRT, because a master that was suspended may find both deadlines passed.
            Doing::Retiring { kill_at, .. } | Doing::Aborted { kill_at } if now >= kill_at => {
                let text = format!("worker {pid} (w{place}) did not end in time; SIGKILL");
                out.push(Action::Log(Level::Error, text));
                self.kill(slot, out);
            }
            Doing::Retiring {
                abort_at, kill_at, ..
            } if now >= abort_at => {
                let text = format!("worker {pid} (w{place}) did not drain in time; SIGABRT");
                out.push(Action::Log(Level::Error, text));
                out.push(Action::Abort { pid });
                self.set(slot, Doing::Aborted { kill_at });
            }
            Doing::Booting { .. }
            | Doing::Serving { .. }
            | Doing::Retiring { .. }
            | Doing::Aborted { .. }
            | Doing::Killed => {}
        }
    }

    /// SIGABRT now, for the core dump that shows where it stuck; SIGKILL follows, which works on a stopped process too.
    fn give_up(&mut self, now: Time, slot: usize, fault: Fault, out: &mut Vec<Action>) {
        let Slot::Live(worker) = self.slots[slot] else {
            return;
        };
        let (pid, place) = (worker.pid, self.place(slot));
        let what = match fault {
            Fault::Boot => format!("was not ready after {:?}", self.settings.boot_timeout),
            Fault::Heartbeat(age) => format!("has not turned for {:.1} s", age.as_secs_f64()),
            Fault::Deaf => "lives on without its control channel".to_owned(),
        };
        out.push(Action::Log(
            Level::Error,
            format!("worker {pid} (w{place}) {what}; SIGABRT"),
        ));
        out.push(Action::Abort { pid });
        self.set(
            slot,
            Doing::Aborted {
                kill_at: now.saturating_add(self.settings.kill_grace),
            },
        );
        match worker.doing {
            Doing::Serving { since, .. } => {
                self.failed(now, slot, Some(now.saturating_sub(since)), out);
            }
            _ => self.boot_failed(now, slot, worker.generation, out),
        }
    }

    pub(super) fn kill(&mut self, slot: usize, out: &mut Vec<Action>) {
        if let Slot::Live(worker) = self.slots[slot] {
            out.push(Action::Kill { pid: worker.pid });
            self.set(slot, Doing::Killed);
        }
    }

    fn set(&mut self, slot: usize, doing: Doing) {
        if let Slot::Live(worker) = &mut self.slots[slot] {
            worker.doing = doing;
        }
    }

    /// Only a pool that serves feeds the watchdog, so that a wedged one is restarted as a whole.
    fn feed_watchdog(&self, now: Time, heartbeats: &[Time], out: &mut Vec<Action>) {
        let turning = || {
            self.live().any(|(slot, worker)| match worker.doing {
                Doing::Serving { since, .. } => {
                    let heartbeat = heartbeats.get(slot).copied().unwrap_or_default();
                    heartbeat_age(now, since, heartbeat) <= self.settings.heartbeat_timeout
                }
                _ => false,
            })
        };
        if matches!(self.phase, Phase::Stopping { .. }) || turning() {
            out.push(Action::Notify(Notice::Watchdog));
        }
    }

    /// When time alone next changes anything, heartbeats apart: those are looked at every tick.
    pub fn next_deadline(&self) -> Option<Time> {
        let slots = self.live().filter_map(|(_, worker)| match worker.doing {
            Doing::Booting { deadline } => Some(deadline.max(self.guard_until)),
            Doing::Serving { deaf_until, .. } => deaf_until,
            Doing::Retiring { abort_at, .. } => Some(abort_at),
            Doing::Aborted { kill_at } => Some(kill_at),
            Doing::Killed => None,
        });
        let phase = match self.phase {
            Phase::Booting { until } => (self.ready_count() > 0).then_some(until),
            Phase::Stopping { exit_at, .. } => Some(exit_at),
            Phase::Running | Phase::Done => None,
        };
        let places = (0..self.target).filter_map(|place| self.refill_at(place));
        let change = self.change_deadline();
        slots.chain(phase).chain(places).chain(change).min()
    }

    /// When an empty place may be filled again.
    fn refill_at(&self, place: usize) -> Option<Time> {
        let waits = matches!(self.phase, Phase::Booting { .. } | Phase::Running)
            && self.lacks_worker(place)
            && self
                .pair(place)
                .iter()
                .any(|slot| self.slots[*slot] == Slot::Empty);
        waits.then(|| self.places[place].not_before())
    }
}

fn heartbeat_age(now: Time, since: Time, heartbeat: Time) -> Duration {
    let believed = if heartbeat > now.saturating_add(FUTURE_SLACK) {
        Time::ZERO
    } else {
        heartbeat
    };
    now.saturating_sub(believed.max(since))
}
