//! Whether a worker takes new connections: the park-or-reject decision, as a pure function of a few facts. Knows nothing of
//! sockets.
//!
//! Apache's event MPM closes its listeners to itself when its threads are used up, so that siblings take over. So does a full
//! worker here: it *parks*, and the kernel's queue holds what comes, for the next worker with a free place. Only when somebody
//! has been kept waiting there while all workers were full, for as long as a call may wait, full workers come back to the
//! listener and *reject*: they answer from memory what they can, and refuse calls that find no place.

use tine_scoreboard::Phase;

/// How the worker treats its listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Has a free place: accepts.
    Serving,
    /// Full: leaves the listener to the siblings, or to the next free place.
    Parked,
    /// The whole pool is full for longer than anybody should wait: accepts, and refuses calls with 503.
    Rejecting,
}

/// What the decision looks at.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// No free place here.
    pub full: bool,
    /// Some sibling has a free place.
    pub room_elsewhere: bool,
    /// A connection has been waiting to be accepted for as long as a call may wait.
    pub kept_waiting: bool,
}

/// The next mode.
pub fn step(mode: Mode, load: Load) -> Mode {
    match load {
        Load { full: false, .. } => Mode::Serving,
        Load {
            room_elsewhere: true,
            ..
        } => Mode::Parked,
        Load {
            kept_waiting: true, ..
        } => Mode::Rejecting,
        _ if mode == Mode::Rejecting => Mode::Rejecting,
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
        for (mode, full, room_elsewhere, kept_waiting, expected) in [
            (Serving, false, false, false, Serving),
            (Serving, false, true, true, Serving),
            (Serving, true, true, false, Parked),
            (Serving, true, false, false, Parked),
            (Serving, true, false, true, Rejecting),
            (Serving, true, true, true, Parked),
            (Parked, false, false, true, Serving),
            (Parked, true, false, false, Parked),
            (Parked, true, true, true, Parked),
            (Parked, true, false, true, Rejecting),
            (Rejecting, true, false, false, Rejecting),
            (Rejecting, true, true, false, Parked),
            (Rejecting, false, false, false, Serving),
        ] {
            let load = Load {
                full,
                room_elsewhere,
                kept_waiting,
            };
            assert_eq!(step(mode, load), expected, "{mode:?} {load:?}");
        }
    }
}
