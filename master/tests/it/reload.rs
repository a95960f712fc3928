//! Reload of a real pool: what is proven is served, what is wrong changes nothing, and nobody is turned away meanwhile.

use nix::sys::signal::Signal;

use crate::harness::{children, name_of, send, until};
use crate::place::{Clients, Place, generation};

#[test]
fn sighup_replaces_every_worker_by_one_of_the_new_configuration_and_loses_nobody() {
    let place = Place::new("reload");
    let mut pool = place.start(&["workers=3"]);
    assert_eq!(generation(&pool), "1 one");
    let clients = Clients::of(&pool);
    for (number, word) in [(2, "two"), (3, "three"), (4, "four")] {
        let before = pool.workers();
        place.configure(&format!("word={word}"));
        pool.signal(Signal::SIGHUP);
        pool.wait_for("reload: checking");
        let line = pool.wait_for("reload done");
        assert!(
            line.contains(&format!("3 of 3 workers run generation {number}")),
            "{line}"
        );
        until("the old ones are gone", || pool.workers().len() == 3);
        assert!(pool.workers().iter().all(|pid| !before.contains(pid)));
        assert_eq!(generation(&pool), format!("{number} {word}"));
    }
    assert_eq!(clients.lost(), 0);
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
    pool.all_gone();
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing() {
    let place = Place::new("wrong");
    let mut pool = place.start(&["workers=2", "check_timeout=5000"]);
    let workers = pool.workers();
    for (text, why) in [
        (
            "wrong",
            "reload refused, generation 1 goes on: the configuration is wrong",
        ),
        ("panic", "a fault of the program: it panicked"),
        ("hang", "the check took longer than 5s"),
        ("workers=9", "9 workers (at most 4) are not possible"),
    ] {
        place.configure(text);
        pool.signal(Signal::SIGHUP);
        pool.wait_for(why);
        assert_eq!(generation(&pool), "1 one");
        until("only the workers are left", || pool.workers() == workers);
    }
    place.configure("word=two");
    pool.signal(Signal::SIGHUP);
    pool.wait_for("2 of 2 workers run generation 2");
    assert_eq!(generation(&pool), "2 two");
}

#[test]
fn a_configuration_with_which_no_worker_boots_is_taken_back() {
    let place = Place::new("boot");
    let mut pool = place.start(&["workers=2", "boot_timeout=2000"]);
    let workers = pool.workers();
    for text in [
        "boot=exit:4",
        "boot=exit:3",
        "boot=panic",
        "boot=hang workers=4",
    ] {
        place.configure(text);
        pool.signal(Signal::SIGHUP);
        pool.wait_for("reload refused, generation 1 goes on: the first worker of generation");
        until("only the workers are left", || pool.workers() == workers);
    }
    // Who dies now is replaced by one that boots.
    send(workers[0], Signal::SIGKILL);
    pool.wait_for("is ready");
    assert_eq!(generation(&pool), "1 one");
    place.configure("word=two");
    pool.signal(Signal::SIGHUP);
    pool.wait_for("2 of 2 workers run generation");
    assert!(generation(&pool).ends_with(" two"));
}

#[test]
fn a_configuration_may_change_the_number_of_workers() {
    let place = Place::new("number");
    let mut pool = place.start(&["max=4"]);
    for number in [4, 1, 3] {
        place.configure(&format!("workers={number}"));
        pool.signal(Signal::SIGHUP);
        pool.wait_for(&format!("{number} of {number} workers run generation"));
        until("as many as configured", || pool.workers().len() == number);
    }
}

#[test]
fn orders_during_a_reload_merge_into_one_that_follows() {
    let place = Place::new("merge");
    let mut pool = place.start(&["workers=2", "check_timeout=1000"]);
    place.configure("hang");
    pool.signal(Signal::SIGHUP);
    pool.wait_for("hangs as told");
    place.configure("word=two");
    for _ in 0..5 {
        pool.signal(Signal::SIGHUP);
        pool.wait_for("reload noted");
    }
    pool.wait_for("the check took longer");
    pool.wait_for("reload: checking");
    pool.wait_for("reload done");
    assert_eq!(generation(&pool), "2 two");
    pool.signal(Signal::SIGTERM);
    assert_eq!(pool.exit(), 0);
    assert_eq!(
        pool.log().matches("reload: checking").count(),
        2,
        "{}",
        pool.log()
    );
}

#[test]
fn a_stop_wins_over_a_reload_at_once() {
    let place = Place::new("stop");
    for text in ["hang", "boot=hang"] {
        place.configure("word=one");
        let mut pool = place.start(&["workers=2"]);
        place.configure(text);
        pool.signal(Signal::SIGHUP);
        pool.wait_for("hangs as told");
        pool.signal(Signal::SIGHUP);
        pool.wait_for("reload noted");
        pool.signal(Signal::SIGTERM);
        assert_eq!(pool.exit(), 0);
        pool.all_gone();
    }
}

#[test]
fn a_check_is_not_ended_by_what_is_said_to_the_group() {
    let place = Place::new("group");
    let mut pool = place.start(&["workers=1", "check_timeout=3000"]);
    place.configure("hang");
    pool.signal(Signal::SIGHUP);
    pool.wait_for("hangs as told");
    let check = children(pool.pid())
        .into_iter()
        .find(|pid| name_of(*pid) == "tine-check");
    let check = check.expect("the child that checks");
    for signal in [
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ] {
        send(check, signal);
    }
    pool.wait_for("reload refused, generation 1 goes on: the check took longer than 3s");
}
