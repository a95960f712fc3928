//! The first rungs, which both eras share: path, method, host, origin, content type, JSON, shape
//! (MCP 2026-07-28, basic/transports/streamable-http).

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::expect::Expect::{Accepted, Error, ErrorWithoutId, Result, Status};
use crate::harness::expect::check;
use crate::harness::http::{self, Connection};
use crate::harness::mcp::{Answer, ERAS, Era, Post, code};
use crate::harness::server::Server;
use crate::harness::setup::Setup;

fn serve() -> Server {
    Setup::new(&Database::fresh()).workers(1).start()
}

#[test]
fn only_post_reaches_the_endpoint() {
    let server = serve();
    let address = server.address();
    for method in ["GET", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD"] {
        for path in ["/mcp", "/mcp/", "/mcp/own", "/%6Dcp"] {
            let mut client = Connection::open(address);
            client.send(
                format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\nLast-Event-ID: 1\r\n\r\n")
                    .as_bytes(),
            );
            let head = client.head().expect("an answer");
            assert_eq!(head.status, 405, "{method} {path}");
            assert_eq!(head.header("allow"), Some("POST"), "{method} {path}");
        }
    }
    for path in [
        "/",
        "/mcpx",
        "/mcp/unknown",
        "/mcp/own/deeper",
        "/own",
        "/MCP",
    ] {
        let ping = Post::legacy("ping", Value::Null).path(path);
        assert_eq!(ping.send(address).status(), 404, "{path}");
    }
    for path in [
        "/mcp",
        "/mcp/",
        "/mcp/own",
        "/mcp/own/",
        "/%6Dcp",
        "/mcp?x=1",
    ] {
        assert_eq!(
            Post::legacy("ping", Value::Null)
                .path(path)
                .send(address)
                .status(),
            200,
            "{path}"
        );
    }
}

#[test]
fn hosts_and_origins_of_others_are_refused() {
    let server = serve();
    let port = server.address().port();
    let ping = || Post::legacy("ping", Value::Null);
    let host = |host: &str| ping().header("Host", host);
    let origin = |origin: &str| ping().header("Origin", origin);
    check(
        &server,
        vec![
            ("own host", host(&format!("127.0.0.1:{port}")), Result),
            ("localhost on any port", host("localhost:1"), Result),
            ("IPv6", host("[::1]"), Result),
            ("case", host("LocalHost"), Result),
            ("foreign host", host("evil.example.com"), Status(403)),
            (
                "a host that begins like ours",
                host("localhost.evil.example.com"),
                Status(403),
            ),
            ("the unspecified address", host("0.0.0.0"), Status(403)),
            (
                "own origin",
                origin(&format!("http://127.0.0.1:{port}")),
                Result,
            ),
            (
                "any scheme and port of localhost",
                origin("https://localhost:3000"),
                Result,
            ),
            (
                "foreign origin",
                origin("http://evil.example.com"),
                Status(403),
            ),
            (
                "an origin that begins like ours",
                origin("http://localhost.evil.example.com"),
                Status(403),
            ),
            ("null origin", origin("null"), Status(403)),
            (
                "foreign origin on any path",
                origin("http://evil.example.com").path("/nowhere"),
                Status(404),
            ),
            (
                "foreign host before a bad content type",
                host("evil.example.com").header("Content-Type", "text/plain"),
                Status(403),
            ),
        ],
    );
    for path in ["/health", "/health/ready"] {
        let evil = format!("GET {path} HTTP/1.1\r\nHost: evil.example.com\r\n\r\n");
        let answer = http::exchange(server.address(), evil.as_bytes());
        assert_eq!(answer.status, 403, "{path}");
    }
}

