//! Two eras on one endpoint: how a request is told to be of one, and what the legacy one is judged by
//! (MCP 2026-07-28, basic/versioning; MCP 2025-11-25, basic/lifecycle).

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::expect::Expect::{Accepted, Error, ErrorWithoutId, Result, ToolError};
use crate::harness::expect::check;
use crate::harness::mcp::{Era, LEGACY, META, MODERN, Post, code};
use crate::harness::server::Server;
use crate::harness::setup::Setup;

fn header_version(post: Post, version: &str) -> Post {
    post.header("MCP-Protocol-Version", version)
}

fn serve() -> Server {
    Setup::new(&Database::fresh()).workers(1).start()
}

#[test]
fn the_era_is_told_from_the_protocol_version() {
    let server = serve();
    let modern = |method: &str| Post::modern(method, Value::Null);
    let legacy = |method: &str| Post::legacy(method, Value::Null);
    check(
        &server,
        vec![
            ("a modern request", modern("tools/list"), Result),
            ("a legacy request", legacy("tools/list"), Result),
            (
                "no version at all is legacy",
                legacy("ping").without("MCP-Protocol-Version"),
                Result,
            ),
            (
                "_meta with a progress token alone is legacy",
                Post::legacy("ping", json!({"_meta": {"progressToken": 0}})),
                Result,
            ),
            (
                "a modern header without _meta",
                header_version(legacy("tools/list"), MODERN),
                Error(400, code::INVALID_PARAMS),
            ),
            (
                "a modern _meta without header",
                modern("tools/list").without("MCP-Protocol-Version"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "ping left with the modern era",
                modern("ping"),
                Error(404, code::METHOD_NOT_FOUND),
            ),
            ("and is there in the legacy one", legacy("ping"), Result),
            (
                "initialize with modern _meta",
                modern("initialize"),
                Error(404, code::METHOD_NOT_FOUND),
            ),
            (
                "server/discover is modern",
                modern("server/discover"),
                Result,
            ),
            (
                "and unknown to the legacy era",
                legacy("server/discover"),
                Error(200, code::METHOD_NOT_FOUND),
            ),
            (
                "a legacy version in _meta is served as legacy",
                header_version(
                    modern("ping").meta(&format!("{META}protocolVersion"), json!(LEGACY)),
                    LEGACY,
                ),
                Result,
            ),
        ],
    );
}

#[test]
fn legacy_requests_are_judged_in_order() {
    let server = serve();
    let list = || Post::legacy("tools/list", Value::Null);
    let initialize = |version: &str| {
        Post::legacy(
            "initialize",
            json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
        )
    };
    let mut rows = vec![
        (
            "an unknown version in the header",
            header_version(list(), "1999-01-01"),
            Error(400, code::UNSUPPORTED_VERSION),
        ),
        (
            "nonsense in the header",
            header_version(list(), "nonsense"),
            Error(400, code::UNSUPPORTED_VERSION),
        ),
        (
            "version before method",
            header_version(Post::legacy("nonsense", Value::Null), "1999-01-01"),
            Error(400, code::UNSUPPORTED_VERSION),
        ),
        (
            "an unknown method",
            Post::legacy("nonsense", Value::Null),
            Error(200, code::METHOD_NOT_FOUND),
        ),
        (
            "prompts",
            Post::legacy("prompts/list", Value::Null),
            Error(200, code::METHOD_NOT_FOUND),
        ),
        (
            "log levels",
            Post::legacy("logging/setLevel", json!({"level": "info"})),
            Error(200, code::METHOD_NOT_FOUND),
        ),
        (
            "an unknown tool",
            Post::call(Era::Legacy, "nonsense", json!({})),
            Error(200, code::INVALID_PARAMS),
        ),
        (
            "a tool without a name",
            Post::legacy("tools/call", json!({})),
            Error(200, code::INVALID_PARAMS),
        ),
        (
            "faulty arguments",
            Post::call(Era::Legacy, "echo", json!({"words": 7})),
            ToolError,
        ),
        (
            "a call without a handshake",
            Post::call(Era::Legacy, "echo", json!({"words": "hi"})),
            Result,
        ),
        (
            "modern headers mean nothing here",
            list()
                .header("Mcp-Method", "nonsense")
                .header("Mcp-Name", "nonsense"),
            Result,
        ),
        (
            "an empty object as parameters",
            Post::legacy("tools/list", json!({})),
            Result,
        ),
    ];
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        rows.push((
            "every legacy version in the header",
            header_version(list(), version),
            Result,
        ));
        rows.push(("and in a handshake", initialize(version), Result));
    }
    check(&server, rows);
    for (asked, answered) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let answer = initialize(asked).send(server.address());
        assert_eq!(answer.result()["protocolVersion"], answered, "{asked}");
    }
    // Some clients already name the version in the header of the handshake itself.
    let answer = header_version(initialize("2025-11-25"), "2025-11-25").send(server.address());
    assert_eq!(answer.result()["protocolVersion"], "2025-11-25");
}

