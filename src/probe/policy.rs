//! Whether a unit may be restarted now. One pure function of what systemd says, of the restarts so far and of the rules.
//! Knows neither why the probe failed nor how to restart.
//!
//! Two ideas are those of s6-supervise and of systemd itself: nothing is restarted in the middle of a change of state, and
//! restarts are counted in a window, so that a service that can't live is left dead for a person to look at.

use std::fmt;
use std::time::Duration;

use super::unit::{State, Unit};

/// A reload that takes longer is not under way but stuck: it is longer than all deadlines of a stop together. systemd bounds
/// starts and stops itself (`TimeoutStartSec=`, `TimeoutStopSec=`), but not a reload that the service announced.
const RELOAD_LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The unit must have been in its state for so long. Covers a slow start, an upgrade that stops and starts, and the race
    /// between a failed probe and somebody's restart.
    pub settle: Duration,
    pub limit: Limit,
}

/// At most `count` restarts within `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limit {
    pub count: usize,
    pub window: Duration,
}

/// Why the unit is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// systemd has no such unit, or it is masked or faulty.
    NotLoaded(String),
    /// Somebody ordered something that is not done yet.
    Job,
    /// It starts, stops or reloads.
    Changing(String),
    /// Its state changed a moment ago.
    Settling {
        state: String,
        ago: Duration,
    },
    /// An operator stopped it and doesn't want it back.
    Stopped {
        file: String,
    },
    Limited(Limit),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotLoaded(load) => write!(f, "systemd says that the unit is {load}"),
            Reason::Job => write!(f, "it has a job under way"),
            Reason::Changing(state) => write!(f, "it is {state}"),
            Reason::Settling { state, ago } => {
                write!(f, "it has been {state} for {} s only", ago.as_secs())
            }
            Reason::Stopped { file } => {
                let file = if file.is_empty() {
                    "without file"
                } else {
                    file
                };
                write!(f, "it is stopped and {file}; enable it to have it started")
            }
            Reason::Limited(Limit { count, window }) => {
                write!(
                    f,
                    "{count} restarts within {} s is the limit",
                    window.as_secs()
                )
            }
        }
    }
}

