//! The master's loop: waits for signals, orders, words of workers and time, asks the policy, and carries out what it says.
//!
//! All side effects of the master are here or one call away. Nothing here decides: what to do about an event is
//! [`crate::pool`]'s. Every wait ends at a deadline.

mod check;
mod effects;
mod execute;
mod handover;
mod memory;
mod orders;
mod start;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use tine_scoreboard::control::{Channel, Received, ToMaster};
use tine_scoreboard::{Scoreboard, monotonic_ns};

use crate::control::{ClientId, ControlSocket};
use crate::exit;
use crate::listen::SocketFile;
use crate::notify::Notifier;
use crate::pool::{Command, Ended, Event, Pool, Time, step};
use crate::reap::reap_one;
use crate::service::{Program, Service};
use crate::signals::{Arrived, Signals};

pub use check::Check;
use check::Checker;
pub use execute::VARIABLES;
pub use handover::Handover;
pub use start::{Start, resume, run};

/// Descriptors of the master that no worker may keep.
struct Open {
    signals: Option<Signals>,
    notifier: Option<Notifier>,
    listener: Option<OwnedFd>,
    control: Option<ControlSocket>,
}

struct Master<S> {
    pool: Pool,
    board: &'static Scoreboard,
    service: S,
    name: String,
    pid: Pid,
    open: Open,
    /// The master's ends, by slot.
    channels: Vec<Option<Channel>>,
    socket_file: Option<SocketFile>,
    tick: Duration,
    next_tick: Time,
    exit_code: Option<u8>,
    /// The configuration that new workers are forked with.
    proven: Vec<u8>,
    /// What a child has read, until it is adopted.
    candidate: Option<Vec<u8>>,
    /// The configuration before, as long as there is a way back to it.
    previous: Option<Vec<u8>>,
    /// The binary before, likewise.
    binary: Option<OwnedFd>,
    checker: Option<Checker>,
    program: Option<Program>,
    /// Clients of the control socket that wait for a change, and the number of it.
    waiting: Vec<(ClientId, u64)>,
    /// What the policy says of itself, and what the service manager was told last, and when.
    status: String,
    told: String,
    told_at: Time,
}

/// Messages taken from one worker before the others get their turn.
const MESSAGES_A_TURN: usize = 16;

fn now() -> Time {
    Duration::from_nanos(monotonic_ns())
}

impl<S: Service> Master<S> {
    fn run_to_the_end(&mut self, first: Option<Event>) -> u8 {
        let code = self.run(first);
        self.close_control(code);
        code
    }

    fn run(&mut self, first: Option<Event>) -> u8 {
        if let Some(event) = first {
            self.apply(event);
        }
        // Whoever died before the signals were taken will not be announced again.
        self.reap();
        loop {
            self.tick_when_due();
            if let Some(code) = self.exit_code {
                return code;
            }
            let (arrived, speaking) = match self.wait() {
                Ok(woken) => woken,
                Err(error) => {
                    // Cannot happen with valid descriptors; a master that cannot hear would be wedged.
                    log::error!("the master cannot wait for events: {error}");
                    return exit::INTERNAL;
                }
            };
            // Orders to stop, then the other orders, then deaths and words: the death of a check may end in another program's
            // execution, and what was taken from the signals by then must have become part of the pool's state.
            let (stops, others): (Vec<Command>, Vec<Command>) = arrived
                .commands
                .into_iter()
                .partition(|command| matches!(command, Command::Stop | Command::QuickStop));
            if !stops.is_empty() {
                // A worker that has just said that it is ready may have clients by now: it is not stopped like one that boots.
                (0..self.channels.len()).for_each(|slot| self.listen_to(slot));
            }
            for command in stops {
                self.apply(Event::Command(command));
            }
            for command in others {
                self.apply(Event::Command(command));
            }
            if arrived.children {
                self.reap();
            }
            for slot in speaking {
                self.listen_to(slot);
            }
            self.take_orders();
        }
    }

