//! `tine install` on a machine with a running systemd: what runs follows what is installed, and everything is taken back
//! when it can't.

use std::fs;

use crate::harness::instance::Instance;
use crate::harness::systemd::{self, Machine};
use crate::harness::wait;

const SERVICE: &str = "/usr/local/lib/systemd/system/tine@.service";
const TIMER: &str = "/usr/local/lib/systemd/system/tine-watchdog@.timer";
const PROGRAM: &str = "/usr/local/bin/tine";

#[test]
fn a_machine_gets_tine_keeps_it_up_to_date_and_loses_it_again() {
    let Some(machine) = systemd::own() else {
        return;
    };
    installed_and_started(&machine);
    nothing_changes_twice(&machine);
    units_that_changed_are_followed(&machine);
    what_does_not_come_back_is_taken_back(&machine);
    removed(&machine);
}

fn installed_and_started(machine: &Machine) {
    let (code, text) = machine.install(&["swf"]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "create   user tine",
        "create   /usr/local/bin/tine",
        "reloaded systemd",
        "systemctl enable --now tine@swf",
    ] {
        assert!(text.contains(line), "{line} in: {text}");
    }
    let owner = |path: &str| machine.run("stat", &["--format=%U:%G %a", path]).1;
    assert_eq!(owner("/etc/tine").trim(), "root:tine 750");
    assert_eq!(owner("/etc/tine/swf.toml").trim(), "root:tine 640");
    assert_eq!(owner(PROGRAM).trim(), "root:root 755");
    machine.systemctl(&["enable", "--now", "tine@swf", "tine-watchdog@swf.timer"]);
    assert_eq!(machine.property("tine@swf", "ActiveState"), "active");
}

fn nothing_changes_twice(machine: &Machine) {
    let before = machine.property("tine@swf", "MainPID");
    assert_eq!(
        machine.install(&["swf"]),
        (Some(0), "nothing to change\n".to_owned())
    );
    assert_eq!(machine.property("tine@swf", "MainPID"), before);
}

fn units_that_changed_are_followed(machine: &Machine) {
    let before = machine.property("tine@swf", "MainPID");
    let unit = machine.read(SERVICE);
    machine.write(SERVICE, unit.replace("RestartSec=1", "RestartSec=7"));
    machine.systemctl(&["daemon-reload"]);
    let timer = machine.read(TIMER);
    machine.write(TIMER, timer.replace("AccuracySec=1s", "AccuracySec=2s"));
    let (code, text) = machine.install(&["--dry-run"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("-RestartSec=7\n+RestartSec=1"), "{text}");
    assert_eq!(machine.property("tine@swf", "RestartUSec"), "7s");
    let (code, text) = machine.install(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("restarted tine@swf.service"), "{text}");
    assert!(text.contains("restarted tine-watchdog@swf.timer"), "{text}");
    assert_eq!(machine.property("tine@swf", "RestartUSec"), "1s");
    assert_ne!(machine.property("tine@swf", "MainPID"), before);
}

fn what_does_not_come_back_is_taken_back(machine: &Machine) {
    let broken = Instance::new(machine, "broken", "");
    broken.start();
    // It runs, and could not be started again.
    machine.write("/etc/tine/broken.toml", "wrokers = 1\n");
    let unit = machine
        .read(SERVICE)
        .replace("RestartSec=1", "RestartSec=7");
    machine.write(SERVICE, &unit);
    machine.systemctl(&["daemon-reload"]);
    let (code, text) = machine.install(&[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("tine@broken.service"), "{text}");
    assert_eq!(machine.read(SERVICE), unit, "the unit from before");
    assert_eq!(machine.property("tine@swf", "RestartUSec"), "7s");
    wait::until("the other instance is back", || {
        machine.property("tine@swf", "ActiveState") == "active"
    });
    // Nothing is left beside it.
    let folder = machine.path(SERVICE);
    let names = fs::read_dir(folder.parent().expect("a folder")).expect("a folder");
    let hidden = names.filter(|name| {
        let name = name.as_ref().expect("a name").file_name();
        name.to_string_lossy().starts_with('.')
    });
    assert_eq!(hidden.count(), 0);
    fs::remove_file(machine.path("/etc/tine/broken.toml")).expect("removed");
}

fn removed(machine: &Machine) {
    machine.systemctl(&["enable", "tine@swf.socket"]);
    let (code, text) = machine.install(&["--uninstall"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("stop: tine-watchdog@swf.timer tine@swf.service"),
        "{text}"
    );
    let (_, state) = machine.run("systemctl", &["is-active", "tine@swf"]);
    assert_eq!(state.trim(), "inactive");
    let (_, links) = machine.run("find", &["/etc/systemd/system", "-name", "tine*"]);
    assert_eq!(links, "");
    for path in [SERVICE, PROGRAM] {
        assert!(!machine.path(path).exists(), "{path}");
    }
    assert!(
        machine.path("/etc/tine/swf.toml").exists(),
        "the operator's own"
    );
    assert_eq!(machine.install(&["--uninstall"]).1, "nothing to remove\n");
}
