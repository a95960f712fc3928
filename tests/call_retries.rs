//! `tine call --url` sends again what a server certainly or harmlessly missed, and nothing else.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::harness::database::Database;
use crate::harness::fake::{Act, Fake, Topic};
use crate::harness::setup::{PATIENT, Setup};
use crate::harness::wait;

const FULL: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"full"}}"#;

/// Exit code, standard output, standard error.
fn call(url: &str, words: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tine"))
        .args(["call", "tool", "--config", "/dev/null", "--url", url])
        .args(words)
        .env_remove("TINE_TOKEN")
        .output()
        .expect("tine runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().expect("an exit code"),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A server with one tool, which answers the first call as told and the others well; and how many calls it has got.
fn server(reads: bool, first: Act) -> (Fake, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let list = json!({"jsonrpc": "2.0", "id": 1, "result":
        {"tools": [{"name": "tool", "annotations": {"readOnlyHint": reads, "idempotentHint": true}}]}});
    let fake = Fake::new(move |topic| match topic {
        Topic::List => Act::Answer(200, "", list.to_string()),
        Topic::Call if counted.fetch_add(1, Ordering::SeqCst) == 0 => first.clone(),
        _ => Act::Well,
    });
    (fake, calls)
}

#[test]
fn what_the_server_certainly_missed_is_sent_again() {
    let full = Act::Answer(503, "Retry-After: 1\r\n", FULL.into());
    for reads in [true, false] {
        let (server, calls) = server(reads, full.clone());
        let (code, out, err) = call(&server.url(), &[]);
        assert_eq!((code, out.as_str()), (0, "done\n"), "{err}");
        assert!(
            err.contains("answered 503") && err.contains("trying again in 1.0 s (1 of 3)"),
            "{err}"
        );
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn what_may_have_been_done_is_sent_again_only_if_it_reads() {
    let gateway = Act::Answer(504, "", "<html>late</html>".into());
    for first in [Act::Close, Act::HalfHeadAndClose, gateway] {
        let (reader, calls) = server(true, first.clone());
        let (code, out, err) = call(&reader.url(), &[]);
        assert_eq!((code, out.as_str()), (0, "done\n"), "{first:?}: {err}");
        assert_eq!(calls.load(Ordering::SeqCst), 2);

        let (writer, calls) = server(false, first.clone());
        let (code, _, err) = call(&writer.url(), &[]);
        assert_eq!(code, 2, "{first:?}: {err}");
        assert!(!err.contains("trying again"), "{first:?}: {err}");
        assert_eq!(calls.load(Ordering::SeqCst), 1, "{first:?}");
    }
}

#[test]
fn a_refusal_or_an_error_is_an_answer() {
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"broken"}}"#;
    for (status, body, exit) in [(200, error, 1), (401, FULL, 2), (500, FULL, 2)] {
        let (server, calls) = server(true, Act::Answer(status, "", body.into()));
        let (code, _, err) = call(&server.url(), &[]);
        assert_eq!(code, exit, "{err}");
        assert!(!err.contains("trying again"), "{err}");
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_server_that_is_away_is_asked_so_often_and_no_longer() {
    let url = "http://127.0.0.1:1/mcp";
    let (code, _, err) = call(url, &["--retries", "2"]);
    assert_eq!(code, 2);
    assert_eq!(err.matches("trying again").count(), 2, "{err}");
    assert!(err.contains("connection refused"), "{err}");
    let (_, _, err) = call(url, &["--retries", "0"]);
    assert_eq!(err.matches("trying again").count(), 0, "{err}");
    // The pauses would take minutes.
    let (code, _, err) = call(url, &["--retries", "100", "--timeout", "1s"]);
    assert_eq!(code, 2, "{err}");
    assert!(err.matches("trying again").count() <= 3, "{err}");
}

#[test]
fn a_full_pool_is_waited_for() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let server = Setup::new(&database)
        .workers(1)
        .option(PATIENT)
        .option("timeout_queue = \"20ms\"\nlimit_concurrency = 1")
        .start();
    let url = format!("http://{}/mcp", server.address());
    let tine = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
        command.args([
            "call",
            "--config",
            "/dev/null",
            "--retries",
            "100",
            "--timeout",
            "100s",
        ]);
        command.args(["--url", &url]);
        command
    };
    let mut holder = tine();
    let holder = holder.arg("gate").stdout(Stdio::null()).spawn();
    let holder = holder.expect("tine runs");
    gate.until_waiting(1);
    let log = server.path("waiting");
    let file = std::fs::File::create(&log).expect("a file");
    let waiting = tine()
        .args(["echo", "words=here"])
        .stderr(file)
        .stdout(Stdio::piped())
        .spawn()
        .expect("tine runs");
    wait::until("a refused call", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("answered 503"))
    });
    gate.open();
    let output = waiting.wait_with_output().expect("its end");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("here"));
    assert!(holder.wait_with_output().expect("its end").status.success());
}
