//! `tine probe` against a real server, and against servers that do everything wrong: the right line, the right exit code, and
//! always an end.

use std::fs;
use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use serde_json::{Value, json};
use std::os::fd::AsRawFd;

use crate::harness::database::Database;
use crate::harness::fake::{Act, Fake, Topic};
use crate::harness::http::Connection;
use crate::harness::mcp::{Era, Post};
use crate::harness::server::{Server, kill_pid};
use crate::harness::setup::{PATIENT, Setup};
use crate::harness::wait;

/// A probe that ran, or runs.
pub struct Probe(Child);

/// Exit code, standard output, standard error.
pub type Ran = (i32, String, String);

impl Probe {
    /// `words` after `tine probe`. Without a deadline among them it is patient, whatever else the machine does.
    pub fn start(words: &[&str], environment: &[(&str, &str)]) -> Probe {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tine"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TINE_")) {
            command.env_remove(name);
        }
        if !words.contains(&"--timeout") {
            command.args(["probe", "--timeout", "60s"]);
        } else {
            command.arg("probe");
        }
        let child = command
            .args(words)
            .envs(environment.iter().copied())
            // A proxy has no say in whether a server works.
            .env("http_proxy", "http://127.0.0.1:1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tine runs");
        Probe(child)
    }

    /// What it wrote fits into the pipes.
    pub fn wait(mut self) -> Ran {
        let status = wait::for_some("the probe's end", || self.0.try_wait().expect("wait"));
        let mut texts = [String::new(), String::new()];
        let mut out = self.0.stdout.take().expect("a pipe");
        out.read_to_string(&mut texts[0]).expect("UTF-8");
        let mut err = self.0.stderr.take().expect("a pipe");
        err.read_to_string(&mut texts[1]).expect("UTF-8");
        let [out, err] = texts;
        (status.code().expect("an exit code"), out, err)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // After an end that was waited for there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn probe(words: &[&str]) -> Ran {
    Probe::start(words, &[]).wait()
}

/// The line of a probe that failed with this code and this text before the URL.
#[track_caller]
pub fn assert_failed(ran: &Ran, code: i32, text: &str) {
    let (exit, out, err) = ran;
    assert_eq!((*exit, err.as_str()), (code, ""), "{out}");
    assert!(
        out.starts_with(&format!("MCP watchdog FAILED: {text}")),
        "{out:?} instead of {text:?}"
    );
    assert_eq!(out.matches('\n').count(), 1, "{out:?}");
}

/// `MCP watchdog OK: 2 tools in 0.004s`, whatever the time.
#[track_caller]
fn assert_ok(ran: &Ran, tools: usize) {
    let (exit, out, err) = ran;
    assert_eq!((*exit, err.as_str()), (0, ""), "{out}");
    let start = format!("MCP watchdog OK: {tools} tools in ");
    let seconds = out
        .strip_prefix(&start)
        .and_then(|rest| rest.strip_suffix("s\n"));
    let seconds = seconds.unwrap_or_else(|| panic!("{out:?}"));
    assert!(
        seconds.parse::<f64>().is_ok() && seconds.len() - 4 == seconds.find('.').expect("a point"),
        "{out:?}"
    );
}

fn url(server: &Server) -> String {
    format!("http://{}/mcp", server.address())
}

#[test]
fn a_server_that_works() {
    let server = Setup::at("postgres://bot@127.0.0.1:1/nowhere").start();
    let url = url(&server);
    assert_ok(&probe(&["--url", &url]), 2);
    assert_ok(&probe(&["--url", &format!("{url}/own"), "--modern"]), 2);

    let (code, out, _) = probe(&["--url", &url, "--json"]);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(code, 0);
    for (key, value) in [
        ("ok", json!(true)),
        ("tools", json!(2)),
        ("workers", json!(4)),
        ("workers_ready", json!(4)),
        ("tries", json!(1)),
        ("url", json!(url)),
        ("restarted", json!(false)),
        ("error", Value::Null),
    ] {
        assert_eq!(report[key], value, "{key} in {report}");
    }
    assert_eq!(report["server"]["name"], "tine");

    // What only a person can mend, which includes the question.
    let ran = probe(&["--url", &url, "--min-tools", "3"]);
    assert_failed(&ran, 1, "tools/list: 2 tools, at least 3 expected");
    let ran = probe(&["--url", &format!("{url}/nothing")]);
    assert_failed(&ran, 1, "initialize: answered 404 (Nothing at");
    // The database is away, and the process is well.
    let ran = probe(&["--url", &url, "--health", "/health/ready"]);
    assert_failed(&ran, 1, "health: answered 503 (main: ");
}

