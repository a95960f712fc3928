//! swf_start_user_testbed and swf_stop_user_testbed, and the system's state, which knows the configured testbed.

use super::acting::{TESTBED, bench, error, timeless};
use super::*;
use crate::harness::broker::Listener;

#[test]
fn testbeds_are_started_and_stopped_through_their_agent_manager() {
    let mut bench = bench(None, "");
    bench
        .swf
        .batch_execute(
            "DELETE FROM swf_systemagent WHERE namespace = 'acting';
             INSERT INTO swf_systemagent (instance_name, agent_type, description, status, last_heartbeat, created_at, updated_at,
                 current_stf_count, total_stf_processed, workflow_enabled, namespace, operational_state)
             SELECT name, type, '', 'OK', now() + interval '1 hour', now(), now(), 0, 0, true, 'acting', 'READY'
             FROM (VALUES ('agent-manager-zoé', 'agent_manager'), ('agent-manager-idle', 'agent_manager')) AS v (name, type)",
        )
        .expect("agents");
    let mut listener = Listener::to("/queue/agent_control.zoé");
    let answer = bench.call(
        "swf_start_user_testbed",
        json!({"username": "zoé", "config_name": "big"}),
    );
    assert_eq!(
        timeless(&listener.message().1),
        r#"{"command": "start_testbed", "timestamp": "T", "source": "mcp", "config_name": "big"}"#
    );
    assert_eq!(
        keys(&answer),
        [
            "success",
            "message",
            "username",
            "config",
            "control_queue",
            "note"
        ]
    );
    assert_eq!(answer["control_queue"], "/queue/agent_control.zoé");
    let answer = bench.call(
        "swf_start_user_testbed",
        json!({"username": "zoé", "config_name": ""}),
    );
    assert_eq!(
        timeless(&listener.message().1),
        r#"{"command": "start_testbed", "timestamp": "T", "source": "mcp"}"#
    );
    assert_eq!(answer["config"], "agent manager default");
    bench.call("swf_stop_user_testbed", json!({"username": "zoé"}));
    assert_eq!(
        timeless(&listener.message().1),
        r#"{"command": "stop_testbed", "timestamp": "T", "source": "mcp"}"#
    );
    bench
        .swf
        .batch_execute(
            "INSERT INTO swf_systemagent (instance_name, agent_type, description, status, last_heartbeat, created_at, updated_at,
                 current_stf_count, total_stf_processed, workflow_enabled, namespace, operational_state)
             VALUES ('acting-1', 'data', '', 'OK', now() + interval '1 hour', now(), now(), 0, 0, true, 'acting', 'READY')",
        )
        .expect("agents");
    let refused = error(&bench, "swf_start_user_testbed", json!({"username": "zoé"}));
    assert_eq!(
        keys(&refused),
        [
            "success",
            "error",
            "how_to_fix",
            "username",
            "running_agents"
        ]
    );
    assert_eq!(refused["running_agents"], json!(["acting-1"]));
    for tool in ["swf_start_user_testbed", "swf_stop_user_testbed"] {
        let refused = error(&bench, tool, json!({"username": "nobody at all"}));
        assert!(
            refused["error"]
                .as_str()
                .expect("words")
                .contains("not running"),
            "{refused}"
        );
        assert_eq!(refused["success"], false);
    }
    bench
        .swf
        .batch_execute("DELETE FROM swf_systemagent WHERE namespace = 'acting'")
        .expect("agents");
}

#[test]
fn the_systems_state_has_all_its_parts() {
    let mut bench = bench(Some(TESTBED), "");
    let state = bench.call("swf_get_system_state", json!({"username": "amara"}));
    assert_eq!(
        state["user_context"],
        json!({"username": "amara", "namespace": "bench-é", "workflow_name": "fast", "config": "fast.toml",
               "config_file": "testbed.toml", "config_source": "default"})
    );
    let total = number(&mut bench.swf, "SELECT count(*) FROM swf_systemagent", &[]);
    let agents = &state["agents"];
    assert_eq!(
        keys(agents),
        ["total", "active", "exited", "healthy", "unhealthy"]
    );
    let count = |key: &str| agents[key].as_i64().expect("a count");
    assert!((count("total") - total).abs() < 10, "{agents}");
    assert_eq!(count("total"), count("active") + count("exited"));
    assert_eq!(count("active"), count("healthy") + count("unhealthy"));
    let nobody = bench.call("swf_get_system_state", json!({"username": "nobody at all"}));
    assert_eq!(
        nobody["agent_manager"],
        json!({"status": "missing", "last_heartbeat": null})
    );
    assert!(
        bench
            .refused("swf_get_system_state", json!({}))
            .contains("username")
    );
}
