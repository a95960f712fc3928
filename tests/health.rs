//! The health of the databases, as monitors of the original ask for it: at once, from proofs that are made all the time.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::database::{Database, own_cluster};
use crate::harness::http::{self, Connection};
use crate::harness::server::{Server, kill_pid};
use crate::harness::setup::Setup;
use crate::harness::wait;

const PATH: &str = "/swf-monitor/api/mcp-health/";

fn server(swf: &str, panda: &str) -> Server {
    Setup::bare()
        .workers(2)
        .option(&format!("health_path = \"{PATH}\""))
        .option("health_service = \"swf-monitor-mcp-asgi\"")
        .database("swf", swf)
        .database("panda", panda)
        .start()
}

fn health(server: &Server) -> (u16, Value) {
    let answer = http::get(server.address(), PATH);
    (answer.status, answer.json())
}

#[test]
fn the_originals_fields_and_both_databases() {
    let mut cluster = own_cluster();
    let (swf, panda) = (Database::fresh(), Database::fresh_in(&cluster));
    let server = server(&swf.url, &panda.url);
    wait::until("both are proven", || health(&server).0 == 200);
    let (_, document) = health(&server);
    let expected = json!({
        "ok": true, "service": "swf-monitor-mcp-asgi", "pid": document["pid"], "database": "ok", "mcp_stateless": true,
        "timestamp": document["timestamp"], "databases": {"swf": "ok", "panda": "ok"},
    });
    let members: Vec<&String> = document.as_object().unwrap().keys().take(7).collect();
    assert_eq!(
        members,
        expected.as_object().unwrap().keys().collect::<Vec<_>>(),
        "in the original's order"
    );
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&document[name], value);
    }
    let time = document["timestamp"].as_str().unwrap();
    let parsed: jiff::Timestamp = time.parse().expect("a moment");
    assert!((jiff::Timestamp::now() - parsed).get_seconds() < 600);
    assert!(time.ends_with("+00:00") && time.len() == 32, "{time}");
    let pid = i32::try_from(document["pid"].as_i64().unwrap()).unwrap();
    assert!(server.worker_pids().contains(&pid));
    cluster.halt().expect("stopped");
    let document = wait::for_some("one of them is missing", || match health(&server) {
        (503, document) => Some(document),
        _ => None,
    });
    assert_eq!(document["ok"], false);
    assert_eq!(
        (&document["database"], &document["databases"]),
        (&json!("error"), &json!({"swf": "ok", "panda": "error"}))
    );
    assert!(
        document["error"].as_str().unwrap().starts_with("panda: "),
        "{document}"
    );
    assert!(
        server.log().contains("database panda: no sign of life"),
        "{}",
        server.log()
    );
    cluster.relaunch().expect("started");
    wait::until("both again, whichever worker answers", || {
        (0..20).all(|_| health(&server).0 == 200)
    });
    assert!(
        server.log().contains("database panda: lives again"),
        "{}",
        server.log()
    );
}

#[test]
fn every_form_of_the_question_has_its_answer() {
    let mut cluster = own_cluster();
    let (swf, panda) = (Database::fresh(), Database::fresh_in(&cluster));
    let server = server(&swf.url, &panda.url);
    let ask = |method: &str, path: &str| {
        let host = server.address();
        let mut connection = Connection::open(host);
        connection.send(
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        connection.try_response_to(method).expect("an answer")
    };
    let slashless = PATH.trim_end_matches('/');
    let each = |status: u16| {
        for path in [PATH, slashless, &format!("{PATH}?from=watchdog")] {
            let (get, head) = (ask("GET", path), ask("HEAD", path));
            assert_eq!((get.status, head.status), (status, status), "{path}");
            assert_eq!(get.json()["ok"], status == 200, "{path}");
            assert!(head.body.is_empty() && head.header("content-length") != Some("0"));
        }
        for path in ["/health", "/health/"] {
            let (get, head) = (ask("GET", path), ask("HEAD", path));
            assert_eq!((get.status, head.status), (200, 200), "{path}");
            assert_eq!(get.json()["status"], "ok", "of the process alone");
        }
        for path in [PATH, slashless, "/health"] {
            let refused = ask("DELETE", path);
            assert_eq!(
                (refused.status, refused.header("allow")),
                (405, Some("GET, HEAD"))
            );
        }
    };
    wait::until("both are proven", || {
        (0..20).all(|_| health(&server).0 == 200)
    });
    each(200);
    cluster.halt().expect("stopped");
    wait::until("every worker knows", || {
        (0..20).all(|_| health(&server).0 == 503)
    });
    each(503);
}

#[test]
fn a_frozen_database_holds_up_nobody_who_asks() {
    let cluster = own_cluster();
    let (swf, panda) = (Database::fresh(), Database::fresh_in(&cluster));
    let server = server(&swf.url, &panda.url);
    wait::until("both are proven", || {
        (0..20).all(|_| health(&server).0 == 200)
    });
    cluster.pause().expect("frozen");
    wait::until("every worker knows", || {
        (0..20).all(|_| health(&server).0 == 503)
    });
    // A probe of a frozen database takes 0.9 s: had each answer waited for one, these would take four minutes.
    let begun = Instant::now();
    for _ in 0..300 {
        assert_eq!(health(&server).0, 503);
    }
    assert!(begun.elapsed() < Duration::from_secs(120));
    // A worker that has just begun has no proof yet, and does not wait for one.
    kill_pid(server.worker_pids()[0], Signal::SIGKILL);
    server.until_all_serve();
    assert_eq!(health(&server).0, 503);
    cluster.resume().expect("thawed");
    wait::until("it is back", || (0..20).all(|_| health(&server).0 == 200));
}
