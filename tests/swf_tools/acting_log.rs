//! What the tools that act leave in the application's log table: the broker's connection and messages, and what was done, each with the tool
//! as its function.

use super::acting::{bench_with_log, error};
use super::*;
use crate::harness::broker::broker;
use crate::harness::mcp::Post;

/// Level, module, function and message of what this server has written, but for what is said of databases.
fn rows(swf: &mut Client, server: &str) -> Vec<(String, String, String, String)> {
    let rows = swf
        .query(
            "SELECT levelname, module, funcname, message FROM swf_applog
             WHERE instance_name = $1 AND app_name = 'swf-monitor' AND funcname <> '' ORDER BY id",
            &[&server],
        )
        .expect("the log");
    let text = |row: &postgres::Row, column| row.get::<_, String>(column);
    rows.iter()
        .map(|row| (text(row, 0), text(row, 1), text(row, 2), text(row, 3)))
        .collect()
}

fn check(bench: &mut Bench, server: &str, expected: &[(&str, &str, &str, &str)]) {
    wait::until("the records are in the table", || {
        rows(&mut bench.swf, server).len() >= expected.len()
    });
    let found = rows(&mut bench.swf, server);
    let found: Vec<(&str, &str, &str, &str)> = found
        .iter()
        .map(|(level, module, function, message)| {
            let message = message.split(" after ").next().expect("a part");
            (level.as_str(), module.as_str(), function.as_str(), message)
        })
        .collect();
    assert_eq!(found, expected);
}

const SEND: &str = "swf_send_message";

#[test]
fn connection_messages_and_deeds_are_in_the_table() {
    let server = "log-broker-up";
    let url = format!("stomp://{}", broker().plain);
    let mut bench = bench_with_log(&url, server);
    let arguments = json!({"message": "x", "message_type": "test", "username": "u"});
    let answer = Post::call(Era::Legacy, SEND, arguments.clone()).send(bench.server.address());
    let request = crate::log_records::request_id(&answer);
    bench.call(SEND, arguments);
    bench
        .swf
        .batch_execute(
            "DELETE FROM swf_systemagent WHERE namespace = 'logging';
             INSERT INTO swf_systemagent (instance_name, agent_type, description, status, last_heartbeat, created_at, updated_at,
                 current_stf_count, total_stf_processed, workflow_enabled, namespace, operational_state)
             SELECT name, type, '', 'OK', now() + interval '1 hour', now(), now(), 0, 0, true, 'logging', 'READY'
             FROM (VALUES ('agent-manager-l''ög', 'agent_manager'), ('log-1', 'data')) AS v (name, type);
             DELETE FROM swf_workflow_executions WHERE execution_id = 'zz-log';
             INSERT INTO swf_workflow_executions (execution_id, parameter_values, status, start_time, executed_by, workflow_definition_id)
             SELECT 'zz-log', '{}', 'running', '2026-01-02T03:04:05Z', 'u', min(id) FROM swf_workflow_definitions",
        )
        .expect("an agent and an execution");
    bench.call("swf_kill_agent", json!({"name": "log-1"}));
    bench.call("swf_start_user_testbed", json!({"username": "l'ög"}));
    bench.call("swf_stop_user_testbed", json!({"username": "l'ög"}));
    bench.call("swf_end_execution", json!({"execution_id": "zz-log"}));
    error(
        &bench,
        "swf_end_execution",
        json!({"execution_id": "zz-log"}),
    );
    let connecting = format!("broker activemq: connecting to {}", broker().plain);
    let topic = "broker activemq: sent a message to /topic/epictopic";
    let queue = "broker activemq: sent a message to /queue/agent_control.l'ög";
    let (start, stop) = ("swf_start_user_testbed", "swf_stop_user_testbed");
    check(
        &mut bench,
        server,
        &[
            ("INFO", "stomp", SEND, &connecting),
            (
                "INFO",
                "stomp",
                SEND,
                "broker activemq: connected, to send only",
            ),
            ("INFO", "stomp", SEND, topic),
            ("INFO", "record", SEND, "swf_send_message ok"),
            ("INFO", "stomp", SEND, topic),
            ("INFO", "record", SEND, "swf_send_message ok"),
            (
                "INFO",
                "record",
                "swf_kill_agent",
                "swf_kill_agent ok: 'log-1' pid=none killed=false error=none",
            ),
            ("INFO", "stomp", start, queue),
            (
                "INFO",
                "record",
                start,
                "swf_start_user_testbed ok: start_testbed sent for 'l'ög' (config agent manager default)",
            ),
            ("INFO", "stomp", stop, queue),
            (
                "INFO",
                "record",
                stop,
                "swf_stop_user_testbed ok: stop_testbed sent for 'l'ög'",
            ),
            (
                "INFO",
                "record",
                "swf_end_execution",
                "swf_end_execution ok: 'zz-log' terminated, was running since 2026-01-02T03:04:05+00:00",
            ),
            (
                "INFO",
                "record",
                "swf_end_execution",
                "swf_end_execution tool_error",
            ),
        ],
    );
    // All that the call led to is under its request id, and its own record tells of its effects.
    let of_call = "SELECT count(*) FROM swf_applog WHERE extra_data->>'request' = $1";
    assert_eq!(number(&mut bench.swf, of_call, &[&request]), 4);
    let extra = texts(
        &mut bench.swf,
        "SELECT extra_data::text FROM swf_applog WHERE extra_data->>'request' = $1 AND module = 'record'",
        &[&request],
    );
    let extra: Value = serde_json::from_str(&extra[0]).expect("JSON");
    let effects = extra["effects"].as_str().expect("effects");
    assert!(
        effects.starts_with("send ok ") && effects.ends_with("ms"),
        "{extra}"
    );
    assert_eq!(
        (&extra["outcome"], &extra["rows"]),
        (&json!("ok"), &json!(1))
    );
    assert!(extra["duration_ms"].as_f64() > Some(0.0), "{extra}");
    bench
        .swf
        .batch_execute(
            "DELETE FROM swf_systemagent WHERE namespace = 'logging';
             DELETE FROM swf_workflow_executions WHERE execution_id = 'zz-log'",
        )
        .expect("as before");
}

