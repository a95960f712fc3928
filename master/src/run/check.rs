//! The short-lived child that proves a change: forked to read a new configuration, or executed as the new binary, which then
//! reads it. Its verdict comes back as its exit code, and what it read, or what is wrong, in memory that it shares with the master.
//!
//! PostgreSQL and HAProxy have the same idea: what may fail is tried in a process that may.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::signal::SigSet;

use super::Master;
use super::execute::{CHECK, descriptor, execute};
use super::memory::{memory, read_all};
use crate::exit;
use crate::fork;
use crate::pool::{Ended, Event, What};
use crate::service::Service;
use crate::signals;

/// The present one.
pub(super) struct Checker {
    pub(super) pid: u32,
    memory: File,
}

impl<S: Service> Master<S> {
    pub(super) fn check(&mut self, what: What) -> Event {
        if what == What::Upgrade && self.program.is_none() {
            let text = "this process can't be executed again: it doesn't know how it was started";
            return Event::CheckBegun(Err(text.to_owned()));
        }
        let memory = match memory("tine-check") {
            Ok(memory) => memory,
            Err(error) => return Event::CheckBegun(Err(format!("no memory to check in: {error}"))),
        };
        match fork::split() {
            Ok(Some(pid)) => {
                self.checker = Some(Checker { pid, memory });
                Event::CheckBegun(Ok(pid))
            }
            Ok(None) => {
                fork::leave_master(self.pid);
                self.close_all();
                match what {
                    What::Reload => self.read(memory),
                    What::Upgrade => self.execute_check(memory),
                }
            }
            Err(error) => Event::CheckBegun(Err(error.to_string())),
        }
    }

    /// In the child.
    fn read(&mut self, memory: File) -> ! {
        fork::name("tine-check");
        deafen();
        let read = catch_unwind(AssertUnwindSafe(|| self.service.read()));
        let read = read.unwrap_or_else(|_| Err("a fault of the program: it panicked".to_owned()));
        fork::end(Check(memory).answer(read).into())
    }

    /// In the child.
    fn execute_check(&self, memory: File) -> ! {
        let result = match &self.program {
            Some(program) => {
                deafen();
                execute(program, CHECK, memory.as_raw_fd(), &[memory.as_raw_fd()])
            }
            None => "no program".to_owned(),
        };
        fork::end(Check(memory).answer(Err(result)).into())
    }

    /// The child has ended: what it found.
    pub(super) fn verdict(&mut self, checker: Checker, ended: Ended) -> Result<(), String> {
        let bytes = read_all(checker.memory)
            .map_err(|error| format!("what the check wrote can't be read: {error}"))?;
        let text = || String::from_utf8_lossy(&bytes).trim().to_owned();
        match ended {
            Ended::Code(0) => {
                let sound = bytes.strip_prefix(seal().as_bytes());
                let sound = sound.ok_or(
                    "the binary can't take over from this one: it is no `tine`, or its pages mean something else; restart the service to run it",
                )?;
                self.candidate = Some(sound.to_vec());
                Ok(())
            }
            Ended::Code(_) if !bytes.is_empty() => Err(text()),
            Ended::Code(code) => Err(format!("the check exited with code {code}")),
            Ended::Signal(number) => Err(format!("the check was killed by signal {number}")),
        }
    }
}

/// A check hears what ends it, and nothing of what is said to the master and may be sent to the whole group. What is ignored stays so
/// across an execution.
fn deafen() {
    let _ = signals::ignore_orders();
    let _ = SigSet::empty().thread_set_mask();
}

/// Begins what a sound check writes: both programs must mean the same by the pages and the hand-over.
fn seal() -> String {
    format!(
        "tine {:x} {}\n",
        tine_scoreboard::LAYOUT,
        super::handover::FORMAT
    )
}

/// The order to check, in a program that was executed for it.
pub struct Check(File);

impl Check {
    /// Whether this process was started to check and not to serve. To be called once, early in `main`: what is open under the
    /// number is believed to be the master's.
    ///
    /// # Errors
    /// The variable is there and names no open descriptor.
    pub fn requested() -> Result<Option<Check>, String> {
        Ok(descriptor(CHECK)?.map(|fd| Check(File::from(fd))))
    }

    /// Tells the master what was found, and returns the exit code to end with.
    pub fn answer(mut self, read: Result<Vec<u8>, String>) -> u8 {
        let (written, code) = match read {
            Ok(bytes) => {
                let sealed = self.0.write_all(seal().as_bytes());
                (sealed.and_then(|()| self.0.write_all(&bytes)), exit::CLEAN)
            }
            Err(text) => (self.0.write_all(text.as_bytes()), exit::CONFIGURATION),
        };
        match written {
            Ok(()) => code,
            Err(_) => exit::INTERNAL,
        }
    }
}
