//! The words between the policy and the loop: what happened, and what is to be done.

use std::time::Duration;

use log::Level;
use tine_scoreboard::control::ToMaster;

use super::{Time, What};
use crate::settings::Settings;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Time has passed. `heartbeats` are the workers' own numbers by slot, untrusted; zero = never.
    Tick {
        /// When each slot's loop last turned.
        heartbeats: Vec<Time>,
    },
    /// A signal arrived.
    Command(Command),
    /// The fork that was asked for was made.
    Forked {
        /// Where.
        slot: usize,
        /// The child.
        pid: u32,
    },
    /// The fork that was asked for could not be made. `fatal`: nor ever will be.
    ForkFailed {
        /// Where.
        slot: usize,
        /// Whether trying again is pointless.
        fatal: bool,
    },
    /// A child was reaped.
    Exited {
        /// Which; may be none of ours.
        pid: u32,
        /// How.
        ended: Ended,
    },
    /// A worker spoke.
    Message {
        /// Where.
        slot: usize,
        /// Which; dropped unless it is the slot's present worker.
        pid: u32,
        /// What.
        message: ToMaster,
    },
    /// A worker's control channel ended while the worker has not been reaped.
    Eof {
        /// Where.
        slot: usize,
        /// Which; dropped unless it is the slot's present worker.
        pid: u32,
    },
    /// The child that checks a change was forked, or why not.
    CheckBegun(Result<u32, String>),
    /// The child that checks a change has ended.
    Checked {
        /// Which; dropped unless it is the present one.
        pid: u32,
        /// Whether what it read is sound, or what is wrong with it, for the operator.
        verdict: Result<(), String>,
    },
    /// What was proven is the master's by now, with these settings, or why not.
    Adopted(Result<Settings, String>),
}

/// What a signal to the master means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// SIGTERM.
    Stop,
    /// SIGINT, SIGQUIT.
    QuickStop,
    /// SIGTTIN.
    More,
    /// SIGTTOU.
    Fewer,
    /// SIGUSR1.
    Dump,
    /// SIGHUP.
    Reload,
    /// SIGUSR2.
    Upgrade,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Code(i32),
    /// The signal of this number killed it.
    Signal(i32),
}

impl Ended {
    /// One number for the scoreboard: the code, or minus the signal.
    pub fn status(self) -> i32 {
        match self {
            Ended::Code(code) => code,
            Ended::Signal(number) => -number,
        }
    }
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Fork a worker into this slot and report `Forked` or `ForkFailed`.
    Fork {
        /// Where.
        slot: usize,
        /// With which configuration.
        generation: u64,
    },
    /// Fork a child that checks, report `CheckBegun`, and `Checked` when it has ended.
    Check(What),
    /// Take over what the child has read; report `Adopted`.
    Adopt,
    /// Execute the binary in place of this program, or report `Adopted` with the reason why not.
    Execute,
    /// A worker of the new generation is ready: what a way back would need can be let go.
    Proven(What),
    /// Take back what was adopted or executed last, and report `Adopted` with the reason.
    Revert {
        /// Which of both.
        what: What,
        /// For the operator, should this program not be there any more to tell.
        why: String,
    },
    /// A change has ended.
    Outcome {
        /// The number of the change, see [`super::Pool::next_change`]; those before it are answered too.
        change: u64,
        /// Whether it was made.
        ok: bool,
        /// What to tell those who ordered it.
        text: String,
    },
    /// Tell the worker to drain.
    Drain {
        /// Where.
        slot: usize,
        /// Which.
        pid: u32,
        /// How long it may take.
        timeout: Duration,
    },
    /// Tell the worker to exit at once.
    Quick {
        /// Where.
        slot: usize,
        /// Which.
        pid: u32,
    },
    /// Send SIGABRT, for a core dump.
    Abort {
        /// Which.
        pid: u32,
    },
    /// Send SIGKILL.
    Kill {
        /// Which.
        pid: u32,
    },
    /// Close the master's copy of the listener.
    CloseListener,
    /// Log the scoreboard.
    Dump,
    /// Tell the service manager.
    Notify(Notice),
    /// Log one line.
    Log(Level, String),
    /// Leave the loop with this exit code.
    Exit(u8),
}

/// What the service manager is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The pool serves.
    Ready,
    /// A change has begun.
    Reloading,
    /// A change has ended, whatever came of it.
    Reloaded,
    /// The pool is being stopped.
    Stopping,
    /// One line for the operator.
    Status(String),
    /// At least one worker is ready and turns, or the stop goes on within its deadlines.
    Watchdog,
}
