//! Stopping: no request is lost, nothing is left behind, and nothing can keep the master from going.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::database::Database;
use crate::harness::http::{Connection, End};
use crate::harness::mcp::{ERAS, Era, Post};
use crate::harness::process;
use crate::harness::server::{Server, kill_pid};
use crate::harness::setup::{PATIENT, Setup};
use crate::harness::wait;

/// More than the whole deadline chain of [`SHORT`] takes on a busy machine.
const GONE: Duration = Duration::from_secs(25);

/// A deadline chain that a test can wait for: aborted 4 s after TERM, killed after 5 s.
const SHORT: &str =
    "timeout_statement = \"500ms\"\ntimeout_request = \"1s\"\ntimeout_graceful_shutdown = \"2s\"";

fn until_refused(server: &Server) {
    wait::until("the port refuses connections", || {
        Connection::try_open(server.address()).is_err()
    });
}

fn assert_port_free(server: &Server) {
    let address = server.address();
    TcpListener::bind(address).unwrap_or_else(|fault| panic!("{address} is still in use: {fault}"));
}

#[test]
fn term_stops_an_idle_server_with_status_0() {
    let mut server = Setup::bare().start();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    server.assert_all_gone(GONE);
    assert_port_free(&server);
}

#[test]
fn int_and_quit_stop_at_once() {
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        let database = Database::fresh();
        let mut gate = database.close_gate();
        // A graceful stop would wait for the call, far longer than this test does.
        let mut server = Setup::new(&database).option(PATIENT).start();
        let mut caller = Connection::open(server.address());
        caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
        gate.until_waiting(1);
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal}");
        server.assert_all_gone(GONE);
        gate.until_waiting(0);
    }
}

#[test]
fn an_accepted_but_silent_connection_is_served_during_the_drain() {
    let database = Database::fresh();
    let mut server = Setup::new(&database).start();
    let mut silent = Connection::open(server.address());
    server.signal(Signal::SIGTERM);
    until_refused(&server);
    let answer = Post::call(Era::Modern, "echo", json!({"words": "late"}))
        .send_on(&mut silent, server.address());
    assert_eq!(answer.status(), 200);
    assert!(answer.0.closes(), "{:?}", answer.0.headers);
    assert_eq!(silent.end(), End::Clean);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_running_call_is_answered_before_the_server_stops() {
    for era in ERAS {
        let database = Database::fresh();
        let mut gate = database.close_gate();
        let mut server = Setup::new(&database).option(PATIENT).start();
        let mut caller = Connection::open(server.address());
        let mut idle = Connection::open(server.address());
        idle.send(&Post::legacy("ping", json!(null)).bytes(server.address()));
        assert!(!idle.response().closes());
        caller.send(&Post::call(era, "gate", json!({})).bytes(server.address()));
        gate.until_waiting(1);
        server.signal(Signal::SIGTERM);
        until_refused(&server);
        assert_eq!(idle.end(), End::Clean, "an idle connection is closed");
        gate.open();
        let answer = caller.response();
        assert_eq!(answer.status, 200);
        assert!(answer.closes());
        assert_eq!(caller.end(), End::Clean);
        assert_eq!(server.wait().code(), Some(0));
        server.assert_all_gone(GONE);
    }
}

/// Requests race the end of their connection at every moment of the drain: each gets an answer or a clean end, never a reset.
#[test]
fn a_request_that_races_the_drain_is_answered_or_cleanly_refused() {
    for delay in 0..12 {
        let mut server = Setup::bare().workers(2).start();
        let address = server.address();
        let ping = Post::legacy("ping", json!(null)).bytes(address);
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let ping = ping.clone();
                let mut client = Connection::open(address);
                client.send(&ping);
                assert_eq!(client.response().status, 200);
                thread::spawn(move || {
                    loop {
                        if let Err(fault) = client.try_send(&ping) {
                            // Its end was there to be read before we wrote.
                            assert_eq!(fault.kind(), std::io::ErrorKind::BrokenPipe, "{fault}");
                            return;
                        }
                        match client.try_response() {
                            Ok(answer) if answer.closes() => {
                                assert_eq!(answer.status, 200);
                                assert_eq!(client.end(), End::Clean);
                                return;
                            }
                            Ok(answer) => assert_eq!(answer.status, 200),
                            Err(fault) => {
                                assert_eq!(
                                    fault.kind(),
                                    std::io::ErrorKind::UnexpectedEof,
                                    "{fault}"
                                );
                                return;
                            }
                        }
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(delay * 3));
        server.signal(Signal::SIGTERM);
        for client in clients {
            client.join().expect("no reset");
        }
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_stuck_worker_is_killed_and_the_others_finish() {
    let database = Database::fresh();
    let mut server = Setup::new(&database).option(SHORT).start();
    let stuck = server.workers()[1].clone();
    kill_pid(stuck.pid, Signal::SIGSTOP);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_within(GONE).code(), Some(0));
    server.assert_all_gone(Duration::from_secs(1));
    assert_port_free(&server);
    let log = server.log();
    assert!(
        log.contains(&stuck.pid.to_string()),
        "the log names the killed worker:\n{log}"
    );
}

#[test]
fn a_second_term_does_not_wait_for_calls() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let mut server = Setup::new(&database).option(PATIENT).start();
    let mut caller = Connection::open(server.address());
    caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    gate.until_waiting(1);
    server.signal(Signal::SIGTERM);
    until_refused(&server);
    assert!(process::exists(server.pid()), "the call holds the server");
    assert!(caller.is_silent());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait_within(GONE).code(), Some(0));
    server.assert_all_gone(GONE);
}

#[test]
fn killing_the_idle_master_ends_everything() {
    let mut server = Setup::bare().start();
    server.signal(Signal::SIGKILL);
    server.wait();
    server.assert_all_gone(GONE);
    assert_port_free(&server);
}

#[test]
fn killing_the_busy_master_ends_everything_after_the_calls() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let mut server = Setup::new(&database).start();
    let mut callers: Vec<Connection> = (0..4).map(|_| Connection::open(server.address())).collect();
    for caller in &mut callers {
        caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    }
    gate.until_waiting(4);
    server.signal(Signal::SIGKILL);
    server.wait();
    until_refused(&server);
    gate.open();
    for caller in &mut callers {
        assert_eq!(caller.response().status, 200, "a call outlives the master");
    }
    server.assert_all_gone(GONE);
    assert_port_free(&server);
}

/// The master dies between any two steps of its start.
#[test]
fn killing_the_master_while_it_forks_ends_everything() {
    for children in 0..=4 {
        let mut server = Setup::bare().launch();
        wait::until("as many children as this round wants", || {
            process::children(server.pid()).len() >= children
        });
        server.signal(Signal::SIGKILL);
        server.wait();
        server.assert_all_gone(GONE);
        assert_port_free(&server);
    }
}
