//! The tools that act: the messages that they send, byte for byte but for the time in them, the process that is killed, and what they say when
//! nothing can be done.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};
use tine::demo::{self, Demo, Options};

use super::{Bench, FOLDER, keys, number, text};
use crate::harness::broker::{LOGIN, Listener, PASSCODE, broker};
use crate::harness::database::connect;
use crate::harness::mcp::Era;
use crate::harness::setup::Setup;
use crate::harness::web;

const TESTBED: &str = "[testbed]\nnamespace = \"bench-é\"\n[workflow]\nname = \"fast\"\nconfig = \"fast.toml\"\nrealtime = false\n\
                       [parameters]\nzeta = 1\nstf_interval = 1.0\nalpha = \"x\"\n";

/// Of two who listen to a queue each message reaches one, so whoever listens to this one has it alone.
static CONTROL: Mutex<()> = Mutex::new(());

/// Data of their own, because these tools write.
fn data() -> &'static Demo {
    static DATA: OnceLock<Demo> = OnceLock::new();
    DATA.get_or_init(|| {
        demo::prepare(&Options::default(), &mut |_| {}).unwrap_or_else(|fault| panic!("{fault}"))
    })
}

/// With the real broker, and a testbed.toml if there is a text for it.
fn bench(testbed: Option<&str>, more: &str) -> Bench {
    bench_at(&format!("stomp://{}", broker().plain), testbed, more)
}

fn bench_at(url: &str, testbed: Option<&str>, more: &str) -> Bench {
    let cluster = data().cluster();
    let setup = Setup::bare();
    let home = setup.path("home");
    let folder = home.join("swf-testbed/workflows");
    std::fs::create_dir_all(&folder).expect("a folder");
    if let Some(text) = testbed {
        std::fs::write(folder.join("testbed.toml"), text).expect("a file");
    }
    let server = setup
        .workers(1)
        .variable("TEST_PASSCODE", PASSCODE)
        .variable("SWF_HOME", &home.display().to_string())
        .variable("DISPLAY_TIMEZONE", "UTC")
        .variable("PANDA_BASE_URL", &format!("http://{}", web::start()))
        .database("swf", &cluster.url("swf", "bot"))
        .database("panda", &cluster.url("panda", "bot"))
        .table("[programs.kill]\npath = \"/bin/kill\"")
        .table(&format!(
            "[brokers.activemq]\nurl = \"{url}\"\nlogin = \"{LOGIN}\"\npasscode_env = \"TEST_PASSCODE\"\n{more}"
        ))
        .toolset(FOLDER)
        .start();
    Bench {
        server,
        swf: connect(&cluster.url("swf", tine::cluster::SUPERUSER)),
        panda: connect(&cluster.url("panda", tine::cluster::SUPERUSER)),
    }
}

/// A body with its time taken out, which must be one of today without a zone.
fn timeless(body: &str) -> String {
    let (before, rest) = body.split_once("\"timestamp\": \"").expect("a time");
    let (time, after) = rest.split_once('"').expect("its end");
    let parsed: jiff::civil::DateTime = time
        .parse()
        .unwrap_or_else(|fault| panic!("{time}: {fault}"));
    let now = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .datetime();
    assert!((now - parsed).get_hours().abs() < 1, "{time}");
    assert!(time.len() == 26 || time.len() == 19, "{time}");
    format!("{before}\"timestamp\": \"T\"{after}")
}

