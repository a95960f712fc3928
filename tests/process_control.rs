//! The control socket of a real server: what its commands show and do, and that nothing which happens there disturbs the serving.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::control::{self, Ran, tine};
use crate::harness::database::Database;
use crate::harness::http::Connection;
use crate::harness::mcp::{Era, Post};
use crate::harness::process;
use crate::harness::server::{Server, kill_pid};
use crate::harness::setup::{PATIENT, Setup};
use crate::harness::wait;

/// More than the whole of a stop takes on a busy machine.
const GONE: Duration = Duration::from_secs(25);

fn status(server: &Server) -> Value {
    let shown = tine(server, &["status", "--json"]);
    serde_json::from_str(shown.succeeds()).expect("JSON")
}

fn spawn(server: &Server, words: &[&str]) -> Child {
    let mut command = control::command(words);
    command.arg("--control").arg(server.path("control"));
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    piped.spawn().expect("tine starts")
}

fn ended(child: Child) -> Ran {
    Ran::new(&child.wait_with_output().expect("an end"))
}

#[test]
fn status_shows_what_health_shows_and_what_the_signal_logs() {
    let server = Setup::bare().workers(3).start();
    let document = status(&server);
    assert_eq!(document["pid"], server.pid());
    assert_eq!(document["target"], 3);
    assert_eq!(document["stopping"], false);
    let health = server.health();
    let only_healths = ["status", "service", "version", "answered_by"];
    for (field, value) in health.as_object().expect("an object") {
        if !only_healths.contains(&field.as_str()) {
            let shown = &document[field];
            assert_eq!(fields(shown), fields(value), "{field}");
        }
    }
    let pids: Vec<i32> = server.workers().iter().map(|worker| worker.pid).collect();
    let shown = document["workers"].as_array().expect("workers").iter();
    assert_eq!(
        shown
            .map(|worker| worker["pid"].as_i64().expect("a pid") as i32)
            .collect::<Vec<_>>(),
        pids
    );

    let table = tine(&server, &["status"]);
    let table = table.succeeds();
    assert!(table.contains("3 ready of 3"), "{table}");
    for pid in pids {
        assert!(
            table
                .lines()
                .any(|line| line.split_whitespace().nth(1) == Some(&pid.to_string())),
            "{table}"
        );
    }
    server.signal(Signal::SIGUSR1);
    let heading = table
        .lines()
        .find(|line| line.starts_with("slot"))
        .expect("a heading");
    wait::until("the signal logs the same table", || {
        server.log().contains(heading)
    });
}

/// Names of a document's fields, all the way down.
fn fields(value: &Value) -> Vec<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| {
                let below = fields(value)
                    .into_iter()
                    .map(move |field| format!("{name}.{field}"));
                below.chain([name.clone()])
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(fields).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn stop_waits_for_the_last_call_and_a_second_one_waits_with_it() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let mut server = Setup::new(&database).option(PATIENT).start();
    let control = server.path("control");
    let mut caller = Connection::open(server.address());
    caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    gate.until_waiting(1);

    let first = spawn(&server, &["stop"]);
    wait::until("the stop begins", || status(&server)["stopping"] == true);
    let second = spawn(&server, &["stop"]);
    wait::until("the second order is there", || {
        server.log().matches(": stop\n").count() == 2
    });
    let late = tine(&server, &["stop", "--timeout", "200ms"]);
    late.fails(2, &["in time"]);
    tine(&server, &["status"]).succeeds();
    assert!(
        caller.is_silent(),
        "three orders to stop are still a graceful one"
    );
    gate.open();
    assert_eq!(caller.response().status, 200);
    for stop in [first, second] {
        let stop = ended(stop);
        assert_eq!(stop.succeeds(), "stopped\n");
        assert_eq!(stop.err, "stopping\n");
    }
    assert!(!control.exists(), "the socket's file goes with its server");
    assert_eq!(server.wait().code(), Some(0));
    server.assert_all_gone(GONE);
}

/// The end of the connection is that of the process: who asks then finds neither workers nor the port.
#[test]
fn when_stop_returns_the_server_is_gone() {
    let mut server = Setup::bare().start();
    let workers = server.worker_pids();
    tine(&server, &["stop"]).succeeds();
    assert!(Connection::try_open(server.address()).is_err());
    for pid in workers {
        assert!(!process::exists(pid), "worker {pid}");
    }
    assert_eq!(server.wait().code(), Some(0));
    tine(&server, &["stop"]).fails(2, &["no server answers"]);
}

