//! swf_start_workflow, swf_stop_workflow and swf_end_execution: their messages byte for byte but for the time in them, and what they say when
//! nothing can be done.

use std::sync::PoisonError;

use super::acting::{CONTROL, TESTBED, add_agent, bench, bench_at, error, remove_agents, timeless};
use super::*;
use crate::harness::broker::Listener;

#[test]
fn workflows_are_started_by_a_message() {
    let bench = bench(Some(TESTBED), "");
    let _turn = CONTROL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut listener = Listener::to("/queue/workflow_control");
    let answer = bench.call(
        "swf_start_workflow",
        json!({"config": "ünï.toml", "stf_count": 0, "stf_interval": 2, "physics_period_duration": 0.25}),
    );
    let (head, body) = listener.message();
    assert!(
        !head.contains("content-type") && !head.contains("persistent"),
        "{head}"
    );
    assert_eq!(
        timeless(&body),
        r#"{"msg_type": "run_workflow", "namespace": "bench-\u00e9", "workflow_name": "fast", "config": "\u00fcn\u00ef.toml", "realtime": false, "duration": 0, "params": {"zeta": 1, "stf_interval": 2.0, "alpha": "x", "stf_count": 0, "physics_period_duration": 0.25, "namespace": "bench-\u00e9"}, "timestamp": "T", "source": "mcp"}"#
    );
    assert_eq!(
        keys(&answer),
        [
            "success",
            "message",
            "workflow_name",
            "namespace",
            "config",
            "realtime",
            "params",
            "note"
        ]
    );
    assert_eq!(answer["params"]["stf_interval"], json!(2.0));

    let mut running = bench;
    let id = text(
        &mut running.swf,
        "SELECT execution_id FROM swf_workflow_executions WHERE status = 'running' ORDER BY 1 LIMIT 1",
    );
    let namespace = text(
        &mut running.swf,
        &format!(
            "SELECT to_json(namespace)::text FROM swf_workflow_executions WHERE execution_id = '{id}'"
        ),
    );
    let answer = running.call("swf_stop_workflow", json!({"execution_id": id}));
    assert_eq!(
        timeless(&listener.message().1),
        format!(
            r#"{{"msg_type": "stop_workflow", "execution_id": "{id}", "namespace": {namespace}, "timestamp": "T", "source": "mcp"}}"#
        )
    );
    assert_eq!(
        keys(&answer),
        ["success", "message", "execution_id", "namespace", "note"]
    );
    let none = error(
        &running,
        "swf_stop_workflow",
        json!({"execution_id": "o'no"}),
    );
    assert_eq!(
        none,
        json!({"success": false, "error": "There is no execution 'o'no'."})
    );
}

#[test]
fn without_a_configured_testbed_defaults_hold() {
    let bench = bench(None, "");
    let _turn = CONTROL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut listener = Listener::to("/queue/workflow_control");
    bench.call(
        "swf_start_workflow",
        json!({"namespace": "n", "realtime": true, "physics_period_count": 5}),
    );
    assert_eq!(
        timeless(&listener.message().1),
        r#"{"msg_type": "run_workflow", "namespace": "n", "workflow_name": "stf_datataking", "config": "fast_processing_default", "realtime": true, "duration": 0, "params": {"physics_period_count": 5, "namespace": "n"}, "timestamp": "T", "source": "mcp"}"#
    );
}

#[test]
fn a_broker_that_is_down_is_told_in_each_tools_own_form() {
    // Nobody listens there.
    let mut bench = bench_at("stomp://127.0.0.1:1", None, "");
    let down = |answer: &Value| {
        assert_eq!(answer["success"], false);
        let words = answer["error"].as_str().expect("words");
        assert!(
            words.contains("could not be sent") && words.contains("can't be reached"),
            "{words}"
        );
    };
    let answer = error(&bench, "swf_start_workflow", json!({"namespace": "n"}));
    assert_eq!(
        keys(&answer),
        ["success", "error", "workflow_name", "namespace"]
    );
    down(&answer);
    let id = text(
        &mut bench.swf,
        "SELECT execution_id FROM swf_workflow_executions WHERE status = 'running' ORDER BY 1 LIMIT 1",
    );
    let answer = error(&bench, "swf_stop_workflow", json!({"execution_id": id}));
    assert_eq!(keys(&answer), ["success", "error", "execution_id"]);
    down(&answer);
    down(&error(
        &bench,
        "swf_send_message",
        json!({"message": "x", "username": "u"}),
    ));
}

