//! The order of steps around fork(2): what must be true before, and what the child does before it is a worker.
//!
//! A fork of a single-threaded process leaves no lock held by a thread that no longer exists, so the child may run ordinary
//! code. Everything that could break this is checked here, at one place. The recipe is sudo-rs's (block, fork, register,
//! restore), with PostgreSQL's flush before it. This module must not know what a worker does.

use std::ffi::CString;
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, fork, getppid};

use crate::{exit, notify, signals};

/// Why there is no child.
#[derive(Debug)]
pub(crate) enum ForkError {
    /// The process has so many threads instead of one.
    Threads(usize),
    /// The threads cannot be counted.
    Count(std::io::Error),
    /// fork(2) failed.
    Fork(nix::Error),
}

impl ForkError {
    /// Whether trying again is pointless.
    pub(crate) fn fatal(&self) -> bool {
        matches!(self, ForkError::Threads(_))
    }
}

impl fmt::Display for ForkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForkError::Threads(threads) => {
                write!(
                    f,
                    "the master has {threads} threads instead of one, so forking is not safe; this is a fault of the program"
                )
            }
            ForkError::Count(error) => write!(
                f,
                "the master's threads cannot be counted in /proc/self/task: {error}"
            ),
            ForkError::Fork(error) => write!(f, "fork failed: {error}"),
        }
    }
}

/// Forks. Returns the child's pid in the master, `None` in the child.
pub(crate) fn split() -> Result<Option<u32>, ForkError> {
    let threads = std::fs::read_dir("/proc/self/task")
        .map_err(ForkError::Count)?
        .count();
    if threads != 1 {
        return Err(ForkError::Threads(threads));
    }
    // What is buffered now would be written by both.
    flush();
    // SAFETY: the process has one thread (just counted), so no lock is held by a thread that the child lacks.
    match unsafe { fork() }.map_err(ForkError::Fork)? {
        ForkResult::Parent { child } => Ok(Some(child.as_raw().unsigned_abs())),
        ForkResult::Child => Ok(None),
    }
}

/// The child's first steps. Ends the process when the master is gone already.
pub(crate) fn leave_master(master: Pid) {
    // The kernel's word for "my master died", should the worker not hear the end of its control channel. It is lost when
    // the master dies before this call; hence the question after it.
    if prctl::set_pdeathsig(Signal::SIGTERM).is_err() || getppid() != master {
        end(exit::WORKER_TRANSIENT);
    }
    if signals::reset_to_default().is_err() || signals::ignore_interrupt().is_err() {
        end(exit::WORKER_TRANSIENT);
    }
}

/// The child's last steps before the body: an environment and a name of its own.
pub(crate) fn become_worker(name: &str, place: usize) {
    for variable in notify::VARIABLES {
        // SAFETY: the child has one thread, so nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(variable) };
    }
    self::name(&process_name(name, place));
}

/// Names the process. One without a name of its own still works.
pub(crate) fn name(name: &str) {
    if let Ok(name) = CString::new(name) {
        let _ = prctl::set_name(&name);
    }
}

/// `NAME-wPLACE`, the name shortened so that the place survives the kernel's 15 bytes.
fn process_name(name: &str, place: usize) -> String {
    let suffix = format!("-w{place}");
    let mut kept = name.len().min(15usize.saturating_sub(suffix.len()));
    while !name.is_char_boundary(kept) {
        kept -= 1;
    }
    format!("{}{suffix}", &name[..kept])
}

/// Runs the body and ends the process with what it returns. A panic must not unwind into the master's frames, and what
/// the master registered to run at exit must not run twice.
pub(crate) fn run_body(body: impl FnOnce() -> i32) -> ! {
    let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(exit::WORKER_PANIC);
    end(code)
}

/// Ends a child.
pub(crate) fn end(code: i32) -> ! {
    flush();
    // SAFETY: _exit(2) takes a number and does not return.
    unsafe { nix::libc::_exit(code) }
}

fn flush() {
    // Who reads the output may be gone; that is no reason to fork less or to exit otherwise.
    let _ = std::io::stdout().flush();
    log::logger().flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_forked() {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        let error = split().expect_err("two threads at least");
        assert!(matches!(error, ForkError::Threads(n) if n >= 2), "{error}");
        assert!(error.fatal());
        drop(release);
        assert!(thread.join().expect("join").is_err());
    }

    #[test]
    fn the_place_survives_a_long_name() {
        assert_eq!(process_name("tine", 0), "tine-w0");
        assert_eq!(
            process_name("a-rather-long-name", 12),
            "a-rather-lon-w12"[..11].to_owned() + "-w12"
        );
        assert_eq!(process_name("ééééééééé", 3).len(), 15);
        assert!(process_name("ééééééééé", 100).len() <= 15);
    }
}
