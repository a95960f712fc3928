//! How many workers, how long the master waits for what, and the check that the waits form one chain.

use std::fmt;
use std::time::Duration;

/// What the operator chose. [`Settings::default`] holds the documented defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Workers at the start (4). At least 1.
    pub workers: usize,
    /// The most that SIGTTIN may raise it to (64). The scoreboard needs twice as many slots.
    pub max_workers: usize,
    /// Processes are called `NAME-w0`, `NAME-w1`, ...; the kernel keeps 15 bytes.
    pub name: String,
    /// From the fork to Ready (10 s).
    pub boot_timeout: Duration,
    /// A ready worker whose loop has not turned for so long is taken for stuck (10 s).
    pub heartbeat_timeout: Duration,
    /// What a draining worker is given to finish its requests (15 s).
    pub drain_timeout: Duration,
    /// From the order to drain to SIGABRT (17 s).
    pub abort_after: Duration,
    /// From the order to drain to SIGKILL (18 s).
    pub kill_after: Duration,
    /// From the order to stop to the master's own end, whoever is left (20 s).
    pub exit_after: Duration,
    /// What workers are given in a quick stop (2 s).
    pub quick_timeout: Duration,
    /// From the SIGABRT for a stuck worker to its SIGKILL (2 s).
    pub kill_grace: Duration,
    /// How often the heartbeats are looked at (1 s).
    pub tick: Duration,
    /// What the child that checks a new configuration or binary is given (20 s).
    pub check_timeout: Duration,
}

const DRAIN: Duration = Duration::from_secs(15);
const ABORT_MARGIN: Duration = Duration::from_secs(2);
const KILL_MARGIN: Duration = Duration::from_secs(3);
const EXIT_MARGIN: Duration = Duration::from_secs(5);
const _: () = assert!(
    ABORT_MARGIN.as_nanos() > 0
        && ABORT_MARGIN.as_nanos() < KILL_MARGIN.as_nanos()
        && KILL_MARGIN.as_nanos() < EXIT_MARGIN.as_nanos()
);

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            workers: 4,
            max_workers: 64,
            name: "tine".to_owned(),
            boot_timeout: Duration::from_secs(10),
            heartbeat_timeout: Duration::from_secs(10),
            drain_timeout: DRAIN,
            abort_after: DRAIN + ABORT_MARGIN,
            kill_after: DRAIN + KILL_MARGIN,
            exit_after: DRAIN + EXIT_MARGIN,
            quick_timeout: Duration::from_secs(2),
            kill_grace: Duration::from_secs(2),
            tick: Duration::from_secs(1),
            check_timeout: Duration::from_secs(20),
        }
    }
}

impl Settings {
    /// The same settings with another drain timeout; the later links of the chain move with it (+2 s, +3 s, +5 s).
    #[must_use]
    pub fn with_drain(mut self, drain: Duration) -> Settings {
        self.drain_timeout = drain;
        self.abort_after = drain.saturating_add(ABORT_MARGIN);
        self.kill_after = drain.saturating_add(KILL_MARGIN);
        self.exit_after = drain.saturating_add(EXIT_MARGIN);
        self
    }

    /// The master's links of the deadline chain, in order, for [`check_chain`]. Whoever knows the deadlines of a request
    /// puts them in front, whoever knows the service manager's behind.
    pub fn chain(&self) -> [(&'static str, Duration); 4] {
        [
            ("drain", self.drain_timeout),
            ("abort", self.abort_after),
            ("kill", self.kill_after),
            ("master exit", self.exit_after),
        ]
    }

    /// Whether the numbers fit together.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.workers == 0 || self.workers > self.max_workers || self.max_workers > MAX_WORKERS {
            return Err(SettingsError::Workers {
                workers: self.workers,
                max: self.max_workers,
            });
        }
        for (name, value) in [
            ("boot timeout", self.boot_timeout),
            ("heartbeat timeout", self.heartbeat_timeout),
            ("drain timeout", self.drain_timeout),
            ("quick timeout", self.quick_timeout),
            ("kill grace", self.kill_grace),
            ("tick", self.tick),
            ("check timeout", self.check_timeout),
        ] {
            // A day is far beyond any use, and keeps every sum of deadlines and a u32 of milliseconds in range.
            if value.is_zero() || value > LONGEST {
                return Err(SettingsError::Duration { name, value });
            }
        }
        check_chain(&[
            ("tick", self.tick),
            ("heartbeat timeout", self.heartbeat_timeout),
        ])
        .and_then(|()| check_chain(&self.chain()))
        .map_err(SettingsError::Chain)
    }
}

