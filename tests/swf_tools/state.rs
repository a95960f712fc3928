//! swf_get_system_state, whole, from rows that are all known: what counts and what doesn't stands half a minute on either side.

use super::own::{agents, own};
use super::*;

const TESTBED: &str = "[testbed]\nnamespace = \"ns\"\n[workflow]\nname = \"w\"\nconfig = \"c\"\n";

fn ask(bench: &Bench, user: &str) -> Value {
    bench.call("swf_get_system_state", json!({"username": user}))
}

#[test]
fn an_empty_system_has_a_state_too() {
    let bench = own("state_empty", "");
    let mut state = ask(&bench, "u");
    state["timestamp"] = json!("T");
    let expected = json!({
        "timestamp": "T",
        "user_context": {"username": "u", "namespace": null, "workflow_name": null, "config": null,
                         "config_file": "testbed.toml", "config_source": "default"},
        "agent_manager": {"status": "missing", "last_heartbeat": null},
        "workflow_runner": {"status": "missing", "name": null, "last_heartbeat": null},
        "ready_to_run": false,
        "last_execution": null,
        "errors_last_hour": 0,
        "agents": {"total": 0, "active": 0, "exited": 0, "healthy": 0, "unhealthy": 0},
        "executions": {"running": 0, "completed_last_hour": 0},
        "messages_last_10min": 0,
        "run_states": [],
        "persistent_state": {},
        "recent_events": [],
    });
    assert_eq!(state.to_string(), expected.to_string());
}

#[test]
fn a_manager_is_healthy_unhealthy_or_gone() {
    let mut bench = own("state_managers", TESTBED);
    // Silence marks only those that nobody has marked yet, so one whose status was marked can be late and still be there.
    let rows = agents(&[
        [
            "agent-manager-fresh",
            "agent_manager",
            "OK",
            "READY",
            "'ns'",
            "interval '60 seconds'",
        ],
        [
            "agent-manager-late",
            "agent_manager",
            "OK",
            "READY",
            "'ns'",
            "interval '150 seconds'",
        ],
        [
            "agent-manager-silent",
            "agent_manager",
            "OK",
            "READY",
            "'ns'",
            "interval '210 seconds'",
        ],
        [
            "agent-manager-left",
            "agent_manager",
            "OK",
            "EXITED",
            "'ns'",
            "interval '0'",
        ],
        [
            "agent-manager-marked",
            "agent_manager",
            "EXITED",
            "READY",
            "'ns'",
            "interval '270 seconds'",
        ],
        [
            "agent-manager-old",
            "agent_manager",
            "EXITED",
            "READY",
            "'ns'",
            "interval '330 seconds'",
        ],
        [
            "agent-manager-never",
            "agent_manager",
            "OK",
            "READY",
            "'ns'",
            "NULL::interval",
        ],
    ]);
    let expected = [
        ("fresh", "healthy"),
        ("late", "healthy"),
        ("silent", "exited"),
        ("left", "exited"),
        ("marked", "healthy"),
        ("old", "unhealthy"),
        ("never", "unhealthy"),
        ("nobody", "missing"),
    ];
    let sql = format!("TRUNCATE swf_systemagent; {rows}");
    let (seen, counted) = bench.promptly(&sql, |bench| {
        let states = expected.map(|(user, _)| ask(bench, user));
        let counted = states[0]["agents"].clone();
        (states.map(|state| state["agent_manager"].clone()), counted)
    });
    for ((user, status), manager) in expected.iter().zip(&seen) {
        assert_eq!(manager["status"], *status, "{user}");
        let name = format!("agent-manager-{user}");
        let sql = format!(
            "SELECT {} FROM swf_systemagent WHERE instance_name = $1",
            micros("last_heartbeat")
        );
        let row = bench.swf.query_opt(&sql, &[&name]).expect("an agent");
        let heartbeat = moment(row.and_then(|row| row.get(0)), "+00:00");
        assert_eq!(manager["last_heartbeat"], heartbeat, "{user}");
    }
    // Healthy are only those of whom nothing is wrong: fresh and late.
    assert_eq!(
        counted,
        json!({"total": 7, "active": 5, "exited": 2, "healthy": 2, "unhealthy": 3})
    );
}