fn error(bench: &Bench, tool: &str, arguments: Value) -> Value {
    let (text, is_error) = bench.raw(Era::Legacy, tool, &arguments);
    assert!(is_error, "{tool} {arguments}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

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
fn a_message_goes_to_the_monitoring_stream() {
    let bench = bench(Some(TESTBED), "");
    let mut listener = Listener::to("/topic/epictopic");
    let answer = bench.call(
        "swf_send_message",
        json!({"message": "hallo \u{2028}", "username": "zoé", "metadata": {"z": [1, null], "a": 1.0}}),
    );
    assert_eq!(
        timeless(&listener.message().1),
        r#"{"msg_type": "announcement", "sender": "zo\u00e9-personal-agent", "namespace": "bench-\u00e9", "message": "hallo \u2028", "timestamp": "T", "source": "mcp_send_message", "metadata": {"z": [1, null], "a": 1.0}}"#
    );
    assert_eq!(
        keys(&answer),
        [
            "success",
            "message",
            "sender",
            "message_type",
            "namespace",
            "content"
        ]
    );
    bench.call(
        "swf_send_message",
        json!({"message": "x", "message_type": "test", "username": "u"}),
    );
    assert_eq!(
        timeless(&listener.message().1),
        r#"{"msg_type": "test", "sender": "u-personal-agent", "namespace": null, "message": "x", "timestamp": "T", "source": "mcp_send_message"}"#
    );
    let refused = error(&bench, "swf_send_message", json!({"message": "x"}));
    assert!(
        refused["error"]
            .as_str()
            .expect("words")
            .contains("username"),
        "{refused}"
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
fn an_agent_is_killed_where_it_runs_and_marked_in_any_case() {
    let mut bench = bench(None, "");
    let host = nix::unistd::gethostname()
        .expect("a name")
        .into_string()
        .expect("text");
    let mut victim = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .expect("sleep");
    let add = |bench: &mut Bench, name: &str, pid: Option<i32>, host: Option<&str>| {
        bench
            .swf
            .execute(
                "INSERT INTO swf_systemagent (instance_name, agent_type, description, status, last_heartbeat, created_at, updated_at,
                     current_stf_count, total_stf_processed, workflow_enabled, namespace, operational_state, pid, hostname)
                 VALUES ($1, 'data', '', 'OK', now(), now(), now(), 0, 0, true, 'killing', 'PROCESSING', $2, $3)",
                &[&name, &pid, &host],
            )
            .expect("an agent");
    };
    let pid = i32::try_from(victim.id()).expect("a pid");
    add(&mut bench, "k-here", Some(pid), Some(&host));
    add(&mut bench, "k-far", Some(pid), Some("elsewhere"));
    add(&mut bench, "k-none", None, None);
    add(&mut bench, "k-group", Some(-pid), None);
    let far = bench.call("swf_kill_agent", json!({"name": "k-far"}));
    assert_eq!(
        keys(&far),
        [
            "success",
            "name",
            "pid",
            "hostname",
            "killed",
            "kill_error",
            "old_state",
            "new_state"
        ]
    );
    assert!(
        far["kill_error"]
            .as_str()
            .expect("words")
            .contains("'elsewhere'"),
        "{far}"
    );
    let none = bench.call("swf_kill_agent", json!({"name": "k-none"}));
    assert_eq!(
        (&none["killed"], &none["kill_error"]),
        (&json!(false), &Value::Null)
    );
    let group = bench.call("swf_kill_agent", json!({"name": "k-group"}));
    assert_eq!(group["killed"], false, "{group}");
    assert!(victim.try_wait().expect("wait").is_none(), "it lives");
    let here = bench.call("swf_kill_agent", json!({"name": "k-here"}));
    assert_eq!(
        (&here["killed"], &here["kill_error"]),
        (&json!(true), &Value::Null),
        "{here}"
    );
    assert_eq!(
        (&here["old_state"], &here["new_state"]),
        (&json!("PROCESSING"), &json!("EXITED"))
    );
    assert_eq!(victim.wait().expect("wait").signal(), Some(9));
    add(&mut bench, "k-dead", Some(pid), Some(&host));
    let dead = bench.call("swf_kill_agent", json!({"name": "k-dead"}));
    assert!(
        dead["kill_error"]
            .as_str()
            .expect("words")
            .contains("dead already"),
        "{dead}"
    );
    let marked = number(
        &mut bench.swf,
        "SELECT count(*) FROM swf_systemagent WHERE namespace = 'killing' AND status = 'EXITED' AND operational_state = 'EXITED'",
        &[],
    );
    assert_eq!(marked, 5);
    let nobody = error(&bench, "swf_kill_agent", json!({"name": "k-nobody"}));
    assert_eq!(keys(&nobody), ["success", "error"]);
    bench
        .swf
        .batch_execute("DELETE FROM swf_systemagent WHERE namespace = 'killing'")
        .expect("agents");
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