/// More workers than this are refused: the machine would be long out of memory.
pub const MAX_WORKERS: usize = 1024;

const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether every deadline is shorter than the next one.
///
/// A request that overruns must be given up by its own worker before the worker is given up by the master, and that before
/// the master is given up by the service manager; otherwise the outer one destroys what the inner one would have reported.
pub fn check_chain(links: &[(&'static str, Duration)]) -> Result<(), ChainError> {
    for pair in links.windows(2) {
        if let [shorter, longer] = *pair
            && shorter.1 >= longer.1
        {
            return Err(ChainError { shorter, longer });
        }
    }
    Ok(())
}

/// Two deadlines in the wrong order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainError {
    /// Name and length of the one that must be shorter.
    pub shorter: (&'static str, Duration),
    /// Name and length of the one that must be longer.
    pub longer: (&'static str, Duration),
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "deadlines out of order: {} ({:?}) must be shorter than {} ({:?})",
            self.shorter.0, self.shorter.1, self.longer.0, self.longer.1
        )
    }
}

impl std::error::Error for ChainError {}

/// Why settings are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsError {
    /// No workers, or more than allowed.
    Workers {
        /// As chosen.
        workers: usize,
        /// The bound as chosen.
        max: usize,
    },
    /// Zero, or longer than a day.
    Duration {
        /// Which setting.
        name: &'static str,
        /// As chosen.
        value: Duration,
    },
    /// Two deadlines in the wrong order.
    Chain(ChainError),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingsError::Workers { workers, max } => {
                let most = (*max).min(MAX_WORKERS);
                write!(
                    f,
                    "{workers} workers (at most {max}) are not possible: choose 1 to {most}"
                )
            }
            SettingsError::Duration { name, value } => {
                write!(
                    f,
                    "the {name} of {value:?} is not possible: choose more than zero and at most a day"
                )
            }
            SettingsError::Chain(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_keep_the_documented_chain() {
        let settings = Settings::default();
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(
            settings.chain().map(|(_, after)| after.as_secs()),
            [15, 17, 18, 20]
        );
        let mut whole = vec![
            ("statement", Duration::from_secs(8)),
            ("request", Duration::from_secs(10)),
        ];
        whole.extend(settings.chain());
        whole.push(("TimeoutStopSec", Duration::from_secs(30)));
        assert_eq!(check_chain(&whole), Ok(()));
    }

    #[test]
    fn a_longer_drain_moves_the_rest_of_the_chain() {
        let settings = Settings::default().with_drain(Duration::from_secs(60));
        assert_eq!(
            settings.chain().map(|(_, after)| after.as_secs()),
            [60, 62, 63, 65]
        );
        assert_eq!(settings.check(), Ok(()));
    }

    #[test]
    fn every_wrong_order_is_named() {
        let mut settings = Settings {
            abort_after: Duration::from_secs(15),
            ..Settings::default()
        };
        let error = settings.check().expect_err("equal is not shorter");
        assert_eq!(
            error.to_string(),
            "deadlines out of order: drain (15s) must be shorter than abort (15s)"
        );
        settings = Settings {
            kill_after: Duration::from_secs(16),
            ..Settings::default()
        };
        assert!(
            settings
                .check()
                .expect_err("kill")
                .to_string()
                .contains("abort (17s) must be shorter than kill (16s)")
        );
        settings = Settings {
            exit_after: Duration::from_secs(1),
            ..Settings::default()
        };
        assert!(
            settings
                .check()
                .expect_err("exit")
                .to_string()
                .contains("kill (18s) must be shorter than master exit")
        );
        settings = Settings {
            tick: Duration::from_secs(10),
            ..Settings::default()
        };
        assert!(
            settings
                .check()
                .expect_err("tick")
                .to_string()
                .contains("heartbeat")
        );
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for (workers, max_workers) in [(0, 4), (5, 4), (1, MAX_WORKERS + 1)] {
            let settings = Settings {
                workers,
                max_workers,
                ..Settings::default()
            };
            assert!(
                matches!(settings.check(), Err(SettingsError::Workers { .. })),
                "{workers} {max_workers}"
            );
        }
        let settings = Settings {
            quick_timeout: Duration::ZERO,
            ..Settings::default()
        };
        assert!(matches!(
            settings.check(),
            Err(SettingsError::Duration {
                name: "quick timeout",
                ..
            })
        ));
        let settings = Settings::default().with_drain(Duration::MAX);
        assert!(matches!(
            settings.check(),
            Err(SettingsError::Duration {
                name: "drain timeout",
                ..
            })
        ));
    }
}
