//! What runs of an installation: finds the active instances, brings them to what is in place now, stops them, starts them again.

use std::fs;
use std::path::Path;

use super::error::InstallError;
use super::programs::systemctl;

/// What an installation changed that systemd and running instances must follow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    pub program: bool,
    /// Any unit.
    pub units: bool,
    /// The service, or its drop-in.
    pub service: bool,
    pub socket: bool,
    /// The watchdog's.
    pub timer: bool,
}

/// The active units, by template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Active {
    pub services: Vec<String>,
    pub sockets: Vec<String>,
    pub timers: Vec<String>,
}

impl Active {
    /// What is active at this moment.
    ///
    /// # Errors
    /// systemd doesn't answer.
    pub fn now() -> Result<Active, InstallError> {
        Ok(Active {
            services: active("tine@*.service")?,
            sockets: active("tine@*.socket")?,
            timers: active("tine-watchdog@*.timer")?,
        })
    }

    /// `swf` of `tine@swf.service`.
    pub fn instances(&self) -> impl Iterator<Item = String> {
        let units = self.services.iter().chain(&self.sockets);
        let instances = units.filter_map(|unit| unit.split_once('@')?.1.rsplit_once('.'));
        instances.map(|(instance, _)| instance.to_owned())
    }

    fn all(&self) -> Vec<&str> {
        let units = self
            .timers
            .iter()
            .chain(&self.sockets)
            .chain(&self.services);
        units.map(String::as_str).collect()
    }
}

fn active(pattern: &str) -> Result<Vec<String>, InstallError> {
    let states = "--state=active,activating,reloading";
    let list = systemctl(&[
        "list-units",
        "--plain",
        "--no-legend",
        "--full",
        states,
        pattern,
    ])?;
    let names = list
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}

/// Brings what was active to what is in place now; `report` hears of each.
///
/// # Errors
/// A unit doesn't come back; those before it have followed.
pub fn follow(
    changed: Changed,
    running: &Active,
    report: &mut dyn FnMut(&str),
) -> Result<(), InstallError> {
    if changed.timer {
        for unit in &running.timers {
            systemctl(&["restart", unit])?;
            report(&format!("restarted {unit}"));
        }
    }
    if changed.service || changed.program {
        for unit in &running.services {
            systemctl(&["restart", unit])?;
            report(&format!("restarted {unit}"));
        }
    }
    if changed.socket {
        for unit in &running.sockets {
            // Only a closed socket can be opened anew, and that would refuse clients: the operator says when.
            let service = unit.replace(".socket", ".service");
            report(&format!(
                "{unit} listens as before; when it suits: systemctl stop {service} && systemctl restart {unit} {service}"
            ));
        }
    }
    Ok(())
}

/// Instances that start with the machine: their links in the folders that `systemctl enable` writes to.
pub fn enabled(own_units: &Path) -> Vec<String> {
    let folders = fs::read_dir(own_units).into_iter().flatten().flatten();
    let wants =
        folders.filter(|folder| folder.path().extension().is_some_and(|end| end == "wants"));
    let links =
        wants.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
    let names = links.filter_map(|link| link.file_name().into_string().ok());
    names
        .filter(|name| name.starts_with("tine@") || name.starts_with("tine-watchdog@"))
        .collect()
}

/// Stops what is active and takes the links away.
///
/// # Errors
/// systemd can't.
pub fn stop(
    running: &Active,
    enabled: &[String],
    report: &mut dyn FnMut(&str),
) -> Result<(), InstallError> {
    command("stop", &running.all(), report)?;
    let enabled: Vec<&str> = enabled.iter().map(String::as_str).collect();
    command("disable", &enabled, report)
}

/// The opposite of [`stop`].
///
/// # Errors
/// systemd can't.
pub fn start(running: &Active, enabled: &[String]) -> Result<(), InstallError> {
    let enabled: Vec<&str> = enabled.iter().map(String::as_str).collect();
    command("enable", &enabled, &mut |_| ())?;
    command("start", &running.all(), &mut |_| ())
}

fn command(verb: &str, units: &[&str], report: &mut dyn FnMut(&str)) -> Result<(), InstallError> {
    if units.is_empty() {
        return Ok(());
    }
    systemctl(&[&[verb, "--quiet"], units].concat())?;
    report(&format!("{verb}: {}", units.join(" ")));
    Ok(())
}
