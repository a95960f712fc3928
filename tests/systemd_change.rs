//! Changes while it serves: a configuration by reload, a program by upgrade. `systemctl` tells whether they were taken.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use crate::harness::instance::Instance;
use crate::harness::systemd::{self, Machine};
use crate::harness::wait;

const PROGRAM: &str = "/usr/local/bin/tine";

#[test]
fn a_reload_is_taken_or_refused_and_systemctl_says_which() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "reload", "");
    instance.start();
    let (service, master) = (instance.service(), instance.master());
    instance.configure("limit_concurrency = 7");
    machine.systemctl(&["reload", &service]);
    // When systemctl returns, it has happened.
    let health = instance.health();
    assert_eq!(
        (&health["generation"], &health["limit_concurrency"]),
        (&2.into(), &7.into()),
        "{health}"
    );

    instance.configure("limit_concurrency = 0");
    let (code, text) = machine.run("systemctl", &["reload", &service]);
    assert_eq!(code, Some(1), "{text}");
    assert!(instance.is_active(), "and serves on");
    assert_eq!(instance.health()["limit_concurrency"], 7);
    let (priority, line) = instance.line("reload.toml:3");
    assert_eq!(priority, 3, "{line}");
    let status_names_it = || instance.property("StatusText").contains("reload.toml:3");
    wait::until("the status names the reason", status_names_it);

    instance.configure("limit_concurrency = 8");
    machine.systemctl(&["reload", &service]);
    assert_eq!(instance.health()["limit_concurrency"], 8);
    wait::until("the status names it no more", || !status_names_it());
    assert_eq!(instance.master(), master);
    assert_eq!(instance.property("NRestarts"), "0");
}

#[test]
fn a_hup_from_elsewhere_is_a_reload_to_systemd_too() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "hup", "");
    instance.start();
    let before = instance.property("StateChangeTimestampMonotonic");
    instance.signal("HUP", &instance.master());
    wait::until("the next generation", || {
        instance.health()["generation"] == 2
    });
    // From active to reloading and back: RELOADING=1 and READY=1.
    wait::until("systemd has seen both", || {
        instance.property("StateChangeTimestampMonotonic") != before && instance.is_active()
    });
}

/// A program that differs from the one under test in one byte behind its end.
fn other_program(machine: &Machine) -> &'static str {
    let path = "/run/another-tine";
    let place = machine.path(path);
    fs::copy(env!("CARGO_BIN_EXE_tine"), &place).expect("a copy");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&place)
        .expect("the copy");
    file.write_all(b"\n").expect("one byte more");
    path
}

#[test]
fn a_new_program_takes_over_in_place_or_not_at_all() {
    let Some(machine) = systemd::own() else {
        return;
    };
    assert_eq!(machine.install(&[]).0, Some(0));
    let (one, other) = (
        Instance::new(&machine, "one", ""),
        Instance::new(&machine, "other", ""),
    );
    one.start();
    other.start();
    let masters = [one.master(), other.master()];
    let runs = |instance: &Instance| {
        let program = fs::metadata(machine.path(format!("/proc/{}/exe", instance.master())));
        program.expect("a running program").size()
    };
    let before = runs(&one);

    let another = other_program(&machine);
    let (code, text) = machine.run(another, &["install"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("upgraded tine@one.service in place"),
        "{text}"
    );
    assert_eq!([one.master(), other.master()], masters);
    assert_eq!([runs(&one), runs(&other)], [before + 1; 2]);
    one.health();

    // One instance refuses, because it could not start with what its configuration says now.
    other.configure("wrokers = 1");
    let (code, text) = machine.install(&[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("wrokers"), "{text}");
    assert!(text.contains("everything is put back"), "{text}");
    assert!(!text.contains("while everything"), "{text}");
    assert_eq!(
        fs::metadata(machine.path(PROGRAM))
            .expect("a program")
            .size(),
        before + 1,
        "the program from before"
    );
    for instance in [&one, &other] {
        assert!(instance.is_active());
        assert_eq!(runs(instance), before + 1, "tine@{}", instance.name);
        instance.health();
    }
    assert_eq!([one.master(), other.master()], masters);
    wait::until("all serve", || {
        one.workers().len() == 2 && other.workers().len() == 2
    });
}
