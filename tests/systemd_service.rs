//! The service under a real systemd: it starts when it serves, says how it is, stops in time, and keeps to its sandbox.

use std::time::{Duration, Instant};

use crate::harness::instance::Instance;
use crate::harness::systemd;
use crate::harness::wait;

#[test]
fn it_is_started_when_it_serves_and_stops_without_a_kill() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "life", "");
    instance.start();
    // Type=notify: no moment between "started" and "serves".
    let health = instance.health();
    assert_eq!(
        health["workers"].as_array().map(Vec::len),
        Some(2),
        "{health}"
    );
    assert_eq!(instance.property("StatusText"), "2 of 2 workers ready");
    assert_eq!(instance.property("NotifyAccess"), "main");
    let (master, workers) = (instance.master(), instance.workers());
    assert_eq!(instance.processes().len(), 3, "a master and its workers");

    let begin = Instant::now();
    machine.systemctl(&["stop", &instance.service()]);
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(instance.property("ActiveState"), "inactive");
    assert!(instance.logged("Deactivated successfully").is_some());
    for process in workers.iter().chain([&master]) {
        assert!(!instance.lives(process), "{process}");
    }
    assert_eq!(instance.logged("Killing process"), None);
}

#[test]
fn the_sandbox_is_tight() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "tight", "");
    instance.start();
    let words = [
        "security",
        "--no-pager",
        "--threshold=15",
        &instance.service(),
    ];
    let (code, text) = machine.run("systemd-analyze", &words);
    assert_eq!(code, Some(0), "{text}");
    let user = machine
        .run("ps", &["-o", "user=", "-p", &instance.master()])
        .1;
    assert_eq!(user.trim(), "tine");
}

#[test]
fn a_wrong_configuration_is_not_tried_again() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "wrong", "wrokers = 3");
    let (code, _) = machine.run("systemctl", &["start", &instance.service()]);
    assert_eq!(code, Some(1));
    wait::until("it has failed", || {
        instance.property("ActiveState") == "failed"
    });
    assert_eq!(instance.property("ExecMainStatus"), "78");
    assert_eq!(instance.property("NRestarts"), "0");
    let (priority, line) = instance.logged("unknown key `wrokers`").expect("the fault");
    assert_eq!(priority, 3);
    assert!(line.contains("/etc/tine/wrong.toml:3:1: "), "where: {line}");
    assert!(
        line.contains("did you mean `workers`?"),
        "and what to do: {line}"
    );
}
