//! Whether a worker takes new connections: the park-or-reject decision, as a pure function of a few facts. Knows nothing of
//! sockets.
//!
//! Apache's event MPM closes its listeners to itself when its threads are used up, so that siblings take over. So does a full
//! worker here: it *parks*, and the kernel's queue holds what comes, for the next worker with a free place. But not for long: a
//! connection in that queue may well be a health check. When somebody has been waiting there for a moment, whatever the siblings'
//! numbers say, a full worker comes back to the listener. It answers from memory what it can, lets calls wait for a place for
//! a bounded time, and *rejects* those that find none.

use tine_scoreboard::Phase;

/// How the worker treats its listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Has a free place: accepts.
    Serving,
    /// Full: leaves the listener to the siblings, or to the next free place.
    Parked,
    /// Full, and nobody else takes what comes: accepts, lets calls wait for a place, and refuses them with 503 when there is none.
    Rejecting,
}

/// What the decision looks at.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// No free place here.
    pub full: bool,
    /// A connection waits to be accepted.
    pub pending: bool,
    /// One has been waiting for a while: at every look so far.
    pub kept_waiting: bool,
    /// Some sibling has a free place.
    pub room_elsewhere: bool,
}

/// The next mode.
pub fn step(mode: Mode, load: Load) -> Mode {
    match (mode, load) {
        (_, Load { full: false, .. }) => Mode::Serving,
        // Nothing is left to take, and a sibling can take what comes.
        (
            Mode::Rejecting,
            Load {
                pending: false,
                room_elsewhere: true,
                ..
            },
        ) => Mode::Parked,
        (Mode::Rejecting, _) => Mode::Rejecting,
        (
            _,
            Load {
                kept_waiting: true, ..
            },
        ) => Mode::Rejecting,
        _ => Mode::Parked,
    }
}

impl From<Mode> for Phase {
    fn from(mode: Mode) -> Phase {
        match mode {
            Mode::Serving => Phase::Serving,
            Mode::Parked => Phase::Parked,
            Mode::Rejecting => Phase::Rejecting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        use Mode::*;
        for (mode, full, pending, kept_waiting, room_elsewhere, expected) in [
            (Serving, false, false, false, false, Serving),
            (Serving, false, true, true, true, Serving),
            (Serving, true, true, false, true, Parked),
            (Serving, true, true, false, false, Parked),
            (Serving, true, true, true, false, Rejecting),
            (Parked, false, true, true, false, Serving),
            (Parked, true, false, false, false, Parked),
            (Parked, true, true, false, false, Parked),
            (Parked, true, true, true, false, Rejecting),
            // A sibling has room and does not come: it may be starved of the processor, or stuck.
            (Parked, true, true, true, true, Rejecting),
            (Rejecting, true, false, false, false, Rejecting),
            (Rejecting, true, true, false, true, Rejecting),
            (Rejecting, true, false, false, true, Parked),
            (Rejecting, false, true, false, false, Serving),
        ] {
            let load = Load {
                full,
                pending,
                kept_waiting,
                room_elsewhere,
            };
            assert_eq!(step(mode, load), expected, "{mode:?} {load:?}");
        }
    }
}
