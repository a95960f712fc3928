//! Reloads and upgrades under a load that notices every lost answer and every one of a generation that was not live: see
//! `harness::hammer`. Each generation has tools that say its number.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::thread;

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::hammer::{self, Counters, Hammer, Kill};
use crate::harness::http::Connection;
use crate::harness::mcp::{Era, Post};
use crate::harness::server::Server;
use crate::harness::setup::{PATIENT, PROGRAM, Setup};
use crate::harness::{control, process, wait};

const CHANGES: [&str; 2] = ["reload", "upgrade"];

fn write_tools(server: &Server, generation: u64) {
    for (name, text) in hammer::tools(generation) {
        server.write_tool(name, &text);
    }
}

/// Gives the order and waits for what came of it.
fn order(server: &Server, order: &str) -> Value {
    let answers = control::order(&server.path("control"), order);
    answers.last().expect("an answer").clone()
}

#[track_caller]
fn assert_refused(answer: &Value, why: &str) {
    assert_eq!(answer["ok"], false, "{answer}");
    let text = answer["text"].as_str().expect("a text");
    assert!(text.contains(why), "{text}");
}

/// Takes the tools of the pool's next generation up with this order, which must succeed. Gives every client some answers of it.
#[track_caller]
fn change(server: &Server, hammer: &Hammer, generation: u64, what: &str) {
    hammer.may_answer(generation);
    write_tools(server, generation);
    let answer = order(server, what);
    assert_eq!(answer["ok"], true, "{answer}");
    let health = server.health();
    assert_eq!(health["generation"], generation);
    let workers = server.workers();
    let oldest = workers.iter().map(|worker| worker.generation).min();
    hammer.older_are_gone(oldest.expect("workers"));
    hammer.until_answered(60);
}

fn until_all_are_of(server: &Server, generation: u64) {
    wait::until("all workers are of the generation", || {
        let workers = server.workers();
        workers.len() == 4 && workers.iter().all(|worker| worker.generation == generation)
    });
}

fn nothing_was_lost(hammer: Hammer, counters: Counters, server: &Server, database: &Database) {
    let tally = hammer.stop();
    counters.assert_never_fell();
    tally.assert_nothing_lost();
    tally.assert_recorded_once(database);
    assert_eq!(server.health()["crashes"], 0);
}

#[test]
fn nothing_is_lost_through_fifty_reloads() {
    let database = Database::with(hammer::SCHEMA);
    let server = hammer::setup(&database, 1).start();
    let counters = Counters::watch(server.address());
    let hammer = Hammer::start(server.address(), 1);
    for generation in 2..=51 {
        change(&server, &hammer, generation, "reload");
    }
    nothing_was_lost(hammer, counters, &server, &database);
}

#[test]
fn nothing_is_lost_through_twenty_upgrades() {
    let database = Database::with(hammer::SCHEMA);
    // A socket of its own, which no argument leads to again.
    let server = hammer::setup(&database, 1)
        .own_program()
        .binds_itself()
        .arguments(&["--port", "0"])
        .start();
    let counters = Counters::watch(server.address());
    let hammer = Hammer::start(server.address(), 1);
    for generation in 2..=21 {
        server.install(Path::new(PROGRAM));
        change(&server, &hammer, generation, "upgrade");
    }
    nothing_was_lost(hammer, counters, &server, &database);
}

/// Orders of every kind, each before the last one is carried out.
#[test]
fn nothing_is_lost_in_a_storm_of_orders() {
    let database = Database::with(hammer::SCHEMA);
    let server = hammer::setup(&database, 1)
        .own_program()
        .option("limit_max_requests = 50")
        .binds_itself()
        .arguments(&["--port", "0"])
        .start();
    let counters = Counters::watch(server.address());
    let hammer = Hammer::start(server.address(), 1);
    let orders = [
        Signal::SIGHUP,
        Signal::SIGTTIN,
        Signal::SIGUSR2,
        Signal::SIGTTOU,
        Signal::SIGHUP,
        Signal::SIGTTOU,
        Signal::SIGTTIN,
    ];
    for round in 0..10 {
        for order in orders {
            server.signal(order);
            hammer.until_answered(5);
        }
        let workers = server.workers();
        let victim = workers[round % workers.len()].pid;
        // It may have gone by itself.
        let _ = kill(Pid::from_raw(victim), Signal::SIGTERM);
    }
    // Of equal signals that arrive together the kernel keeps one, so the number of workers may be any; a reload sets it right.
    assert_eq!(order(&server, "reload")["ok"], true);
    let generation = server.health()["generation"].as_u64();
    until_all_are_of(&server, generation.expect("a number"));
    hammer.until_answered(100);
    nothing_was_lost(hammer, counters, &server, &database);
}

/// As with `systemctl restart` under socket activation: clients wait in the socket's queue for the next server.
#[test]
fn nothing_is_lost_through_restarts_on_a_socket_that_stays() {
    let database = Database::with(hammer::SCHEMA);
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut server = hammer::setup(&database, 1).socket(&socket).start();
    let hammer = Hammer::start(server.address(), 1);
    for generation in 2..=6 {
        hammer.may_answer(generation);
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait().code(), Some(0));
        hammer.older_are_gone(generation);
        server = hammer::setup(&database, generation).socket(&socket).start();
        hammer.until_answered(200);
    }
    let tally = hammer.stop();
    tally.assert_nothing_lost();
    tally.assert_recorded_once(&database);
}

