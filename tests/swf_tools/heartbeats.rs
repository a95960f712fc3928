//! What a heartbeat says at the edges: an agent runs for 2 minutes after it, counts as silent after 3, and a manager is alive for 5.

use super::own::{agents, own};
use super::*;

/// Agents half a minute on either side of each edge. Silence marks only those that nobody has marked yet.
fn rows() -> String {
    agents(&[
        [
            "fresh",
            "data",
            "OK",
            "READY",
            "'ns'",
            "interval '90 seconds'",
        ],
        [
            "late",
            "data",
            "Ok",
            "READY",
            "'ns'",
            "interval '150 seconds'",
        ],
        [
            "silent",
            "data",
            "OK",
            "READY",
            "'ns'",
            "interval '210 seconds'",
        ],
        [
            "said so",
            "data",
            "EXITED",
            "READY",
            "'ns'",
            "interval '210 seconds'",
        ],
        [
            "left",
            "data",
            "OK",
            "EXITED",
            "'ns'",
            "interval '210 seconds'",
        ],
        ["never", "data", "OK", "READY", "'ns'", "NULL::interval"],
        ["elsewhere", "data", "OK", "READY", "'NS'", "interval '0'"],
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
        [
            "agent-manager-left",
            "agent_manager",
            "OK",
            "EXITED",
            "'ns'",
            "interval '0'",
        ],
        [
            "agent-manager-never",
            "agent_manager",
            "OK",
            "READY",
            "'ns'",
            "NULL::interval",
        ],
        [
            "agent-manager-ill",
            "agent_manager",
            "ERROR",
            "READY",
            "'ns'",
            "interval '0'",
        ],
        [
            "agent-manager-placeless",
            "agent_manager",
            "OK",
            "READY",
            "NULL",
            "interval '0'",
        ],
    ])
}

const EXECUTION: &str = "INSERT INTO swf_workflow_executions (execution_id, parameter_values, status, start_time, executed_by,
    workflow_definition_id, namespace)";

#[test]
fn silence_of_three_minutes_is_an_exit() {
    let mut bench = own("silence", "");
    let sql = format!("TRUNCATE swf_systemagent; {}", rows());
    let (list, single, lower) = bench.promptly(&sql, |bench| {
        let list = bench.call(
            "swf_list_agents",
            json!({"status": "all", "agent_type": "data"}),
        );
        let single: Vec<Value> = column(&list, "name")
            .iter()
            .map(|name| bench.call("swf_get_agent", json!({"name": name})))
            .collect();
        let lower = bench.call(
            "swf_list_agents",
            json!({"status": "ok", "agent_type": "data"}),
        );
        (list, single, lower)
    });
    let expected = [
        ("never", "OK", "READY"),
        ("elsewhere", "OK", "READY"),
        ("fresh", "OK", "READY"),
        ("late", "Ok", "READY"),
        ("left", "OK", "EXITED"),
        ("said so", "EXITED", "READY"),
        ("silent", "EXITED", "EXITED"),
    ];
    let names: Vec<&str> = expected.iter().map(|agent| agent.0).collect();
    assert_eq!(column(&list, "name"), names);
    let items = list["items"].as_array().expect("items");
    for ((item, single), (name, status, state)) in items.iter().zip(&single).zip(expected) {
        assert_eq!(item["status"], status, "{name}");
        assert_eq!(item["operational_state"], state, "{name}");
        assert_eq!(single["status"], status, "{name}");
    }
    assert_eq!(column(&lower, "name"), names[..5]);
}

#[test]
fn a_manager_is_alive_for_five_minutes() {
    let mut bench = own("managers", "");
    let sql = format!("TRUNCATE swf_systemagent; {}", rows());
    let users = [
        "alive",
        "lost",
        "left",
        "never",
        "ill",
        "placeless",
        "nobody",
    ];
    let alive = bench.promptly(&sql, |bench| {
        users.map(|user| {
            let both = ["swf_check_agent_manager", "swf_get_testbed_status"]
                .map(|tool| bench.call(tool, json!({"username": user})));
            assert_eq!(
                both[0]["alive"], both[1]["agent_manager"]["alive"],
                "{user}"
            );
            both[0]["alive"] == true
        })
    });
    assert_eq!(alive, [true, false, false, false, true, true, false]);
    let absent = bench.call("swf_check_agent_manager", json!({"username": "nobody"}));
    assert_eq!(
        absent["how_to_start"],
        "Run 'testbed agent-manager' in the swf-testbed directory of nobody"
    );
}