#[test]
fn a_broker_that_is_down_is_in_the_table() {
    let server = "log-broker-down";
    let mut bench = bench_with_log("stomp://127.0.0.1:1", server);
    error(&bench, SEND, json!({"message": "x", "username": "u"}));
    let down = "127.0.0.1:1 can't be reached: Connection refused (os error 111)";
    check(
        &mut bench,
        server,
        &[
            (
                "INFO",
                "stomp",
                SEND,
                "broker activemq: connecting to 127.0.0.1:1",
            ),
            (
                "ERROR",
                "stomp",
                SEND,
                &format!("broker activemq: can't connect: {down}"),
            ),
            (
                "ERROR",
                "stomp",
                SEND,
                &format!("broker activemq: no message sent to /topic/epictopic: {down}"),
            ),
            ("INFO", "effects", SEND, "effect send failed"),
            ("INFO", "record", SEND, "swf_send_message tool_error"),
        ],
    );
    let effects = text(
        &mut bench.swf,
        &format!(
            "SELECT extra_data->>'effects' FROM swf_applog WHERE instance_name = '{server}' AND module = 'record' AND funcname = '{SEND}'"
        ),
    );
    assert!(effects.starts_with("send failed "), "{effects}");
}

#[test]
fn a_memory_that_could_not_be_kept_is_in_the_table() {
    let server = "log-memory";
    let mut bench = bench_with_log("stomp://127.0.0.1:1", server);
    bench
        .swf
        .batch_execute("REVOKE INSERT ON swf_ai_memory FROM bot")
        .expect("a change");
    let turn = json!({"username": "u", "session_id": "s", "role": "user", "content": "x"});
    error(&bench, "swf_record_ai_memory", turn);
    bench
        .swf
        .batch_execute("GRANT INSERT ON swf_ai_memory TO bot")
        .expect("as before");
    check(
        &mut bench,
        server,
        &[(
            "WARNING",
            "record",
            "swf_record_ai_memory",
            "swf_record_ai_memory database_error",
        )],
    );
    let why = text(
        &mut bench.swf,
        &format!(
            "SELECT extra_data->>'error' FROM swf_applog WHERE instance_name = '{server}' AND funcname = 'swf_record_ai_memory'"
        ),
    );
    assert!(why.contains("permission denied"), "{why}");
}
