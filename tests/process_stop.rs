//! Stopping: no request is lost, nothing is left behind, and nothing can keep the master from going.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::database::Database;
use crate::harness::http::{self, Connection, End};
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

/// What a worker that drains has with clients that are silent: before the FIN, and behind it.
const PATIENCE: Duration = Duration::from_millis(1500);
const LINGER: Duration = Duration::from_secs(2);

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

/// Its patience ends with a FIN, and the server reads on for a while: a request that crosses the FIN on its way meets no reset.
#[test]
fn who_stays_silent_during_the_drain_is_let_go_cleanly() {
    let mut server = Setup::bare().workers(1).start();
    let ping = Post::legacy("ping", json!(null)).bytes(server.address());
    let mut silent = Connection::open(server.address());
    let begun = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(silent.end(), End::Clean);
    let sent = [&ping[..10], &ping[10..]].map(|half| silent.try_send(half).is_ok());
    let clean = sent == [true, true] && silent.end() == End::Clean;
    assert!(clean || begun.elapsed() >= PATIENCE + LINGER);
    drop(silent);
    assert_eq!(server.wait().code(), Some(0));
}

/// Connections that no worker has accepted when the stop begins are clients already.
#[test]
fn what_waits_in_the_queue_is_served_before_the_port_is_closed() {
    let mut server = Setup::bare().workers(1).start();
    let worker = server.worker_pids()[0];
    kill_pid(worker, Signal::SIGSTOP);
    wait::until("the worker has stopped", || {
        process::status(worker, "State").is_some_and(|state| state.starts_with('T'))
    });
    let ping = Post::legacy("ping", json!(null)).bytes(server.address());
    let mut waiting: Vec<Connection> = (0..8)
        .map(|_| {
            let mut connection = Connection::open(server.address());
            connection.send(&ping);
            connection
        })
        .collect();
    let mut silent = Connection::open(server.address());
    server.signal(Signal::SIGTERM);
    wait::until("the master has told its worker", || {
        server.log().contains("stopping")
    });
    kill_pid(worker, Signal::SIGCONT);
    for connection in &mut waiting {
        let answer = connection.response();
        assert_eq!(answer.status, 200);
        assert_eq!(connection.end(), End::Clean);
    }
    silent.send(&ping);
    assert_eq!(silent.response().status, 200, "one that had not spoken yet");
    assert_eq!(server.wait().code(), Some(0));
}

/// Kept connections on which a request is sent so many milliseconds after the signal, one for each: an answer, or a clean end, which does
/// not come before the worker's patience is over.
fn requests_at_every_moment(address: SocketAddr, patience: Duration, signal: impl FnOnce()) {
    let ping = Post::legacy("ping", json!(null)).bytes(address);
    let mut clients: Vec<Connection> = (0..=50).map(|_| Connection::open(address)).collect();
    for client in &mut clients {
        client.send(&ping);
        assert_eq!(client.response().status, 200);
    }
    let begun = Instant::now();
    signal();
    for (offset, mut client) in clients.into_iter().enumerate() {
        let due = Duration::from_millis(offset as u64);
        thread::sleep(due.saturating_sub(begun.elapsed()));
        client.send(&ping);
        match client.try_response() {
            Ok(answer) => assert_eq!(answer.status, 200),
            Err(fault) => {
                assert_eq!(fault.kind(), ErrorKind::UnexpectedEof, "{offset}: {fault}");
                assert!(begun.elapsed() >= patience, "{offset}: cut off");
            }
        }
    }
}

#[test]
fn a_request_at_any_moment_of_a_stop_meets_no_reset() {
    for _ in 0..3 {
        let mut server = Setup::bare().workers(2).start();
        requests_at_every_moment(server.address(), Duration::ZERO, || {
            server.signal(Signal::SIGTERM);
        });
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_request_at_any_moment_of_a_replacement_is_answered() {
    let server = Setup::bare().workers(2).start();
    for round in 2..5 {
        requests_at_every_moment(server.address(), PATIENCE, || {
            server.signal(Signal::SIGHUP);
        });
        server.until_generation(round);
    }
}

/// For whoever decides by the health where to send traffic; the process itself is in order.
#[test]
fn a_stopping_server_is_healthy_but_not_ready() {
    let mut server = Setup::new(&Database::fresh()).start();
    let address = server.address();
    assert_eq!(http::get(address, "/health/ready").status, 200);
    let (mut process, mut ready) = (Connection::open(address), Connection::open(address));
    server.signal(Signal::SIGTERM);
    until_refused(&server);
    process.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ready.send(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(process.response().status, 200);
    let answer = ready.response();
    assert_eq!(answer.status, 503);
    let document = answer.json();
    assert_eq!(
        (&document["ok"], &document["database"]),
        (&json!(false), &json!("ok"))
    );
    assert_eq!(document["error"], "the server is stopping");
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
