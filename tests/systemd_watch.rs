//! What goes wrong while it runs, and who mends it: the master its workers, systemd the master.

use crate::harness::instance::Instance;
use crate::harness::systemd;
use crate::harness::wait;

#[test]
fn a_wedged_worker_is_the_masters_affair() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "worker", "timeout_heartbeat = \"2s\"");
    instance.start();
    let (master, workers) = (instance.master(), instance.workers());
    instance.signal("STOP", &workers[0]);
    wait::until("the worker is replaced", || {
        instance.health();
        !instance.lives(&workers[0]) && instance.workers().len() == 2
    });
    assert_eq!(instance.master(), master);
    assert_eq!(instance.property("NRestarts"), "0");
    assert!(instance.is_active());
}

#[test]
fn a_pool_of_which_nobody_turns_is_mended_by_the_master() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "workers", "timeout_heartbeat = \"2s\"");
    instance.start();
    let (master, workers) = (instance.master(), instance.workers());
    for worker in &workers {
        instance.signal("STOP", worker);
    }
    wait::until("the workers are replaced", || {
        workers.iter().all(|worker| !instance.lives(worker)) && instance.workers().len() == 2
    });
    instance.health();
    assert_eq!(instance.master(), master);
    assert_eq!(instance.property("NRestarts"), "0");
}

#[test]
fn a_wedged_master_is_restarted_by_the_watchdog() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "master", "");
    instance.start();
    let (master, workers) = (instance.master(), instance.workers());
    instance.signal("STOP", &master);
    wait::until("systemd has restarted it", || {
        instance.property("NRestarts") == "1" && instance.is_active()
    });
    assert!(instance.logged("Watchdog timeout").is_some());
    for process in workers.iter().chain([&master]) {
        assert!(!instance.lives(process), "{process} is left");
    }
    assert_ne!(instance.master(), master);
    instance.health();
}

#[test]
fn a_killed_master_leaves_nobody_and_comes_back() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    let instance = Instance::new(machine, "killed", "");
    instance.start();
    let (master, workers) = (instance.master(), instance.workers());
    instance.signal("KILL", &master);
    wait::until("systemd has restarted it", || {
        instance.property("NRestarts") == "1" && instance.is_active()
    });
    for process in workers.iter().chain([&master]) {
        assert!(!instance.lives(process), "{process} is left");
    }
    // It could bind, so the port was free.
    assert_eq!(instance.health()["crashes"], 0, "a new pool");
    assert_eq!(instance.processes().len(), 3);
}
