//! The worker's signals, as readiness of a pipe that the loop watches. The handlers that the master had installed must not
//! survive the fork: they would write into the master's pipe. So the master hands over with everything blocked and at its
//! default, and only after this worker's own handlers stand are the signals let in.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use signal_hook::consts::{SIGHUP, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
use signal_hook::{flag, low_level::pipe};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// TERM: finish what is under way.
    Drain,
    /// QUIT: end at once.
    Quick,
}

pub struct Signals {
    /// Readable when a signal came.
    pub stream: UnixStream,
    quick: Arc<AtomicBool>,
}

impl Signals {
    /// Listens for TERM and QUIT. INT is ignored since the fork; the master's other signals, which may be sent to the whole group, do
    /// nothing here. ABRT keeps its default, a core dump, for a loop that hangs.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn install() -> io::Result<Signals> {
        let (stream, writer) = UnixStream::pair()?;
        stream.set_nonblocking(true)?;
        let quick = Arc::new(AtomicBool::new(false));
        // Registered before the pipe: actions run in this order, so the flag is up when the loop wakes.
        flag::register(SIGQUIT, Arc::clone(&quick))?;
        pipe::register(SIGQUIT, writer.try_clone()?)?;
        pipe::register(SIGTERM, writer)?;
        let ignored = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU] {
            flag::register(signal, Arc::clone(&ignored))?;
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        Ok(Signals { stream, quick })
    }

    /// Empties the pipe, then says what was asked.
    pub fn take(&mut self) -> Option<Asked> {
        let mut bytes = [0; 64];
        let mut any = false;
        while matches!(self.stream.read(&mut bytes), Ok(n) if n > 0) {
            any = true;
        }
        let quick = self.quick.swap(false, Ordering::Relaxed);
        (any || quick).then_some(if quick { Asked::Quick } else { Asked::Drain })
    }
}