#[test]
fn an_agent_of_the_testbed_runs_for_two_minutes_and_is_gone_after_three() {
    let mut bench = own("running", "");
    let sql = format!(
        "TRUNCATE swf_systemagent, swf_workflow_executions; {} {EXECUTION}
         SELECT 'e' || n, '{{}}', (ARRAY['running', 'failed', 'Running'])[n], now(), 'u', 1, 'ns' FROM generate_series(1, 3) n;
         {EXECUTION} SELECT 'elsewhere', '{{}}', 'running', now(), 'u', 1, 'NS'",
        rows()
    );
    let (busy, idle, ill, placeless) = bench.promptly(&sql, |bench| {
        let ask = |bench: &Bench, user: &str| {
            bench.call("swf_get_testbed_status", json!({"username": user}))
        };
        let busy = ask(bench, "alive");
        let ill = ask(bench, "ill");
        bench.put("UPDATE swf_workflow_executions SET status = 'completed' WHERE namespace = 'ns'");
        let idle = ask(bench, "alive");
        (busy, idle, ill, ask(bench, "placeless"))
    });
    let shown: Vec<(&str, &str)> = busy["agents"]
        .as_array()
        .expect("agents")
        .iter()
        .map(|agent| {
            let text = |key: &str| agent[key].as_str().expect("a text");
            assert_eq!(text("type"), "data");
            (text("name"), text("status"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("never", "stopped"),
            ("fresh", "running"),
            ("late", "stopped"),
            ("said so", "stopped"),
        ]
    );
    for (status, workflows, ready, word) in [
        (&busy, 1, false, "note"),
        (&idle, 0, true, "note"),
        (&ill, 1, false, "error"),
    ] {
        assert_eq!(status["summary"], json!({"running": 1, "stopped": 3}));
        assert_eq!(status["running_workflows"], workflows);
        assert_eq!(status["ready"], ready);
        assert_eq!(keys(status)[6..], [word]);
    }
    assert_eq!(busy["note"], "1 workflow(s) running now");
    assert_eq!(
        idle["note"],
        "The testbed is idle and ready to run a workflow."
    );
    assert_eq!(
        ill["error"],
        "The agent manager reports an error: about agent-manager-ill"
    );
    assert_eq!(placeless["agents"], json!([]));
    assert_eq!(placeless["running_workflows"], 0);
    assert_eq!(placeless["ready"], false);
    assert_eq!(
        placeless["note"],
        "No agents are running; start the testbed first."
    );
}

#[test]
fn a_day_ends_after_twenty_four_hours() {
    let mut bench = own("a_day", "");
    let sql = format!(
        "TRUNCATE swf_workflow_executions, swf_workflow_messages;
         {EXECUTION}
         SELECT 'e' || n, '{{}}', 'failed', now() - interval '23 hours 30 minutes' - n * interval '1 hour', 'u' || n, 1, 'ns'
         FROM generate_series(0, 1) n;
         INSERT INTO swf_workflow_messages (message_id, message_type, message_content, sent_at, namespace)
         SELECT gen_random_uuid(), 't', '{{}}', now() - interval '23 hours 30 minutes' - n * interval '1 hour', 'ns'
         FROM generate_series(0, 1) n"
    );
    bench.put(&sql);
    let namespace = bench.call("swf_get_namespace", json!({"namespace": "ns"}));
    assert_eq!(namespace["execution_count"], 1);
    assert_eq!(namespace["message_count"], 1);
    assert_eq!(namespace["active_users"], json!(["u0"]));
    // Whoever started two at one moment is named once, and of two users at one moment the name decides.
    bench.put(&format!(
        "{EXECUTION} SELECT 'f' || n, '{{}}', 'failed', '2999-01-01Z', (ARRAY['zoe', 'ann', 'zoe'])[n], 1, 'ns' FROM generate_series(1, 3) n"
    ));
    let namespace = bench.call(
        "swf_get_namespace",
        json!({"namespace": "ns", "end_time": "2999-01-01"}),
    );
    assert_eq!(namespace["active_users"], json!(["ann", "zoe", "u0"]));
    assert_eq!(namespace["execution_count"], 4);
    // A window of no length holds what is at its two ends.
    let moment = json!({"namespace": "ns", "start_time": "2999-01-01", "end_time": "2999-01-01"});
    bench.put("UPDATE swf_workflow_messages SET sent_at = '2999-01-01Z'");
    let namespace = bench.call("swf_get_namespace", moment);
    assert_eq!(namespace["execution_count"], 3);
    assert_eq!(namespace["message_count"], 2);
    bench.put("DELETE FROM swf_workflow_executions WHERE execution_id LIKE 'f%'");
    let watched = bench.call("swf_list_workflow_monitors", json!({}));
    assert_eq!(column(&watched, "execution_id"), ["e0"]);
}
