//! Workers come and go under a load that notices every lost answer: see `harness::hammer` for what counts as lost.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::database::Database;
use crate::harness::hammer::{self, Counters, Hammer, Kill};
use crate::harness::process;
use crate::harness::server::{Server, kill_pid};
use crate::harness::wait;

fn until_serving(server: &Server, workers: usize) {
    wait::until("that many workers serve", || {
        let all = server.workers();
        all.len() == workers && all.iter().all(|worker| worker.phase != "draining")
    });
}

#[test]
fn nothing_is_lost_while_workers_are_replaced_every_twenty_requests() {
    let database = Database::with(hammer::SCHEMA);
    let server = hammer::setup(&database, 1)
        .option("limit_max_requests = 20")
        .option("limit_max_requests_jitter = 10")
        .start();
    let first = server.worker_pids();
    let hammer = Hammer::start(server.address(), 1);
    hammer.until_answered(4000);
    let tally = hammer.stop();
    tally.assert_nothing_lost();
    tally.assert_recorded_once(&database);
    assert!(server.worker_pids().iter().all(|pid| !first.contains(pid)));
    assert_eq!(server.health()["crashes"], 0);
}

#[test]
fn nothing_is_lost_while_the_pool_grows_and_shrinks() {
    let database = Database::with(hammer::SCHEMA);
    let server = hammer::setup(&database, 1).workers(2).start();
    let hammer = Hammer::start(server.address(), 1);
    for _ in 0..5 {
        for workers in [3, 4] {
            server.signal(Signal::SIGTTIN);
            until_serving(&server, workers);
            hammer.until_answered(100);
        }
        for workers in [3, 2] {
            server.signal(Signal::SIGTTOU);
            until_serving(&server, workers);
            hammer.until_answered(100);
        }
    }
    let tally = hammer.stop();
    tally.assert_nothing_lost();
    tally.assert_recorded_once(&database);
}

#[test]
fn nothing_is_lost_while_workers_are_told_to_drain_by_hand() {
    let database = Database::with(hammer::SCHEMA);
    let server = hammer::setup(&database, 1).start();
    let hammer = Hammer::start(server.address(), 1);
    for round in 0..12 {
        let victim = server.workers()[round % 4].pid;
        kill_pid(victim, Signal::SIGTERM);
        wait::until("its successor serves", || {
            let workers = server.workers();
            workers.len() == 4 && workers.iter().all(|worker| worker.pid != victim)
        });
        hammer.until_answered(50);
    }
    let tally = hammer.stop();
    tally.assert_nothing_lost();
    tally.assert_recorded_once(&database);
}

/// What a client sees of a killed process is what the kernel makes of its sockets: a FIN, or a reset where bytes were not read yet.
/// Whichever it is, the connection ends at once, and no half of an answer can pass for a whole one.
#[test]
fn a_worker_killed_five_times_a_second_costs_its_requests_in_flight_and_no_more() {
    const PACE: Duration = Duration::from_millis(200);
    let database = Database::with(hammer::SCHEMA);
    let server = hammer::setup(&database, 1).start();
    let counters = Counters::watch(server.address());
    let hammer = Hammer::start(server.address(), 1);
    let mut kills = Vec::new();
    for round in 0..50 {
        let children = process::children(server.pid());
        if let Some(&victim) = children.get(round % children.len().max(1)) {
            kills.push(Kill::of(victim));
        }
        let next = kills.last().map_or_else(Instant::now, |kill| kill.ordered) + PACE;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let tally = hammer.stop();
    counters.assert_never_fell();
    assert!(
        kills.len() > 40,
        "{} workers were there to be killed",
        kills.len()
    );

    tally.assert_nothing_wrong();
    tally.assert_recorded_once(&database);
    assert!(tally.answered > 1000, "{}", tally.answered);
    tally.assert_lost_to(&kills);
    server.until_all_serve();
    assert_eq!(server.health()["crashes"], json!(kills.len()));
    let hammer = Hammer::start(server.address(), 1);
    hammer.until_answered(200);
    hammer.stop().assert_nothing_wrong();
    eprintln!(
        "KILL {} kills, {} answered, lost {:?}",
        kills.len(),
        tally.answered,
        tally.lost.iter().map(|l| l.how).collect::<Vec<_>>()
    );
}

/// Clients that would keep their connections, and fewer places than clients: they take turns.
#[test]
fn nothing_is_lost_without_a_place_for_every_connection() {
    let database = Database::with(hammer::SCHEMA);
    let server = hammer::setup(&database, 1)
        .workers(1)
        .option("limit_connections = 5")
        .start();
    let hammer = Hammer::start(server.address(), 1);
    hammer.until_answered(3000);
    let tally = hammer.stop();
    tally.assert_nothing_lost();
    assert!(tally.connections > 20, "{}", tally.connections);
    tally.assert_recorded_once(&database);
}
