//! The order in which a modern request is judged, and the headers that must equal its body
//! (MCP 2026-07-28, basic/index and basic/transports/streamable-http).

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::expect::Expect::{Error, Result, Status, ToolError};
use crate::harness::expect::check;
use crate::harness::mcp::{Era, META, Post, code};
use crate::harness::server::Server;
use crate::harness::setup::Setup;

const HEADER_TOOL: &str = r#"/*+++
description = "Echoes a region."
[params.region]
type = "text"
description = "Any."
header = "Region"
optional = true
[params.count]
type = "integer"
description = "Any."
header = "Count"
optional = true
+++*/
SELECT coalesce(:region, 'none') AS region, :count AS count
"#;

const SAMPLING_TOOL: &str = "/*+++\ndescription = \"Needs sampling.\"\nclient_capabilities = [\"sampling\"]\n+++*/\nSELECT 1 AS one\n";

fn header_version(post: Post, version: &str) -> Post {
    post.header("MCP-Protocol-Version", version)
}

fn regional(arguments: Value) -> Post {
    Post::call(Era::Modern, "regional", arguments)
}

fn serve() -> Server {
    Setup::new(&Database::fresh())
        .workers(1)
        .tool("regional", HEADER_TOOL)
        .tool("sampling", SAMPLING_TOOL)
        .start()
}

