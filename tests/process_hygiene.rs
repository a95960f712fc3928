//! What workers inherit and what they must not, and what runs out or is left over in the long run.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::http::{self, Connection};
use crate::harness::process;
use crate::harness::server::kill_pid;
use crate::harness::setup::Setup;
use crate::harness::wait;

fn set_of(signals: &[Signal]) -> u64 {
    signals
        .iter()
        .fold(0, |set, &signal| set | 1 << (signal as i32 - 1))
}

/// What the server opened itself: all descriptors but those that this process passed on without knowing it.
fn own_descriptors(pid: i32) -> Vec<String> {
    let ours = process::descriptors(std::process::id().cast_signed());
    process::descriptors(pid)
        .into_iter()
        .filter(|found| found.0 > 2 && !ours.contains(found))
        .map(|(_, target)| target)
        .collect()
}

/// The kinds of descriptors: of `socket:[1]` and `socket:[2]` remains `socket` twice.
fn kinds(pid: i32) -> Vec<String> {
    let mut kinds: Vec<String> = own_descriptors(pid)
        .into_iter()
        .map(|target| match target.split_once(":[") {
            Some((kind, _)) if kind != "anon_inode" => kind.to_owned(),
            _ => target,
        })
        .collect();
    kinds.sort();
    kinds
}

fn sockets(pid: i32) -> BTreeSet<String> {
    own_descriptors(pid)
        .into_iter()
        .filter(|target| target.starts_with("socket:"))
        .collect()
}

#[test]
fn workers_hold_the_listener_and_nothing_else_of_their_siblings() {
    let server = Setup::bare().start();
    let pids = server.worker_pids();
    let shared: BTreeSet<String> = pids
        .iter()
        .map(|&pid| sockets(pid))
        .reduce(|all, one| all.intersection(&one).cloned().collect())
        .expect("workers");
    assert_eq!(
        shared.len(),
        1,
        "the listener is all they share: {shared:?}"
    );
    for (i, &one) in pids.iter().enumerate() {
        for &other in &pids[i + 1..] {
            let common: BTreeSet<String> = sockets(one)
                .intersection(&sockets(other))
                .cloned()
                .collect();
            assert_eq!(common, shared, "{one} and {other}");
        }
        // The client of the last look at the workers may still be on its way out.
        wait::until("every worker holds just what a worker needs", || {
            kinds(one) == WORKER_HOLDS
        });
    }
}

/// The scoreboard; the test's own pipe; the waker; one epoll instance in two handles; the listener, the control socket, and the pair that signals
/// come through, one end of it once for each of two signals.
const WORKER_HOLDS: [&str; 10] = [
    "/memfd:tine-scoreboard (deleted)",
    "anon_inode:[eventfd]",
    "anon_inode:[eventpoll]",
    "anon_inode:[eventpoll]",
    "pipe",
    "socket",
    "socket",
    "socket",
    "socket",
    "socket",
];

#[test]
fn workers_have_the_signals_of_a_worker() {
    let server = Setup::bare().start();
    for worker in server.workers() {
        assert_eq!(
            process::signals(worker.pid, "SigBlk"),
            0,
            "nothing is blocked"
        );
        let ignored = process::signals(worker.pid, "SigIgn");
        let caught = process::signals(worker.pid, "SigCgt");
        let must_ignore = set_of(&[Signal::SIGPIPE, Signal::SIGINT]);
        assert_eq!(
            ignored & must_ignore,
            must_ignore,
            "Ctrl-C is the master's: {ignored:x}"
        );
        let must_die_of = set_of(&[Signal::SIGABRT, Signal::SIGALRM, Signal::SIGCHLD]);
        assert_eq!(
            (ignored | caught) & must_die_of,
            0,
            "ignored {ignored:x}, caught {caught:x}"
        );
        assert_ne!(caught & set_of(&[Signal::SIGTERM]), 0, "TERM drains");
        let name = process::status(worker.pid, "Name").expect("a name");
        assert!(name.ends_with(&format!("w{}", worker.slot)), "{name}");
    }
    assert_eq!(
        process::threads(server.pid()),
        1,
        "the master has one thread"
    );
}

