//! swf_kill_agent, with real processes.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::acting::{bench, error};
use super::*;

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
