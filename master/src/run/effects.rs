//! What the master does to the world: forks, messages, signals to workers, the service manager, the log.
//!
//! One function an action; when and why is the policy's.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tine_scoreboard::control::{Channel, ToWorker};

use super::{Child, GENERATION, Master, Open, now};
use crate::exit;
use crate::fork;
use crate::pool::{Action, Event, Notice};

impl<Body: Fn(Child) -> i32> Master<'_, Body> {
    pub(super) fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Fork { slot } => return Some(self.fork(slot)),
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
            Action::Log(level, text) => log::log!(level, "{text}"),
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

    fn notify(&mut self, notice: Notice) {
        let Some(notifier) = &self.open.notifier else {
            return;
        };
        match notice {
            Notice::Ready => {
                notifier.send("READY=1");
                (self.hooks.ready)();
            }
            Notice::Stopping => notifier.send("STOPPING=1"),
            Notice::Status(text) => notifier.send(&format!("STATUS={text}")),
            Notice::Watchdog => notifier.send("WATCHDOG=1"),
        }
    }

    fn fork(&mut self, slot: usize) -> Event {
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
            GENERATION,
            started.as_nanos() as u64,
            deadline.as_nanos() as u64,
        );
        (self.hooks.before_fork)();
        match fork::split() {
            Ok(Some(pid)) => {
                line.set_pid(pid);
                self.channels[slot] = Some(ours);
                Event::Forked { slot, pid }
            }
            Ok(None) => {
                drop(ours);
                self.become_worker(slot, theirs)
            }
            Err(error) => failed(error.fatal(), &error),
        }
    }

    /// The child's way from the fork to its body, in this order: tie its life to the master's, take back the signals, close
    /// what is the master's (a sibling's control end kept open would hide that sibling's death), become itself.
    fn become_worker(&mut self, slot: usize, control: Channel) -> ! {
        fork::leave_master(self.pid);
        self.channels.clear();
        let open = std::mem::replace(
            &mut self.open,
            Open {
                signals: None,
                notifier: None,
                listener: None,
            },
        );
        drop((open.signals, open.notifier));
        fork::become_worker(&self.name, self.pool.place(slot));
        let (board, body) = (self.board, &self.body);
        fork::run_body(|| match open.listener {
            Some(listener) => body(Child {
                slot,
                generation: GENERATION,
                listener,
                control,
                board,
            }),
            None => exit::WORKER_TRANSIENT,
        })
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
