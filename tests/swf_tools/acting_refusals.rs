//! What the tools that act on the testbed refuse, whole, beside the edges of what they look at; nobody listens where their broker
//! should be, so what they would do ends in one more refusal.

use std::sync::PoisonError;

use super::acting::{CONTROL, TESTBED, bench, error, timeless};
use super::own::{agents, own};
use super::*;
use crate::harness::broker::Listener;

/// The answer's text, its broker's own words left out.
fn refusal(bench: &Bench, tool: &str, arguments: Value) -> String {
    let mut answer = error(bench, tool, arguments);
    let words = answer["error"].as_str().expect("words").to_owned();
    if let Some((ours, _)) = words.split_once(": the broker ") {
        answer["error"] = json!(format!("{ours}: ..."));
    }
    answer.to_string()
}

const MANAGERS: [[&str; 6]; 2] = [
    [
        "agent-manager-alive",
        "agent_manager",
        "OK",
        "READY",
        "'ns'",
        "interval '270 seconds'",
    ],
    [
        "agent-manager-lost",
        "agent_manager",
        "OK",
        "READY",
        "'ns'",
        "interval '330 seconds'",
    ],
];

#[test]
fn a_testbed_is_left_alone_while_its_manager_is_lost_or_its_agents_run() {
    let mut bench = own("refused_testbeds", "");
    let idle = [
        MANAGERS[0],
        MANAGERS[1],
        [
            "late",
            "data",
            "OK",
            "READY",
            "'ns'",
            "interval '150 seconds'",
        ],
        ["never", "data", "OK", "READY", "'ns'", "NULL::interval"],
        ["left", "data", "OK", "EXITED", "'ns'", "interval '0'"],
        ["elsewhere", "data", "OK", "READY", "'NS'", "interval '0'"],
    ];
    let mut busy = idle.to_vec();
    busy.push(["a", "data", "OK", "READY", "'ns'", "interval '90 seconds'"]);
    busy.push(["b", "data", "OK", "READY", "'ns'", "interval '60 seconds'"]);
    busy.push(["c", "data", "OK", "READY", "'ns'", "interval '60 seconds'"]);
    let look = |bench: &mut Bench| {
        [
            ("swf_start_user_testbed", "alive"),
            ("swf_start_user_testbed", "lost"),
            ("swf_stop_user_testbed", "alive"),
            ("swf_stop_user_testbed", "lost"),
        ]
        .map(|(tool, user)| refusal(bench, tool, json!({"username": user})))
    };
    let seen = bench.promptly(
        &format!("TRUNCATE swf_systemagent; {}", agents(&idle)),
        look,
    );
    let lost_start = json!({
        "success": false, "error": "The agent manager of 'lost' is not running.",
        "how_to_start": "Run 'testbed agent-manager' in the swf-testbed directory of lost", "username": "lost",
    });
    let stop = json!({"success": false, "error": "The message could not be sent: ...", "username": "alive"});
    let lost_stop = json!({
        "success": false, "error": "The agent manager of 'lost' is not running.", "username": "lost",
        "note": "Agents that still run can be ended with swf_kill_agent.",
    });
    let start = json!({"success": false, "error": "The start command could not be sent: ...", "username": "alive"});
    let [lost_start, stop, lost_stop, start] =
        [lost_start, stop, lost_stop, start].map(|answer| answer.to_string());
    assert_eq!(
        seen,
        [start, lost_start.clone(), stop.clone(), lost_stop.clone()]
    );

    let seen = bench.promptly(
        &format!("TRUNCATE swf_systemagent; {}", agents(&busy)),
        look,
    );
    let hindered = json!({
        "success": false, "error": "These agents are running already: c, b, a", "how_to_fix": "Call swf_stop_user_testbed first.",
        "username": "alive", "running_agents": ["c", "b", "a"],
    });
    assert_eq!(seen, [hindered.to_string(), lost_start, stop, lost_stop]);
}

#[test]
fn a_workflow_goes_to_the_namespace_of_a_manager_that_was_heard_within_five_minutes() {
    let mut bench = own("refused_workflows", "");
    let manager = |name, namespace, age| [name, "agent_manager", "OK", "READY", namespace, age];
    let lost = manager("m1", "'lost'", "interval '330 seconds'");
    let alive = manager("m2", "'alive'", "interval '270 seconds'");
    let newer = manager("m3", "'newer'", "interval '60 seconds'");
    let other = ["d", "data", "OK", "READY", "'data'", "interval '0'"];
    for (rows, namespace) in [
        (vec![lost, other], "torre1"),
        (vec![lost, alive, other], "alive"),
        (vec![alive, newer, lost, other], "newer"),
    ] {
        let sql = format!("TRUNCATE swf_systemagent; {}", agents(&rows));
        let seen = bench.promptly(&sql, |bench| {
            refusal(bench, "swf_start_workflow", json!({"workflow_name": "w"}))
        });
        let expected = json!({
            "success": false, "error": "The message could not be sent: ...", "workflow_name": "w", "namespace": namespace,
        });
        assert_eq!(seen, expected.to_string());
    }
}

#[test]
fn a_message_needs_a_sender_and_metadata_that_are_an_object() {
    let bench = own("refused_messages", "");
    for (arguments, words) in [
        (
            json!({"message": "m"}),
            "username: is required, because the caller's token belongs to no user",
        ),
        (
            json!({"message": "m", "username": "u", "metadata": [1]}),
            "metadata: must be an object",
        ),
        (
            json!({"message": "m", "username": "u", "metadata": {"a": 1}}),
            "The message could not be sent: ...",
        ),
    ] {
        let seen = refusal(&bench, "swf_send_message", arguments);
        assert_eq!(seen, json!({"success": false, "error": words}).to_string());
    }
}

#[test]
fn what_a_call_leaves_out_is_the_testbeds() {
    let bench = bench(Some(TESTBED), "");
    let _turn = CONTROL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut listener = Listener::to("/queue/workflow_control");
    let answer = bench.call("swf_start_workflow", json!({}));
    assert_eq!(
        timeless(&listener.message().1),
        r#"{"msg_type": "run_workflow", "namespace": "bench-\u00e9", "workflow_name": "fast", "config": "fast.toml", "realtime": false, "duration": 0, "params": {"zeta": 1, "stf_interval": 1.0, "alpha": "x", "namespace": "bench-\u00e9"}, "timestamp": "T", "source": "mcp"}"#
    );
    let expected = json!({
        "success": true, "message": "The start command for workflow 'fast' was sent to the DAQ simulator.", "workflow_name": "fast",
        "namespace": "bench-é", "config": "fast.toml", "realtime": false,
        "params": {"zeta": 1, "stf_interval": 1.0, "alpha": "x", "namespace": "bench-é"},
        "note": "It runs by itself; swf_list_workflow_executions shows how it goes.",
    });
    assert_eq!(answer.to_string(), expected.to_string());
}
