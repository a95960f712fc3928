//! From a failed probe to a restart, or to the reason why not. Puts policy, history and systemctl in their order; knows no HTTP.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::history::{Held, History};
use super::policy::{Rules, decide};
use super::steps::{Asked, Failure, Remedy};
use super::systemctl::Systemctl;

pub struct Watchdog {
    unit: String,
    systemctl: Systemctl,
    history: History,
    rules: Rules,
}

/// What the watchdog did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restart {
    /// systemd has the order.
    Ordered,
    /// Why it was not given.
    Withheld(String),
}

impl Watchdog {
    pub fn new(unit: &str, systemctl: Systemctl, history: History, rules: Rules) -> Watchdog {
        Watchdog {
            unit: unit.to_owned(),
            systemctl,
            history,
            rules,
        }
    }

    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Restarts the unit if that is the remedy and the rules allow it. `again` probes once more, right before the order: the
    /// failure may be over. Gives what that found, and what was done.
    pub fn act(
        &self,
        failure: &Failure,
        again: impl FnOnce() -> Asked,
    ) -> (Option<Asked>, Option<Restart>) {
        let withheld = |reason: String| Some(Restart::Withheld(reason));
        if let Some(reason) = futile(failure) {
            return (None, withheld(reason));
        }
        let held = match self.history.hold() {
            Ok(Some(held)) => held,
            Ok(None) => return (None, withheld("another probe is about to".to_owned())),
            Err(error) => return (None, withheld(error.to_string())),
        };
        if let Err(reason) = self.allowed(&held) {
            return (None, withheld(reason));
        }
        let asked = again();
        let restart = match &asked.result {
            Ok(_) => None,
            Err(failure) => Some(match futile(failure) {
                Some(reason) => Restart::Withheld(reason),
                None => self.order(&held),
            }),
        };
        (Some(asked), restart)
    }

    fn order(&self, held: &Held<'_>) -> Restart {
        // Asked again: the last probe took its time, in which somebody may have acted.
        let done = self
            .allowed(held)
            // Remembered first: a restart that is not counted would be one too many.
            .and_then(|()| held.add(now()).map_err(|error| error.to_string()))
            .and_then(|()| {
                let order = self.systemctl.restart(&self.unit);
                order.map_err(|error| error.to_string())
            });
        match done {
            Ok(()) => Restart::Ordered,
            Err(reason) => Restart::Withheld(reason),
        }
    }

    fn allowed(&self, held: &Held<'_>) -> Result<(), String> {
        let restarts = held.restarts().map_err(|error| error.to_string())?;
        let unit = self.systemctl.show(&self.unit);
        let unit = unit.map_err(|error| error.to_string())?;
        decide(&unit, &restarts, now(), &self.rules).map_err(|reason| reason.to_string())
    }
}

/// Why no restart can mend this, if none can.
fn futile(failure: &Failure) -> Option<String> {
    let reason = match failure.remedy {
        Remedy::Restart => return None,
        Remedy::Wait => "the server is alive and says what it lacks",
        Remedy::Operator => "that would not change it",
    };
    Some(reason.to_owned())
}

/// The clock of systemd's monotonic timestamps.
fn now() -> Duration {
    // It can't fail for this clock (clock_gettime(2)); a zero counts as no rest, so nothing would be restarted.
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(Duration::from)
        .unwrap_or_default()
}
