//! What the master is given to run: the one room of the caller that it knows. The bytes of a configuration are opaque here.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tine_scoreboard::Scoreboard;
use tine_scoreboard::control::Channel;

use crate::settings::Settings;

/// What a pool serves.
pub trait Service {
    /// The worker's body, in each forked child, all handled signals still blocked and at their default. Returns the child's exit
    /// code, see [`crate::exit`].
    fn work(&self, child: Child) -> i32;

    /// In a short-lived child: reads the configuration and everything that it names, checks all of it, and returns the bytes that
    /// [`Service::adopt`] needs.
    ///
    /// # Errors
    /// What is wrong, where, and what to do, in one line for the operator.
    fn read(&mut self) -> Result<Vec<u8>, String>;

    /// In the master: makes these bytes, which a child has returned from [`Service::read`], what new workers are forked with.
    /// It must not read anything else, and not wait. Called again with earlier bytes when a change is taken back.
    ///
    /// # Errors
    /// Why they can't be taken; then nothing has changed.
    fn adopt(&mut self, bytes: &[u8]) -> Result<Adopted, String>;

    /// Called once, when the pool serves.
    fn ready(&mut self) {}
}

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

/// What a configuration means to the master.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// Checked; `max_workers` and `tick` stay as they were at the start.
    pub settings: Settings,
    /// Requests in flight that one worker admits, for the scoreboard.
    pub limit_concurrency: u32,
    /// What workers tell their clients' lists apart by, for the scoreboard; nothing to the master.
    pub catalog: u64,
}

/// How the program was started, which is how an upgrade starts it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Where the binary is; what stands there at the time of an upgrade is executed.
    pub path: PathBuf,
    /// All of them, the program's name first.
    pub arguments: Vec<OsString>,
}