#[test]
fn bodies_are_judged_in_order() {
    let server = serve();
    let ping = || Post::legacy("ping", Value::Null);
    let typed = |value: &str| ping().header("Content-Type", value);
    let shaped = |body: Value| Post::of(body);
    let mut rows = vec![
        (
            "JSON with a charset",
            typed("application/json; charset=utf-8"),
            Result,
        ),
        ("case of a content type", typed("Application/JSON"), Result),
        ("plain text", typed("text/plain"), Status(415)),
        ("no content type", ping().without("Content-Type"), Result),
        (
            "a content type that begins like ours",
            typed("application/jsonx"),
            Status(415),
        ),
        (
            "content type before JSON",
            Post::raw("{").header("Content-Type", "text/plain"),
            Status(415),
        ),
        ("no body", Post::raw(""), ErrorWithoutId(400, code::PARSE)),
        (
            "half a message",
            Post::raw("{\"jsonrpc\":"),
            ErrorWithoutId(400, code::PARSE),
        ),
        (
            "bytes that are no UTF-8",
            Post::raw(b"{\"jsonrpc\":\"\xff\"}".as_slice()),
            ErrorWithoutId(400, code::PARSE),
        ),
        (
            "a number",
            Post::raw("1"),
            ErrorWithoutId(400, code::INVALID_REQUEST),
        ),
        (
            "a string",
            Post::raw("\"ping\""),
            ErrorWithoutId(400, code::INVALID_REQUEST),
        ),
        (
            "an empty object",
            shaped(json!({})),
            ErrorWithoutId(400, code::INVALID_REQUEST),
        ),
        (
            "null as id",
            ping().id(Value::Null),
            ErrorWithoutId(400, code::INVALID_REQUEST),
        ),
        (
            "a fraction as id",
            ping().id(json!(1.5)),
            ErrorWithoutId(400, code::INVALID_REQUEST),
        ),
        (
            "an object as id",
            ping().id(json!({})),
            ErrorWithoutId(400, code::INVALID_REQUEST),
        ),
        ("zero as id", ping().id(json!(0)), Result),
        ("a text as id", ping().id(json!("grüße \"1\"")), Result),
        ("a negative id", ping().id(json!(-3)), Result),
        (
            "another protocol",
            shaped(json!({"jsonrpc": "1.0", "id": 1, "method": "ping"})),
            Error(400, code::INVALID_REQUEST),
        ),
        (
            "no method, no result",
            shaped(json!({"jsonrpc": "2.0", "id": 1})),
            Error(400, code::INVALID_REQUEST),
        ),
        (
            "positional parameters",
            shaped(json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []})),
            Error(400, code::INVALID_REQUEST),
        ),
        (
            "a notification",
            shaped(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})),
            Accepted,
        ),
        (
            "a cancellation",
            shaped(
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
            ),
            Accepted,
        ),
        (
            "an unknown notification",
            shaped(json!({"jsonrpc": "2.0", "method": "notifications/whatever"})),
            Accepted,
        ),
        (
            "a response",
            shaped(json!({"jsonrpc": "2.0", "id": 7, "result": {}})),
            Accepted,
        ),
        (
            "an error response",
            shaped(json!({"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": "no"}})),
            Accepted,
        ),
    ];
    for accept in [
        "application/json",
        "*/*",
        "text/event-stream, application/json",
        "application/*",
        "text/html",
    ] {
        rows.push(("any Accept", ping().header("Accept", accept), Result));
        rows.push((
            "any Accept",
            Post::modern("tools/list", Value::Null).header("Accept", accept),
            Result,
        ));
    }
    rows.push(("no Accept", ping().without("Accept"), Result));
    rows.push((
        "a stale session",
        ping().header("Mcp-Session-Id", "1868a90c"),
        Result,
    ));
    check(&server, rows);
}

#[test]
fn no_answer_uses_a_code_that_is_not_ours() {
    let server = serve();
    let bad: [fn() -> Post; 6] = [
        || Post::raw("{"),
        || Post::legacy("nonsense", Value::Null),
        || Post::modern("nonsense", Value::Null),
        || Post::call(Era::Modern, "nonsense", json!({})),
        || Post::legacy("ping", Value::Null).header("Content-Type", "text/plain"),
        || Post::legacy("ping", Value::Null).header("Host", "evil.example.com"),
    ];
    for post in bad {
        let answer = post().send(server.address());
        if answer.0.header("content-type") != Some("application/json") {
            continue;
        }
        let code = answer.message()["error"]["code"].as_i64().expect("a code");
        assert!(
            !(-32019..=-32000).contains(&code) && code != -32042,
            "{code}"
        );
    }
}

#[test]
fn one_connection_serves_both_eras_and_every_answer_in_order() {
    let server = serve();
    let mut client = Connection::open(server.address());
    let mut bytes = Vec::new();
    for id in 0..20 {
        let era = ERAS[id % 2];
        let post = if id % 3 == 0 {
            Post::call(era, "echo", json!({"words": "x"}))
        } else if era == Era::Legacy {
            Post::legacy("ping", Value::Null)
        } else {
            Post::modern("tools/list", Value::Null)
        };
        bytes.extend(post.id(json!(id)).bytes(server.address()));
    }
    client.send(&bytes);
    for id in 0..20 {
        let answer = Answer(client.response());
        assert_eq!(
            (answer.status(), answer.message()["id"].clone()),
            (200, json!(id))
        );
    }
}
