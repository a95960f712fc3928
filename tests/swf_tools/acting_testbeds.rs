//! swf_start_user_testbed and swf_stop_user_testbed, and the system's state, which knows the configured testbed.

use super::acting::{TESTBED, add_agent, bench, bench_at, error, remove_agents, timeless};
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

#[test]
fn a_manager_is_alive_when_it_was_heard_within_five_minutes_and_has_not_exited() {
    let mut bench = bench_at("stomp://127.0.0.1:1", None, "");
    remove_agents(&mut bench.swf, "agent-manager-m");
    for (name, state, heartbeat) in [
        ("mlate", "READY", "now() - interval '6 minutes'"),
        ("mnever", "READY", "NULL"),
        ("mgone", "EXITED", "now() + interval '1 hour'"),
        ("m-%", "READY", "now() + interval '1 hour'"),
    ] {
        let name = format!("agent-manager-{name}");
        let agent = [name.as_str(), "agent_manager", "mspace", state];
        add_agent(&mut bench.swf, agent, heartbeat);
    }
    for name in ["mlate", "mnever", "mgone", "m_%", "M-%", "m-é'", "mnobody"] {
        let words = format!("The agent manager of '{name}' is not running.");
        let both = json!({"username": name, "config_name": "x"});
        let refused = error(&bench, "swf_start_user_testbed", both);
        let expected = json!({
            "success": false, "error": words,
            "how_to_start": format!("Run 'testbed agent-manager' in the swf-testbed directory of {name}"),
            "username": name,
        });
        assert_eq!(refused.to_string(), expected.to_string());
        let refused = error(&bench, "swf_stop_user_testbed", json!({"username": name}));
        let expected = json!({
            "success": false, "error": words, "username": name,
            "note": "Agents that still run can be ended with swf_kill_agent.",
        });
        assert_eq!(refused.to_string(), expected.to_string());
    }
    // One that is alive, and a broker that is not.
    for (tool, what) in [
        ("swf_start_user_testbed", "The start command"),
        ("swf_stop_user_testbed", "The message"),
    ] {
        let refused = error(&bench, tool, json!({"username": "m-%"}));
        assert_eq!(keys(&refused), ["success", "error", "username"]);
        let words = refused["error"].as_str().expect("words");
        let start = format!("{what} could not be sent: the broker activemq: ");
        assert!(words.starts_with(&start), "{words}");
    }
    remove_agents(&mut bench.swf, "agent-manager-m");
}

#[test]
fn agents_that_run_in_the_managers_namespace_hinder_a_start_and_no_others() {
    let mut bench = bench(None, "");
    remove_agents(&mut bench.swf, "agent-manager-hin'%");
    remove_agents(&mut bench.swf, "h-");
    let soon = "now() + interval '1 hour'";
    for (agent, heartbeat) in [
        (
            ["agent-manager-hin'%", "agent_manager", "hspace", "READY"],
            soon,
        ),
        (["h-manager", "agent_manager", "hspace", "READY"], soon),
        (["h-gone", "data", "hspace", "EXITED"], soon),
        (
            ["h-silent", "data", "hspace", "READY"],
            "now() - interval '3 minutes'",
        ),
        (["h-elsewhere", "data", "HSPACE", "READY"], soon),
    ] {
        add_agent(&mut bench.swf, agent, heartbeat);
    }
    let mut listener = Listener::to("/queue/agent_control.hin'%");
    let config = "größe \"1\"";
    let answer = bench.call(
        "swf_start_user_testbed",
        json!({"username": "hin'%", "config_name": config}),
    );
    assert_eq!(
        timeless(&listener.message().1),
        r#"{"command": "start_testbed", "timestamp": "T", "source": "mcp", "config_name": "gr\u00f6\u00dfe \"1\""}"#
    );
    let expected = json!({
        "success": true, "message": "The start command was sent to the agent manager.", "username": "hin'%", "config": config,
        "control_queue": "/queue/agent_control.hin'%",
        "note": "The agents start one after the other; swf_get_testbed_status shows them.",
    });
    assert_eq!(answer.to_string(), expected.to_string());
    let answer = bench.call("swf_stop_user_testbed", json!({"username": "hin'%"}));
    listener.message();
    let expected = json!({
        "success": true, "message": "The stop command was sent to the agent manager of hin'%.", "username": "hin'%",
        "control_queue": "/queue/agent_control.hin'%",
        "note": "The agents stop one after the other; swf_list_agents shows who is left.",
    });
    assert_eq!(answer.to_string(), expected.to_string());
    add_agent(
        &mut bench.swf,
        ["h-1", "data", "hspace", "READY"],
        "now() + interval '2 hours'",
    );
    add_agent(
        &mut bench.swf,
        ["h-2", "data", "hspace", "PROCESSING"],
        soon,
    );
    let again = json!({"username": "hin'%", "config_name": null});
    let refused = error(&bench, "swf_start_user_testbed", again);
    let expected = json!({
        "success": false, "error": "These agents are running already: h-1, h-2", "how_to_fix": "Call swf_stop_user_testbed first.",
        "username": "hin'%", "running_agents": ["h-1", "h-2"],
    });
    assert_eq!(refused.to_string(), expected.to_string());
    remove_agents(&mut bench.swf, "agent-manager-hin'%");
    remove_agents(&mut bench.swf, "h-");
}
