//! Behind the real Apache, nginx and HAProxy, each with the file that Tine ships: everything that works without them works
//! through them, and what goes wrong is told in Tine's words.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clients;
use crate::harness::database::Database;
use crate::harness::http::{self, Connection};
use crate::harness::mcp::{ERAS, Era, LEGACY, MODERN, Post};
use crate::harness::proxy::{KINDS, Kind, Plan, Proxy};
use crate::harness::server::Server;
use crate::harness::setup::{PATIENT, Setup};
use crate::harness::wait;

const LARGE_TOOL: &str = r#"/*+++
description = "Almost as much as a result may hold."
result = { max_bytes = 1048576 }
+++*/
SELECT repeat('0123456789', 100000) AS digits
"#;

const NAP_TOOL: &str = r#"/*+++
description = "Sleeps longer than a statement may run."
+++*/
SELECT 'slept' AS done FROM (SELECT pg_sleep(60)) AS passed
"#;

/// Reports once, waits at the gate, reports again.
const STEPS: &str = "CREATE FUNCTION steps() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
  RAISE NOTICE 'first' USING DETAIL = '1/2';
  PERFORM pg_advisory_xact_lock_shared(1);
  RAISE NOTICE 'second' USING DETAIL = '2/2';
  RETURN 'walked';
END $$";

const STEPS_TOOL: &str = r#"/*+++
description = "Walks in two steps."
progress = true
+++*/
SELECT steps() AS done
"#;

fn echo(era: Era, words: &str) -> Post {
    Post::call(era, "echo", json!({"words": words}))
}

fn behind_all(setup: Setup) -> (Server, Vec<Proxy>) {
    let server = setup.start();
    let proxies = Proxy::all(server.address());
    (server, proxies)
}

#[test]
fn calls_of_both_eras_and_large_answers_pass() {
    let database = Database::fresh();
    let (_server, proxies) = behind_all(Setup::new(&database).tool("large", LARGE_TOOL));
    for proxy in &proxies {
        let kind = proxy.kind;
        let mut kept = Connection::open(proxy.address);
        for era in ERAS {
            let answer = echo(era, "grüße").send_on(&mut kept, proxy.address);
            assert!(!answer.tool_text().1, "{kind:?}");
            assert!(answer.tool_text().0.contains("grüße"), "{kind:?}");
            let answer = Post::call(era, "large", json!({})).send_on(&mut kept, proxy.address);
            assert!(answer.0.body.len() > 1_000_000, "{kind:?}");
            assert!(!answer.tool_text().1, "{kind:?}: {}", answer.tool_text().0);
        }
        let missing = http::exchange(
            proxy.address,
            &Post::legacy("ping", Value::Null)
                .path("/mcp/nowhere")
                .bytes(proxy.address),
        );
        assert_eq!(
            (missing.status, missing.json()["error"]["code"].is_i64()),
            (404, true),
            "{kind:?}"
        );
        let wrong = http::get(proxy.address, "/mcp");
        assert_eq!(
            (wrong.status, wrong.header("allow")),
            (405, Some("POST")),
            "{kind:?}"
        );
        let health = http::get(proxy.address, "/health");
        assert_eq!(health.status, 404, "{kind:?}: health is for the inside");
    }
}

#[test]
fn the_unix_socket_serves_as_well() {
    let database = Database::fresh();
    let setup = Setup::new(&database)
        .binds_itself()
        .option("uds_mode = \"0666\"");
    let socket = setup.path("socket");
    let _server = setup
        .option(&format!("uds = {:?}", socket.display().to_string()))
        .launch();
    wait::until("the socket", || socket.exists());
    for kind in KINDS {
        let proxy = Plan::unix(kind, &socket).start();
        for era in ERAS {
            let answer = echo(era, "here").send(proxy.address);
            assert!(answer.tool_text().0.contains("here"), "{kind:?}");
        }
    }
}