/// `restarts` and `now` are CLOCK_MONOTONIC, as the unit's times are.
///
/// # Errors
/// Why not.
pub fn decide(
    unit: &Unit,
    restarts: &[Duration],
    now: Duration,
    rules: &Rules,
) -> Result<(), Reason> {
    if unit.load != "loaded" {
        return Err(Reason::NotLoaded(unit.load.clone()));
    }
    if unit.job {
        return Err(Reason::Job);
    }
    let ago = now.saturating_sub(unit.changed);
    match unit.active {
        State::Active | State::Failed | State::Inactive => {}
        State::Reloading if ago >= RELOAD_LIMIT => {}
        _ => return Err(Reason::Changing(unit.state())),
    }
    if ago < rules.settle {
        return Err(Reason::Settling {
            state: unit.state(),
            ago,
        });
    }
    let wanted = matches!(unit.file.as_str(), "enabled" | "enabled-runtime");
    if unit.active == State::Inactive && !wanted {
        return Err(Reason::Stopped {
            file: unit.file.clone(),
        });
    }
    let limit = rules.limit;
    let recent = restarts
        .iter()
        .filter(|&&at| at <= now && now - at < limit.window);
    if recent.count() >= limit.count {
        return Err(Reason::Limited(limit));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(10_000);
    const RULES: Rules = Rules {
        settle: Duration::from_secs(30),
        limit: Limit {
            count: 3,
            window: Duration::from_secs(900),
        },
    };

    fn ago(seconds: u64) -> Duration {
        NOW - Duration::from_secs(seconds)
    }

    /// The verdict in a word.
    fn verdict(unit: &Unit, restarts: &[Duration]) -> &'static str {
        match decide(unit, restarts, NOW, &RULES) {
            Ok(()) => "restart",
            Err(Reason::NotLoaded(_)) => "not loaded",
            Err(Reason::Job) => "job",
            Err(Reason::Changing(_)) => "changing",
            Err(Reason::Settling { .. }) => "settling",
            Err(Reason::Stopped { .. }) => "stopped",
            Err(Reason::Limited(_)) => "limited",
        }
    }

    /// Every ActiveState; the verdict without a job after 29 s, 30 s, 299 s and 300 s in it, enabled or not.
    #[rustfmt::skip] // a table
    const STATES: &[(&str, bool, [&str; 4])] = &[
        ("active",       true,  ["settling", "restart",  "restart",  "restart"]),
        ("active",       false, ["settling", "restart",  "restart",  "restart"]),
        ("failed",       true,  ["settling", "restart",  "restart",  "restart"]),
        ("failed",       false, ["settling", "restart",  "restart",  "restart"]),
        ("inactive",     true,  ["settling", "restart",  "restart",  "restart"]),
        ("inactive",     false, ["settling", "stopped",  "stopped",  "stopped"]),
        ("reloading",    true,  ["changing", "changing", "changing", "restart"]),
        ("reloading",    false, ["changing", "changing", "changing", "restart"]),
        ("activating",   true,  ["changing", "changing", "changing", "changing"]),
        ("activating",   false, ["changing", "changing", "changing", "changing"]),
        ("deactivating", true,  ["changing", "changing", "changing", "changing"]),
        ("deactivating", false, ["changing", "changing", "changing", "changing"]),
        ("maintenance",  true,  ["changing", "changing", "changing", "changing"]),
        ("refreshing",   true,  ["changing", "changing", "changing", "changing"]),
    ];

    #[test]
    fn every_state_with_and_without_a_job_and_below_and_at_the_limit() {
        for (active, enabled, expected) in STATES {
            for (rested, expected) in [29, 30, 299, 300].into_iter().zip(expected) {
                let text = format!(
                    "LoadState=loaded\nActiveState={active}\nSubState=x\nUnitFileState={}\nStateChangeTimestampMonotonic={}",
                    if *enabled { "enabled" } else { "disabled" },
                    ago(rested).as_micros()
                );
                let mut unit = Unit::parse(&text).unwrap();
                let place = format!("{active} {enabled} {rested}");
                assert_eq!(verdict(&unit, &[]), *expected, "{place}");
                assert_eq!(verdict(&unit, &[ago(899); 2]), *expected, "{place}");
                let limited = match *expected {
                    "restart" => "limited",
                    other => other,
                };
                assert_eq!(verdict(&unit, &[ago(899); 3]), limited, "{place}");
                unit.job = true;
                assert_eq!(verdict(&unit, &[]), "job", "{place}");
                unit.load = "masked".to_owned();
                assert_eq!(verdict(&unit, &[]), "not loaded", "{place}");
            }
        }
    }

    fn running() -> Unit {
        Unit {
            load: "loaded".into(),
            active: State::Active,
            sub: "running".into(),
            file: "enabled".into(),
            job: false,
            changed: Duration::ZERO,
        }
    }

    #[test]
    fn restarts_count_within_the_window_only() {
        let unit = running();
        assert_eq!(verdict(&unit, &[ago(900), ago(800), ago(700)]), "restart");
        assert_eq!(verdict(&unit, &[ago(899), ago(800), ago(700)]), "limited");
        assert_eq!(
            verdict(&unit, &[NOW + NOW, NOW + NOW, NOW + NOW]),
            "restart",
            "times that have not come are of another boot"
        );
        let never = Rules {
            limit: Limit {
                count: 0,
                ..RULES.limit
            },
            ..RULES
        };
        assert!(decide(&unit, &[], NOW, &never).is_err());
    }

    #[test]
    fn a_clock_behind_the_unit_counts_as_no_rest() {
        let unit = Unit {
            changed: NOW + Duration::from_secs(5),
            ..running()
        };
        assert_eq!(verdict(&unit, &[]), "settling");
    }

    #[test]
    fn a_reason_says_what_to_know() {
        let unit = Unit {
            active: State::Activating,
            sub: "auto-restart".into(),
            ..running()
        };
        let said = |unit: &Unit| decide(unit, &[], NOW, &RULES).unwrap_err().to_string();
        assert_eq!(said(&unit), "it is activating (auto-restart)");
        let unit = Unit {
            active: State::Inactive,
            sub: "dead".into(),
            file: "disabled".into(),
            ..running()
        };
        assert_eq!(
            said(&unit),
            "it is stopped and disabled; enable it to have it started"
        );
    }
}
