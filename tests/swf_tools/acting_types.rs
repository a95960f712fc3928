//! What holds of all tools that write or act alike: faulty arguments are named, and lead to nothing.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::sync::PoisonError;

use super::every::{doubles, listed, refuse_wrong_types, seen_by_clients};
use super::*;
use crate::harness::broker::{Listener, broker};
use crate::harness::canned::{Canned, Does};

/// What these tools would change.
fn state(swf: &mut Client) -> i64 {
    number(
        swf,
        "SELECT (SELECT count(*) FROM swf_systemagent WHERE status = 'EXITED') * 1000000
              + (SELECT count(*) FROM swf_workflow_executions WHERE status = 'running')",
        &[],
    )
}

#[test]
fn a_value_of_the_wrong_type_is_named_and_nobody_is_asked_or_told() {
    // Broker and PanDA monitor are one socket, which must not get a connection.
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    nobody.set_nonblocking(true).expect("a socket");
    let address = nobody.local_addr().expect("an address");
    let mut bench = Bench::start();
    let cluster = data().cluster();
    bench.server = Setup::bare()
        .workers(1)
        .variable("PANDA_BASE_URL", &format!("http://{address}"))
        .database("swf", &cluster.url("swf", LOGIN))
        .database("panda", &cluster.url("panda", LOGIN))
        .table("[programs.kill]\npath = \"/bin/kill\"\n[http]\nprivate = [\"127.0.0.0/8\"]")
        .table(&format!("[brokers.activemq]\nurl = \"stomp://{address}\""))
        .toolset(FOLDER)
        .start();
    let before = state(&mut bench.swf);
    let tools = listed(&bench, |name| {
        WRITES.contains(&name) || ACTS.contains(&name)
    });
    assert_eq!(tools.len(), 10);
    let refusals = refuse_wrong_types(&bench, &tools);
    assert!(refusals > 120, "{refusals}");
    // What is needed may not be absent, null or empty either, and is named.
    for tool in &tools {
        let filled = |value: &Value| -> Value {
            let names = tool.properties.keys();
            names.map(|name| (name.clone(), value.clone())).collect()
        };
        if tool.required.as_object().is_none_or(|all| all.is_empty()) {
            continue;
        }
        for arguments in [json!({}), filled(&Value::Null), filled(&json!(""))] {
            let message = bench.refused(&tool.name, arguments.clone());
            for name in keys(&tool.required) {
                assert!(
                    message.contains(&format!("{name}: ")),
                    "{} {arguments}: {message}",
                    tool.name
                );
            }
        }
    }
    assert_eq!(state(&mut bench.swf), before);
    let called = nobody.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(called, Err(ErrorKind::WouldBlock), "nobody was asked");
}

#[test]
fn official_clients_call_every_tool_that_acts() {
    let monitor = Canned::start(Does::Answer("200 OK", "application/json", "[]".into()));
    let more = "[http]\nprivate = [\"127.0.0.0/8\"]";
    let setup = Setup::bare().variable("PANDA_BASE_URL", &format!("http://{}", monitor.address));
    let url = format!("stomp://{}", broker().plain);
    let bench = acting::bench_of(setup, &url, None, Path::new("/bin/kill"), more);
    let _turn = acting::CONTROL
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    // Takes the messages, lest they wait for the next who listens.
    let mut listener = Listener::to("/queue/workflow_control");
    // Whether each is an error.
    let calls = [
        ("swf_kill_agent", json!({"name": "nobody"}), true),
        (
            "swf_start_user_testbed",
            json!({"username": "nobody"}),
            true,
        ),
        ("swf_stop_user_testbed", json!({"username": "nobody"}), true),
        (
            "swf_start_workflow",
            json!({"stf_interval": 2, "realtime": false}),
            false,
        ),
        ("swf_stop_workflow", json!({"execution_id": "none"}), true),
        ("swf_end_execution", json!({"execution_id": "none"}), true),
        (
            "swf_send_message",
            json!({"message": "é", "username": "u", "metadata": {"a": [1.5]}}),
            false,
        ),
        (
            "swf_record_ai_memory",
            json!({"username": "client", "session_id": "s", "role": "user", "content": "é"}),
            false,
        ),
        ("panda_study_job", json!({"pandaid": -1}), true),
        ("panda_harvester_workers", json!({"hours": 2}), false),
    ];
    let made = calls
        .iter()
        .map(|(tool, arguments, _)| ((*tool).to_owned(), arguments.clone()));
    for seen in seen_by_clients(&bench, &made.collect()) {
        assert!(listener.message().1.contains("\"stf_interval\": 2.0"));
        for (tool, _, is_error) in &calls {
            let (error, text, structured) = (&seen[tool][0], &seen[tool][1], &seen[tool][2]);
            assert_eq!(error, &json!(is_error), "{tool}: {text}");
            let text: Value = serde_json::from_str(text.as_str().expect("text")).expect("JSON");
            assert!(
                *is_error || doubles(structured.clone()) == doubles(text.clone()),
                "{tool}: {structured}"
            );
        }
    }
}