#[test]
fn the_official_client_sees_everything_through_tls() {
    let server = clients::serve();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let folder = std::env::temp_dir().join(format!("tine-proxy-tls-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder of our own");
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    fs::write(&certificate, made.cert.pem()).expect("PEM");
    fs::write(&key, made.signing_key.serialize_pem()).expect("PEM");
    thread::scope(|scope| {
        for kind in KINDS {
            let plan = Plan::tcp(kind, server.address()).tls(&certificate, &key);
            let trusted = format!("SSL_CERT_FILE={}", certificate.display());
            scope.spawn(move || {
                let proxy = plan.start();
                let url = format!("https://localhost:{}/mcp", proxy.address.port());
                for (mode, version) in [("auto", MODERN), ("legacy", LEGACY)] {
                    let python = clients::python("mcp2", "mcp2.py", &[mode]);
                    let mut client = Command::new("env");
                    client
                        .args(["NO_PROXY=localhost", &trusted])
                        .arg(python.get_program())
                        .args(python.get_args());
                    clients::sees_everything_at(&url, &client, b"", version);
                }
            });
        }
    });
    fs::remove_dir_all(&folder).expect("its end");
}

/// Announced bodies (RFC 9110 section 10.1.1): HAProxy does not read on behind an early answer, so a client that has sent megabytes
/// already may see the end of its connection before the answer.
#[test]
fn a_body_that_is_too_large_is_refused_in_words() {
    let database = Database::fresh();
    let (_server, proxies) = behind_all(Setup::new(&database));
    for proxy in &proxies {
        let kind = proxy.kind;
        let most = echo(Era::Legacy, &"x".repeat(4 * 1024 * 1024 - 1000)).send(proxy.address);
        assert_eq!(most.status(), 200, "{kind:?}");
        let announced = |length: u64| {
            let post = echo(Era::Legacy, "x").header("Expect", "100-continue");
            let bytes = post.bytes(proxy.address);
            let text = String::from_utf8(bytes).expect("text");
            let (head, _) = text.rsplit_once("Content-Length: ").expect("a length");
            let request = format!("{head}Content-Length: {length}\r\n\r\n");
            http::exchange(proxy.address, request.as_bytes())
        };
        let more = announced(4 * 1024 * 1024 + 1000);
        assert_eq!(more.status, 413, "{kind:?}");
        // nginx has the same limit, the others leave this one to Tine.
        let in_words = more.text().contains("jsonrpc");
        assert_eq!(in_words, kind != Kind::Nginx, "{kind:?}: {}", more.text());
        assert_eq!(announced(999_999_999).status, 413, "{kind:?}");
    }
}

/// With the default deadlines: each proxy waits longer than Tine does.
#[test]
fn a_call_that_takes_too_long_gets_tines_own_error() {
    let database = Database::fresh();
    let (_server, proxies) = behind_all(Setup::new(&database).tool("nap", NAP_TOOL));
    thread::scope(|scope| {
        for proxy in &proxies {
            scope.spawn(move || {
                let answer = Post::call(Era::Modern, "nap", json!({})).send(proxy.address);
                let (text, failed) = answer.tool_text();
                assert!(failed && text.contains("8 s"), "{:?}: {text}", proxy.kind);
            });
        }
    });
}

#[test]
fn events_pass_one_by_one() {
    let database = Database::with(STEPS);
    let (_server, proxies) = behind_all(
        Setup::new(&database)
            .option(PATIENT)
            .tool("steps", STEPS_TOOL),
    );
    for proxy in &proxies {
        let gate = database.close_gate();
        let mut caller = Connection::open(proxy.address);
        let post = Post::call(Era::Legacy, "steps", json!({}));
        let mut post = post;
        post.body["params"]["_meta"] = json!({"progressToken": "p"});
        caller.send(&post.bytes(proxy.address));
        let head = caller.head().expect("a stream's head");
        assert_eq!(
            head.header("content-type"),
            Some("text/event-stream"),
            "{:?}",
            proxy.kind
        );
        // The second step waits for the gate, so a proxy that collects events would wait for ever.
        caller.until(b"\"first\"");
        gate.open();
        caller.until(b"\"second\"");
        caller.until(b"walked");
    }
}

#[test]
fn a_full_server_says_so_through_every_proxy() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let (server, proxies) = behind_all(
        Setup::new(&database)
            .workers(1)
            .option(PATIENT)
            .option("limit_concurrency = 1"),
    );
    let mut holder = Connection::open(server.address());
    holder.send(&Post::call(Era::Modern, "gate", json!({})).bytes(server.address()));
    gate.until_waiting(1);
    for proxy in &proxies {
        let answer = echo(Era::Modern, "now").send(proxy.address);
        assert_eq!(answer.status(), 503, "{:?}", proxy.kind);
        assert_eq!(
            answer.0.header("retry-after"),
            Some("1"),
            "{:?}",
            proxy.kind
        );
        assert!(answer.message()["error"]["message"].is_string());
    }
    gate.open();
    assert_eq!(holder.response().status, 200);
    for proxy in &proxies {
        let answer = echo(Era::Modern, "now").send(proxy.address);
        assert_eq!(answer.status(), 200, "{:?} goes on at once", proxy.kind);
    }
}

/// Apache notices a client's end only when it has something to send to it: what a call costs then is bounded by its deadline.
#[test]
fn a_hang_up_cancels_the_query() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let (_server, proxies) = behind_all(Setup::new(&database).option(PATIENT));
    for proxy in proxies.iter().filter(|proxy| proxy.kind != Kind::Apache) {
        let mut caller = Connection::open(proxy.address);
        caller.send(&Post::call(Era::Modern, "gate", json!({})).bytes(proxy.address));
        gate.until_waiting(1);
        drop(caller);
        // Sooner than its deadline or the proxy's would end it.
        wait::for_some_within(Duration::from_secs(30), "the query's end", || {
            (gate.waiting() == 0).then_some(())
        });
    }
}

#[test]
fn a_server_that_is_down_is_told_in_one_word_and_found_again_at_once() {
    let database = Database::fresh();
    let serve = |port: u16| {
        let server = Setup::new(&database)
            .binds_itself()
            .arguments(&["--port", &port.to_string()])
            .launch();
        server.address();
        server.until_all_serve();
        server
    };
    let mut server = serve(0);
    let address = server.address();
    let proxies = Proxy::all(address);
    for proxy in &proxies {
        assert_eq!(echo(Era::Modern, "up").send(proxy.address).status(), 200);
    }
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.wait_within(Duration::from_secs(30));
    for proxy in &proxies {
        let refused = http::exchange(
            proxy.address,
            &echo(Era::Modern, "down").bytes(proxy.address),
        );
        assert!(
            matches!(refused.status, 502 | 503),
            "{:?}: {}",
            proxy.kind,
            refused.status
        );
    }
    let _again = serve(address.port());
    for proxy in &proxies {
        assert_eq!(
            echo(Era::Modern, "up").send(proxy.address).status(),
            200,
            "{:?}",
            proxy.kind
        );
    }
}