#[test]
fn modern_requests_are_judged_in_order() {
    let server = serve();
    let version = format!("{META}protocolVersion");
    let capabilities = format!("{META}clientCapabilities");
    let list = || Post::modern("tools/list", Value::Null);
    let echo = || Post::call(Era::Modern, "echo", json!({"words": "hi"}));
    check(
        &server,
        vec![
            (
                "no client capabilities",
                list().meta(&capabilities, Value::Null),
                Error(400, code::INVALID_PARAMS),
            ),
            (
                "no client info",
                list().meta(&format!("{META}clientInfo"), Value::Null),
                Result,
            ),
            (
                "no version in _meta",
                list().meta(&version, Value::Null),
                Error(400, code::INVALID_PARAMS),
            ),
            (
                "required _meta before the header",
                list()
                    .meta(&capabilities, Value::Null)
                    .without("MCP-Protocol-Version"),
                Error(400, code::INVALID_PARAMS),
            ),
            (
                "header and _meta differ",
                header_version(list(), "2027-01-01"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "they differ, and _meta is unknown",
                list().meta(&version, json!("2027-01-01")),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "both name an unknown version",
                header_version(list().meta(&version, json!("2027-01-01")), "2027-01-01"),
                Error(400, code::UNSUPPORTED_VERSION),
            ),
            (
                "both name nonsense",
                header_version(list().meta(&version, json!("v999.0.0")), "v999.0.0"),
                Error(400, code::UNSUPPORTED_VERSION),
            ),
            (
                "version before method",
                header_version(
                    Post::modern("nonsense", Value::Null).meta(&version, json!("2027-01-01")),
                    "2027-01-01",
                ),
                Error(400, code::UNSUPPORTED_VERSION),
            ),
            (
                "no Mcp-Method",
                list().without("Mcp-Method"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "another Mcp-Method",
                list().header("Mcp-Method", "prompts/list"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "values are case-sensitive",
                list().header("Mcp-Method", "TOOLS/LIST"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "names are not",
                list()
                    .without("Mcp-Method")
                    .header("MCP-METHOD", "tools/list"),
                Result,
            ),
            (
                "blanks around a value",
                list().header("Mcp-Method", "  tools/list \t"),
                Result,
            ),
            (
                "Mcp-Method twice",
                list().also("Mcp-Method", "tools/list"),
                Status(400),
            ),
            (
                "Mcp-Method before the method",
                Post::modern("nonsense", Value::Null).without("Mcp-Method"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "an unknown method",
                Post::modern("nonsense", Value::Null),
                Error(404, code::METHOD_NOT_FOUND),
            ),
            (
                "prompts",
                Post::modern("prompts/list", Value::Null),
                Error(404, code::METHOD_NOT_FOUND),
            ),
            (
                "no Mcp-Name",
                echo().without("Mcp-Name"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "another Mcp-Name",
                echo().header("Mcp-Name", "gate"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "an encoded Mcp-Name",
                echo().header("Mcp-Name", "=?base64?ZWNobw==?="),
                Result,
            ),
            (
                "Mcp-Name before the tool",
                Post::call(Era::Modern, "nonsense", json!({})).without("Mcp-Name"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "an unknown tool",
                Post::call(Era::Modern, "nonsense", json!({})),
                Error(200, code::INVALID_PARAMS),
            ),
            (
                "a tool without a name",
                Post::modern("tools/call", json!({"arguments": {}})),
                Error(200, code::INVALID_PARAMS),
            ),
            (
                "faulty arguments",
                Post::call(Era::Modern, "echo", json!({"words": 7})),
                ToolError,
            ),
            (
                "a missing argument",
                Post::call(Era::Modern, "echo", json!({})),
                ToolError,
            ),
            (
                "an unknown argument",
                Post::call(Era::Modern, "echo", json!({"words": "hi", "wrods": 1})),
                Result,
            ),
            ("a good call", echo(), Result),
            (
                "a bad cursor",
                Post::modern("tools/list", json!({"cursor": "nonsense"})),
                Status(200),
            ),
        ],
    );
}

#[test]
fn parameters_in_headers_equal_those_in_the_body() {
    let server = serve();
    let given = |body: &str, header: &str| {
        regional(json!({"region": body})).header("Mcp-Param-Region", header)
    };
    check(
        &server,
        vec![
            ("plain", given("eu", "eu"), Result),
            ("blanks around it", given("eu", "  eu "), Result),
            ("encoded", given("us-é", "=?base64?dXMtw6k=?="), Result),
            (
                "another",
                given("eu", "us"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "another case",
                given("eu", "EU"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "bad padding",
                given("Hello", "=?base64?SGVsbG8?="),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "a letter that base64 hasn't",
                given("Hello", "=?base64?SGVs!!!bG8=?="),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "no prefix: as it stands",
                given("SGVsbG8=", "SGVsbG8="),
                Result,
            ),
            (
                "no suffix: as it stands",
                given("=?base64?SGVsbG8=", "=?base64?SGVsbG8="),
                Result,
            ),
            (
                "the prefix is case-sensitive",
                given("=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?="),
                Result,
            ),
            (
                "in the body alone",
                regional(json!({"region": "eu"})),
                Error(400, code::HEADER_MISMATCH),
            ),
            ("nowhere", regional(json!({})), Result),
            (
                "null in the body",
                regional(json!({"region": null})),
                Result,
            ),
            (
                "twice",
                given("eu", "eu").also("Mcp-Param-Region", "eu"),
                Status(400),
            ),
            (
                "a number",
                regional(json!({"count": 7})).header("Mcp-Param-Count", "7"),
                Result,
            ),
            (
                "another number",
                regional(json!({"count": 7})).header("Mcp-Param-Count", "8"),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "header before faulty arguments",
                regional(json!({"region": "eu", "count": "x"})),
                Error(400, code::HEADER_MISMATCH),
            ),
            (
                "a header that no parameter asks for",
                Post::call(Era::Modern, "echo", json!({"words": "hi"}))
                    .header("Mcp-Param-Region", "eu"),
                Result,
            ),
            (
                "the legacy era has none",
                Post::call(Era::Legacy, "regional", json!({"region": "eu"})),
                Result,
            ),
        ],
    );
}

#[test]
fn a_capability_that_a_tool_needs_must_be_declared() {
    let server = serve();
    let answer = Post::call(Era::Modern, "sampling", json!({})).send(server.address());
    assert_eq!(answer.error(), (400, code::MISSING_CAPABILITY));
    assert_eq!(
        answer.message()["error"]["data"]["requiredCapabilities"],
        json!({"sampling": {}})
    );
    let declared = Post::call(Era::Modern, "sampling", json!({}))
        .meta(
            &format!("{META}clientCapabilities"),
            json!({"sampling": {}, "roots": {}}),
        )
        .send(server.address());
    assert_eq!(declared.status(), 200, "{}", declared.0.text());
    assert_ne!(declared.result()["isError"], json!(true));
}
