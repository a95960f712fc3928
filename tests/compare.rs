//! `tine compare` between two real servers, and with a server of the old kind.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::database::Database;
use crate::harness::fake::{Act, Fake, Topic};
use crate::harness::server::Server;
use crate::harness::setup::Setup;

const AGENTS: &str = "
    CREATE TABLE agent (name text PRIMARY KEY, status text, beats int, seen timestamptz NOT NULL DEFAULT clock_timestamp());
    INSERT INTO agent VALUES ('daq', 'OK', 3), ('fast', 'OK', 5), ('slow', 'EXITED', 0);
    CREATE TABLE note (text text);";

const LIST: &str = r#"/*+++
description = "All agents."
+++*/
SELECT name, status, beats FROM agent ORDER BY name
"#;

const ONE: &str = r#"/*+++
description = "One agent."
shape = "row"
not_found = "No agent {name}."
error = { error = "{message}" }
[params.name]
type = "text"
description = "Its name."
[[example]]
args = { name = "daq" }
[[example]]
args = { name = "none" }
expect = { error = "No agent" }
+++*/
SELECT name, status, beats FROM agent WHERE name = :name
"#;

const CLOCK: &str = r#"/*+++
description = "The time."
shape = "row"
+++*/
SELECT clock_timestamp() AS now, 1 AS one
"#;

const WRITE: &str = r#"/*+++
description = "Writes."
annotations = { read_only = false }
+++*/
INSERT INTO note VALUES ('written') RETURNING text
"#;

fn serve(database: &Database, tools: &[(&str, &str)]) -> Server {
    let setup = Setup::bare().workers(1).database("main", &database.url);
    let setup = tools
        .iter()
        .fold(setup, |setup, (name, text)| setup.tool(name, text));
    setup.start()
}

fn url(server: &Server) -> String {
    format!("http://{}/mcp", server.address())
}

/// Exit code, standard output, standard error.
fn compare(here: &Server, there: &str, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
    command
        .args(["compare", "--against", there, "--url", &url(here)])
        .arg("--config")
        .arg(here.path("tine.toml"))
        .args(words)
        .env_remove("TINE_TOKEN");
    let output = command.output().expect("tine runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().expect("an exit code"),
        text(output.stdout),
        text(output.stderr),
    )
}

fn json(out: &str) -> Value {
    serde_json::from_str(out).unwrap_or_else(|fault| panic!("{fault}: {out}"))
}

#[test]
fn two_servers_that_answer_alike() {
    let database = Database::with(AGENTS);
    let tools = [("list", LIST), ("one", ONE), ("write", WRITE)];
    let (here, there) = (serve(&database, &tools), serve(&database, &tools));
    let (code, out, err) = compare(&here, &url(&there), &[]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("not called, may write: write\n"), "{out}");
    assert!(out.contains("3 calls: 3 alike, 0 differ; median "), "{out}");
    let written: i64 = database
        .owner()
        .query_one("SELECT count(*) FROM note", &[])
        .expect("a count")
        .get(0);
    assert_eq!(written, 0);
}

#[test]
fn a_tool_that_answers_otherwise_is_found() {
    let database = Database::with(AGENTS);
    let here = serve(&database, &[("list", LIST), ("one", ONE), ("new", CLOCK)]);
    let changed = LIST
        .replace("beats FROM", "beats + 1 AS beats FROM")
        .replace("ORDER BY name", "ORDER BY name DESC");
    let there = serve(&database, &[("list", &changed), ("one", ONE)]);
    let (code, out, _) = compare(&here, &url(&there), &[]);
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("list {}\n  items.0.beats: 3 here, 1 there\n  items.0.name: \"daq\" here, \"slow\" there\n"),
        "{out}"
    );
    assert!(out.contains("new\n  only here\n"), "{out}");
    assert!(
        out.contains("3 calls: 2 alike, 1 differ; 1 tools on one side only"),
        "{out}"
    );

    let lenient = [
        "list",
        "--unordered",
        "items",
        "--ignore",
        "list:items.*.beats",
    ];
    let (code, out, _) = compare(&here, &url(&there), &lenient);
    assert_eq!(code, 0, "{out}");
    let (code, out, _) = compare(
        &here,
        &url(&there),
        &["list", "--unordered", "items", "--json"],
    );
    assert_eq!(code, 1, "{out}");
    let report = json(&out);
    assert_eq!(report["equal"], false);
    let differences = report["calls"][0]["differences"]
        .as_array()
        .expect("differences");
    assert_eq!(differences.len(), 6, "{out}");
    assert_eq!(
        differences[0],
        json!({"path": "items.*", "here": {"name": "daq", "status": "OK", "beats": 3}})
    );
}