#[test]
fn stop_quick_does_not_wait_for_calls() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let mut server = Setup::new(&database).option(PATIENT).start();
    let mut caller = Connection::open(server.address());
    caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    gate.until_waiting(1);
    let graceful = spawn(&server, &["stop"]);
    wait::until("the stop begins", || status(&server)["stopping"] == true);
    assert_eq!(tine(&server, &["stop", "--quick"]).succeeds(), "stopped\n");
    assert_eq!(ended(graceful).succeeds(), "stopped\n");
    assert_eq!(server.wait_within(GONE).code(), Some(0));
    server.assert_all_gone(GONE);
}

#[test]
fn a_change_is_made_or_refused_and_the_command_says_which() {
    let mut server = Setup::bare().workers(2).start();
    let config = server.path("tine.toml");
    let good = fs::read_to_string(&config).expect("the configuration");
    let reload = tine(&server, &["reload"]);
    assert!(
        reload.succeeds().contains("2 workers run generation 2"),
        "{reload:?}"
    );
    assert!(reload.err.contains("reload: checking"), "{reload:?}");
    let said = reload
        .err
        .lines()
        .filter(|line| line.contains("reload done"));
    assert_eq!(said.count(), 0, "the outcome is not said twice: {reload:?}");

    fs::write(&config, good.replace("workers", "wrokers")).expect("write");
    tine(&server, &["reload"]).fails(1, &["reload refused", "tine.toml:1", "wrokers"]);
    let summary = status(&server)["summary"].to_string();
    assert!(
        summary.contains("2 of 2 workers ready, generation 2; reload refused"),
        "{summary}"
    );
    let shown = tine(&server, &["status"]);
    assert!(shown.succeeds().contains("wrokers"), "{shown:?}");
    tine(&server, &["upgrade"]).fails(1, &["upgrade refused"]);

    fs::write(&config, good).expect("write");
    let upgrade = tine(&server, &["upgrade"]);
    assert!(upgrade.succeeds().contains("2 of 2 workers"), "{upgrade:?}");
    assert!(!status(&server)["summary"].to_string().contains("refused"));
    tine(&server, &["stop"]).succeeds();
    assert_eq!(server.wait().code(), Some(0));
    assert!(!server.path("control").exists(), "also after an upgrade");
}

#[test]
fn one_worker_more_and_one_fewer() {
    let server = Setup::bare().workers(1).start();
    let path = server.path("control");
    for (order, ok, text) in [
        ("fewer", false, "1 is the limit"),
        ("more", true, "2 workers"),
        ("fewer", true, "1 worker"),
    ] {
        let answer = control::order(&path, order);
        assert_eq!(
            answer,
            [json!({ "done": true, "ok": ok, "text": text })],
            "{order}"
        );
    }
    wait::until("one worker is left", || server.workers().len() == 1);
    let answer = control::order(&path, "dance");
    assert_eq!(answer[0]["ok"], false);
    assert!(
        answer[0]["text"]
            .as_str()
            .expect("text")
            .contains("status, reload"),
        "{answer:?}"
    );
}

#[test]
fn no_server_is_2_and_says_where_it_was_looked_for() {
    for words in [["status"], ["reload"], ["upgrade"], ["stop"]] {
        let path = std::env::temp_dir().join("tine-nobody-is-here/control");
        let path = path.to_str().expect("UTF-8");
        control::run(&[words.as_slice(), &["--control", path]].concat())
            .fails(2, &["no server answers", path, "--config", "--control"]);
    }
    control::run(&["stop", "--timeout", "soon"]).fails(64, &["--timeout"]);
}

#[test]
fn a_master_that_stands_still_is_2_in_time() {
    let server = Setup::bare().workers(1).start();
    server.signal(Signal::SIGSTOP);
    tine(&server, &["status", "--timeout", "300ms"]).fails(2, &["in time"]);
    server.signal(Signal::SIGCONT);
    tine(&server, &["status"]).succeeds();
}

#[test]
fn a_flood_of_silent_clients_disturbs_nobody() {
    let database = Database::fresh();
    let mut server = Setup::new(&database).workers(2).start();
    let path = server.path("control");
    let flood: Vec<UnixStream> = (0..100)
        .map(|_| UnixStream::connect(&path).expect("it is taken"))
        .collect();
    let call = Post::call(Era::Modern, "echo", json!({"words": "served"}));
    assert_eq!(call.send(server.address()).status(), 200);
    assert_eq!(status(&server)["target"], 2);
    server.signal(Signal::SIGTTIN);
    wait::until("the signal is obeyed", || status(&server)["target"] == 3);
    kill_pid(server.worker_pids()[0], Signal::SIGKILL);
    wait::until("a death is noticed", || status(&server)["crashes"] == 1);
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    server.assert_all_gone(GONE);
    drop(flood);
}