#[test]
fn a_server_that_asks_for_a_token() {
    let server = Setup::bare().variable("TINE_TOKEN", "open-sesame");
    let token = server.file("token", "open-sesame\n");
    let server = server.start();
    let url = url(&server);
    let words = ["--url", &url, "--min-tools", "0"];
    assert_failed(
        &probe(&words),
        1,
        "initialize: answered 401 (A bearer token",
    );
    let told = Probe::start(&words, &[("TINE_TOKEN", "open-sesame")]).wait();
    assert_ok(&told, 0);
    let mut words = words.to_vec();
    words.extend(["--token-file", token.to_str().expect("a path")]);
    assert_ok(&probe(&words), 0);
    let folder = token.parent().and_then(|folder| folder.to_str());
    let credentials = [("CREDENTIALS_DIRECTORY", folder.expect("a path"))];
    assert_ok(&Probe::start(&words[..4], &credentials).wait(), 0);
}

/// Overload is no failure: what the probe asks is answered from memory. Restarting a full pool would cost what it does.
#[test]
fn a_full_server_is_well() {
    let database = Database::fresh();
    let mut gate = database.close_gate();
    let server = Setup::new(&database)
        .option(PATIENT)
        .option("limit_concurrency = 1")
        .workers(2)
        .start();
    let call = Post::call(Era::Legacy, "gate", json!({})).bytes(server.address());
    let callers = [(); 2].map(|()| {
        let mut caller = Connection::open(server.address());
        caller.send(&call);
        caller
    });
    gate.until_waiting(2);
    assert_ok(&probe(&["--url", &url(&server)]), 2);
    gate.open();
    for mut caller in callers {
        assert_eq!(caller.response().status, 200);
    }
}

#[test]
fn a_server_that_stands_still() {
    let server = Setup::bare().workers(1).start();
    let workers = server.worker_pids();
    for &worker in &workers {
        kill_pid(worker, Signal::SIGSTOP);
    }
    let ran = probe(&["--url", &url(&server), "--timeout", "1"]);
    assert_failed(&ran, 2, "health: no answer within 1 s (http://");
    for worker in workers {
        kill_pid(worker, Signal::SIGCONT);
    }
}

#[test]
fn a_server_on_a_unix_socket() {
    let setup = Setup::bare().binds_itself();
    let path = setup.path("tine.sock");
    let config = setup.path("tine.toml");
    let server = setup
        .option(&format!("uds = {path:?}"))
        .tool(
            "one",
            "/*+++\ndescription = \"One.\"\n+++*/\nSELECT 1 AS one",
        )
        .database("main", "postgres://bot@127.0.0.1:1/nowhere")
        .launch();
    wait::until("the server answers", || {
        UnixStream::connect(&path).is_ok() && server.log().contains("serving 1 tools")
    });
    let address = format!("unix:{}|http://localhost/mcp", path.display());
    assert_ok(&probe(&["--url", &address]), 1);
    // Whatever else became of the file: all that counts is where the server is.
    let text = fs::read_to_string(&config).expect("the file");
    let faults = "tokens_file = \"credential:tokens\"\nwrokers = 3\n";
    fs::write(&config, format!("{faults}{text}")).expect("written");
    let config = config.to_str().expect("a path");
    assert_ok(&probe(&["--config", config, "--modern"]), 1);
}