#[test]
fn an_execution_is_ended_once() {
    let mut bench = bench_at("stomp://127.0.0.1:1", None, "");
    bench
        .swf
        .batch_execute(
            "DELETE FROM swf_workflow_executions WHERE execution_id = 'to-end';
             INSERT INTO swf_workflow_executions (execution_id, parameter_values, status, start_time, executed_by, workflow_definition_id)
             SELECT 'to-end', '{}', 'running', '2026-01-02T03:04:05Z', 'u', min(id) FROM swf_workflow_definitions",
        )
        .expect("an execution");
    let answer = bench.call("swf_end_execution", json!({"execution_id": "to-end"}));
    assert_eq!(
        keys(&answer),
        [
            "success",
            "execution_id",
            "old_status",
            "new_status",
            "start_time",
            "end_time"
        ]
    );
    assert_eq!(answer["start_time"], "2026-01-02T03:04:05+00:00");
    assert_eq!(
        text(
            &mut bench.swf,
            "SELECT status FROM swf_workflow_executions WHERE execution_id = 'to-end' AND end_time IS NOT NULL"
        ),
        "terminated"
    );
    for (id, part) in [
        ("to-end", "not running (status: terminated)"),
        ("no'ne", "no execution 'no'ne'"),
    ] {
        let refused = error(&bench, "swf_end_execution", json!({"execution_id": id}));
        assert_eq!(keys(&refused), ["success", "error"]);
        assert!(
            refused["error"].as_str().expect("words").contains(part),
            "{refused}"
        );
    }
    bench
        .swf
        .batch_execute("DELETE FROM swf_workflow_executions WHERE execution_id = 'to-end'")
        .expect("an execution");
}

/// A start's body, but for its time.
fn start(namespace: &str, name: &str, config: &str, rest: &str) -> String {
    format!(
        r#"{{"msg_type": "run_workflow", "namespace": {namespace}, "workflow_name": {name}, "config": {config}, {rest}, "timestamp": "T", "source": "mcp"}}"#
    )
}

