//! Takes dead children from the kernel, one at a time and without waiting.
//!
//! By waitpid(2) itself and not through `nix`, which takes a child killed by a real-time signal for an error after it was
//! reaped: its pid would be lost here and signalled later, when it may be another process's.

use nix::errno::Errno;
use nix::libc;

use crate::pool::Ended;

/// A child that has died, whoever started it; `None` when there is none at present.
pub(crate) fn reap_one() -> Option<(u32, Ended)> {
    loop {
        let mut status = 0;
        // SAFETY: the status is a local that outlives the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if pid > 0 {
            let ended = if libc::WIFSIGNALED(status) {
                Ended::Signal(libc::WTERMSIG(status))
            } else {
                Ended::Code(libc::WEXITSTATUS(status))
            };
            return Some((pid.unsigned_abs(), ended));
        }
        // 0: children live; ECHILD: there are none.
        if pid == 0 || Errno::last() != Errno::EINTR {
            return None;
        }
    }
}