/// A broken tool, a broken binary, one that is no program and one that is gone, each between changes that succeed.
#[test]
fn nothing_is_lost_when_a_change_is_refused() {
    let database = Database::with(hammer::SCHEMA);
    let server = hammer::setup(&database, 1).own_program().start();
    let fails = server.path("fails");
    fs::write(&fails, "#!/bin/sh\necho not today >&2\nexit 1\n").expect("a script");
    fs::set_permissions(&fails, Permissions::from_mode(0o755)).expect("permissions");
    let text = server.path("text");
    fs::write(&text, "no program").expect("a file");
    fs::set_permissions(&text, Permissions::from_mode(0o755)).expect("permissions");

    let hammer = Hammer::start(server.address(), 1);
    for round in 0..4 {
        let generation = 1 + 2 * round;
        for what in CHANGES {
            server.write_tool("stamp", "/*+++\nno = front matter\n+++*/\n");
            assert_refused(&order(&server, what), "stamp.sql");
        }
        write_tools(&server, generation);
        for broken in [&fails, &text] {
            server.install(broken);
            assert_refused(&order(&server, "upgrade"), "");
        }
        fs::remove_file(server.path("program")).expect("gone");
        assert_refused(&order(&server, "upgrade"), "program");
        assert_eq!(server.health()["generation"], generation);

        server.install(Path::new(PROGRAM));
        change(&server, &hammer, generation + 1, "reload");
        change(&server, &hammer, generation + 2, "upgrade");
    }
    let tally = hammer.stop();
    tally.assert_nothing_lost();
    tally.assert_recorded_once(&database);
    assert_eq!(server.health()["crashes"], 0);
}

/// Whatever dies while everything is being replaced: its requests in flight are the only loss, and the change is completed.
#[test]
fn a_change_is_completed_while_workers_are_killed() {
    let database = Database::with(hammer::SCHEMA);
    let server = hammer::setup(&database, 1).own_program().start();
    let counters = Counters::watch(server.address());
    let hammer = Hammer::start(server.address(), 1);
    let mut kills = Vec::new();
    for generation in 2..=13 {
        hammer.may_answer(generation);
        write_tools(&server, generation);
        let before = process::children(server.pid());
        thread::scope(|scope| {
            let change = scope.spawn(|| order(&server, CHANGES[generation as usize % 2]));
            for victim in before {
                // It may have made way for its successor already.
                if process::children(server.pid()).contains(&victim) {
                    kills.push(Kill::of(victim));
                }
                hammer.until_answered(10);
            }
            let answer = change.join().expect("an answer");
            assert_eq!(answer["ok"], true, "{answer}");
        });
        until_all_are_of(&server, generation);
        hammer.older_are_gone(generation);
    }
    let tally = hammer.stop();
    counters.assert_never_fell();
    assert!(kills.len() > 12, "{} were killed", kills.len());
    tally.assert_nothing_wrong();
    tally.assert_lost_to(&kills);
    tally.assert_recorded_once(&database);
}

/// Lets the next check of the server's configuration wait in the middle: the file is a FIFO for the one who opens it next.
struct Held {
    pipe: File,
    text: Vec<u8>,
}

impl Held {
    /// Orders a reload; its child has begun to read.
    fn reload(server: &Server) -> Held {
        let (file, aside) = (server.path("tine.toml"), server.path("aside"));
        let text = fs::read(&file).expect("the configuration");
        fs::rename(&file, &aside).expect("aside");
        mkfifo(&file, Mode::from_bits_truncate(0o600)).expect("a FIFO");
        server.signal(Signal::SIGHUP);
        let pipe = wait::for_some("a reader", || {
            // Without a reader this fails with ENXIO (fifo(7)).
            let flags = OFlag::O_NONBLOCK.bits();
            File::options()
                .write(true)
                .custom_flags(flags)
                .open(&file)
                .ok()
        });
        fs::rename(&aside, &file).expect("back");
        Held { pipe, text }
    }

    fn go_on(mut self) {
        self.pipe.write_all(&self.text).expect("a reader");
    }
}

fn count(server: &Server, text: &str) -> usize {
    server.log().matches(text).count()
}

#[test]
fn orders_during_a_reload_make_one_that_follows() {
    let database = Database::with(hammer::SCHEMA);
    let server = hammer::setup(&database, 1).start();
    let hammer = Hammer::start(server.address(), 1);
    hammer.may_answer(2);
    let held = Held::reload(&server);
    for noted in 1..=5 {
        server.signal(Signal::SIGHUP);
        wait::until("the order is noted", || {
            count(&server, "reload noted") == noted
        });
    }
    write_tools(&server, 2);
    held.go_on();
    until_all_are_of(&server, 3);
    // An order that had not merged would begin at once.
    hammer.until_answered(100);
    assert_eq!(
        count(&server, "reload: checking"),
        2,
        "one, and one for the five"
    );
    assert_eq!(server.health()["generation"], 3);
    let tally = hammer.stop();
    tally.assert_nothing_lost();
    tally.assert_recorded_once(&database);
}

#[test]
fn a_stop_during_a_reload_wins_at_once() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let mut server = Setup::new(&database).option(PATIENT).start();
    let mut caller = Connection::open(server.address());
    caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    gate.until_waiting(1);
    let held = Held::reload(&server);
    server.signal(Signal::SIGTERM);
    wait::until("the port refuses connections", || {
        Connection::try_open(server.address()).is_err()
    });
    gate.open();
    assert_eq!(caller.response().status, 200);
    assert_eq!(server.wait().code(), Some(0));
    drop(held);
    server.assert_all_gone(wait::LIMIT);
}