#[test]
fn every_argument_of_a_start_has_its_place_in_the_message() {
    let bench = bench(Some("[testbed]\nnamespace = \"bench\"\n"), "");
    let _turn = CONTROL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut listener = Listener::to("/queue/workflow_control");
    let name = r#""stf_datataking""#;
    let config = r#""fast_processing_default""#;
    let own = r#""bench""#;
    let usual = r#""realtime": true, "duration": 0, "params": {"namespace": "bench"}"#;
    let with = |realtime: &str, duration: &str, params: &str| {
        let rest = format!(
            r#""realtime": {realtime}, "duration": {duration}, "params": {{{params}"namespace": "bench"}}"#
        );
        start(own, name, config, &rest)
    };
    let params = |params: &str| with("true", "0", params);
    for (arguments, body) in [
        (json!({}), params("")),
        (
            json!({"workflow_name": null, "config": "", "namespace": "", "realtime": null, "stf_count": null, "stf_interval": null}),
            params(""),
        ),
        (
            json!({"workflow_name": "it's 100% \"läuft\" \\ \u{1F600}"}),
            start(
                own,
                r#""it's 100% \"l\u00e4uft\" \\ \ud83d\ude00""#,
                config,
                usual,
            ),
        ),
        (
            json!({"config": "a\nb\tc"}),
            start(own, name, r#""a\nb\tc""#, usual),
        ),
        (
            json!({"namespace": "空"}),
            start(
                r#""\u7a7a""#,
                name,
                config,
                r#""realtime": true, "duration": 0, "params": {"namespace": "\u7a7a"}"#,
            ),
        ),
        (json!({"realtime": false}), with("false", "0", "")),
        (json!({"realtime": "true"}), with("true", "0", "")),
        (json!({"realtime": 0}), with("false", "0", "")),
        (json!({"duration": "90"}), with("true", "90", "")),
        (
            json!({"duration": i64::MIN}),
            with("true", "-9223372036854775808", ""),
        ),
        (json!({"stf_count": 0}), params(r#""stf_count": 0, "#)),
        (json!({"stf_count": 12.0}), params(r#""stf_count": 12, "#)),
        (
            json!({"physics_period_count": 3}),
            params(r#""physics_period_count": 3, "#),
        ),
        (
            json!({"physics_period_duration": 0}),
            params(r#""physics_period_duration": 0.0, "#),
        ),
        (
            json!({"physics_period_duration": "7"}),
            params(r#""physics_period_duration": 7.0, "#),
        ),
        (
            json!({"stf_interval": -2.5}),
            params(r#""stf_interval": -2.5, "#),
        ),
        (
            json!({"stf_interval": 1, "physics_period_duration": 2, "physics_period_count": 3, "stf_count": 4}),
            params(
                r#""stf_count": 4, "physics_period_count": 3, "physics_period_duration": 2.0, "stf_interval": 1.0, "#,
            ),
        ),
    ] {
        let answer = bench.call("swf_start_workflow", arguments.clone());
        let sent = listener.message().1;
        assert_eq!(timeless(&sent), body, "{arguments}");
        // What is told is what was sent.
        let sent: Value = serde_json::from_str(&sent).expect("JSON");
        let name = sent["workflow_name"].as_str().expect("a name");
        let expected = json!({
            "success": true,
            "message": format!("The start command for workflow '{name}' was sent to the DAQ simulator."),
            "workflow_name": name, "namespace": sent["namespace"], "config": sent["config"], "realtime": sent["realtime"],
            "params": sent["params"],
            "note": "It runs by itself; swf_list_workflow_executions shows how it goes.",
        });
        assert_eq!(answer, expected, "{arguments}");
    }
}

#[test]
fn a_namespace_is_that_of_the_manager_heard_last_else_torre1() {
    // A configuration that is broken is none.
    let mut bench = bench(Some("[testbed\nnamespace"), "");
    let _turn = CONTROL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut listener = Listener::to("/queue/workflow_control");
    remove_agents(&mut bench.swf, "agent-manager-newest");
    let mut namespace = |bench: &Bench| {
        let answer = bench.call("swf_start_workflow", json!({}));
        let sent: Value = serde_json::from_str(&listener.message().1).expect("JSON");
        assert_eq!(sent["params"]["namespace"], sent["namespace"]);
        assert_eq!(answer["namespace"], sent["namespace"]);
        sent["namespace"].as_str().expect("a name").to_owned()
    };
    // Neither another kind of agent nor one without a heartbeat counts.
    for (agent, heartbeat) in [
        (
            ["agent-manager-newest", "agent_manager", "neu'e%", "READY"],
            "now() + interval '2 hours'",
        ),
        (
            ["agent-manager-newest-2", "data", "wrong", "READY"],
            "now() + interval '3 hours'",
        ),
        (
            ["agent-manager-newest-3", "agent_manager", "wrong", "READY"],
            "NULL",
        ),
    ] {
        add_agent(&mut bench.swf, agent, heartbeat);
    }
    assert_eq!(namespace(&bench), "neu'e%");
    let nowhere = ["agent-manager-newest-4", "agent_manager", "", "READY"];
    add_agent(&mut bench.swf, nowhere, "now() + interval '2 days'");
    assert_eq!(namespace(&bench), "torre1");
    remove_agents(&mut bench.swf, "agent-manager-newest");
}

const IDS: [&str; 5] = [
    "zz-%'é\"\\",
    "zz-plain",
    "zz-Running",
    "zz-completed",
    "zz-terminated",
];
const STATES: [&str; 5] = ["running", "running", "Running", "completed", "terminated"];
const SPACES: [Option<&str>; 5] = [Some("ruhig's"), None, None, Some("x"), None];

#[test]
fn only_what_runs_is_stopped_or_ended() {
    let mut bench = bench(None, "");
    let _turn = CONTROL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut listener = Listener::to("/queue/workflow_control");
    let remove = "DELETE FROM swf_workflow_executions WHERE starts_with(execution_id, 'zz-')";
    bench.swf.batch_execute(remove).expect("executions");
    for ((id, status), namespace) in IDS.iter().zip(STATES).zip(SPACES) {
        let add = "INSERT INTO swf_workflow_executions (execution_id, parameter_values, status, start_time, executed_by, workflow_definition_id, namespace)
                   SELECT $1, '{\"a\": 1}', $2, '2026-01-02T03:04:05.000006Z', 'u', min(id), $3 FROM swf_workflow_definitions";
        bench
            .swf
            .execute(add, &[id, &status, &namespace])
            .expect("an execution");
    }
    for (id, namespace) in IDS.iter().zip(SPACES).take(2) {
        let answer = bench.call("swf_stop_workflow", json!({"execution_id": id}));
        let expected = json!({
            "success": true, "message": format!("The stop command for execution '{id}' was sent."), "execution_id": id,
            "namespace": namespace, "note": "It stops at its next checkpoint; swf_get_workflow_execution shows when.",
        });
        assert_eq!(answer.to_string(), expected.to_string());
        let sent: Value = serde_json::from_str(&listener.message().1).expect("JSON");
        let names = [
            "msg_type",
            "execution_id",
            "namespace",
            "timestamp",
            "source",
        ];
        assert_eq!(keys(&sent), names);
        assert_eq!(
            (&sent["execution_id"], &sent["namespace"]),
            (&json!(id), &json!(namespace))
        );
    }
    let refused = |words: String| json!({"success": false, "error": words});
    for tool in ["swf_stop_workflow", "swf_end_execution"] {
        for (id, status) in IDS.iter().zip(STATES).skip(2) {
            let words = format!("Execution '{id}' is not running (status: {status}).");
            let told = error(&bench, tool, json!({"execution_id": id}));
            assert_eq!(told, refused(words));
        }
        // A name is no pattern.
        for id in ["zz-pl%", "ZZ-PLAIN", "zz-plain ", "o'no"] {
            let words = format!("There is no execution '{id}'.");
            let told = error(&bench, tool, json!({"execution_id": id}));
            assert_eq!(told, refused(words));
        }
    }
    let rest =
        "SELECT md5(string_agg(e::text, '' ORDER BY execution_id)) FROM swf_workflow_executions e
                WHERE starts_with(execution_id, 'zz-') AND execution_id <> 'zz-plain'";
    let before = text(&mut bench.swf, rest);
    let answer = bench.call("swf_end_execution", json!({"execution_id": "zz-plain"}));
    let ended = text(
        &mut bench.swf,
        "SELECT to_char(end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') FROM swf_workflow_executions
         WHERE execution_id = 'zz-plain' AND status = 'terminated' AND start_time = '2026-01-02T03:04:05.000006Z'
           AND parameter_values = '{\"a\": 1}' AND abs(extract(epoch FROM now() - end_time)) < 600",
    );
    let expected = json!({
        "success": true, "execution_id": "zz-plain", "old_status": "running", "new_status": "terminated",
        "start_time": "2026-01-02T03:04:05.000006+00:00", "end_time": format!("{}+00:00", ended.replace(".000000", "")),
    });
    assert_eq!(answer.to_string(), expected.to_string());
    assert_eq!(
        text(&mut bench.swf, rest),
        before,
        "nothing else has changed"
    );
    bench.swf.batch_execute(remove).expect("as before");
}
