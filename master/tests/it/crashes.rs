//! Workers that die, of themselves or by force: replaced, throttled, counted, given up.

use nix::sys::signal::Signal;

use crate::harness::{Pool, name_of, send, until};

#[test]
fn a_killed_worker_is_replaced_and_its_siblings_serve() {
    let mut pool = Pool::ready(&["workers=2"]);
    let victim = pool.ask("pid");
    send(victim, Signal::SIGKILL);
    pool.wait_for(&format!("worker {victim} (w"));
    assert!(pool.log().contains("was killed by signal 9"));
    let heir = pool.wait_for_worker("is ready");
    assert_ne!(heir, victim);
    assert_eq!(pool.workers().len(), 2);
    until("the heir answers", || pool.ask("pid") == heir);
}

#[test]
fn a_panic_is_an_exit_code_and_costs_one_worker() {
    let mut pool = Pool::ready(&["workers=2"]);
    let victim = pool.ask("panic");
    let line = pool.wait_for("exited with code 101");
    assert!(line.contains(&format!("worker {victim} ")), "{line}");
    pool.wait_for("is ready");
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
}

#[test]
fn a_storm_of_kills_is_survived_and_no_count_is_lost() {
    let mut pool = Pool::ready(&["workers=3"]);
    let mut served = 0;
    for crashed in 1..=12 {
        let victim = pool.ask("pid");
        served += 1;
        send(victim, Signal::SIGKILL);
        pool.wait_for(&format!("worker {victim} (w"));
        pool.wait_for("is ready");
        pool.signal(Signal::SIGUSR1);
        let header = pool.wait_for("pool: up");
        assert!(header.contains(&format!(" {crashed} crashed")), "{header}");
        let totals = pool.wait_for("totals:");
        assert!(
            totals.contains(&format!(" served={served} ")),
            "{totals} instead of {served}"
        );
    }
    until("the pool is full again", || {
        pool.workers()
            .iter()
            .filter(|pid| name_of(**pid).starts_with("pool-w"))
            .count()
            == 3
    });
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
    pool.all_gone();
}

#[test]
fn workers_that_never_get_ready_are_tried_ever_more_slowly_and_then_given_up() {
    let mut pool = Pool::start(&["workers=1", "boot=exit:4"]);
    let mut delays = Vec::new();
    for _ in 0..4 {
        let line = pool.wait_for("is filled again in");
        let delay: f64 = line
            .split(' ')
            .rev()
            .nth(1)
            .and_then(|delay| delay.parse().ok())
            .expect("seconds");
        delays.push(delay);
    }
    assert!(
        delays.windows(2).all(|pair| pair[0] < pair[1]),
        "{delays:?}"
    );
    assert_eq!(pool.exit(), 75);
    assert!(pool.log().contains("giving up"), "{}", pool.log());
    assert_eq!(pool.log().matches(" forked").count(), 5);
    pool.all_gone();
}

#[test]
fn a_panic_before_ready_counts_like_any_death() {
    let mut pool = Pool::start(&["workers=4", "boot=panic"]);
    assert_eq!(pool.exit(), 75);
    assert!(
        pool.log().contains("exited with code 101"),
        "{}",
        pool.log()
    );
    pool.all_gone();
}

#[test]
fn a_fault_of_the_configuration_stops_the_pool_without_another_try() {
    for workers in ["workers=1", "workers=4"] {
        let mut pool = Pool::start(&[workers, "boot=exit:3"]);
        assert_eq!(pool.exit(), 78);
        assert!(!pool.log().contains("filled again"), "{}", pool.log());
        let forked = pool.log().matches(" forked").count();
        assert_eq!(format!("workers={forked}"), workers, "{}", pool.log());
        assert!(
            pool.log().contains("cannot boot, for good"),
            "{}",
            pool.log()
        );
        pool.all_gone();
    }
}