#[test]
fn an_unsupported_version_is_told_what_is_supported() {
    let server = serve();
    let supported = json!([
        "2026-07-28",
        "2025-11-25",
        "2025-06-18",
        "2025-03-26",
        "2024-11-05"
    ]);
    let discovered = Post::modern("server/discover", Value::Null)
        .send(server.address())
        .result();
    assert_eq!(discovered["supportedVersions"], supported);
    let legacy = header_version(Post::legacy("ping", Value::Null), "1999-01-01");
    let modern = header_version(
        Post::modern("tools/list", Value::Null)
            .meta(&format!("{META}protocolVersion"), json!("2031-01-01")),
        "2031-01-01",
    );
    for (post, requested) in [(legacy, "1999-01-01"), (modern, "2031-01-01")] {
        let answer = post.send(server.address());
        assert_eq!(answer.error(), (400, code::UNSUPPORTED_VERSION));
        let data = &answer.message()["error"]["data"];
        assert_eq!(
            (&data["supported"], &data["requested"]),
            (&supported, &json!(requested))
        );
    }
}

#[test]
fn batches_belong_to_one_legacy_version() {
    let server = serve();
    let batch = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "two", "method": "tools/call", "params": {"name": "echo", "arguments": {"words": "hi"}}},
        {"jsonrpc": "2.0", "id": 3, "method": "nonsense"},
    ]);
    for version in [None, Some("2025-03-26")] {
        let post = Post::of(batch.clone());
        let post = version.map_or(post.clone(), |version| header_version(post, version));
        let answer = post.send(server.address());
        assert_eq!(answer.status(), 200, "{}", answer.0.text());
        let Value::Array(mut answers) = answer.message() else {
            panic!("{}", answer.0.text())
        };
        answers.sort_by_key(|answer| answer["id"].to_string());
        let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
        assert_eq!(ids, [&json!("two"), &json!(1), &json!(3)]);
        assert!(answers[0]["result"]["content"].is_array());
        assert_eq!(answers[2]["error"]["code"], code::METHOD_NOT_FOUND);
    }
    let notifications = json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]);
    let many: Vec<Value> = (0..200)
        .map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "ping"}))
        .collect();
    check(
        &server,
        vec![
            (
                "a later version",
                header_version(Post::of(batch.clone()), "2025-06-18"),
                ErrorWithoutId(400, code::INVALID_REQUEST),
            ),
            (
                "the newest legacy version",
                header_version(Post::of(batch.clone()), LEGACY),
                ErrorWithoutId(400, code::INVALID_REQUEST),
            ),
            (
                "the modern version",
                header_version(Post::of(batch), MODERN),
                ErrorWithoutId(400, code::INVALID_REQUEST),
            ),
            (
                "an empty batch",
                Post::of(json!([])),
                ErrorWithoutId(400, code::INVALID_REQUEST),
            ),
            (
                "too many",
                Post::of(Value::Array(many)),
                ErrorWithoutId(400, code::INVALID_REQUEST),
            ),
            ("notifications alone", Post::of(notifications), Accepted),
        ],
    );
}