#[test]
fn the_runner_is_the_one_heard_last_or_else_the_first() {
    let mut bench = own("state_runners", TESTBED);
    let mut rows = vec![
        [
            "elsewhere",
            "DAQ_Simulator",
            "OK",
            "READY",
            "'NS'",
            "interval '0'",
        ],
        [
            "placeless",
            "DAQ_Simulator",
            "OK",
            "READY",
            "NULL",
            "interval '0'",
        ],
        ["other", "data", "OK", "READY", "'ns'", "interval '0'"],
        [
            "left",
            "DAQ_Simulator",
            "OK",
            "EXITED",
            "'ns'",
            "interval '0'",
        ],
        [
            "silent",
            "workflow_runner",
            "OK",
            "READY",
            "'ns'",
            "interval '210 seconds'",
        ],
    ];
    let mut expect = |more: &[[&'static str; 6]], status: &str, name: Option<&str>| {
        rows.extend(more);
        let sql = format!("TRUNCATE swf_systemagent; {}", agents(&rows));
        let state = bench.promptly(&sql, |bench| ask(bench, "u"));
        let runner = &state["workflow_runner"];
        assert_eq!(keys(runner), ["status", "name", "last_heartbeat"]);
        assert_eq!(runner["status"], status);
        assert_eq!(runner["name"], json!(name));
        assert_eq!(state["ready_to_run"], status == "healthy");
    };
    expect(&[], "missing", None);
    expect(
        &[
            [
                "old 1",
                "DAQ_Simulator",
                "EXITED",
                "READY",
                "'ns'",
                "interval '400 seconds'",
            ],
            [
                "old 2",
                "workflow_runner",
                "EXITED",
                "READY",
                "'ns'",
                "interval '330 seconds'",
            ],
            [
                "old 3",
                "workflow_runner",
                "OK",
                "READY",
                "'ns'",
                "NULL::interval",
            ],
        ],
        "unhealthy",
        Some("old 1"),
    );
    expect(
        &[[
            "marked",
            "DAQ_Simulator",
            "EXITED",
            "READY",
            "'ns'",
            "interval '270 seconds'",
        ]],
        "healthy",
        Some("marked"),
    );
    expect(
        &[
            [
                "newest",
                "workflow_runner",
                "OK",
                "READY",
                "'ns'",
                "interval '60 seconds'",
            ],
            [
                "newer",
                "workflow_runner",
                "OK",
                "READY",
                "'ns'",
                "interval '90 seconds'",
            ],
        ],
        "healthy",
        Some("newest"),
    );
}

#[test]
fn the_rest_of_the_state_is_counted_within_its_windows() {
    let mut bench = own("state_rest", TESTBED);
    let sql = "TRUNCATE swf_applog, swf_workflow_executions, swf_workflow_messages, swf_run_state, swf_persistent_state, swf_system_state_events;
        -- Two that count: an error, and one that is worse.
        INSERT INTO swf_applog (app_name, instance_name, timestamp, levelname, level, message, module, funcname, lineno, process, thread, extra_data)
        SELECT 'a', 'i', now() - age * interval '1 second', 'L', level, '', '', '', 1, 1, 1, extra::jsonb
        FROM  (VALUES (3570, 40, '{\"namespace\": \"ns\"}'), (10, 50, '{\"namespace\": \"ns\"}'), (3630, 40, '{\"namespace\": \"ns\"}'),
                      (10, 39, '{\"namespace\": \"ns\"}'), (9, 30, '{\"namespace\": \"ns\"}'), (10, 40, '{\"namespace\": \"NS\"}'), (10, 40, NULL)) row(age, level, extra);
        INSERT INTO swf_workflow_executions (execution_id, parameter_values, status, start_time, end_time, executed_by, workflow_definition_id, namespace)
        SELECT id, '{}', status, started::timestamptz, now() - ended * interval '1 second', 'u', 1, space
        FROM  (VALUES ('e1', 'running', '2026-01-01Z', NULL, 'ns'), ('e2', 'running', '2026-01-03Z', NULL, 'NS'),
                      ('e3', 'completed', '2026-01-02 03:04:05.5Z', 3570, 'ns'), ('e4', 'completed', '2025-01-01Z', 3630, 'ns'),
                      ('e5', 'failed', '2025-01-01Z', 10, 'ns'), ('e6', 'completed', '2025-01-01Z', 10, NULL),
                      ('e7', 'Running', '2025-01-01Z', NULL, 'ns')) row(id, status, started, ended, space);
        INSERT INTO swf_workflow_messages (message_id, message_type, message_content, sent_at)
        SELECT gen_random_uuid(), 't', '{}', now() - age * interval '1 second' FROM unnest(ARRAY[10, 570, 630]) age;
        INSERT INTO swf_run_state
        SELECT n, 'p' || n, 's' || n, CASE WHEN n <> 4 THEN 'u' || n END, n + 10, n + 20, 0, 0, n + 30, n + 40, n + 50, n + 60, now(), now()
        FROM   unnest(ARRAY[3, 1, 6, 2, 5, 4]) n;
        INSERT INTO swf_persistent_state (id, state_data, updated_at) VALUES (2, '{\"next\": 2}', now()), (1, '{\"b\": null, \"a\": [1]}', now());
        INSERT INTO swf_system_state_events (timestamp, run_number, event_type, state, event_data)
        SELECT '2026-01-01Z'::timestamptz + n * 7 % 11 * interval '1 second', n * 7 % 11, 't' || n, 's' || n, '{}' FROM generate_series(0, 10) n";
    let mut state = bench.promptly(sql, |bench| ask(bench, "u"));
    let run = |n: i64| {
        json!({"run_number": n, "phase": format!("p{n}"), "state": format!("s{n}"),
               "substate": if n == 4 { Value::Null } else { json!(format!("u{n}")) },
               "active_workers": n + 20, "target_workers": n + 10, "slices_queued": n + 30,
               "slices_processing": n + 40, "slices_completed": n + 50, "slices_failed": n + 60})
    };
    let event = |second: i64| {
        // 8 is 7's inverse modulo 11.
        let n = second * 8 % 11;
        json!({"timestamp": format!("2026-01-01T00:00:{second:02}+00:00"), "run_number": second,
               "event_type": format!("t{n}"), "state": format!("s{n}")})
    };
    let ended: i64 = number(
        &mut bench.swf,
        &format!(
            "SELECT {} FROM swf_workflow_executions WHERE execution_id = 'e3'",
            micros("end_time")
        ),
        &[],
    );
    let expected = json!({
        "user_context": {"username": "u", "namespace": "ns", "workflow_name": "w", "config": "c",
                         "config_file": "testbed.toml", "config_source": "default"},
        "agent_manager": {"status": "missing", "last_heartbeat": null},
        "workflow_runner": {"status": "missing", "name": null, "last_heartbeat": null},
        "ready_to_run": false,
        "last_execution": {"execution_id": "e3", "status": "completed", "start_time": "2026-01-02T03:04:05.500000+00:00",
                           "end_time": moment(Some(ended), "+00:00")},
        "errors_last_hour": 2,
        "agents": {"total": 0, "active": 0, "exited": 0, "healthy": 0, "unhealthy": 0},
        "executions": {"running": 2, "completed_last_hour": 2},
        "messages_last_10min": 2,
        "run_states": [run(6), run(5), run(4), run(3), run(2)],
        "persistent_state": {"a": [1], "b": null},
        "recent_events": (1..=10).rev().map(event).collect::<Vec<_>>(),
    });
    let fields = state.as_object_mut().expect("an object");
    let (key, now) = fields.shift_remove_entry("timestamp").expect("the time");
    assert_eq!(key, "timestamp");
    let now: jiff::Timestamp = now.as_str().expect("a time").parse().expect("a time");
    assert!((jiff::Timestamp::now() - now).get_seconds().abs() < 300);
    assert_eq!(state.to_string(), expected.to_string());
}
