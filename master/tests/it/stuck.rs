//! Workers that neither die nor work, and a master that was suspended.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Pool, send, status_of, until};

const SHORT: [&str; 4] = ["workers=2", "heartbeat=600", "tick=100", "grace=300"];

#[test]
fn a_stopped_worker_is_aborted_killed_and_replaced_while_its_sibling_serves() {
    let mut pool = Pool::ready(&SHORT);
    let victim = pool.ask("pid");
    send(victim, Signal::SIGSTOP);
    let line = pool.wait_for("has not turned for");
    assert!(
        line.contains(&format!("worker {victim} ")) && line.contains("SIGABRT"),
        "{line}"
    );
    for _ in 0..20 {
        assert_ne!(pool.ask("pid"), victim);
    }
    let line = pool.wait_for("did not end in time; SIGKILL");
    assert!(line.contains(&format!("worker {victim} ")), "{line}");
    pool.wait_for(&format!("worker {victim} (w"));
    assert!(
        pool.log().contains("was killed by signal 9"),
        "{}",
        pool.log()
    );
    assert!(
        pool.log().matches("is ready").count() >= 3,
        "the replacement did not wait for the death: {}",
        pool.log()
    );
    assert_eq!(pool.workers().len(), 2);
}

#[test]
fn a_worker_whose_loop_stands_still_dies_of_sigabrt() {
    let mut pool = Pool::ready(&SHORT);
    let victim = pool.ask("hang");
    pool.wait_for("has not turned for");
    let line = pool.wait_for("was killed by signal 6");
    assert!(line.contains(&format!("worker {victim} ")), "{line}");
}

#[test]
fn a_worker_that_never_gets_ready_meets_its_boot_deadline() {
    let mut pool = Pool::start(&["workers=1", "boot=hang", "boot_timeout=200", "grace=300"]);
    for _ in 0..2 {
        pool.wait_for("was not ready after 200ms; SIGABRT");
        pool.wait_for("was killed by signal 6");
    }
    assert_eq!(pool.exit(), 75);
    pool.all_gone();
}

#[test]
fn a_worker_without_a_control_channel_is_replaced() {
    let mut pool = Pool::ready(&SHORT);
    let victim = pool.ask("hang_up");
    let line = pool.wait_for("lives on without its control channel");
    assert!(line.contains(&format!("worker {victim} ")), "{line}");
    pool.wait_for("is ready");
    until("two workers", || pool.workers().len() == 2);
}

/// Everything stands still for longer than the heartbeat timeout, as when a machine freezes. Nobody is to blame for it.
#[test]
fn a_suspended_master_kills_nobody_when_it_goes_on() {
    let mut pool = Pool::ready(&["workers=2", "heartbeat=3000", "tick=200"]);
    let workers = pool.workers();
    pool.signal(Signal::SIGSTOP);
    until("the master stands", || {
        status_of(pool.pid(), "State").starts_with('T')
    });
    workers.iter().for_each(|pid| send(*pid, Signal::SIGSTOP));
    let frozen = Instant::now();
    until("the freeze is longer than the timeout", || {
        frozen.elapsed() > Duration::from_millis(3500)
    });
    pool.signal(Signal::SIGCONT);
    pool.wait_for("the master was suspended");
    workers.iter().for_each(|pid| send(*pid, Signal::SIGCONT));
    // A later signal is answered after the tick that would have killed.
    for _ in 0..3 {
        pool.signal(Signal::SIGUSR1);
        pool.wait_for("totals:");
    }
    assert_eq!(pool.workers(), workers);
    assert!(workers.contains(&pool.ask("pid")));
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
    assert!(!pool.log().contains("SIGABRT"), "{}", pool.log());
}