/// An operator may take a worker for the master, or signal the whole group.
#[test]
fn the_masters_signals_mean_nothing_to_a_worker() {
    let server = Setup::bare().workers(2).start();
    let before = server.worker_pids();
    let log = server.log();
    for signal in [
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGPIPE,
        Signal::SIGWINCH,
        Signal::SIGINT,
    ] {
        for &worker in &before {
            kill_pid(worker, signal);
        }
        // Both have turned since: none is left that a signal is still on its way to.
        for &worker in &before {
            let pending = |field| process::signals(worker, field);
            wait::until("the signal is taken", || {
                pending("SigPnd") | pending("ShdPnd") == 0
            });
        }
        assert_eq!(http::get(server.address(), "/health").status, 200);
        server.until_all_serve();
        assert_eq!(server.worker_pids(), before, "{signal}");
    }
    assert_eq!(server.log(), log, "and nobody speaks of it");
}

#[test]
fn a_master_that_replaced_many_workers_is_as_it_was() {
    let server = Setup::bare().start();
    let before = kinds(server.pid());
    for _ in 0..20 {
        let victim = server.workers()[0].pid;
        kill_pid(victim, Signal::SIGKILL);
        wait::until("the worker is reaped", || !process::exists(victim));
        server.until_all_serve();
    }
    assert_eq!(kinds(server.pid()), before);
    assert_eq!(process::threads(server.pid()), 1);
    assert_eq!(process::children(server.pid()).len(), 4, "no zombies");
}

/// A shell starts a child and becomes the master: the child is the master's, although it never forked it.
#[test]
fn a_child_that_is_not_a_worker_is_reaped_and_no_more() {
    let mut server = Setup::bare().behind_shell("true &").start();
    wait::until("the strange child is reaped", || {
        process::children(server.pid()).len() == 4
    });
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_worker_without_descriptors_left_neither_spins_nor_stays_deaf() {
    let server = Setup::bare().workers(1).open_files(40).start();
    let worker = server.worker_pids()[0];
    let held: Vec<Connection> = (0..60)
        .map(|_| Connection::open(server.address()))
        .collect();
    wait::until("the worker has used its descriptors up", || {
        process::descriptors(worker).len() >= 39
    });
    let (begun, used) = (Instant::now(), process::cpu_time(worker));
    while begun.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let used = process::cpu_time(worker) - used;
    assert!(
        used < Duration::from_secs(1),
        "{used:?} of processor time in 2 s of nothing to do"
    );
    drop(held);
    assert_eq!(http::get(server.address(), "/health").status, 200);
    assert_eq!(server.worker_pids(), [worker], "and it is the same worker");
}

#[test]
fn a_unix_socket_has_its_mode_and_is_removed() {
    let setup = Setup::bare().binds_itself().option("uds_mode = \"0600\"");
    let path = setup.path("tine.sock");
    let mut server = setup
        .arguments(&["--uds", path.to_str().expect("a path")])
        .launch();
    wait::until("the socket is there", || path.exists());
    assert_eq!(
        std::fs::metadata(&path).expect("a socket").mode() & 0o777,
        0o600
    );
    let mut client = wait::for_some("a connection", || {
        std::os::unix::net::UnixStream::connect(&path)
            .is_ok()
            .then(|| Connection::open_unix(&path))
    });
    client.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response().status, 200);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!path.exists(), "the socket's file goes with its server");
}

#[test]
fn a_server_that_cannot_bind_exits_with_69_and_says_where() {
    let first = Setup::bare().start();
    let port = first.address().port().to_string();
    let mut second = Setup::bare()
        .binds_itself()
        .arguments(&["--port", &port])
        .launch();
    assert_eq!(second.wait().code(), Some(69));
    assert!(second.log().contains(&port), "{}", second.log());
    second.assert_all_gone(wait::LIMIT);
}

#[test]
fn a_port_of_0_is_any_free_one_and_the_log_names_it() {
    let server = Setup::bare()
        .binds_itself()
        .arguments(&["--port", "0"])
        .launch();
    server.until_all_serve();
    assert_ne!(server.address().port(), 0);
}

#[test]
fn faults_of_the_configuration_end_with_78_before_anything_is_forked() {
    for (line, named) in [
        ("wrokers = 3", "workers"),
        ("timeout_statement = \"20s\"", "timeout_request"),
        ("limit_concurrency = 0", "limit_concurrency"),
    ] {
        let mut server = Setup::bare().option(line).launch();
        assert_eq!(server.wait().code(), Some(78), "{line}:\n{}", server.log());
        assert!(server.log().contains(named), "{line}:\n{}", server.log());
    }
}
