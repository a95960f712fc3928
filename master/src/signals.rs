//! The master's signals as events that a loop can read.
//!
//! All handled signals stay blocked and arrive on a signalfd(2): no handler runs, so none can be inherited by a child,
//! interrupt a system call or write into a pipe that a fork shares (the trap of self-pipes). Nothing here decides anything.

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::pool::Command;

/// Every signal that the master handles, and that a worker finds blocked and at its default.
pub(crate) const HANDLED: [Signal; 9] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGCHLD,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGUSR1,
    Signal::SIGHUP,
    Signal::SIGUSR2,
];

/// What arrived since the last look. Equal signals merge, as the kernel merges them anyway.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// In the order in which they are to be obeyed: orders to stop first.
    pub(crate) commands: Vec<Command>,
    /// Children may have died.
    pub(crate) children: bool,
}

pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks the handled signals in this thread, which must be the only one, and opens the descriptor.
    ///
    /// Dispositions go to the default first: a SIGCHLD that was inherited as ignored would make the kernel reap the workers.
    /// SIGPIPE is ignored, for the master and all workers: a client that leaves is an error of one write.
    pub(crate) fn take() -> nix::Result<Signals> {
        let set = SigSet::from_iter(HANDLED);
        set.thread_block()?;
        reset_to_default()?;
        set_disposition(Signal::SIGPIPE, SigHandler::SigIgn)?;
        let descriptor =
            SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Signals(descriptor))
    }

    /// Everything that has arrived. The descriptor is emptied before anything is acted on, so that what arrives while
    /// the master acts is a new event.
    pub(crate) fn read(&self) -> nix::Result<Arrived> {
        let mut seen = SigSet::empty();
        loop {
            match self.0.read_signal() {
                Ok(Some(info)) => {
                    if let Ok(signal) = Signal::try_from(info.ssi_signo as i32) {
                        seen.add(signal);
                    }
                }
                Ok(None) => return Ok(in_order(&seen)),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl std::os::fd::AsFd for Signals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Stop-class signals come first, so that a stop never waits behind a change of the pool.
fn in_order(seen: &SigSet) -> Arrived {
    let order = [
        (Signal::SIGINT, Command::QuickStop),
        (Signal::SIGQUIT, Command::QuickStop),
        (Signal::SIGTERM, Command::Stop),
        (Signal::SIGUSR1, Command::Dump),
        (Signal::SIGTTIN, Command::More),
        (Signal::SIGTTOU, Command::Fewer),
        (Signal::SIGHUP, Command::Reload),
        (Signal::SIGUSR2, Command::Upgrade),
    ];
    let commands = order
        .iter()
        .filter(|(signal, _)| seen.contains(*signal))
        .map(|(_, command)| *command)
        .collect();
    Arrived {
        commands,
        children: seen.contains(Signal::SIGCHLD),
    }
}

/// Puts every handled signal back to its default disposition.
pub(crate) fn reset_to_default() -> nix::Result<()> {
    HANDLED
        .into_iter()
        .try_for_each(|signal| set_disposition(signal, SigHandler::SigDfl))
}

/// A terminal sends SIGINT to the whole group; what becomes of the workers is the master's decision alone (puma's rule).
pub(crate) fn ignore_interrupt() -> nix::Result<()> {
    set_disposition(Signal::SIGINT, SigHandler::SigIgn)
}

/// The orders that a signal can give to a master, but for those to stop, mean nothing to this process and what it executes.
pub(crate) fn ignore_orders() -> nix::Result<()> {
    [
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ]
    .into_iter()
    .try_for_each(|signal| set_disposition(signal, SigHandler::SigIgn))
}

fn set_disposition(signal: Signal, handler: SigHandler) -> nix::Result<()> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the dispositions set here are "default" and "ignore": no code of ours will run in a signal's context.
    unsafe { sigaction(signal, &action) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_to_stop_come_first_and_children_are_apart() {
        let all = in_order(&SigSet::from_iter(HANDLED));
        assert!(all.children);
        assert_eq!(
            all.commands[..3],
            [Command::QuickStop, Command::QuickStop, Command::Stop]
        );
        assert_eq!(
            all.commands.len(),
            HANDLED.len() - 1,
            "every handled signal has a meaning"
        );
        let none = in_order(&SigSet::empty());
        assert!(none.commands.is_empty() && !none.children);
    }
}
