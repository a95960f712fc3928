//! The official conformance suite against its fixture tools, written as declared tools in `tests/conformance/`.
//! A baseline names what a server of tools alone cannot pass; anything else that fails, fails here, and so does
//! a baseline entry that passes.

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

/// One run of the suite; panics with all that it printed unless it is content.
fn run(arguments: &[&str]) -> String {
    let server = serve();
    let mut suite = installed::node();
    suite
        .args([
            "node_modules/@modelcontextprotocol/conformance/dist/index.js",
            "server",
            "--url",
        ])
        .arg(format!("http://{}/mcp", server.address()))
        .args(arguments);
    let output = installed::run(&suite, b"");
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{}\n{printed}", output.status);
    printed
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
