//! The master's loop: waits for signals, words of workers and time, asks the policy, and carries out what it says.
//!
//! All side effects of the master are here or one call away. Nothing here decides: what to do about an event is
//! [`crate::pool`]'s. Every wait ends at a deadline.

mod effects;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use tine_scoreboard::control::{Channel, Received, ToMaster};
use tine_scoreboard::{Scoreboard, monotonic_ns};

use crate::exit;
use crate::listen::{Listener, SocketFile};
use crate::notify::{Notifier, watchdog_interval};
use crate::pool::{Command, Ended, Event, Pool, Time, step};
use crate::reap::reap_one;
use crate::settings::Settings;
use crate::signals::{Arrived, Signals};

/// What a worker's body gets.
pub struct Child {
    /// The worker's line on the board, and nobody else's.
    pub slot: usize,
    /// The number of the configuration that it was forked with.
    pub generation: u64,
    /// The shared listening socket: non-blocking, closed on exec.
    pub listener: OwnedFd,
    /// The line to the master; its end means that the master is gone.
    pub control: Channel,
    /// The shared page.
    pub board: &'static Scoreboard,
}

/// Moments of the master that its caller may want to use.
pub struct Hooks<'a> {
    /// Called once, when the pool serves.
    pub ready: Box<dyn FnMut() + 'a>,
    /// Called before every fork; what is buffered must be written here, or both processes will write it. The logger and
    /// standard output are flushed in any case.
    pub before_fork: Box<dyn FnMut() + 'a>,
}

impl Default for Hooks<'_> {
    fn default() -> Self {
        Hooks {
            ready: Box::new(|| {}),
            before_fork: Box::new(|| {}),
        }
    }
}

/// Until a reload exists, all workers are of the first configuration.
const GENERATION: u64 = 1;

/// Runs the pool until it is told to stop, and returns the exit code for the process.
///
/// `body` runs in each forked child, all handled signals still blocked and at their default; its return value is the child's
/// exit code, see [`exit`]. The calling process must have one thread. It gives up its signals for good: they stay blocked
/// after the return. Every child of the process is reaped here, also one that was started before.
///
/// The board needs `2 * max_workers` slots.
pub fn run(
    settings: Settings,
    board: &'static Scoreboard,
    listener: Listener,
    body: impl Fn(Child) -> i32,
    events: Hooks<'_>,
) -> u8 {
    let mut settings = settings;
    if let Err(error) = settings.check() {
        log::error!("{error}");
        return exit::CONFIGURATION;
    }
    if board.slots().len() < settings.max_workers * 2 {
        log::error!(
            "the scoreboard has {} slots, {} workers need twice as many",
            board.slots().len(),
            settings.max_workers
        );
        return exit::INTERNAL;
    }
    if let Some(interval) = watchdog_interval() {
        // sd_watchdog_enabled(3): feed at half the interval or sooner.
        settings.tick = settings.tick.min(interval / 3).max(SHORTEST_TICK);
    }
    let signals = match Signals::take() {
        Ok(signals) => signals,
        Err(error) => {
            log::error!("the master cannot receive signals: {error}");
            return exit::INTERNAL;
        }
    };
    let (listener, socket_file) = listener.into_parts();
    let now = Duration::from_nanos(monotonic_ns());
    board.header().set_generation(GENERATION);
    let mut master = Master {
        next_tick: now,
        tick: settings.tick,
        channels: (0..settings.max_workers * 2).map(|_| None).collect(),
        name: settings.name.clone(),
        pool: Pool::new(
            settings,
            now,
            monotonic_ns() ^ u64::from(std::process::id()),
        ),
        board,
        body,
        hooks: events,
        pid: Pid::this(),
        open: Open {
            signals: Some(signals),
            notifier: Some(Notifier::from_environment()),
            listener: Some(listener),
        },
        socket_file,
        exit_code: None,
    };
    master.run()
}

/// Descriptors of the master that no worker may keep.
struct Open {
    signals: Option<Signals>,
    notifier: Option<Notifier>,
    listener: Option<OwnedFd>,
}

struct Master<'a, Body> {
    pool: Pool,
    board: &'static Scoreboard,
    body: Body,
    hooks: Hooks<'a>,
    name: String,
    pid: Pid,
    open: Open,
    /// The master's ends, by slot.
    channels: Vec<Option<Channel>>,
    socket_file: Option<SocketFile>,
    tick: Duration,
    next_tick: Time,
    exit_code: Option<u8>,
}

/// Ticks are not closer than this, however short the service manager's watchdog is.
const SHORTEST_TICK: Duration = Duration::from_millis(10);
/// Messages taken from one worker before the others get their turn.
const MESSAGES_A_TURN: usize = 16;

fn now() -> Time {
    Duration::from_nanos(monotonic_ns())
}

impl<Body: Fn(Child) -> i32> Master<'_, Body> {
    fn run(&mut self) -> u8 {
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
            // Orders to stop, then deaths, then words, then the other orders.
            let (stops, others): (Vec<Command>, Vec<Command>) = arrived
                .commands
                .into_iter()
                .partition(|command| matches!(command, Command::Stop | Command::QuickStop));
            for command in stops {
                self.apply(Event::Command(command));
            }
            if arrived.children {
                self.reap();
            }
            for slot in speaking {
                self.listen_to(slot);
            }
            for command in others {
                self.apply(Event::Command(command));
            }
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
            .map_or(self.next_tick, |deadline| deadline.min(self.next_tick));
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
