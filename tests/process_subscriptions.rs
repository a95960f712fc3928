//! Subscriptions: streams on which clients wait to be told that the tools have changed, what they cost and how they end
//! (MCP 2026-07-28, basic/patterns/subscriptions).

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::expect::Expect::Error;
use crate::harness::expect::check;
use crate::harness::http::{Connection, End};
use crate::harness::mcp::{Answer, Era, Post, code};
use crate::harness::server::Server;
use crate::harness::setup::{PATIENT, Setup};
use crate::harness::stream::{Stream, listen};
use crate::harness::wait;

/// Open subscriptions of the whole pool, as the health tells.
fn subscriptions(server: &Server) -> u64 {
    let health = server.health();
    let workers = health["workers"].as_array().expect("workers");
    let counts = workers
        .iter()
        .map(|worker| worker["subscriptions"].as_u64());
    counts.map(|count| count.expect("a count")).sum()
}

fn until_subscriptions(server: &Server, count: u64) {
    wait::until("so many subscriptions", || subscriptions(server) == count);
}

/// An operator's tool, in which clients see the description only.
fn tool(description: &str, statement: &str) -> String {
    format!("/*+++\ndescription = \"{description}\"\n+++*/\n{statement}\n")
}

const NOWHERE: &str = "postgres://nobody@127.0.0.1:1/none";

/// A server with the tool `note`, described as "First.".
fn with_note() -> Setup {
    Setup::bare()
        .database("main", NOWHERE)
        .tool("note", &tool("First.", "SELECT 1 AS one"))
}

fn change_note(server: &Server, text: &str) {
    fs::write(server.path("own/note.sql"), text).expect("the tool's file");
    server.signal(Signal::SIGHUP);
}

/// What a new client finds.
fn description(server: &Server) -> String {
    let list = Post::modern("tools/list", Value::Null).send(server.address());
    let tools = list.result()["tools"].clone();
    tools
        .as_array()
        .expect("tools")
        .iter()
        .find(|tool| tool["name"] == "note")
        .and_then(|tool| tool["description"].as_str())
        .expect("a description")
        .to_owned()
}

fn ping() -> Post {
    Post::legacy("ping", Value::Null)
}

