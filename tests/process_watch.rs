//! The master's watch over its workers: the dead and the stuck are replaced, the living are left alone.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::http::{self, Connection};
use crate::harness::mcp::Post;
use crate::harness::process;
use crate::harness::server::{Server, kill_pid};
use crate::harness::setup::Setup;
use crate::harness::wait;

fn ping(server: &Server) -> u16 {
    Post::legacy("ping", json!(null))
        .send(server.address())
        .status()
}

#[test]
fn a_killed_worker_is_replaced_in_its_slot() {
    let server = Setup::bare().start();
    let before = server.workers();
    kill_pid(before[2].pid, Signal::SIGKILL);
    wait::until("a new worker in slot 2", || {
        server.workers().iter().any(|worker| {
            worker.slot == before[2].slot
                && worker.pid != before[2].pid
                && worker.phase == "serving"
        })
    });
    let after = server.workers();
    for slot in [0, 1, 3] {
        assert_eq!(
            after[slot].pid, before[slot].pid,
            "the others are left alone"
        );
    }
}

#[test]
fn a_stopped_worker_is_replaced_while_its_siblings_serve() {
    let server = Setup::bare().option("timeout_heartbeat = \"2s\"").start();
    let stuck = server.workers()[0].pid;
    kill_pid(stuck, Signal::SIGSTOP);
    wait::for_some_within(
        Duration::from_secs(60),
        "the end of the stuck worker",
        || {
            assert_eq!(ping(&server), 200);
            (!process::exists(stuck)).then_some(())
        },
    );
    server.until_all_serve();
    assert!(!server.worker_pids().contains(&stuck));
}

#[test]
fn a_master_that_was_suspended_kills_nobody() {
    let server = Setup::bare().option("timeout_heartbeat = \"2s\"").start();
    let before = server.worker_pids();
    server.signal(Signal::SIGSTOP);
    // Suspended for longer than it lets a worker be silent: this is what the test is about.
    thread::sleep(Duration::from_secs(5));
    assert_eq!(ping(&server), 200, "workers need no master to serve");
    server.signal(Signal::SIGCONT);
    // It had its say for two more of its deadlines.
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        assert_eq!(server.worker_pids(), before);
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(process::children(server.pid()).len(), 4);
}

/// The whole machine slept: on waking, the master finds all its workers silent, and must not blame them.
#[test]
fn a_pool_that_was_suspended_loses_nobody() {
    let server = Setup::bare().option("timeout_heartbeat = \"2s\"").start();
    let pids = server.worker_pids();
    server.signal(Signal::SIGSTOP);
    for &pid in &pids {
        kill_pid(pid, Signal::SIGSTOP);
    }
    thread::sleep(Duration::from_secs(5));
    server.signal(Signal::SIGCONT);
    wait::until("the master looks at its workers", || {
        server.log().contains("suspended")
    });
    for &pid in &pids {
        kill_pid(pid, Signal::SIGCONT);
    }
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        assert_eq!(server.worker_pids(), pids);
        thread::sleep(Duration::from_millis(100));
    }
}

/// Too few descriptors for a worker to come up: whatever the limit is, the server serves or says why it cannot, and leaves nothing.
#[test]
fn a_pool_that_cannot_start_gives_up_with_75() {
    let mut codes = Vec::new();
    for limit in 8..=22 {
        let mut server = Setup::bare().workers(2).open_files(limit).launch();
        let code = wait::for_some_within(Duration::from_secs(60), "an exit or an answer", || {
            if process::status(server.pid(), "State").is_some_and(|state| state.starts_with('Z')) {
                return server.wait().code();
            }
            let mut client = Connection::try_open(server.address()).ok()?;
            client.set_read_timeout(Duration::from_secs(1));
            client
                .try_send(
                    format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address())
                        .as_bytes(),
                )
                .ok()?;
            client
                .try_response()
                .ok()
                .map(|answer| i32::from(answer.status))
        });
        assert!(
            [69, 70, 75, 78, 200].contains(&code),
            "{code} with {limit} descriptors:\n{}",
            server.log()
        );
        if code != 200 {
            server.assert_all_gone(wait::LIMIT);
            assert!(!server.log().contains("panicked"), "{}", server.log());
        }
        codes.push(code);
    }
    assert!(codes.contains(&75), "{codes:?}");
}

#[test]
fn ttin_and_ttou_change_the_number_of_workers() {
    let server = Setup::bare().workers(2).start();
    let first = server.worker_pids();
    let serving = |count: usize| {
        wait::until("that many workers serve", || {
            let workers = server.workers();
            workers.len() == count && workers.iter().all(|worker| worker.phase == "serving")
        });
    };
    server.signal(Signal::SIGTTIN);
    serving(3);
    server.signal(Signal::SIGTTOU);
    serving(2);
    assert_eq!(server.worker_pids(), first, "the newest goes");
    server.signal(Signal::SIGTTOU);
    serving(1);
    server.signal(Signal::SIGTTOU);
    assert_eq!(ping(&server), 200, "one worker always stays");
    serving(1);
}

#[test]
fn usr1_writes_the_scoreboard_to_the_log() {
    let server = Setup::bare().start();
    let pids = server.worker_pids();
    let before = server.log().len();
    server.signal(Signal::SIGUSR1);
    wait::until("every worker's pid in the log", || {
        let log = server.log();
        let new = log.get(before..).unwrap_or_default();
        pids.iter().all(|pid| new.contains(&pid.to_string()))
    });
    assert_eq!(http::get(server.address(), "/health").status, 200);
}
