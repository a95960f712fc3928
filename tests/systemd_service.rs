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
    wait::until("its status has this answer", || {
        let status = instance.property("StatusText");
        status.starts_with("2 of 2 workers ready, generation 1; ") && status.contains(" 1 served")
    });
    assert_eq!(instance.property("NotifyAccess"), "main");
    let (master, workers) = (instance.master(), instance.workers());
    assert_eq!(instance.processes().len(), 3, "a master and its workers");

    let begin = Instant::now();
    machine.systemctl(&["stop", &instance.service()]);
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(instance.property("ActiveState"), "inactive");
    instance.line("Deactivated successfully");
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
    let process = format!("/proc/{}", instance.master());
    let (_, user) = machine.run("stat", &["--format=%U", &process]);
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
    let (priority, line) = instance.line("unknown key `wrokers`");
    assert_eq!(priority, 3);
    assert!(line.contains("/etc/tine/wrong.toml:3: "), "where: {line}");
    assert!(
        line.contains("did you mean `workers`?"),
        "and what to do: {line}"
    );
}

#[test]
fn every_line_in_the_journal_is_whole_and_has_its_priority() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "log", "");
    instance.start();
    instance.signal("USR1", &instance.master());
    instance.line("inflight");
    instance.signal("KILL", &instance.workers()[0]);
    instance.line("killed by signal 9");
    wait::until("it is replaced", || instance.workers().len() == 2);
    machine.systemctl(&["stop", &instance.service()]);
    instance.line("Deactivated successfully");
    instance.line("] stopped");
    let lines = machine.journal(&instance.service());
    let lines: Vec<_> = lines
        .iter()
        .filter(|entry| entry.speaker == "tine")
        .collect();
    for line in &lines {
        let head = ["master[", "worker ", "tine["];
        assert!(
            head.iter().any(|head| line.message.starts_with(head)),
            "{line:?}"
        );
    }
    for (text, priority) in [
        ("no toolsets", 4),
        ("the pool is ready", 6),
        ("killed by signal 9", 3),
        ("stopping gracefully", 6),
    ] {
        let line = lines.iter().find(|line| line.message.contains(text));
        assert_eq!(
            line.map(|line| line.priority),
            Some(priority),
            "{text}: {lines:#?}"
        );
    }
}
