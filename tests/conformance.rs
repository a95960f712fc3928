//! The official conformance suite against its fixture tools, written as declared tools in `tests/conformance/`.
//! A baseline names what a server of tools alone cannot pass; anything else that fails, fails here, and so does
//! a baseline entry that passes.

use std::fs;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use postgres::fallible_iterator::FallibleIterator;

use crate::harness::database::Database;
use crate::harness::installed;
use crate::harness::server::Server;
use crate::harness::setup::Setup;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance");

fn serve() -> Server {
    let database = Database::with(include_str!("conformance/schema.sql"));
    Setup::bare()
        .database("main", &database.url)
        .toolset(format!("{FOLDER}/toolset"))
        .start()
}

/// One run of the suite against a server of its own; panics with all that it printed unless it is content.
fn run(arguments: &[&str]) -> String {
    let output = run_against(&serve(), arguments);
    let printed = printed(&output);
    assert!(output.status.success(), "{}\n{printed}", output.status);
    printed
}

fn run_against(server: &Server, arguments: &[&str]) -> Output {
    let mut suite = installed::node();
    suite
        .args([
            "node_modules/@modelcontextprotocol/conformance/dist/index.js",
            "server",
            "--url",
        ])
        .arg(format!("http://{}/mcp", server.address()))
        .args(arguments);
    installed::run(&suite, b"")
}

fn printed(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn meets_requirements(revision: &str) {
    let baseline = format!("{FOLDER}/expected-failures-{revision}.yml");
    let printed = run(&["--requirements", revision, "--expected-failures", &baseline]);
    // The suite succeeds without a word when it has run nothing at all.
    assert!(printed.contains("tools-call-simple-text"), "{printed}");
}

fn passes(scenario: &str, revision: &str) {
    let printed = run(&["--scenario", scenario, "--spec-version", revision]);
    assert!(
        printed.contains("Passed: ") && !printed.contains("Passed: 0/"),
        "{printed}"
    );
}

#[test]
fn requirements_of_2025_11_25() {
    meets_requirements("2025-11-25");
}

#[test]
fn requirements_of_2026_07_28() {
    meets_requirements("2026-07-28");
}

#[test]
fn json_schema_2020_12_in_the_legacy_era() {
    passes("json-schema-2020-12", "2025-11-25");
}

#[test]
fn json_schema_2020_12_in_the_modern_era() {
    passes("json-schema-2020-12", "2026-07-28");
}

#[test]
fn http_header_validation() {
    passes("http-header-validation", "2026-07-28");
}

#[test]
fn http_custom_header_server_validation() {
    passes("http-custom-header-server-validation", "2026-07-28");
}

/// The suite calls this tool and expects that the list of tools changes. A tool of ours cannot do that; it can ask the operator.
const TRIGGER_TOOL: &str = r#"/*+++
description = "Asks for another tool."
+++*/
SELECT 'asked' AS done FROM (SELECT pg_notify('tools', '')) AS passed
"#;

const ANOTHER_TOOL: &str = "/*+++\ndescription = \"One.\"\n+++*/\nSELECT 1 AS one\n";

/// How often the suite may try: it waits 1.5 s for what follows its call, and a busy machine may need longer.
const TRIES: usize = 5;

#[test]
fn subscribers_hear_of_a_tool_that_the_operator_adds_when_he_is_asked() {
    let database = Database::with(include_str!("conformance/schema.sql"));
    let server = Setup::bare()
        .database("main", &database.url)
        .toolset(format!("{FOLDER}/toolset"))
        .tool("test_trigger_tool_change", TRIGGER_TOOL)
        .start();
    let mut asked = database.owner();
    asked.batch_execute("LISTEN tools").expect("LISTEN");
    let over = AtomicBool::new(false);
    let outputs = thread::scope(|threads| {
        threads.spawn(|| {
            let mut added = 0;
            while !over.load(Ordering::SeqCst) {
                let mut news = asked.notifications();
                let mut news = news.timeout_iter(Duration::from_millis(100));
                if news.next().expect("a session").is_some() {
                    added += 1;
                    let file = server.path(&format!("own/added_{added}.sql"));
                    fs::write(file, ANOTHER_TOOL).expect("a tool");
                    server.signal(Signal::SIGHUP);
                }
            }
        });
        let arguments = [
            "--scenario",
            "server-stateless",
            "--spec-version",
            "2026-07-28",
        ];
        let mut outputs = Vec::new();
        while outputs.len() < TRIES
            && !outputs
                .last()
                .is_some_and(|output: &Output| output.status.success())
        {
            outputs.push(run_against(&server, &arguments));
        }
        over.store(true, Ordering::SeqCst);
        outputs
    });
    let last = outputs.last().expect("at least one");
    let printed = printed(last);
    assert!(last.status.success(), "{printed}");
    // Skipped is not passed.
    let heard = "sep-2575-server-sends-tools-list-changed-on-subscription";
    let heard = printed.lines().find(|line| line.contains(heard));
    assert!(
        heard.is_some_and(|line| line.contains("SUCCESS")),
        "{printed}"
    );
}