#[test]
fn what_changes_all_the_time_can_be_left_out() {
    let database = Database::with(AGENTS);
    let tools = [("clock", CLOCK)];
    let (here, there) = (serve(&database, &tools), serve(&database, &tools));
    let (code, out, _) = compare(&here, &url(&there), &["--json"]);
    assert_eq!(code, 1);
    assert_eq!(json(&out)["calls"][0]["differences"][0]["path"], "now");
    assert_eq!(json(&out)["here"]["answers"], 3, "asked again: {out}");
    assert_eq!(compare(&here, &url(&there), &["--ignore", "**.now"]).0, 0);
}

/// A server as the original is: indented text alone, no annotations, failures as a key of a good result. Counts nothing, writes nothing.
fn original(answers: &[(&str, Value)]) -> Fake {
    let answers: BTreeMap<String, Value> = answers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let reply = |result: Value| {
        Act::Answer(
            200,
            "",
            json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string(),
        )
    };
    Fake::reading(move |topic, body| match topic {
        Topic::List => {
            let tools: Vec<Value> = answers.keys().map(|name| json!({"name": name})).collect();
            reply(json!({ "tools": tools }))
        }
        Topic::Call => {
            let request: Value = serde_json::from_str(body).expect("a request");
            let params = &request["params"];
            let name = params["name"].as_str().expect("a name");
            let value = match &params["arguments"]["name"] {
                Value::String(agent) if agent == "none" => {
                    json!({"error": "Agent 'none' not found"})
                }
                _ => answers[name].clone(),
            };
            reply(
                json!({"content": [{"type": "text", "text": format!("{value:#}")}], "isError": false}),
            )
        }
        _ => Act::Well,
    })
}

#[test]
fn an_old_server_says_the_same_in_its_own_way() {
    let database = Database::with(AGENTS);
    let here = serve(&database, &[("list", LIST), ("one", ONE), ("write", WRITE)]);
    let daq = json!({"beats": 3, "name": "daq", "status": "OK"});
    let others = [
        json!({"name": "fast", "status": "OK", "beats": 5}),
        json!({"name": "slow", "status": "EXITED", "beats": 0}),
    ];
    let list = json!({"items": [daq, others[0], others[1]], "count": 3});
    let there = original(&[
        ("list", list.clone()),
        ("one", daq.clone()),
        ("write", json!({})),
    ]);
    let (code, out, err) = compare(&here, &there.url(), &[]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("3 calls: 3 alike") && out.contains("may write: write"),
        "{out}"
    );
    // The wording of a failure is each server's own.
    let (code, out, _) = compare(&here, &there.url(), &["--messages"]);
    assert_eq!(code, 1);
    assert!(
        out.contains(
            "one {\"name\":\"none\"}\n  failed.error: \"No agent none.\" here, \"Agent 'none' not found\" there\n"
        ),
        "{out}"
    );
    // A number is not its text, and a failure is no answer.
    let there = original(&[
        ("list", list),
        ("one", json!({"beats": "3", "name": "daq", "status": "OK"})),
        ("write", json!({})),
    ]);
    let calls = here.path("calls.jsonl");
    std::fs::write(
        &calls,
        "# what the bots ask most\n{\"tool\": \"one\", \"arguments\": {\"name\": \"daq\"}}\n\n{\"name\": \"write\"}\n",
    )
    .expect("a file");
    let calls = ["--calls", calls.to_str().expect("UTF-8")];
    let (code, out, _) = compare(&here, &there.url(), &calls);
    assert_eq!(code, 1);
    assert!(out.contains("  beats: 3 here, \"3\" there\n"), "{out}");
    assert!(out.contains("1 calls: 0 alike, 1 differ"), "{out}");
}

#[test]
fn trouble_is_no_difference() {
    let database = Database::with(AGENTS);
    let here = serve(&database, &[("write", WRITE)]);
    let nowhere = "http://127.0.0.1:1/mcp";
    let (code, out, err) = compare(&here, nowhere, &["--retries", "0"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("can't reach http://127.0.0.1:1/mcp"), "{err}");

    let (code, _, err) = compare(&here, &url(&here), &[]);
    assert_eq!(code, 1);
    assert!(err.contains("nothing to call"), "{err}");

    let file = here.path("calls");
    std::fs::write(&file, "{\"tool\": \"a\"}\n{\"tool\": 5}\n").expect("a file");
    let (code, _, err) = compare(
        &here,
        &url(&here),
        &["--calls", file.to_str().expect("UTF-8")],
    );
    assert_eq!(code, 64);
    assert!(err.contains("calls:2: expected an object"), "{err}");
}
