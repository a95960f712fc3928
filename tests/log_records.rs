//! The record of a call in the log: one for each, whatever becomes of it, under the request id that the client was given.

use std::collections::HashSet;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::http::Connection;
use crate::harness::mcp::{Answer, ERAS, Era, Post};
use crate::harness::server::Server;
use crate::harness::setup::{PATIENT, Setup};
use crate::harness::wait;

/// The `_meta` key, and the member of an error's `data`, under which a client finds the request id.
pub const REQUEST_ID: &str = "io.tine/requestId";

const ABSENT_TOOL: &str =
    "/*+++\ndescription = \"Asks for what isn't there.\"\n+++*/\nSELECT 1 AS one FROM absent\n";

const DIVIDE_TOOL: &str = r#"/*+++
description = "Divides."
[params.by]
type = "integer"
description = "By."
+++*/
SELECT 1 / :by AS quotient
"#;

/// Every line of the log that is a JSON object with a request id.
pub fn records(server: &Server) -> Vec<Value> {
    let log = server.log();
    let objects = log.lines().filter(|line| line.starts_with('{'));
    let parsed = objects.map(|line| -> Value {
        serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}"))
    });
    parsed
        .filter(|line| line.get("request").is_some())
        .collect()
}

/// The one record of a request, once it is there.
pub fn record(server: &Server, request: &str) -> Value {
    let of_it = || -> Vec<Value> {
        let all = records(server).into_iter();
        all.filter(|record| record["request"] == request).collect()
    };
    wait::until("the request's record", || !of_it().is_empty());
    let mut found = of_it();
    assert_eq!(found.len(), 1, "one record a call: {found:?}");
    found.remove(0)
}

/// The request id of an answer, result or error.
pub fn request_id(answer: &Answer) -> String {
    let message = answer.message();
    id_of(&message)
}

fn id_of(message: &Value) -> String {
    let result = &message["result"]["_meta"][REQUEST_ID];
    let error = &message["error"]["data"][REQUEST_ID];
    let id = result.as_str().or(error.as_str());
    id.unwrap_or_else(|| panic!("no request id: {message}"))
        .to_owned()
}

#[test]
fn one_record_a_call_under_the_id_that_the_client_sees() {
    let database = Database::fresh();
    let server = Setup::new(&database)
        .tool("absent", ABSENT_TOOL)
        .tool("divide", DIVIDE_TOOL)
        .option("log_format = \"json\"")
        .variable("TINE_TOKEN", "s3cret-of-the-test")
        .start();
    let mut seen = HashSet::new();
    for era in ERAS {
        for (tool, arguments, outcome, sqlstate, rows) in [
            ("echo", json!({"words": "private"}), "ok", None, Some(1)),
            (
                "divide",
                json!({"by": 0}),
                "tool_error",
                Some("22012"),
                None,
            ),
            ("absent", json!({}), "database_error", Some("42P01"), None),
            ("echo", json!({}), "refused", None, None),
            ("unheard_of", json!({}), "refused", None, None),
        ] {
            let post = Post::call(era, tool, arguments)
                .header("Authorization", "Bearer s3cret-of-the-test")
                .header("User-Agent", "bot/1 \"x\" rows=9");
            let answer = post.send(server.address());
            let id = request_id(&answer);
            assert!(seen.insert(id.clone()), "{id} was given twice");
            let record = record(&server, &id);
            assert_eq!(record["tool"], tool, "{record}");
            assert_eq!(record["outcome"], outcome, "{record}");
            assert_eq!(record["message"], format!("{tool} {outcome}"));
            assert_eq!(record.get("sqlstate"), sqlstate.map(|s| json!(s)).as_ref());
            assert_eq!(record.get("rows"), rows.map(|n: u64| json!(n)).as_ref());
            assert_eq!(record["bytes"], answer.0.body.len(), "{record}");
            assert_eq!(record["token"], "environment");
            assert!(record["duration_ms"].as_f64() >= Some(0.0), "{record}");
            let client = match era {
                Era::Legacy => "bot/1 \"x\" rows=9",
                Era::Modern => "test 1",
            };
            assert_eq!(record["client"], client);
            let pid = record["pid"].as_i64().expect("a pid");
            assert!(server.worker_pids().contains(&i32::try_from(pid).unwrap()));
            assert_eq!(record["role"], "worker");
        }
    }
    let log = server.log();
    assert!(!log.contains("private") && !log.contains("s3cret"), "{log}");
}

