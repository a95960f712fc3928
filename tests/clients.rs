//! The official clients, old and new major versions, list and call tools: the programs are in `tests/clients/`.

use std::fs;
use std::process::Command;
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::http;
use crate::harness::installed;
use crate::harness::mcp::{LEGACY, MODERN};
use crate::harness::server::Server;
use crate::harness::setup::Setup;
use crate::harness::wait;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/toolset");

/// A server with everything that the clients look at.
pub fn serve() -> Server {
    let database = Database::with(include_str!("conformance/schema.sql"));
    Setup::new(&database)
        .option("server_name = \"fixture\"")
        .toolset(FIXTURES)
        .start()
}

/// Runs a client against a server of its own and checks everything that it reports to have seen.
fn sees_everything(command: &Command, script: &[u8], version: &str) {
    let server = serve();
    sees_everything_at(&url_of(&server), command, script, version);
}

/// The same at the URL of a server that somebody else started with [`serve`].
pub fn sees_everything_at(url: &str, command: &Command, script: &[u8], version: &str) {
    let seen = report(url, command, script);
    assert_eq!(seen["version"], version);
    assert_eq!(seen["server"], "fixture");
    let tools = seen["tools"].as_array().expect("names");
    for name in [
        "echo",
        "gate",
        "json_schema_2020_12_tool",
        "test_header_param",
        "test_tool_with_progress",
    ] {
        assert!(tools.contains(&json!(name)), "{name} in {tools:?}");
    }
    assert_eq!(words(&seen["echo"][0]), "grüße");
    assert_eq!(
        seen["error"],
        json!([true, "This tool intentionally returns an error for testing"]),
        "the text of a tool's error"
    );
    let steps: Vec<Vec<f64>> = serde_json::from_value(seen["progress"].clone()).expect("pairs");
    assert_eq!(steps, [[0.0, 100.0], [50.0, 100.0], [100.0, 100.0]]);
    if !seen["structured"].is_null() {
        assert!(
            seen["structured"].to_string().contains("grüße"),
            "{}",
            seen["structured"]
        );
    }
}

fn url_of(server: &Server) -> String {
    format!("http://{}/mcp", server.address())
}

/// What a client says that it has seen at this URL.
fn report(url: &str, command: &Command, script: &[u8]) -> Value {
    let mut with_url = Command::new(command.get_program());
    with_url.args(command.get_args().map(|argument| {
        if argument == "URL" {
            url.as_ref()
        } else {
            argument
        }
    }));
    if let Some(folder) = command.get_current_dir() {
        with_url.current_dir(folder);
    }
    let output = installed::run(&with_url, script);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{told}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(told.trim()).unwrap_or_else(|fault| panic!("{fault}: {told}"))
}

/// A client subscribes, the operator adds a tool and reloads: the client is told, and finds the new tool although it had kept the list,
/// and although its kept connections may lead to workers that are still the old ones.
fn hears_of_a_new_tool(command: &Command, script: &[u8]) {
    const TOOL: &str = "/*+++\ndescription = \"One.\"\n+++*/\nSELECT 1 AS one\n";
    let server = Setup::bare()
        .workers(1)
        .database("main", "postgres://nobody@127.0.0.1:1/none")
        .tool("first", TOOL)
        .start();
    let seen = thread::scope(|threads| {
        let client = threads.spawn(|| report(&url_of(&server), command, script));
        wait::until("the client listens", || {
            assert!(!client.is_finished(), "it left");
            server.health()["workers"][0]["subscriptions"] == 1
        });
        fs::write(server.path("own/second.sql"), TOOL).expect("a tool");
        server.signal(Signal::SIGHUP);
        client.join().expect("the client's report")
    });
    assert_eq!(
        seen,
        json!({
            "granted": {"toolsListChanged": true},
            "before": ["first"],
            "told": true,
            // Other than by the result that the protocol has for it.
            "ends": [],
            "after": ["first", "second"],
        })
    );
}

/// The `words` of the one row in a text block.
fn words(block: &Value) -> String {
    let text = block.as_str().expect("a text block");
    let rows: Value = serde_json::from_str(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    rows["items"][0]["words"]
        .as_str()
        .unwrap_or_else(|| panic!("words in {rows}"))
        .to_owned()
}

pub fn python(environment: &str, script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(installed::folder(environment).join("bin/python"));
    let script = format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    command.arg(script).arg("URL").args(arguments);
    command
}

/// A module on standard input finds its packages from the working directory.
fn typescript(arguments: &[&str]) -> Command {
    let mut command = installed::node();
    command
        .args(["--input-type=module", "-", "URL"])
        .args(arguments);
    command
}

#[test]
fn python_mcp_1() {
    sees_everything(&python("mcp1", "mcp1.py", &[]), b"", LEGACY);
}

#[test]
fn python_mcp_2_prefers_the_modern_era() {
    sees_everything(&python("mcp2", "mcp2.py", &["auto"]), b"", MODERN);
}

#[test]
fn python_mcp_2_in_legacy_mode() {
    sees_everything(&python("mcp2", "mcp2.py", &["legacy"]), b"", LEGACY);
}

#[test]
fn fastmcp_prefers_the_modern_era() {
    sees_everything(&python("fastmcp", "fast.py", &[]), b"", MODERN);
}

#[test]
fn typescript_sdk_1() {
    sees_everything(&typescript(&[]), include_bytes!("clients/sdk1.mjs"), LEGACY);
}

#[test]
fn typescript_client_2_in_legacy_mode() {
    sees_everything(
        &typescript(&["legacy"]),
        include_bytes!("clients/client2.mjs"),
        LEGACY,
    );
}

#[test]
fn typescript_client_2_in_mode_auto() {
    sees_everything(
        &typescript(&["auto"]),
        include_bytes!("clients/client2.mjs"),
        MODERN,
    );
}

#[test]
fn python_mcp_2_hears_of_a_new_tool() {
    hears_of_a_new_tool(&python("mcp2", "listen2.py", &[]), b"");
}

#[test]
fn typescript_client_2_hears_of_a_new_tool() {
    hears_of_a_new_tool(&typescript(&[]), include_bytes!("clients/listen2.mjs"));
}

/// A bot with nothing but an HTTP library: no version header, no session, and an Accept that names JSON alone.
#[test]
fn plain_http_with_json_alone() {
    let server = serve();
    let address = server.address();
    let post = |body: Value| {
        let body = body.to_string();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        http::exchange(address, request.as_bytes())
    };
    let greeting = post(
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params":
        {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "bot", "version": "0"}}}),
    );
    assert_eq!(greeting.json()["result"]["protocolVersion"], "2025-03-26");
    assert_eq!(greeting.header("mcp-session-id"), None);
    assert_eq!(
        post(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).status,
        202
    );
    let list = post(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}));
    assert_eq!(list.header("content-type"), Some("application/json"));
    assert!(
        list.json()["result"]["tools"]
            .as_array()
            .is_some_and(|tools| tools.len() > 10)
    );
    let call = post(json!({"jsonrpc": "2.0", "id": "a", "method": "tools/call",
        "params": {"name": "echo", "arguments": {"words": "grüße"}}}));
    assert_eq!(
        (call.status, call.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(call.json()["id"], "a");
    assert_eq!(words(&call.json()["result"]["content"][0]["text"]), "grüße");
}
