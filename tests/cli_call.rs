//! `tine check`, `tine call` and `tine tools` on the tool file that the README shows: from the files, and in a running
//! server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::server::Server;
use crate::harness::setup::Setup;

const TICKETS: &str = "
    CREATE TABLE ticket (id int PRIMARY KEY, project text, title text, status text, created_at timestamptz NOT NULL);
    INSERT INTO ticket SELECT n, 'p' || n % 2, 'Ticket ' || n, CASE WHEN n % 3 = 0 THEN 'closed' ELSE 'open' END,
                              timestamptz '2026-01-01 00:00Z' + n * interval '1 hour' FROM generate_series(1, 20) n;";

/// The README's own example, so that it stays one that works.
fn readme_tool() -> String {
    let readme =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md");
    let (_, rest) = readme.split_once("```sql\n").expect("a tool in the README");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// A folder with `tine.toml` and a toolset, as an operator has it.
struct Place(PathBuf);

/// Exit code, standard output, standard error.
type Ran = (i32, String, String);

impl Place {
    fn new(database_url: &str) -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "tine-call-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let place = Place(std::env::temp_dir().join(name));
        fs::create_dir_all(place.toolset()).expect("folders");
        place.write(
            "tine.toml",
            &format!("toolsets = [\"tickets\"]\n[databases.main]\nurl = \"{database_url}\"\n"),
        );
        place.write("tickets/list_tickets.sql", &readme_tool());
        place
    }

    fn toolset(&self) -> PathBuf {
        self.0.join("tickets")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("a file");
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.run_with(words, &[])
    }

    fn run_with(&self, words: &[&str], environment: &[(&str, &str)]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_tine"))
            .args(words)
            .current_dir(&self.0)
            .env_remove("TINE_TOKEN")
            .envs(environment.iter().copied())
            .output()
            .expect("tine runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (
            output.status.code().expect("an exit code"),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// Runs a command that must succeed without a word on standard error.
    #[track_caller]
    fn output(&self, words: &[&str]) -> String {
        let (code, out, err) = self.run(words);
        assert_eq!((code, err.as_str()), (0, ""), "{words:?}: {out}");
        out
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn url(server: &Server) -> String {
    format!("http://{}/mcp", server.address())
}

#[test]
fn a_call_from_the_files() {
    let database = Database::with(TICKETS);
    let place = Place::new(&database.url);

    let result: Value = serde_json::from_str(&place.output(&[
        "call",
        "list_tickets",
        "project=p1",
        "limit=2",
        "--json",
    ]))
    .expect("JSON");
    assert_eq!(result["isError"], false);
    let items = result["structuredContent"]["items"]
        .as_array()
        .expect("items");
    assert_eq!(
        items.iter().map(|item| &item["id"]).collect::<Vec<_>>(),
        [19, 17]
    );

    let cursor = result["structuredContent"]["next_cursor"]
        .as_str()
        .expect("a cursor");
    let text = place.output(&[
        "call",
        "list_tickets",
        "project=p1",
        "limit=2",
        &format!("cursor={cursor}"),
    ]);
    let next: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(next["items"][0]["id"], 15);
    assert!(!text.trim_end().contains('\n'), "raw for a program: {text}");

    let (code, out, err) = place.run(&[
        "call",
        "list_tickets",
        "project=p1",
        "status:=\"closed\"",
        "colour=red",
    ]);
    assert_eq!(code, 0, "{err}");
    assert!(
        err.contains("warning: list_tickets has no parameter colour"),
        "{err}"
    );
    let found: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        found["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| &item["id"])
            .collect::<Vec<_>>(),
        [15, 9, 3]
    );
}

#[test]
fn what_a_call_may_end_with() {
    let database = Database::with(TICKETS);
    let place = Place::new(&database.url);

    let (code, out, _) = place.run(&["call", "list_tickets", "project=P!", "status=opne"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("project") && out.contains("must be one of open, wip, closed"),
        "{out}"
    );

    let (code, _, err) = place.run(&["call", "list_ticket"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("there is no tool list_ticket; did you mean list_tickets?"),
        "{err}"
    );

    place.write(
        "tickets/broken.sql",
        "/*+++\ntitel = \"x\"\n+++*/\nSELECT 1",
    );
    let (code, out, err) = place.run(&["tools"]);
    assert_eq!(code, 78, "{err}");
    assert!(
        out.contains("list_tickets") && err.contains("broken.sql:2:1") && err.contains("title"),
        "{out}{err}"
    );
    assert_eq!(place.run(&["call", "broken"]).0, 78);
    assert_eq!(
        place.run(&["call", "list_tickets", "project=p1"]).0,
        0,
        "another file's fault is no obstacle"
    );

    let nowhere = Place::new("postgres://bot@127.0.0.1:1/nowhere");
    let (code, _, err) = nowhere.run(&["call", "list_tickets", "project=p1"]);
    assert_eq!(code, 2);
    assert!(err.contains("can't reach database main"), "{err}");

    // An address that no server can have is a wrong command line, not a server that is away.
    for words in [
        ["call", "list_tickets", "--url", "localhost:8000"],
        ["tools", "list_tickets", "--url", "ftp://x/mcp"],
    ] {
        let (code, _, err) = nowhere.run(&words);
        assert_eq!(code, 64, "{err}");
        assert!(err.contains("expected a URL such as"), "{err}");
    }
}

#[test]
fn a_check_of_the_files() {
    let database = Database::with(TICKETS);
    let place = Place::new(&database.url);
    let report = place.output(&["check"]);
    assert!(
        report.contains("list_tickets") && report.contains("0 errors"),
        "{report}"
    );
    let json: Value = serde_json::from_str(&place.output(&["check", "--json"])).expect("JSON");
    assert_eq!(json["ok"], true);
    assert_eq!(
        json["tools"][0]["examples"].as_array().map(Vec::len),
        Some(2),
        "{json}"
    );

    let unlike = readme_tool().replace("t.title", "t.titel");
    place.write("tickets/list_tickets.sql", &unlike);
    let (code, out, _) = place.run(&["check"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("titel") && out.contains("list_tickets.sql:"),
        "{out}"
    );
    assert!(
        place.output(&["check", "--offline"]).contains("0 errors"),
        "the file itself is well-formed"
    );

    let nowhere = Place::new("postgres://bot:hunter2@127.0.0.1:1/nowhere");
    let (code, out, err) = nowhere.run(&["check"]);
    assert_eq!(code, 2);
    assert!(
        out.contains("`main` can't be reached") && !format!("{out}{err}").contains("hunter2"),
        "{out}{err}"
    );
}

#[test]
fn tools_from_the_files() {
    let place = Place::new("postgres://bot@127.0.0.1:1/nowhere");
    assert_eq!(place.output(&["tools"]), "list_tickets  List tickets\n");
    assert_eq!(place.output(&["tools", "--names"]), "list_tickets\n");
    let detail = place.output(&["tools", "list_tickets"]);
    for part in [
        "Newest tickets of one project.",
        "project  string, required",
        "one of open, wip, closed",
        "readOnlyHint true",
    ] {
        assert!(detail.contains(part), "{part} in:\n{detail}");
    }
    let json: Value =
        serde_json::from_str(&place.output(&["tools", "list_tickets", "--json"])).expect("JSON");
    assert_eq!(
        json["inputSchema"]["properties"]["status"]["enum"],
        json!(["open", "wip", "closed"])
    );
}

#[test]
fn a_running_server_answers_the_same() {
    let database = Database::with(TICKETS);
    let place = Place::new(&database.url);
    let server = Setup::bare()
        .database("main", &database.url)
        .toolset(place.toolset())
        .start();
    let url = url(&server);

    let words = [
        "call",
        "list_tickets",
        "project=p0",
        "status=open",
        "--json",
    ];
    let mut remote = words.to_vec();
    remote.extend(["--url", &url]);
    // But for the request id, which only a server gives.
    let mut answered: serde_json::Value =
        serde_json::from_str(&place.output(&remote)).expect("JSON");
    let meta = answered
        .as_object_mut()
        .and_then(|result| result.remove("_meta"));
    assert!(meta.is_some_and(|meta| meta["io.tine/requestId"].is_string()));
    let local: serde_json::Value = serde_json::from_str(&place.output(&words)).expect("JSON");
    assert_eq!(answered, local);
    assert_eq!(
        place
            .run(&["call", "list_tickets", "project=!", "--url", &url])
            .0,
        1
    );
    assert_eq!(
        place.output(&["tools", "--json", "--url", &url]),
        place.output(&["tools", "--json"])
    );

    assert_eq!(
        place.output(&["tools", "--diff", &url]),
        "1 tools, nothing differs\n"
    );
    place.write(
        "tickets/list_tickets.sql",
        &readme_tool().replace("max = 100", "max = 50"),
    );
    place.write(
        "tickets/one.sql",
        "/*+++\ndescription = \"One.\"\n+++*/\nSELECT 1 AS one",
    );
    let (code, out, _) = place.run(&["tools", "--diff", &url]);
    assert_eq!(code, 1);
    assert!(out.contains("-     inputSchema.properties.limit.maximum: 100\n+     inputSchema.properties.limit.maximum: 50\n"), "{out}");
    assert!(out.contains("+ one\n"), "{out}");
}

#[test]
fn a_running_server_may_ask_for_a_token() {
    let place = Place::new("postgres://bot@127.0.0.1:1/nowhere");
    let server = Setup::bare()
        .database("main", "postgres://bot@127.0.0.1:1/nowhere")
        .toolset(place.toolset());
    let server = server.variable("TINE_TOKEN", "open-sesame").start();
    let url = url(&server);

    let (code, _, err) = place.run(&["tools", "--url", &url]);
    assert_eq!(code, 2);
    assert!(
        err.contains("answered 401") && err.contains("TINE_TOKEN"),
        "{err}"
    );
    let (code, out, err) = place.run_with(
        &["tools", "--names", "--url", &url],
        &[("TINE_TOKEN", "open-sesame")],
    );
    assert_eq!((code, out.as_str()), (0, "list_tickets\n"), "{err}");
    place.write("token", "open-sesame\n");
    assert_eq!(
        place.output(&["tools", "--names", "--url", &url, "--token-file", "token"]),
        "list_tickets\n"
    );
}
