//! What the master does to the world: forks, messages, signals to workers, the service manager, the log.
//!
//! One function an action; when and why is the policy's.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tine_scoreboard::control::{Channel, ToWorker};

use super::{Master, Open, now};
use crate::exit;
use crate::fork;
use crate::pool::{Action, Event, Notice, Time, What};
use crate::service::{Adopted, Child, Service};
use crate::settings::Settings;

/// Live figures are told no oftener: each is a message to everybody who watches the unit.
const FIGURES_EVERY: Time = Duration::from_secs(5);

impl<S: Service> Master<S> {
    pub(super) fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Fork { slot, generation } => return Some(self.fork(slot, generation)),
            Action::Check(what) => return Some(self.check(what)),
            Action::Adopt => return Some(self.adopt()),
            Action::Execute => return Some(self.upgrade()),
            Action::Proven(_) => (self.previous, self.binary) = (None, None),
            Action::Revert { what, why } => {
                self.revert(what, &why);
                return Some(Event::Adopted(Err(why)));
            }
            Action::Outcome { change, ok, text } => self.answer(change, ok, &text),
            Action::Drain { slot, pid, timeout } => {
                let deadline_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
                self.tell(slot, pid, ToWorker::Drain { deadline_ms }, Signal::SIGTERM);
            }
            Action::Quick { slot, pid } => self.tell(slot, pid, ToWorker::Quick, Signal::SIGQUIT),
            Action::Abort { pid } => send_signal(pid, Signal::SIGABRT),
            Action::Kill { pid } => send_signal(pid, Signal::SIGKILL),
            Action::CloseListener => {
                self.board.header().set_shutting_down();
                if let Some(file) = self.socket_file.take() {
                    file.remove();
                }
                self.open.listener = None;
            }
            Action::Dump => self
                .board
                .snapshot()
                .to_string()
                .lines()
                .for_each(|line| log::info!("{line}")),
            Action::Notify(notice) => self.notify(notice),
            Action::Log(level, text) => {
                log::log!(level, "{text}");
                self.tell_waiting(&text);
            }
            Action::Exit(code) => self.exit_code = Some(code),
        }
        None
    }

    /// By message, or by signal when the worker cannot be reached.
    fn tell(&self, slot: usize, pid: u32, message: ToWorker, fallback: Signal) {
        let sent = self.channels[slot]
            .as_ref()
            .map(|channel| channel.send(&message));
        if !matches!(sent, Some(Ok(()))) {
            send_signal(pid, fallback);
        }
    }

    fn adopt(&mut self) -> Event {
        let Some(candidate) = self.candidate.take() else {
            return Event::Adopted(Err("nothing was checked".to_owned()));
        };
        match self.service.adopt(&candidate) {
            Ok(adopted) => {
                self.previous = Some(std::mem::replace(&mut self.proven, candidate));
                self.adopt_settings(adopted)
            }
            Err(text) => Event::Adopted(Err(text)),
        }
    }

    pub(super) fn adopt_settings(&mut self, adopted: Adopted) -> Event {
        self.publish(&adopted);
        Event::Adopted(Ok(Settings {
            // The table of slots is as long as it was made, and the watchdog was read at the start.
            max_workers: self.channels.len() / 2,
            tick: self.tick,
            ..adopted.settings
        }))
    }

    pub(super) fn publish(&self, adopted: &Adopted) {
        let header = self.board.header();
        header.set_limit_concurrency(adopted.limit_concurrency);
        header.set_catalog(adopted.catalog);
    }

    fn revert(&mut self, what: What, why: &str) {
        if what == What::Upgrade {
            self.downgrade(why);
        }
        let Some(previous) = self.previous.take() else {
            return;
        };
        match self.service.adopt(&previous) {
            Ok(adopted) => {
                self.publish(&adopted);
                self.proven = previous;
            }
            Err(text) => log::error!("the configuration before can't be taken up again: {text}"),
        }
    }

    fn notify(&mut self, notice: Notice) {
        if notice == Notice::Ready {
            self.service.ready();
        }
        let text = match notice {
            Notice::Ready | Notice::Reloaded => "READY=1".to_owned(),
            // sd_notify(3): both in one message, by the clock that the service manager compares.
            Notice::Reloading => {
                format!("RELOADING=1\nMONOTONIC_USEC={}", now().as_micros())
            }
            Notice::Stopping => "STOPPING=1".to_owned(),
            Notice::Status(text) => {
                self.status = text;
                return self.tell_status();
            }
            Notice::Watchdog => "WATCHDOG=1".to_owned(),
        };
        self.send(&text);
    }

    fn tell_status(&mut self) {
        let snapshot = self.board.snapshot();
        let totals = snapshot.totals;
        let text = format!(
            "{}; {} in flight, {} served, {} refused, {} crashed",
            self.status,
            snapshot.inflight(),
            totals.served,
            totals.rejected,
            snapshot.crashes
        );
        self.told_at = now();
        if text != self.told {
            self.send(&format!("STATUS={text}"));
            self.told = text;
        }
    }

    /// The figures change without an event of the policy.
    pub(super) fn tell_figures(&mut self) {
        if !self.status.is_empty() && now().saturating_sub(self.told_at) >= FIGURES_EVERY {
            self.tell_status();
        }
    }

    fn send(&self, text: &str) {
        if let Some(notifier) = &self.open.notifier {
            notifier.send(text);
        }
    }

    fn fork(&mut self, slot: usize, generation: u64) -> Event {
        let failed = |fatal, what: &dyn std::fmt::Display| {
            log::error!("no worker for slot {slot}: {what}");
            Event::ForkFailed { slot, fatal }
        };
        if self.open.listener.is_none() {
            return failed(true, &"the listener is closed");
        }
        let (ours, theirs) = match Channel::pair() {
            Ok(pair) => pair,
            Err(error) => return failed(false, &error),
        };
        let line = &self.board.slot(slot).master;
        let started = now();
        let deadline = started.saturating_add(self.pool.boot_timeout());
        line.starting(
            generation,
            started.as_nanos() as u64,
            deadline.as_nanos() as u64,
        );
        match fork::split() {
            Ok(Some(pid)) => {
                line.set_pid(pid);
                self.channels[slot] = Some(ours);
                Event::Forked { slot, pid }
            }
            Ok(None) => {
                drop(ours);
                self.become_worker(slot, generation, theirs)
            }
            Err(error) => failed(error.fatal(), &error),
        }
    }

    /// The child's way from the fork to its body, in this order: tie its life to the master's, take back the signals, close
    /// what is the master's (a sibling's control end kept open would hide that sibling's death), become itself.
    fn become_worker(&mut self, slot: usize, generation: u64, control: Channel) -> ! {
        fork::leave_master(self.pid);
        let listener = self.open.listener.take();
        self.close_all();
        fork::become_worker(&self.name, self.pool.place(slot));
        let (board, service) = (self.board, &self.service);
        fork::run_body(|| match listener {
            Some(listener) => service.work(Child {
                slot,
                generation,
                listener,
                control,
                board,
            }),
            None => exit::WORKER_TRANSIENT,
        })
    }

    /// A child keeps nothing of the master's.
    pub(super) fn close_all(&mut self) {
        self.channels.clear();
        self.open = Open {
            signals: None,
            notifier: None,
            listener: None,
            control: None,
        };
        (self.checker, self.binary) = (None, None);
        (self.candidate, self.previous, self.proven) = (None, None, Vec::new());
    }
}

/// To a worker that has not been reaped: the policy forgets a pid when it is.
fn send_signal(pid: u32, signal: Signal) {
    if let Ok(number) = i32::try_from(pid)
        && let Err(error) = kill(Pid::from_raw(number), signal)
    {
        log::error!("{signal} for worker {pid} failed: {error}");
    }
}
