//! What goes wrong while it runs, and who mends it: the master its workers, systemd the master.

use crate::harness::instance::Instance;
use crate::harness::systemd::{self, Entry};
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
    instance.line("Watchdog timeout");
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

/// A tool to be listed; its database is never asked.
const TOOL: &str = "/*+++\ndescription = \"One.\"\n+++*/\nSELECT 1 AS one\n";

/// Probes every second instead of every half minute.
fn watched(instance: &Instance) -> String {
    let (machine, name) = (instance.machine, &instance.name);
    let folder = "/etc/systemd/system";
    machine.write(
        &format!("{folder}/tine-watchdog@{name}.service.d/test.conf"),
        format!(
            "[Service]\nExecStart=\nExecStart=/usr/local/bin/tine probe --config /etc/tine/{name}.toml \
             --restart tine@{name}.service --tries 3 --pause 100ms --settle 1s\n"
        ),
    );
    machine.write(
        &format!("{folder}/tine-watchdog@{name}.timer.d/test.conf"),
        "[Timer]\nOnActiveSec=\nOnUnitInactiveSec=\nOnActiveSec=1s\nOnUnitInactiveSec=1s\nRandomizedDelaySec=0\n",
    );
    machine.systemctl(&["daemon-reload"]);
    machine.systemctl(&["start", &format!("tine-watchdog@{name}.timer")]);
    format!("tine-watchdog@{name}.service")
}

#[test]
fn the_timer_starts_a_service_that_was_stopped_unless_nobody_wants_it() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    machine.write("/etc/tine/timed/one.sql", TOOL);
    // The configuration of a server with secrets is read by the probe too.
    machine.write("/etc/credstore/tine.timed.tokens", "");
    let instance = Instance::new(
        machine,
        "timed",
        "toolsets = [\"timed\"]\ntokens_file = \"credential:tokens\"\n\
         [databases.main]\nurl = \"postgres://nobody@127.0.0.1:1/none\"\n",
    );
    let service = instance.service();
    machine.systemctl(&["enable", "--now", &service]);
    let probe = watched(&instance);
    let failures = || {
        let mut entries = machine.journal(&probe);
        entries.retain(|entry| entry.message.contains("MCP watchdog"));
        entries
    };
    let probed = |state: &str| {
        let last = machine.property(&probe, "InvocationID");
        wait::until("another probe", || {
            machine.property(&probe, "InvocationID") != last
                && machine.property(&probe, "ActiveState") == state
        });
    };
    let master = instance.master();
    probed("inactive");
    probed("inactive");
    assert_eq!((instance.master(), failures()), (master, Vec::new()));

    machine.systemctl(&["stop", &service]);
    wait::until("the watchdog has started it", || instance.is_active());
    instance.health();

    machine.systemctl(&["disable", "--now", &service]);
    wait::until("a probe that leaves it alone", || {
        let entries = machine.journal(&probe);
        entries
            .iter()
            .any(|entry| entry.message.contains("stopped and disabled"))
    });
    assert_eq!(instance.property("ActiveState"), "inactive");
    machine.systemctl(&["stop", &format!("tine-watchdog@{}.timer", instance.name)]);
}

/// Nobody else notices: neither the master, which stands still too, nor systemd, which isn't told to watch.
#[test]
fn a_service_that_stands_still_is_restarted_by_the_timer_once() {
    let Some(machine) = systemd::shared() else {
        return;
    };
    machine.write("/etc/tine/still/one.sql", TOOL);
    let instance = Instance::new(
        machine,
        "still",
        "toolsets = [\"still\"]\n[databases.main]\nurl = \"postgres://nobody@127.0.0.1:1/none\"\n",
    );
    instance.drop_in("service", "[Service]\nWatchdogSec=0\nTimeoutStopSec=3\n");
    instance.start();
    let master = instance.master();
    let processes: Vec<String> = [vec![master.clone()], instance.workers()].concat();
    let probe = watched(&instance);
    for process in &processes {
        instance.signal("STOP", process);
    }
    wait::until("the watchdog has restarted it", || {
        instance.is_active() && instance.master() != master
    });
    instance.health();
    for process in &processes {
        assert!(!instance.lives(process), "{process} is left");
    }
    // Probes went on every second while it stopped and started.
    let history = machine.read("/run/tine-watchdog/still/tine@still.service.restarts");
    assert_eq!(history.lines().count(), 1, "{history}");
    let restarting = |entry: &Entry| entry.message.ends_with("; restarting tine@still.service");
    let told = machine.journal(&probe).into_iter().find(restarting);
    assert_eq!(told.expect("a line").priority, 3);
    machine.systemctl(&["stop", "tine-watchdog@still.timer"]);
}