#[test]
fn nobody_at_a_unix_socket_and_nobody_who_accepts() {
    let folder = std::env::temp_dir().join(format!("tine-probe-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let address = |name: &str| format!("unix:{}|http://localhost/mcp", folder.join(name).display());

    let ran = probe(&["--url", &address("none")]);
    assert_failed(&ran, 2, "health: No such file or directory");
    drop(UnixListener::bind(folder.join("left")).expect("a socket"));
    let ran = probe(&["--url", &address("left")]);
    assert_failed(&ran, 2, "health: connection refused (unix:");

    // connect(2) itself waits when the queue is full, which for a wedged server it is.
    let full = folder.join("full");
    let listener = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .expect("a socket");
    bind(
        listener.as_raw_fd(),
        &UnixAddr::new(&full).expect("an address"),
    )
    .expect("bind");
    listen(&listener, Backlog::new(0).expect("a backlog")).expect("listen");
    let _queued = UnixStream::connect(&full).expect("the one that fits");
    let ran = probe(&["--url", &address("full"), "--timeout", "500ms"]);
    assert_failed(&ran, 2, "health: no answer within 0.5 s");
    fs::remove_dir_all(&folder).expect("removed");
}

/// Every misbehaviour at each of the three questions. All at once, because many of them take the whole deadline.
#[test]
fn servers_that_misbehave() {
    const ENDED: &str = "the connection ended before the answer did";
    const LATE: &str = "no answer within 5 s";
    let said = |status, body: &str| Act::Answer(status, "", body.to_owned());
    let error = |code: i64| {
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "No.\n<0>Forged"}})
            .to_string()
    };
    let html = "<html>\n<h1>Service Unavailable</h1></html>";
    let everywhere: Vec<(Act, i32, &str)> = vec![
        (Act::Silence, 2, LATE),
        (Act::Close, 2, ENDED),
        (Act::HalfHead, 2, LATE),
        (Act::HalfHeadAndClose, 2, ENDED),
        (Act::TrickleHead, 2, LATE),
        (Act::TrickleBody, 2, LATE),
        (Act::Flood(100 << 20), 1, "the answer is longer than 8 MiB"),
        (said(500, "broken"), 1, "answered 500 (broken)"),
        (said(502, html), 1, "answered 502 (<html>)"),
        (
            Act::Answer(307, "Location: http://127.0.0.1:1/\r\n", String::new()),
            1,
            "answered 307",
        ),
    ];
    let mut rows: Vec<(Topic, Act, i32, String)> = Vec::new();
    for (topic, step) in [
        (Topic::Health, "health"),
        (Topic::Greeting, "initialize"),
        (Topic::List, "tools/list"),
    ] {
        for (act, code, text) in &everywhere {
            rows.push((topic, act.clone(), *code, format!("{step}: {text}")));
        }
    }
    let mut one = |topic, act, text: &str| rows.push((topic, act, 1, text.to_owned()));
    one(
        Topic::Health,
        said(200, "fine"),
        "health: 200, but no JSON object",
    );
    one(
        Topic::Health,
        said(200, r#"{"ok":false,"error":"disk full"}"#),
        "health: not ok: disk full",
    );
    one(
        Topic::Health,
        said(503, r#"{"ok":false,"database":"error","error":"refused"}"#),
        "health: answered 503 (refused)",
    );
    one(
        Topic::Greeting,
        said(200, html),
        "initialize: the body is no JSON object",
    );
    one(
        Topic::Greeting,
        said(200, &error(-32603)),
        "initialize: error -32603: No. (http",
    );
    one(
        Topic::Greeting,
        said(503, &error(503)),
        "initialize: answered 503 (No.) (http",
    );
    one(
        Topic::List,
        said(200, r#"{"jsonrpc":"2.0","id":1}"#),
        "tools/list: there is no result",
    );
    one(
        Topic::List,
        said(200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        "tools/list: tools/list has no tools",
    );
    one(
        Topic::List,
        said(200, r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#),
        "tools/list: 0 tools, at least 1 expected",
    );

    let running: Vec<_> = rows
        .into_iter()
        .map(|(topic, act, code, text)| {
            let fake = Fake::except(topic, act);
            let patience = if text.ends_with(LATE) { "5s" } else { "60s" };
            let probe = Probe::start(&["--url", &fake.url(), "--timeout", patience], &[]);
            (fake, probe, code, text)
        })
        .collect();
    for (fake, probe, code, text) in running {
        assert_failed(&probe.wait(), code, &text);
        drop(fake);
    }
}

/// Each page comes in time, and the list never ends: the deadline is that of the question.
#[test]
fn a_list_without_end() {
    let mut page = 0;
    let fake = Fake::new(move |topic| match topic {
        Topic::List => {
            page += 1;
            let page = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "a"}], "nextCursor": page.to_string()}});
            Act::Answer(200, "", page.to_string())
        }
        _ => Act::Well,
    });
    let ran = probe(&["--url", &fake.url(), "--timeout", "3s"]);
    assert_failed(&ran, 2, "tools/list: no answer within 3 s");
    assert!(fake.connections() > 4, "it asked for page after page");
}

#[test]
fn one_dropped_probe_is_forgiven() {
    let mut asked = 0;
    let fake = Fake::new(move |_| {
        asked += 1;
        if asked == 1 { Act::Close } else { Act::Well }
    });
    let words = ["--url", &fake.url(), "--tries", "2", "--pause", "0"];
    let (code, out, err) = probe(&words);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.starts_with("MCP watchdog OK: 2 tools in ")
            && out.ends_with("s; before that health: the connection ended before the answer did\n"),
        "{out}"
    );
    assert_eq!(
        fake.connections(),
        4,
        "each question on a connection of its own"
    );
}

#[test]
fn what_cannot_be_asked_is_a_wrong_command_line_or_configuration() {
    for words in [
        &["--url", "elsewhere"][..],
        &["--url", "http://127.0.0.1:1/mcp", "--health", "health"],
        &["--url", "http://127.0.0.1:1/mcp", "--tries", "0"],
        &["--url", "http://127.0.0.1:1/mcp", "--timeout", "0"],
        &["--restart", "tine.socket"],
        &["--restart", "tine@swf", "--restart-limit", "3"],
        &["--settle", "5s"],
    ] {
        let (code, out, err) = probe(words);
        assert_eq!((code, out.as_str()), (64, ""), "{words:?}: {err}");
    }
    let (code, out, err) = probe(&["--config", "/nowhere/tine.toml"]);
    assert_eq!((code, out.as_str()), (78, ""), "{err}");
    let (code, _, err) = probe(&["--config", "/dev/null", "--url", "http://127.0.0.1:1/mcp"]);
    assert_eq!(code, 2, "{err}");
}
