//! The end of the pool: on order, in a hurry, against resistance, and without the master.

use std::net::TcpListener;

use nix::sys::signal::Signal;

use crate::harness::{Pool, ask, until};

/// So long that a test would fail before it helped.
const ENDLESS_DRAIN: &str = "drain=3600000";

#[test]
fn sigterm_drains_and_leaves_nothing() {
    let mut pool = Pool::ready(&["workers=4"]);
    let address = pool.address.clone();
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
    pool.all_gone();
    TcpListener::bind(&address).expect("the port is free");
    assert!(pool.log().contains("stopping gracefully"), "{}", pool.log());
    assert_eq!(
        pool.log().matches("exited with code 0").count(),
        4,
        "{}",
        pool.log()
    );
    for bad in ["ERROR", "WARN"] {
        assert!(!pool.log().contains(bad), "{}", pool.log());
    }
}

#[test]
fn the_second_sigterm_and_sigint_and_sigquit_do_not_wait_for_the_drain() {
    for signals in [
        vec![Signal::SIGTERM, Signal::SIGTERM],
        vec![Signal::SIGINT],
        vec![Signal::SIGQUIT],
    ] {
        let mut pool = Pool::ready(&["workers=2", ENDLESS_DRAIN, "quick=100"]);
        let stubborn = pool.ask("deafen");
        for signal in &signals {
            pool.signal(*signal);
            pool.wait_for("stopping ");
        }
        assert_eq!(pool.exit(), 0, "{signals:?}");
        assert!(
            pool.log().contains(&format!("worker {stubborn} (w")),
            "{}",
            pool.log()
        );
        assert!(
            pool.log().contains("did not drain in time; SIGABRT"),
            "{}",
            pool.log()
        );
        assert!(pool.log().contains("stopping quickly"), "{}", pool.log());
        pool.all_gone();
    }
}

#[test]
fn a_worker_that_resists_is_aborted_then_killed_and_the_exit_is_clean() {
    let chain = [
        "workers=2",
        "drain=200",
        "abort=400",
        "kill=700",
        "exit=5000",
    ];
    let mut pool = Pool::ready(&chain);
    let stubborn = pool.ask("entrench");
    pool.signal(Signal::SIGTERM);
    let line = pool.wait_for("did not drain in time; SIGABRT");
    assert!(line.contains(&format!("worker {stubborn} ")), "{line}");
    let line = pool.wait_for("did not end in time; SIGKILL");
    assert!(line.contains(&format!("worker {stubborn} ")), "{line}");
    assert_eq!(pool.exit(), 0);
    pool.all_gone();
}

#[test]
fn a_stop_while_workers_boot_does_not_wait_for_them() {
    let mut pool = Pool::start(&["workers=2", "boot=hang", ENDLESS_DRAIN, "quick=100"]);
    pool.wait_for("forked");
    pool.wait_for("forked");
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
    pool.all_gone();
}

#[test]
fn clients_that_wait_when_the_stop_begins_are_served() {
    let mut pool = Pool::ready(&["workers=1"]);
    let worker = pool.workers()[0];
    // The only worker stands still, so the clients wait in the kernel's queue when the order to stop comes.
    crate::harness::send(worker, Signal::SIGSTOP);
    let address = pool.address.clone();
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let address = address.clone();
            std::thread::spawn(move || ask(&address, "pid").expect("an answer"))
        })
        .collect();
    until("all clients are connected", || queued(&address) == 20);
    pool.signal(Signal::SIGTERM);
    pool.wait_for("stopping gracefully");
    crate::harness::send(worker, Signal::SIGCONT);
    for client in clients {
        assert_eq!(client.join().expect("client"), worker);
    }
    assert_eq!(pool.exit(), 0);
}

/// Connections that the kernel holds for nobody has accepted them: `rx_queue` of the listening socket in /proc/net/tcp.
fn queued(address: &str) -> u32 {
    let port: u16 = address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("port");
    let table = std::fs::read_to_string("/proc/net/tcp").expect("table");
    let wanted = format!(":{port:04X}");
    let row = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    row.filter(|fields| fields.len() > 4 && fields[1].ends_with(&wanted) && fields[3] == "0A")
        .filter_map(|fields| u32::from_str_radix(fields[4].split(':').nth(1)?, 16).ok())
        .sum()
}

#[test]
fn when_the_master_is_killed_no_worker_stays_and_the_port_is_free() {
    for workers in ["workers=1", "workers=4"] {
        let mut pool = Pool::ready(&[workers]);
        pool.ask("pid");
        pool.signal(Signal::SIGKILL);
        pool.all_gone();
        assert_eq!(pool.exit(), 256 + 9);
        TcpListener::bind(&pool.address).expect("the port is free");
    }
}

#[test]
fn when_the_master_is_killed_amid_forks_no_worker_stays() {
    for _ in 0..20 {
        let mut pool = Pool::start(&["workers=4"]);
        pool.wait_for("forked");
        pool.signal(Signal::SIGKILL);
        pool.all_gone();
        TcpListener::bind(&pool.address).expect("the port is free");
    }
}
