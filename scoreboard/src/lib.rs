//! The page of shared memory that the master and every worker map, and the messages between them.
//!
//! This crate is all that master and worker both know. It holds numbers and their layout; it must not know what a worker
//! does with a request, nor when the master restarts one.
//!
//! The shape follows Apache's scoreboard (fixed slots, no pointers in shared memory, the parent tolerates stale lines) and
//! pitchfork's cache lines (one writer a line). Like PostgreSQL's postmaster the master takes no lock here and believes
//! nothing: a crashed worker can leave wrong numbers behind, never a wedged master.

#![warn(missing_docs)]

mod board;
pub mod control;
mod count;
mod document;
mod fold;
mod layout;
mod snapshot;

pub use board::{Error, FRESH_HEARTBEAT_NS, Scoreboard};
pub use count::{Counter, Counters, Gauge, Totals};
pub use layout::{Header, HotLine, LAYOUT, MasterLine, Phase, Slot, SlotState};
pub use snapshot::{SlotSnapshot, Snapshot};

/// Nanoseconds of `CLOCK_MONOTONIC`: the one clock of the board, the same in every process of the machine.
///
/// It does not run while the machine is suspended (clock_gettime(2)). Never 0 on a running system, so that 0 can mean "never".
pub fn monotonic_ns() -> u64 {
    match nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC) {
        Ok(time) => {
            let (seconds, nanoseconds) = (time.tv_sec() as u64, time.tv_nsec() as u64);
            (seconds * 1_000_000_000 + nanoseconds).max(1)
        }
        // The only documented errors are a bad clock and a bad pointer; neither can be passed from here.
        Err(_) => 1,
    }
}