    fn tick_when_due(&mut self) {
        let now = now();
        if now >= self.next_tick
            || self
                .pool
                .next_deadline()
                .is_some_and(|deadline| now >= deadline)
        {
            self.next_tick = now.saturating_add(self.tick);
            let heartbeat =
                |slot: &tine_scoreboard::Slot| Duration::from_nanos(slot.hot.heartbeat_ns());
            let heartbeats = self.board.slots().iter().map(heartbeat).collect();
            self.apply(Event::Tick { heartbeats });
            self.tell_figures();
        }
    }

    /// Sleeps until something happens or a deadline passes. Returns the signals, and the slots whose channel has news.
    fn wait(&self) -> nix::Result<(Arrived, Vec<usize>)> {
        let Some(signals) = &self.open.signals else {
            return Err(Errno::EBADF);
        };
        let until = self
            .pool
            .next_deadline()
            .into_iter()
            .chain(
                self.open
                    .control
                    .iter()
                    .filter_map(ControlSocket::next_deadline),
            )
            .fold(self.next_tick, Time::min);
        // A millisecond is added because poll(2) counts whole ones, and too early would mean once more around.
        let milliseconds = until.saturating_sub(now()).as_millis().saturating_add(1);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        let mut slots = Vec::new();
        let mut watched = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        for (slot, channel) in self.channels.iter().enumerate() {
            if let Some(channel) = channel {
                slots.push(slot);
                watched.push(PollFd::new(channel.as_fd(), PollFlags::POLLIN));
            }
        }
        let clients = self
            .open
            .control
            .iter()
            .flat_map(ControlSocket::descriptors);
        watched.extend(clients.map(|(client, flags)| PollFd::new(client, flags)));
        match poll(&mut watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        let speaking = slots
            .into_iter()
            .zip(watched.iter().skip(1))
            .filter(|(_, entry)| entry.any().unwrap_or(false))
            .map(|(slot, _)| slot)
            .collect();
        Ok((signals.read()?, speaking))
    }

    /// Reaps every child that has died, ours or not: as the first process of a container the master inherits orphans.
    fn reap(&mut self) {
        while let Some((pid, ended)) = reap_one() {
            self.reaped(pid, ended);
        }
    }

    fn reaped(&mut self, pid: u32, ended: Ended) {
        if let Some(checker) = self.checker.take_if(|checker| checker.pid == pid) {
            let verdict = self.verdict(checker, ended);
            return self.apply(Event::Checked { pid, verdict });
        }
        if let Some(slot) = self.pool.slot_of(pid) {
            // Its last words come before its death.
            self.listen_to(slot);
            self.channels[slot] = None;
            self.board.retire(slot, ended.status());
        }
        self.apply(Event::Exited { pid, ended });
    }

    fn listen_to(&mut self, slot: usize) {
        for _ in 0..MESSAGES_A_TURN {
            let Some(channel) = &self.channels[slot] else {
                return;
            };
            let Some(pid) = self.pool.pid_of(slot) else {
                return;
            };
            match channel.recv::<ToMaster>() {
                Ok(Received::Message(message)) => self.apply(Event::Message { slot, pid, message }),
                Ok(Received::Empty) => return,
                Ok(Received::Closed) => {
                    self.channels[slot] = None;
                    self.apply(Event::Eof { slot, pid });
                }
                Err(error) => log::warn!("worker {pid}: {error}"),
            }
        }
    }

    /// Gives the event to the policy and does what it says. Forking gives rise to further events, which are applied in turn.
    fn apply(&mut self, event: Event) {
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let actions = step(&mut self.pool, now(), event);
            let header = self.board.header();
            if header.generation() != self.pool.generation() {
                header.set_generation(self.pool.generation());
            }
            for (slot, line) in self.board.slots().iter().enumerate() {
                let state = self.pool.slot_state(slot);
                if line.master.state() != state {
                    line.master.set_state(state);
                }
            }
            for action in actions {
                if let Some(event) = self.perform(action) {
                    events.push_back(event);
                }
            }
        }
    }
}
