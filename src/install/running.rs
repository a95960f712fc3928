//! What runs of an installation: finds the active instances, brings them to what is in place now, stops them, starts them again.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::error::InstallError;
use super::layout::Layout;
use super::programs::{self, systemctl};
use crate::exit::Exit;

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

    /// The instances' names.
    pub fn instances(&self) -> impl Iterator<Item = String> {
        let units = self.services.iter().chain(&self.sockets);
        units.filter_map(|unit| instance(unit)).map(str::to_owned)
    }

    /// Only these of them.
    pub fn only(&self, units: &[String]) -> Active {
        let among = |list: &Vec<String>| {
            let list = list.iter().filter(|unit| units.contains(unit));
            list.cloned().collect()
        };
        Active {
            services: among(&self.services),
            sockets: among(&self.sockets),
            timers: among(&self.timers),
        }
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

/// `swf` of `tine@swf.service`.
fn instance(unit: &str) -> Option<&str> {
    let (instance, _) = unit.split_once('@')?.1.rsplit_once('.')?;
    Some(instance)
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

/// Brings what was active to what is in place now; `report` hears of each, and `touched` names those that must follow again if the
/// installation is taken back. A new program takes over in place, without a lost request; a new unit needs a restart.
///
/// # Errors
/// A unit doesn't come back, or refuses; those before it have followed.
pub fn follow(
    layout: &Layout,
    changed: Changed,
    running: &Active,
    touched: &mut Vec<String>,
    report: &mut dyn FnMut(&str),
) -> Result<(), InstallError> {
    if changed.timer {
        for unit in &running.timers {
            touched.push(unit.clone());
            systemctl(&["restart", unit])?;
            report(&format!("restarted {unit}"));
        }
    }
    for unit in &running.services {
        if changed.service || (changed.program && !upgrade(layout, unit)?) {
            touched.push(unit.clone());
            systemctl(&["restart", unit])?;
            report(&format!("restarted {unit}"));
        } else if changed.program {
            touched.push(unit.clone());
            report(&format!("upgraded {unit} in place"));
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

/// Lets a running instance become the program that is in place now; false when it takes no such orders.
fn upgrade(layout: &Layout, unit: &str) -> Result<bool, InstallError> {
    let mut command = Command::new(layout.place(layout.program()));
    command.arg("upgrade").arg("--config");
    command.arg(layout.instance(instance(unit).unwrap_or_default()));
    match programs::run(&mut command) {
        Ok(_) => Ok(true),
        Err(InstallError::Failed { code, .. }) if code == Some(Exit::Unreachable.code().into()) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
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
