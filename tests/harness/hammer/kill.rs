//! Workers that a test kills, and which losses that explains.

use std::time::Instant;

use nix::sys::signal::Signal;

use super::tally::{How, Loss, Tally};
use crate::harness::server::kill_pid;
use crate::harness::{process, wait};

/// From the order to kill a process until its parent has seen it dead.
pub struct Kill {
    pub ordered: Instant,
    gone: Instant,
}

impl Kill {
    /// Kills the process and waits for its end.
    pub fn of(pid: i32) -> Kill {
        let ordered = Instant::now();
        kill_pid(pid, Signal::SIGKILL);
        wait::until("the killed worker is reaped", || !process::exists(pid));
        Kill {
            ordered,
            gone: Instant::now(),
        }
    }

    /// Whether the request was under way while the process died.
    fn explains(&self, loss: &Loss) -> bool {
        loss.sent <= self.gone && self.ordered <= loss.noticed
    }
}

impl Tally {
    /// Panics unless every lost request was under way while a worker was killed. What its client saw is what the kernel makes of
    /// a dead process's sockets: a FIN, or a reset where bytes were not read yet; be it in the middle of an answer.
    pub fn assert_lost_to(&self, kills: &[Kill]) {
        for loss in &self.lost {
            assert!(
                matches!(loss.how, How::Closed | How::Reset | How::Cut),
                "{loss}"
            );
            assert!(
                kills.iter().any(|kill| kill.explains(loss)),
                "nobody was killed meanwhile: {loss}"
            );
        }
    }
}
