//! The pool's ordinary life: growing, shrinking, replacing on purpose, saying how it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;

use crate::harness::{Pool, ask, name_of, send, until};

#[test]
fn sigttin_and_sigttou_change_the_number_within_its_bounds() {
    let mut pool = Pool::ready(&["workers=2", "max=3"]);
    pool.signal(Signal::SIGTTIN);
    pool.wait_for("one worker more: 3");
    pool.wait_for("(w2) is ready");
    assert_eq!(pool.workers().len(), 3);
    pool.signal(Signal::SIGTTIN);
    pool.wait_for("already 3 workers");
    for left in [2, 1] {
        pool.signal(Signal::SIGTTOU);
        pool.wait_for(&format!("one worker fewer: {left}"));
        pool.wait_for(&format!("(w{left}) exited with code 0"));
        assert_eq!(pool.workers().len(), left);
    }
    pool.signal(Signal::SIGTTOU);
    pool.wait_for("one worker is the fewest");
    pool.ask("pid");
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
}

#[test]
fn sigusr1_logs_the_scoreboard() {
    let mut pool = Pool::ready(&["workers=2"]);
    let pid = pool.ask("pid");
    pool.signal(Signal::SIGUSR1);
    let line = pool.wait_for("pool: up");
    assert!(line.contains("2 ready of 2"), "{line}");
    pool.wait_for("heartbeat");
    pool.wait_for("ready");
    pool.wait_for("ready");
    let totals = pool.wait_for("totals:");
    assert!(totals.contains(" served=1 "), "{totals}");
    assert!(pool.log().contains(&format!(" {pid} ")));
}

#[test]
fn a_program_that_does_not_know_how_it_was_started_refuses_to_upgrade() {
    let mut pool = Pool::ready(&["workers=2"]);
    let workers = pool.workers();
    pool.signal(Signal::SIGUSR2);
    pool.wait_for("upgrade refused, generation 1 goes on: this process can't be executed again");
    assert_eq!(pool.workers(), workers);
}

#[test]
fn a_worker_told_to_drain_by_hand_is_replaced() {
    let mut pool = Pool::ready(&["workers=2"]);
    let victim = pool.workers()[0];
    send(victim, Signal::SIGTERM);
    pool.wait_for("drains of its own accord");
    pool.wait_for("is ready");
    until("two workers", || {
        let workers = pool.workers();
        workers.len() == 2 && !workers.contains(&victim)
    });
    assert!(!pool.log().contains("ERROR"), "{}", pool.log());
}

/// The replacement is ready before the incumbent drains, and the listener is never without a worker.
#[test]
fn a_worker_that_asks_is_replaced_without_a_gap() {
    let mut pool = Pool::ready(&["workers=1"]);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, address) = (Arc::clone(&stop), pool.address.clone());
            std::thread::spawn(move || {
                let mut asked = 0;
                while !stop.load(Ordering::Relaxed) {
                    ask(&address, "pid").expect("every client is answered");
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    let mut last = 0;
    for _ in 0..20 {
        let incumbent = pool.ask("recycle");
        assert_ne!(incumbent, last);
        let line = pool.wait_for("asks to be replaced");
        assert!(line.contains(&format!("worker {incumbent} ")), "{line}");
        let challenger = pool.wait_for_worker("is ready");
        pool.wait_for(&format!("worker {incumbent} (w0) exited with code 0"));
        assert_eq!(name_of(challenger), "pool-w0", "it takes the place over");
        last = incumbent;
    }
    stop.store(true, Ordering::Relaxed);
    let asked: u32 = clients
        .into_iter()
        .map(|client| client.join().expect("client"))
        .sum();
    assert!(asked > 0);
    assert!(
        !pool.log().contains("ERROR") && !pool.log().contains("WARN"),
        "{}",
        pool.log()
    );
}
