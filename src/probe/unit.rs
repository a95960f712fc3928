//! A systemd service as `systemctl show` describes it. Parses; runs nothing and decides nothing.

use std::time::Duration;

/// What is asked of systemd, in the order of systemctl(1)'s `--property`.
pub const PROPERTIES: &str =
    "LoadState,ActiveState,SubState,UnitFileState,Job,StateChangeTimestampMonotonic";

/// `ActiveState` (org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Active,
    Reloading,
    Inactive,
    Failed,
    Activating,
    Deactivating,
    /// `maintenance`, `refreshing`, or one that a later systemd adds.
    Other(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `loaded`, `not-found`, `masked`, ...
    pub load: String,
    pub active: State,
    /// The service's own state, such as `running` or `auto-restart`.
    pub sub: String,
    /// `enabled`, `disabled`, `static`, ...; empty if there is no file.
    pub file: String,
    /// A job is queued or runs, such as a restart that somebody ordered.
    pub job: bool,
    /// CLOCK_MONOTONIC at the last change of state; zero when there was none since the boot.
    pub changed: Duration,
}

impl Unit {
    /// Reads `systemctl show`: a property a line. Other lines, such as warnings, are skipped.
    ///
    /// # Errors
    /// The name of a property that is missing or can't be read.
    pub fn parse(text: &str) -> Result<Unit, &'static str> {
        let value = |name: &'static str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        };
        let changed = value("StateChangeTimestampMonotonic").and_then(|text| text.parse().ok());
        Ok(Unit {
            load: value("LoadState").ok_or("LoadState")?.to_owned(),
            active: active(value("ActiveState").ok_or("ActiveState")?),
            sub: value("SubState").ok_or("SubState")?.to_owned(),
            file: value("UnitFileState").unwrap_or_default().to_owned(),
            // Left out, empty or 0 when there is none: that differs between versions.
            job: !matches!(value("Job").unwrap_or_default(), "" | "0"),
            changed: Duration::from_micros(changed.ok_or("StateChangeTimestampMonotonic")?),
        })
    }

    /// `active (running)`, as systemctl writes it.
    pub fn state(&self) -> String {
        let active = match &self.active {
            State::Active => "active",
            State::Reloading => "reloading",
            State::Inactive => "inactive",
            State::Failed => "failed",
            State::Activating => "activating",
            State::Deactivating => "deactivating",
            State::Other(word) => word,
        };
        format!("{active} ({})", self.sub)
    }
}

fn active(word: &str) -> State {
    match word {
        "active" => State::Active,
        "reloading" => State::Reloading,
        "inactive" => State::Inactive,
        "failed" => State::Failed,
        "activating" => State::Activating,
        "deactivating" => State::Deactivating,
        other => State::Other(other.to_owned()),
    }
}

/// The name of a service, `.service` added where it is left out; for clap. Characters and length as systemd.unit(5) says.
pub fn name(text: &str) -> Result<String, String> {
    let known = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let suffixes = [
        "socket",
        "device",
        "mount",
        "automount",
        "swap",
        "target",
        "path",
        "timer",
        "slice",
        "scope",
    ];
    let suffix = text.rsplit_once('.').map(|(_, suffix)| suffix);
    let name = match suffix {
        Some("service") => text.to_owned(),
        _ => format!("{text}.service"),
    };
    let bad = text.is_empty()
        || text.starts_with(['-', '.'])
        || !text.chars().all(known)
        || name.len() > 255
        || suffix.is_some_and(|suffix| suffixes.contains(&suffix));
    match bad {
        true => Err("expected a service such as tine@swf.service".to_owned()),
        false => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str = "Warning: the unit file changed on disk\nLoadState=loaded\nActiveState=active\nSubState=running\n\
                           UnitFileState=enabled\nJob=\nStateChangeTimestampMonotonic=81234567\n";

    #[test]
    fn what_systemctl_shows_is_read() {
        let unit = Unit::parse(RUNNING).unwrap();
        assert_eq!(unit.state(), "active (running)");
        assert_eq!(
            (unit.load.as_str(), unit.file.as_str()),
            ("loaded", "enabled")
        );
        assert_eq!(unit.changed, Duration::from_micros(81_234_567));
        assert!(!unit.job);
    }

    #[test]
    fn a_job_is_a_number() {
        for (line, job) in [("Job=1234", true), ("Job=0", false), ("Job=", false)] {
            let unit = Unit::parse(&RUNNING.replace("Job=", line)).unwrap();
            assert_eq!(unit.job, job, "{line}");
        }
        assert!(!Unit::parse(&RUNNING.replace("Job=\n", "")).unwrap().job);
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in [
            "LoadState",
            "ActiveState",
            "SubState",
            "StateChangeTimestampMonotonic",
        ] {
            let without = RUNNING.replace(&format!("\n{name}="), "\nX=");
            assert_eq!(Unit::parse(&without), Err(name));
        }
        let odd = RUNNING.replace("=81234567", "=soon");
        assert_eq!(Unit::parse(&odd), Err("StateChangeTimestampMonotonic"));
    }

    #[test]
    fn only_services_have_a_name_here() {
        for (text, expected) in [
            ("tine@swf.service", "tine@swf.service"),
            ("tine@swf", "tine@swf.service"),
            ("a.b", "a.b.service"),
            (
                "tine@monitor-1\\x2da.service",
                "tine@monitor-1\\x2da.service",
            ),
        ] {
            assert_eq!(name(text).as_deref(), Ok(expected));
        }
        for text in [
            "",
            "-h",
            "--all",
            "a b",
            "../x",
            "x/y",
            "tine.socket",
            "a;b",
            "é",
            &"x".repeat(300),
        ] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