#[test]
fn a_trace_is_kept_and_every_call_of_a_batch_has_its_own_record() {
    let server = Setup::new(&Database::fresh())
        .workers(1)
        .option("log_format = \"json\"")
        .start();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (given, kept) in [(trace, json!(trace)), ("forged\n<0>x", Value::Null)] {
        let post = Post::call(Era::Modern, "echo", json!({"words": "x"}));
        let answer = post
            .meta("traceparent", json!(given))
            .send(server.address());
        assert_eq!(record(&server, &request_id(&answer))["trace"], kept);
    }
    let call = |id: u64, tool: &str| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
               "params": {"name": tool, "arguments": {"words": "x"}}})
    };
    let batch = json!([call(1, "echo"), call(2, "unheard_of"), call(3, "echo")]);
    let answer = Post::of(batch)
        .header("MCP-Protocol-Version", "2025-03-26")
        .send(server.address());
    let messages = answer.message();
    let ids: HashSet<String> = messages.as_array().unwrap().iter().map(id_of).collect();
    assert_eq!(ids.len(), 3);
    for id in &ids {
        record(&server, id);
    }
    assert_eq!(records(&server).len(), 5, "a record a call and no other");
}

#[test]
fn calls_that_end_otherwise_have_their_record_too() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let server = Setup::new(&database)
        .workers(1)
        .option(PATIENT)
        .option("limit_concurrency = 1")
        .option("log_format = \"json\"")
        .start();
    let gate_call = Post::call(Era::Modern, "gate", json!({}));
    let mut leaver = Connection::open(server.address());
    leaver.send(&gate_call.bytes(server.address()));
    gate.until_waiting(1);
    let busy = Post::call(Era::Legacy, "echo", json!({"words": "x"})).send(server.address());
    assert_eq!(busy.status(), 503);
    assert_eq!(record(&server, &request_id(&busy))["outcome"], "refused");
    drop(leaver);
    wait::until("the leaver's record", || {
        let all = records(&server);
        all.iter()
            .any(|record| record["tool"] == "gate" && record["outcome"] == "cancelled")
    });
    gate.open();
    assert_eq!(records(&server).len(), 2);
}

#[test]
fn a_statement_that_is_too_slow_is_a_timeout() {
    let database = Database::fresh();
    let gate = database.close_gate();
    let server = Setup::new(&database)
        .workers(1)
        .option("timeout_statement = \"300ms\"")
        .option("log_format = \"json\"")
        .start();
    let answer = Post::call(Era::Modern, "gate", json!({})).send(server.address());
    let record = record(&server, &request_id(&answer));
    assert_eq!(record["outcome"], "timeout", "{record}");
    assert_eq!(record["level"], "warn");
    assert!(record["duration_ms"].as_f64() >= Some(300.0), "{record}");
    gate.open();
}

#[test]
fn records_of_one_turn_are_whole_lines_and_all_are_there_at_the_end() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let mut server = Setup::new(&database)
        .workers(1)
        .option(PATIENT)
        .option("db_connections = 8")
        .start();
    let call = Post::call(Era::Legacy, "gate", json!({})).bytes(server.address());
    let clients: Vec<Connection> = (0..8)
        .map(|_| {
            let mut client = Connection::open(server.address());
            client.send(&call);
            client
        })
        .collect();
    gate.until_waiting(8);
    // All eight end at once, and a stop comes with them.
    server.signal(Signal::SIGTERM);
    gate.open();
    let ids: HashSet<String> = clients
        .into_iter()
        .map(|mut client| request_id(&Answer(client.response())))
        .collect();
    server.wait();
    let log = server.log();
    for id in &ids {
        let of_it = |line: &&str| {
            line.contains(&format!(" gate ok request={id} tool=gate outcome=ok "))
                && line.contains(" INFO  worker 0.1[")
        };
        assert_eq!(log.lines().filter(of_it).count(), 1, "{id}: {log}");
    }
    assert_eq!(
        (ids.len(), log.matches(" gate ok ").count()),
        (8, 8),
        "{log}"
    );
}

#[test]
fn text_for_people_and_only_the_calls_that_are_wanted() {
    for (option, echoes, failures) in [("all", 1, 1), ("failed", 0, 1), ("none", 0, 0)] {
        let mut server = Setup::new(&Database::fresh())
            .workers(1)
            .tool("absent", ABSENT_TOOL)
            .option(&format!("log_calls = \"{option}\""))
            .start();
        let call = |tool| {
            let post = Post::call(Era::Legacy, tool, json!({"words": "x"}));
            request_id(&post.header("User-Agent", "a b=c").send(server.address()))
        };
        let (good, bad) = (call("echo"), call("absent"));
        // A record may be written a moment after its answer, but never after its worker's end.
        server.signal(Signal::SIGTERM);
        server.wait();
        let log = server.log();
        let lines = |id: &str, rest: &str| {
            let of_it =
                |line: &&str| line.contains(&format!(" request={id} ")) && line.contains(rest);
            log.lines().filter(of_it).count()
        };
        assert_eq!(lines(&good, "echo ok request="), echoes, "{option}: {log}");
        assert_eq!(
            lines(&good, "client=\"a b=c\" rows=1"),
            echoes,
            "{option}: {log}"
        );
        assert_eq!(
            lines(&bad, "sqlstate=42P01 error=\"42P01 "),
            failures,
            "{option}: {log}"
        );
    }
}
