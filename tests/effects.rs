//! Tools that act: HTTP requests and programs as tools and as effects of a plan, with a real server, real programs and a real PostgreSQL.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::canned::{Canned, Does};
use crate::harness::database::Database;
use crate::harness::http::Connection;
use crate::harness::mcp::{ERAS, Era, Post};
use crate::harness::server::Server;
use crate::harness::setup::Setup;
use crate::harness::{wait, web};

/// The tool's text, and whether it is an error.
pub fn call(server: &Server, tool: &str, arguments: Value) -> (String, bool) {
    Post::call(Era::Legacy, tool, arguments)
        .send(server.address())
        .tool_text()
}

fn http_tool(address: impl std::fmt::Display, path: &str, more: &str) -> String {
    format!(
        "kind = \"http\"\ndescription = \"Asks.\"\nannotations = {{ open_world = true }}\n\
         [http]\nurl = \"http://{address}\"\npath = [\"{path}\"]\n{more}"
    )
}

#[test]
fn a_request_is_built_of_values_and_its_answer_is_the_result() {
    let web = web::start();
    let server = Setup::bare()
        .workers(1)
        .tool_file(
            "ask.toml",
            &format!(
                "kind = \"http\"\ndescription = \"Asks.\"\nannotations = {{ read_only = false }}\n\
                 error = {{ error = \"{{message}}\" }}\n\
                 [params.id]\ntype = \"integer\"\n[params.site]\ntype = \"text\"\noptional = true\n[params.more]\ntype = \"json\"\noptional = true\n\
                 [http]\nmethod = \"POST\"\nurl = \"http://{web}/base/\"\npath = [\"jobs\", \":site\", \":id\"]\n\
                 query = {{ site = \":site\", id = \":id\", json = \"\", fixed = \"a b\" }}\nheaders = {{ X-Own = \"yes\" }}\n\
                 body = {{ z = \":id\", a = [\":more\", \"::more\"] }}\n"
            ),
        )
        .tool_file("words.toml", &http_tool(web, "words", ""))
        .tool_file("inside.toml", &http_tool(web, "inside", ""))
        .table("[http]\nprivate = [\"127.0.0.1\"]")
        .start();
    let (text, is_error) = call(
        &server,
        "ask",
        json!({"id": 7, "site": "a/../b?c&d=é", "more": {"k": 1.0}}),
    );
    assert!(!is_error, "{text}");
    let echo: Value = serde_json::from_str(&text).expect("JSON");
    let site = "a%2F..%2Fb%3Fc%26d%3D%C3%A9";
    assert_eq!(
        echo["target"],
        format!("/base/jobs/{site}/7?site={site}&id=7&json&fixed=a%20b")
    );
    assert_eq!(
        (&echo["method"], &echo["own"]),
        (&json!("POST"), &json!("yes"))
    );
    assert_eq!(echo["body"], r#"{"z":7,"a":[{"k":1.0},":more"]}"#);
    for (arguments, part) in [
        (json!({"id": 7}), "needs each part of its path"),
        (json!({"id": 7, "site": ".."}), "can't be a part of a path"),
        (json!({"id": "x"}), "id: must be an integer"),
    ] {
        let (text, is_error) = call(&server, "ask", arguments);
        assert!(is_error && text.contains(part), "{text}");
        assert!(text.starts_with("{\"error\":"), "{text}");
    }
    assert_eq!(
        call(&server, "words", json!({})),
        ("no JSON\u{fffd}here".into(), false)
    );
    for era in ERAS {
        let (text, is_error) = Post::call(era, "inside", json!({}))
            .send(server.address())
            .tool_text();
        assert!(!is_error && text.contains("/echo?moved"), "{text}");
    }
}

#[test]
fn a_server_that_fails_is_an_error_in_time() {
    let web = web::start();
    let short = "timeout = \"300ms\"\n";
    let mut setup = Setup::bare()
        .workers(1)
        .table("[http]\nprivate = [\"127.0.0.1\"]");
    let cases = [
        ("hang", short, "did not answer in time"),
        ("err", "", "/err answered 500"),
        ("rubbish", "", "can't be reached"),
        ("half", "", "broke off"),
        ("big", "", "larger than 1048576 bytes"),
        ("outside", "", "redirects to another host"),
        ("circle", "", "redirects again and again"),
    ];
    for (path, more, _) in cases {
        setup = setup.tool_file(&format!("{path}.toml"), &http_tool(web, path, more));
    }
    let server = setup
        .tool_file(
            "tail.toml",
            &http_tool(web, "big", "too_large = \"tail\"\nmax_bytes = 10\n"),
        )
        .tool_file(
            "head.toml",
            &http_tool(web, "big", "too_large = \"head\"\nmax_bytes = 5\n"),
        )
        .tool_file("nobody.toml", &http_tool("127.0.0.1:1", "x", ""))
        .start();
    for (tool, _, part) in cases {
        let (text, is_error) = call(&server, tool, json!({}));
        assert!(is_error && text.contains(part), "{tool}: {text}");
        assert!(!text.contains("secret trace"), "{text}");
    }
    assert_eq!(call(&server, "tail", json!({})), ("x".repeat(10), false));
    assert_eq!(call(&server, "head", json!({})), ("x".repeat(5), false));
    assert!(call(&server, "nobody", json!({})).1);
    assert_eq!(server.workers()[0].inflight, 0);
}

#[test]
fn private_addresses_and_unlisted_hosts_are_refused() {
    let web = web::start();
    let by_value = "kind = \"http\"\ndescription = \"Asks.\"\n[params.url]\ntype = \"text\"\n[http]\nurl = \":url\"\nhosts = [\"*.example\"]\n";
    let server = Setup::bare()
        .workers(1)
        .tool_file("ask.toml", &http_tool(web, "echo", ""))
        .tool_file("any.toml", by_value)
        .start();
    let (text, is_error) = call(&server, "ask", json!({}));
    assert!(is_error && text.contains("no public address"), "{text}");
    for url in [
        "http://127.0.0.1/",
        "http://a.example@127.0.0.1/",
        "http://127.0.0.1\\.example/",
        "ftp://a.example/",
        "http://169.254.169.254/.example",
    ] {
        let (text, is_error) = call(&server, "any", json!({"url": url}));
        assert!(is_error, "{url}");
        assert!(
            text.contains("is no URL") || text.contains("not one that it may reach"),
            "{url}: {text}"
        );
    }
}

const SCHEMA: &str = "CREATE TABLE job (id int PRIMARY KEY, state text NOT NULL);
    INSERT INTO job VALUES (1, 'new'), (2, 'done'), (3, 'new');";

/// Looks a job up, runs a program for it, and writes down that it did.
const PLANNED: &str = r#"/*+++
description = "Runs a job."
annotations = { read_only = false }
shape = "document"
expect_rows = 1
error_key = "error"
error = { error = "{message}" }
[params.id]
type = "integer"
min = 0
max = 1000
[params.script]
type = "text"
default = "echo \"ran $1\""
[effects.run]
kind = "program"
program = "sh"
args = ["-c", ":script", "sh", ":id"]
[effects.then]
kind = "program"
program = "sh"
args = ["-c", "echo second"]
+++*/
SELECT CASE
    WHEN j.id IS NULL THEN json_build_object('result', json_build_object('error', 'no job ' || :id))
    WHEN j.state = 'done' THEN json_build_object('result', json_build_object('id', j.id, 'note', 'done already'))
    ELSE json_build_object('old', j.state, 'effects', json_build_array(
        json_build_object('effect', 'run', 'values', json_build_object('id', :id, 'script', :script)),
        json_build_object('effect', 'then'))) END
FROM (SELECT) one LEFT JOIN job j ON j.id = :id;

-- The second statement.
UPDATE job SET state = CASE WHEN (:outcome -> 0 ->> 'ok')::boolean THEN 'ran' ELSE 'failed' END
WHERE id = :id AND :id <> 3
RETURNING json_build_object('id', id, 'old', :plan ->> 'old', 'state', state, 'said', :outcome -> 0 ->> 'stdout',
    'then', :outcome -> 1 ->> 'stdout', 'error', :outcome -> 0 ->> 'error', 'why', :outcome -> 1 ->> 'error');
"#;

fn planned() -> (Database, Server) {
    let database = Database::with(SCHEMA);
    let server = Setup::new(&database)
        .workers(1)
        .option("timeout_request = \"4s\"\ntimeout_statement = \"3s\"")
        .tool("run_job", PLANNED)
        .table("[programs.sh]\npath = \"/bin/sh\"")
        .start();
    (database, server)
}

#[test]
fn a_plan_decides_the_server_acts_and_the_statement_reports() {
    let (database, server) = planned();
    let state = |id: i32| -> String {
        database
            .owner()
            .query_one("SELECT state FROM job WHERE id = $1", &[&id])
            .expect("a job")
            .get(0)
    };
    let run = |arguments: Value| call(&server, "run_job", arguments);
    assert_eq!(
        run(json!({"id": 9})),
        (r#"{"error":"no job 9"}"#.into(), true)
    );
    assert_eq!(
        run(json!({"id": 2})),
        (r#"{"id":2,"note":"done already"}"#.into(), false)
    );
    let (text, is_error) = run(json!({"id": 1}));
    assert!(!is_error, "{text}");
    assert_eq!(
        text,
        r#"{"id":1,"old":"new","state":"ran","said":"ran 1\n","then":"second\n","error":null,"why":null}"#
    );
    assert_eq!(state(1), "ran");
    // A value is an argument of its own, whatever it holds.
    let (text, is_error) = run(json!({"id": 1, "script": "exit 3; $(touch /nowhere)"}));
    assert!(is_error, "{text}");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["error"], "sh ended with status 3");
    assert_eq!(value["why"], "not begun: run failed before");
    assert_eq!(state(1), "failed");
    // What was done is told when the report fails.
    let (text, is_error) = run(json!({"id": 3}));
    assert!(
        is_error && text.contains("is not undone: run, then"),
        "{text}"
    );
    assert_eq!(state(3), "new");
    assert_eq!(server.workers()[0].inflight, 0);
}

#[test]
fn an_effect_ends_in_time_and_the_statement_still_reports() {
    let (_database, server) = planned();
    let (text, is_error) = call(&server, "run_job", json!({"id": 1, "script": "sleep 600"}));
    assert!(
        is_error && text.contains("did not end in time and was killed"),
        "{text}"
    );
    assert!(text.contains("\"state\":\"failed\""), "{text}");
    let (text, _) = call(&server, "run_job", json!({"id": 1}));
    assert!(text.contains("\"state\":\"ran\""), "{text}");
}

#[test]
fn a_caller_who_hangs_up_ends_the_program() {
    let (_database, server) = planned();
    let note = server.path("note");
    let script = format!("echo $$ > {}; sleep 600", note.display());
    let mut connection = Connection::open(server.address());
    let post = Post::call(Era::Legacy, "run_job", json!({"id": 1, "script": script}));
    connection.send(&post.bytes(server.address()));
    let pid = wait::for_some("the program runs", || {
        fs::read_to_string(&note)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    drop(connection);
    wait::until("the program is gone", || {
        !fs::exists(format!("/proc/{}", pid.trim())).expect("proc")
    });
    wait::until("its place is free", || server.workers()[0].inflight == 0);
    wait::until("its record tells how far it was", || {
        let log = server.log();
        let mut records = log.lines().filter(|line| line.contains("tool=run_job"));
        records.any(|line| {
            line.contains("outcome=cancelled") && line.contains("effects=\"run, then handed over\"")
        })
    });
}

#[test]
fn a_good_answer_serves_again_while_it_is_good() {
    let text = |text: &str| Does::Answer("200 OK", "text/plain", text.to_owned());
    let web = Canned::start(Does::Answer("404 Not Found", "text/plain", "no".to_owned()));
    let tool = |cache: &str, header: &str| {
        let more = format!("cache = \"{cache}\"\nheaders = {{ X-Own = \"{header}\" }}\n");
        http_tool(web.address, "x", &more)
    };
    let server = Setup::bare()
        .workers(1)
        .table("[http]\nprivate = [\"127.0.0.1\"]")
        .tool_file("long.toml", &tool("60m", "a"))
        .tool_file("other.toml", &tool("60m", "b"))
        .tool_file("short.toml", &tool("300ms", "a"))
        .start();
    let ask = |tool: &str| call(&server, tool, json!({}));
    assert!(ask("long").1, "not found");
    web.now(text("first"));
    assert_eq!(ask("long"), ("first".to_owned(), false));
    web.now(text("second"));
    assert_eq!(ask("long"), ("first".to_owned(), false));
    assert_eq!(web.asked(), ["/x", "/x"]);
    assert_eq!(ask("other"), ("second".to_owned(), false), "another header");
    ask("short");
    web.now(text("third"));
    wait::until("what is no longer good is asked for again", || {
        ask("short").0 == "third"
    });
    assert_eq!(ask("long"), ("first".to_owned(), false));
    let effects = |what: &str| {
        let record = format!("effects=\"long {what} ");
        let log = server.log();
        log.lines().filter(|line| line.contains(&record)).count()
    };
    wait::until("the records tell which came from where", || {
        [effects("failed"), effects("ok"), effects("cached")] == [1, 1, 2]
    });
}

#[test]
fn a_stop_waits_for_effects() {
    let (database, mut server) = planned();
    let note = server.path("note");
    let script = format!("echo > {}; sleep 1; echo late", note.display());
    let mut connection = Connection::open(server.address());
    let post = Post::call(Era::Legacy, "run_job", json!({"id": 1, "script": script}));
    connection.send(&post.bytes(server.address()));
    wait::until("the program runs", || note.exists());
    server.signal(Signal::SIGTERM);
    let answer = connection.response();
    assert!(answer.text().contains("late"), "{}", answer.text());
    assert!(server.wait_within(Duration::from_secs(60)).success());
    let state: String = database
        .owner()
        .query_one("SELECT state FROM job WHERE id = 1", &[])
        .expect("a job")
        .get(0);
    assert_eq!(state, "ran");
}

#[test]
fn a_worker_that_dies_takes_its_programs_along() {
    let (_database, server) = planned();
    let note = server.path("note");
    let script = format!("echo $$ > {}; exec sleep 600", note.display());
    let mut connection = Connection::open(server.address());
    let post = Post::call(Era::Legacy, "run_job", json!({"id": 1, "script": script}));
    connection.send(&post.bytes(server.address()));
    let pid = wait::for_some("the program runs", || {
        fs::read_to_string(&note)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    crate::harness::server::kill_pid(server.worker_pids()[0], Signal::SIGKILL);
    wait::until("the program is gone", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    drop(connection);
}
