//! Clients that go away, fall behind or ask for much at once: what that costs the server, and whom.

use std::fs;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::http::{self, Connection};
use crate::harness::mcp::{Era, Post};
use crate::harness::process;
use crate::harness::server::{Server, kill_pid};
use crate::harness::setup::{PATIENT, Setup};
use crate::harness::wait;

/// Long enough that nothing gives up waiting while a test looks.
const LONG_QUEUE: &str = "timeout_queue = \"50s\"";

/// Reports so many times, so many bytes each.
const CHATTER: &str =
    "CREATE FUNCTION chatter(times int, size int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
  FOR n IN 1..times LOOP
    RAISE NOTICE '%', repeat('x', size) USING DETAIL = n || '/' || times;
  END LOOP;
  RETURN 'said';
END $$";

const CHATTER_TOOL: &str = r#"/*+++
description = "Reports a great deal of progress."
progress = true
+++*/
SELECT chatter(2000, 20000) AS done
"#;

const NAP_TOOL: &str = r#"/*+++
description = "Takes its time."
+++*/
SELECT 'slept' AS done FROM (SELECT pg_sleep(0.9)) AS passed
"#;

/// Several calls in one POST, as only one revision of the protocol has them.
fn batch(tool: &str, calls: u64) -> Post {
    let call = |id| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": {}}});
    Post::of((0..calls).map(call).collect()).header("MCP-Protocol-Version", "2025-03-26")
}

fn echo() -> Post {
    Post::call(Era::Modern, "echo", json!({"words": "here"}))
}

/// Returns when the process has stopped; whatever comes now it finds all at once when it goes on.
fn freeze(pid: i32) {
    kill_pid(pid, Signal::SIGSTOP);
    wait::until("the process has stopped", || {
        process::status(pid, "State").is_some_and(|state| state.starts_with('T'))
    });
}

/// The health of the process, on a connection that a full worker has already; requests that came before it were seen before it.
fn health_on(connection: &mut Connection) -> Value {
    connection.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.response().json()
}

fn kept(server: &Server) -> Connection {
    let mut connection = Connection::open(server.address());
    assert_eq!(
        Post::legacy("ping", Value::Null)
            .send_on(&mut connection, server.address())
            .status(),
        200
    );
    connection
}

#[test]
fn a_hang_up_that_comes_together_with_its_call_cancels_it() {
    let database = Database::fresh();
    let _gate = database.close_gate();
    let server = Setup::new(&database).workers(1).option(PATIENT).start();
    let mut caller = kept(&server);
    let worker = server.worker_pids()[0];
    freeze(worker);
    caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    drop(caller);
    kill_pid(worker, Signal::SIGCONT);
    wait::until("the call is cancelled", || {
        let health = server.health();
        health["totals"]["cancelled"] == 1 && health["inflight"] == 0
    });
}

#[test]
fn a_batch_goes_on_in_its_place_while_others_wait_for_one() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let server = Setup::new(&database)
        .workers(1)
        .option(PATIENT)
        .option(LONG_QUEUE)
        .option("limit_concurrency = 1")
        .start();
    let (mut other, mut watcher) = (kept(&server), kept(&server));
    let mut batcher = Connection::open(server.address());
    batcher.send(&batch("gate", 2).bytes(server.address()));
    gate.until_waiting(1);
    other.send(&echo().bytes(server.address()));
    wait::until("the other call waits in the worker", || {
        health_on(&mut watcher)["totals"]["tool_calls"] == 2
    });
    gate.open();
    let answers = batcher.response();
    assert_eq!(answers.status, 200, "{}", answers.text());
    let answers = answers.json();
    assert_eq!(answers.as_array().map(Vec::len), Some(2), "{answers}");
    assert_eq!(other.response().status, 200);
}

#[test]
fn the_calls_of_a_batch_share_one_deadline() {
    let database = Database::fresh();
    let server = Setup::new(&database)
        .workers(1)
        .option("timeout_statement = \"1s\"")
        .option("timeout_request = \"2s\"")
        .tool("nap", NAP_TOOL)
        .start();
    let answers = batch("nap", 8).send(server.address());
    assert_eq!(answers.status(), 200, "{}", answers.0.text());
    let answers = answers.message();
    assert_eq!(answers.as_array().map(Vec::len), Some(8), "{answers}");
    // Together they need more than three times what a request may take.
    assert_eq!(answers[7]["result"]["isError"], true, "{answers}");
}

#[test]
fn progress_that_nobody_reads_does_not_pile_up() {
    let database = Database::with(CHATTER);
    let server = Setup::new(&database)
        .workers(1)
        .option(PATIENT)
        .tool("chatter", CHATTER_TOOL)
        .start();
    let mut post = Post::call(Era::Legacy, "chatter", json!({}));
    post.body["params"]["_meta"] = json!({"progressToken": "p"});
    let mut caller = Connection::open(server.address());
    caller.send(&post.bytes(server.address()));
    assert_eq!(
        caller.head().expect("a stream").header("content-type"),
        Some("text/event-stream")
    );
    wait::until("the call is over", || server.workers()[0].inflight == 0);
    caller.finish_sending();
    let stream = caller.rest().expect("the rest of the stream");
    let told = String::from_utf8_lossy(&stream);
    assert!(told.contains("said"), "the answer itself is not left out");
    // Forty million bytes were reported; what the two kernels hold for the connection is less than half of that.
    assert!(stream.len() < 20_000_000, "{} bytes", stream.len());
}

/// Both the database's time and the client's are up when the worker looks again.
#[test]
fn a_late_health_check_still_gets_its_document() {
    let setup = Setup::bare();
    let folder = setup.path("silent");
    fs::create_dir(&folder).expect("folder");
    let silent = UnixListener::bind(folder.join(".s.PGSQL.5432")).expect("a socket");
    let url = format!("host={} user=bot dbname=none", folder.display());
    let server = setup.workers(1).database("main", &url).start();
    let worker = server.worker_pids()[0];
    let asked = {
        let address = server.address();
        thread::spawn(move || http::get(address, "/health/ready"))
    };
    let _session = silent.accept().expect("the probe's connection");
    freeze(worker);
    thread::sleep(Duration::from_millis(1200));
    kill_pid(worker, Signal::SIGCONT);
    let answer = asked.join().expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["databases"]["main"], "error");
}

/// Clients that keep their connections, and never repeat a request by themselves.
#[test]
fn no_request_is_lost_while_workers_are_replaced_after_their_requests() {
    let server = Setup::bare()
        .option("limit_max_requests = 50")
        .option("limit_max_requests_jitter = 20")
        .start();
    let address = server.address();
    let before = server.worker_pids();
    let ping = Post::legacy("ping", Value::Null).bytes(address);
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let ping = ping.clone();
            thread::spawn(move || {
                let mut connection = Connection::open(address);
                for request in 0..150 {
                    connection.send(&ping);
                    let answer = connection
                        .try_response()
                        .unwrap_or_else(|fault| panic!("request {request}: {fault}"));
                    assert_eq!(answer.status, 200);
                    if answer.closes() {
                        connection = Connection::open(address);
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("every request is answered");
    }
    assert_ne!(server.worker_pids(), before, "some worker was replaced");
}
