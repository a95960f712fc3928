//! swf_start_workflow, swf_stop_workflow and swf_end_execution: their messages byte for byte but for the time in them, and what they say when
//! nothing can be done.

use std::sync::PoisonError;

use super::acting::{CONTROL, TESTBED, bench, bench_at, error, timeless};
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