#[test]
fn only_what_can_come_is_promised() {
    let server = Setup::bare().workers(1).start();
    let discovered = Post::modern("server/discover", Value::Null).send(server.address());
    assert_eq!(
        discovered.result()["capabilities"],
        json!({"tools": {"listChanged": true}})
    );
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let greeting = Post::legacy("initialize", params).send(server.address());
    assert_eq!(
        greeting.result()["capabilities"],
        json!({"tools": {}}),
        "a legacy client has no stream to hear it from"
    );
    for (id, wanted, granted) in [
        (
            json!(7),
            json!({"toolsListChanged": true}),
            json!({"toolsListChanged": true}),
        ),
        (
            json!("a \"quoted\" id"),
            json!({"toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["file:///x"]}),
            json!({"toolsListChanged": true}),
        ),
        (json!(0), json!({"promptsListChanged": true}), json!({})),
        (json!(1), json!({"toolsListChanged": false}), json!({})),
    ] {
        let mut stream = Stream::of(server.address(), &listen(id, &wanted), &granted);
        assert!(stream.is_silent());
    }
    until_subscriptions(&server, 0);
}

#[test]
fn a_request_that_cannot_have_a_stream_is_told_why() {
    let server = Setup::bare().workers(1).start();
    let wanted = json!({"toolsListChanged": true});
    let good = || listen(json!(1), &wanted);
    check(
        &server,
        vec![
            (
                "no filter",
                Post::modern("subscriptions/listen", Value::Null),
                Error(200, code::INVALID_PARAMS),
            ),
            (
                "a filter that is none",
                listen(json!(1), &json!("toolsListChanged")),
                Error(200, code::INVALID_PARAMS),
            ),
            (
                "an endless id",
                listen(json!("x".repeat(2000)), &wanted),
                Error(200, code::INVALID_PARAMS),
            ),
            (
                "a client that takes no stream",
                good().header("Accept", "application/json"),
                Error(406, code::INVALID_REQUEST),
            ),
            (
                "another Mcp-Method",
                good().header("Mcp-Method", "tools/list"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "the legacy era has none",
                Post::legacy("subscriptions/listen", json!({"notifications": wanted})),
                Error(200, code::METHOD_NOT_FOUND),
            ),
        ],
    );
    assert_eq!(subscriptions(&server), 0);
    let takes_anything = good().header("Accept", "*/*");
    Stream::of(server.address(), &takes_anything, &wanted);
}

/// It outlives every deadline of requests and connections, and takes no place from a call.
#[test]
fn a_stream_waits_for_free_and_shows_that_it_lives() {
    let database = Database::fresh();
    let server = Setup::new(&database)
        .workers(1)
        .option("limit_concurrency = 1")
        .option("timeout_statement = \"500ms\"")
        .option("timeout_request = \"1s\"")
        .option("timeout_head = \"1s\"")
        .option("timeout_keep_alive = \"1s\"")
        .start();
    let mut streams: Vec<Stream> = (0..5).map(|_| Stream::open(server.address())).collect();
    let echo = Post::call(Era::Modern, "echo", json!({"words": "here"}));
    assert_eq!(echo.send(server.address()).status(), 200);
    let worker = server.health()["workers"][0].clone();
    assert_eq!(worker["subscriptions"], 5);
    assert_eq!(worker["inflight"], 0);
    assert!(worker["connections"].as_u64() >= Some(5), "{worker}");
    for stream in &mut streams {
        let comment = stream.event().expect("the stream goes on");
        assert!(comment.starts_with(':'), "{comment:?}");
        assert!(comment.ends_with("\n\n"), "{comment:?}");
    }
    drop(streams);
    until_subscriptions(&server, 0);
    let totals = server.health()["totals"].clone();
    assert_eq!(
        (
            &totals["aborted"],
            &totals["cancelled"],
            &totals["timeouts"]
        ),
        (&json!(0), &json!(0), &json!(0)),
        "{totals}"
    );
}

#[test]
fn beyond_the_limit_the_client_is_told_to_come_again() {
    let server = Setup::bare()
        .workers(1)
        .option("limit_subscriptions = 2")
        .start();
    let first = Stream::open(server.address());
    let _second = Stream::open(server.address());
    let third = listen(json!("third"), &json!({"toolsListChanged": true}));
    let mut refused = Connection::open(server.address());
    let answer = third.send_on(&mut refused, server.address());
    assert_eq!(answer.error(), (503, 503));
    assert_eq!(answer.message()["id"], "third");
    assert!(answer.0.header("retry-after").is_some());
    assert!(answer.0.closes());
    assert_eq!(refused.end(), End::Clean);
    assert_eq!(ping().send(server.address()).status(), 200);
    drop(first);
    until_subscriptions(&server, 1);
    Stream::open(server.address());
}

#[test]
fn none_are_promised_where_none_are_allowed() {
    let server = Setup::bare()
        .workers(1)
        .option("limit_subscriptions = 0")
        .start();
    let discovered = Post::modern("server/discover", Value::Null).send(server.address());
    assert_eq!(discovered.result()["capabilities"], json!({"tools": {}}));
    let asked = listen(json!(1), &json!({"toolsListChanged": true})).send(server.address());
    assert_eq!(asked.error(), (404, code::METHOD_NOT_FOUND));
}

/// A full worker closes what is idle, never a stream; and half of its connections are kept for requests.
#[test]
fn a_stream_makes_no_room_for_others() {
    let server = Setup::bare()
        .workers(1)
        .option("limit_connections = 4")
        .start();
    let mut streams = [
        Stream::open(server.address()),
        Stream::open(server.address()),
    ];
    let refused = listen(json!(3), &json!({"toolsListChanged": true})).send(server.address());
    assert_eq!(refused.error(), (503, 503));
    // The refused one may still be on its way out.
    let mut idle = wait::for_some("a place that stays", || {
        let mut connection = Connection::open(server.address());
        let answer = ping().send_on(&mut connection, server.address());
        (!answer.0.closes()).then_some(connection)
    });
    let mut others = Vec::new();
    wait::until("the idle one makes room", || {
        let mut other = Connection::open(server.address());
        let answer = ping().send_on(&mut other, server.address());
        assert_eq!(answer.status(), 200);
        others.push(other);
        idle.has_ended().expect("no reset")
    });
    for stream in &mut streams {
        assert!(stream.is_silent(), "streams stay");
    }
}

#[test]
fn a_stop_ends_streams_with_their_result() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let mut server = Setup::new(&database).workers(2).option(PATIENT).start();
    let mut streams: Vec<Stream> = (0..6).map(|_| Stream::open(server.address())).collect();
    let mut caller = Connection::open(server.address());
    caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    gate.until_waiting(1);
    server.signal(Signal::SIGTERM);
    for stream in &mut streams {
        stream.until_ended();
    }
    gate.open();
    assert_eq!(caller.response().status, 200, "the call was waited for");
    assert_eq!(server.wait().code(), Some(0));
}

/// A stream says nothing of tools when a worker is replaced for another reason than theirs.
#[test]
fn a_recycled_worker_ends_its_streams_and_says_nothing_else() {
    let server = Setup::bare()
        .workers(1)
        .option("limit_max_requests = 20")
        .start();
    let before = server.worker_pids();
    let mut stream = Stream::open(server.address());
    let mut connection = Connection::open(server.address());
    loop {
        let answer = ping().send_on(&mut connection, server.address());
        assert_eq!(answer.status(), 200);
        if answer.0.closes() {
            break;
        }
    }
    stream.until_ended();
    wait::until("the worker is replaced", || {
        let pids = server.worker_pids();
        pids.len() == 1 && pids != before
    });
    Stream::open(server.address());
}

#[test]
fn a_reload_that_changes_the_tools_is_told_once_to_everybody() {
    let server = with_note().workers(3).start();
    let mut streams: Vec<Stream> = (0..5).map(|_| Stream::open(server.address())).collect();
    streams.push(Stream::open_at(server.address(), "/mcp/own"));
    change_note(&server, &tool("Second.", "SELECT 1 AS one"));
    for stream in &mut streams {
        assert_eq!(stream.changes_until_ended(), 1);
    }
    server.until_generation(2);
    assert_eq!(description(&server), "Second.");
    let mut late = Stream::open(server.address());
    change_note(&server, &tool("Third.", "SELECT 1 AS one"));
    assert_eq!(late.changes_until_ended(), 1);
}

#[test]
fn a_reload_that_no_client_can_see_is_told_to_nobody() {
    let server = with_note().workers(2).start();
    let mut streams: Vec<Stream> = (0..4).map(|_| Stream::open(server.address())).collect();
    change_note(&server, &tool("First.", "SELECT 1 + 0 AS one"));
    for stream in &mut streams {
        assert_eq!(stream.changes_until_ended(), 0);
    }
    server.until_generation(2);
}

#[test]
fn a_reload_that_fails_leaves_streams_as_they_are() {
    let server = with_note().workers(1).start();
    let mut stream = Stream::open(server.address());
    change_note(&server, "/*+++\nnonsense\n+++*/");
    wait::until("the fault is logged", || server.log().contains("note.sql"));
    assert_eq!(server.health()["generation"], 1);
    change_note(&server, &tool("Second.", "SELECT 1 AS one"));
    assert_eq!(stream.changes_until_ended(), 1, "of the good one");
}

/// It may list its tools at a worker that is still the old one: so it is told once more when none is left.
#[test]
fn who_subscribes_during_a_reload_is_told_when_it_is_over() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let server = Setup::new(&database)
        .workers(1)
        .option(PATIENT)
        .option("timeout_head = \"60s\"")
        .tool("note", &tool("First.", "SELECT 1 AS one"))
        .start();
    let mut caller = Connection::open(server.address());
    caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    gate.until_waiting(1);
    // In the middle of a request, so that it stays with this worker.
    let list = Post::modern("tools/list", Value::Null);
    let request = list.bytes(server.address());
    let mut kept = Connection::open(server.address());
    kept.send(&[&ping().bytes(server.address()), &request[..20]].concat());
    assert!(!kept.response().closes());
    change_note(&server, &tool("Second.", "SELECT 1 AS one"));
    wait::until("the new worker serves beside the old one", || {
        let workers = server.workers();
        let phases: Vec<&str> = workers.iter().map(|worker| worker.phase.as_str()).collect();
        phases.contains(&"serving") && phases.contains(&"draining")
    });
    let mut during = Stream::open(server.address());
    assert!(during.is_silent());
    // The old worker still answers on connections that it has, but says that its list is not to be kept.
    kept.send(&request[20..]);
    let outdated = Answer(kept.response()).result();
    let current = list.send(server.address()).result();
    assert_ne!(outdated["_meta"], current["_meta"]);
    assert_eq!(
        (&outdated["ttlMs"], &current["ttlMs"]),
        (&json!(0), &json!(60_000))
    );
    gate.open();
    assert_eq!(caller.response().status, 200);
    during.until_list_changed();
    server.until_generation(2);
    let mut after = Stream::open(server.address());
    change_note(&server, &tool("Second.", "SELECT 2 AS two"));
    assert_eq!(after.changes_until_ended(), 0);
    assert_eq!(during.changes_until_ended(), 0, "twice would be too much");
}

#[test]
fn an_upgrade_ends_streams_and_says_nothing_of_tools() {
    let server = with_note().workers(2).start();
    let mut streams: Vec<Stream> = (0..4).map(|_| Stream::open(server.address())).collect();
    server.signal(Signal::SIGUSR2);
    for stream in &mut streams {
        assert_eq!(stream.changes_until_ended(), 0);
    }
    server.until_generation(2);
    let mut stream = Stream::open(server.address());
    change_note(&server, &tool("Second.", "SELECT 1 AS one"));
    assert_eq!(stream.changes_until_ended(), 1);
}
