//! How a master begins: with a pool of its own, or with that of the program that was executed before it.

use std::time::Duration;

use nix::unistd::Pid;
use tine_scoreboard::control::Channel;
use tine_scoreboard::{Scoreboard, monotonic_ns};

use super::{Handover, Master, Open, now};
use crate::control::ControlSocket;
use crate::exit;
use crate::fork;
use crate::listen::Listener;
use crate::notify::{Notifier, watchdog_interval};
use crate::pool::{Event, Pool, Time};
use crate::service::{Adopted, Program, Service};
use crate::settings::Settings;
use crate::signals::Signals;

/// Ticks are not closer than this, however short the service manager's watchdog is.
const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// What a pool begins with.
pub struct Start {
    /// Of the first configuration.
    pub settings: Settings,
    /// Needs `2 * max_workers` slots.
    pub board: &'static Scoreboard,
    /// Bound.
    pub listener: Listener,
    /// The first configuration, as [`Service::read`] returned it; the service has adopted it already.
    pub proven: Vec<u8>,
    /// For upgrades; without it they are refused.
    pub program: Option<Program>,
    /// Where the pool takes orders, and says how they ended.
    pub control: Option<ControlSocket>,
}

/// Runs the pool until it is told to stop, and returns the exit code for the process.
///
/// The calling process must have one thread. It gives up its signals for good: they stay blocked after the return. Every child
/// of the process is reaped here, also one that was started before.
pub fn run(start: Start, service: impl Service) -> u8 {
    let Start {
        mut settings,
        board,
        listener,
        proven,
        program,
        control,
    } = start;
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
    settings.tick = tick(settings.tick);
    let signals = match take_signals() {
        Ok(signals) => signals,
        Err(code) => return code,
    };
    let (listener, socket_file) = listener.into_parts();
    let pool = Pool::new(settings.clone(), now(), seed());
    let open = Open {
        signals: Some(signals),
        notifier: Some(Notifier::from_environment()),
        listener: Some(listener),
        control,
    };
    let channels = (0..settings.max_workers * 2).map(|_| None).collect();
    let mut master = Master {
        socket_file,
        program,
        ..Master::new(settings, pool, board, service, open, channels, proven)
    };
    master.run_to_the_end(None)
}

/// Goes on with the pool of the program that was executed before this one. The service has adopted `handover.proven`; one that can't is
/// for [`Handover::give_back`].
pub fn resume(handover: Handover, adopted: Adopted, service: impl Service) -> u8 {
    let signals = match take_signals() {
        Ok(signals) => signals,
        Err(code) => return code,
    };
    let Handover {
        pool,
        refused,
        program,
        listener,
        socket_file,
        board,
        channels: handed,
        proven,
        previous,
        binary,
        control,
        waiting,
    } = handover;
    let mut settings = adopted.settings.clone();
    fork::name(&settings.name);
    settings.tick = tick(settings.tick);
    let pool = Pool::resume(pool, settings.clone(), now(), seed());
    let mut channels: Vec<Option<Channel>> = board.slots().iter().map(|_| None).collect();
    for (slot, channel) in handed {
        // A channel to nobody's worker: its end tells that one to drain.
        if pool.pid_of(slot).is_some()
            && let Some(place) = channels.get_mut(slot)
        {
            *place = Some(channel);
        }
    }
    let open = Open {
        signals: Some(signals),
        notifier: Some(Notifier::from_environment()),
        listener: Some(listener),
        control,
    };
    let back = refused.is_none();
    let mut master = Master {
        socket_file,
        program: Some(program),
        previous: back.then_some(previous),
        binary: binary.filter(|_| back),
        waiting,
        ..Master::new(settings, pool, board, service, open, channels, proven)
    };
    let first = match refused {
        None => master.adopt_settings(adopted),
        // The page still says what the other program had adopted.
        Some(refused) => {
            master.publish(&adopted);
            Event::Adopted(Err(refused))
        }
    };
    master.run_to_the_end(Some(first))
}

fn take_signals() -> Result<Signals, u8> {
    Signals::take().map_err(|error| {
        log::error!("the master cannot receive signals: {error}");
        exit::INTERNAL
    })
}

/// sd_watchdog_enabled(3): feed at half the interval or sooner.
fn tick(tick: Duration) -> Duration {
    watchdog_interval().map_or(tick, |interval| tick.min(interval / 3).max(SHORTEST_TICK))
}

fn seed() -> u64 {
    monotonic_ns() ^ u64::from(std::process::id())
}

impl<S: Service> Master<S> {
    fn new(
        settings: Settings,
        pool: Pool,
        board: &'static Scoreboard,
        service: S,
        open: Open,
        channels: Vec<Option<Channel>>,
        proven: Vec<u8>,
    ) -> Master<S> {
        Master {
            pool,
            board,
            service,
            name: settings.name,
            pid: Pid::this(),
            open,
            channels,
            socket_file: None,
            tick: settings.tick,
            next_tick: now(),
            exit_code: None,
            proven,
            candidate: None,
            previous: None,
            binary: None,
            checker: None,
            program: None,
            waiting: Vec::new(),
            status: String::new(),
            told: String::new(),
            told_at: Time::ZERO,
        }
    }
}
