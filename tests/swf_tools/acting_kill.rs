//! swf_kill_agent, with real processes.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use super::acting::{add_agent, bench, bench_of, error, remove_agents};
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

/// A server whose `kill` does what this script says.
fn bench_killing_by(script: &str) -> Bench {
    let setup = Setup::bare();
    let kill = setup.file("kill", &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&kill, std::fs::Permissions::from_mode(0o755)).expect("a program");
    bench_of(setup, "stomp://127.0.0.1:1", None, &kill, "")
}

/// Sets an agent's process and host.
fn runs(bench: &mut Bench, name: &str, pid: Option<i32>, host: Option<&str>) {
    bench
        .swf
        .execute(
            "UPDATE swf_systemagent SET pid = $2, hostname = $3 WHERE instance_name = $1",
            &[&name, &pid, &host],
        )
        .expect("an agent");
}

#[test]
fn what_hinders_a_kill_is_told_and_the_agent_is_marked() {
    for (start, script, told) in [
        (
            "kd-",
            "echo 'kill: (812) - No such process' >&2; exit 1",
            "Process 812 was not there (dead already)",
        ),
        (
            "kp-",
            "echo 'kill: (812) - Operation not permitted' >&2; exit 1",
            "This server may not kill process 812",
        ),
        (
            "ko-",
            "echo odd >&2; exit 3",
            "kill ended with status 3: odd",
        ),
        (
            "kh-",
            "exec sleep 600",
            "kill did not end in time and was killed",
        ),
    ] {
        let mut bench = bench_killing_by(script);
        remove_agents(&mut bench.swf, start);
        let name = format!("{start}it's \"100%\" é");
        add_agent(&mut bench.swf, [&name, "data", "k", "READY"], "now()");
        runs(&mut bench, &name, Some(812), None);
        let answer = bench.call("swf_kill_agent", json!({"name": name}));
        let expected = json!({
            "success": true, "name": name, "pid": 812, "hostname": null, "killed": false, "kill_error": told,
            "old_state": "READY", "new_state": "EXITED",
        });
        assert_eq!(answer.to_string(), expected.to_string());
        let marked = "SELECT count(*) FROM swf_systemagent WHERE instance_name = $1 AND status = 'EXITED' AND operational_state = 'EXITED'";
        assert_eq!(number(&mut bench.swf, marked, &[&name]), 1);
        remove_agents(&mut bench.swf, start);
    }
}

#[test]
fn only_the_agent_of_that_very_name_is_marked_and_only_in_two_columns() {
    // Whoever is asked to kill says whom.
    let mut bench = bench_killing_by("echo \"$@\" >> \"$(dirname \"$0\")/killed\"");
    let host = nix::unistd::gethostname().expect("a name");
    let host = host.into_string().expect("text");
    remove_agents(&mut bench.swf, "kx-");
    for name in ["kx-1", "kx-2", "kx-_", "kx-ONE", "kx-one"] {
        add_agent(&mut bench.swf, [name, "data", "k", "READY"], "now()");
        runs(&mut bench, name, Some(812), Some(&host));
    }
    let gone = ["kx-gone", "data", "k", "EXITED"];
    add_agent(&mut bench.swf, gone, "NULL");
    runs(&mut bench, "kx-gone", Some(0), Some(""));
    let rest = "SELECT md5(string_agg((to_jsonb(a) - 'status' - 'operational_state')::text, '' ORDER BY id)) FROM swf_systemagent a WHERE starts_with(instance_name, 'kx-')";
    let before = text(&mut bench.swf, rest);
    for name in ["kx-%", "kx-", "kx-1 ", "kx-'", "KX-1"] {
        let words = format!(
            "There is no agent '{name}'. Use swf_list_agents to see the agents and their exact names."
        );
        let refused = error(&bench, "swf_kill_agent", json!({"name": name}));
        assert_eq!(refused, json!({"success": false, "error": words}));
    }
    for name in ["kx-_", "kx-one"] {
        let answer = bench.call("swf_kill_agent", json!({"name": name}));
        assert_eq!(
            (&answer["killed"], &answer["kill_error"]),
            (&json!(true), &Value::Null)
        );
    }
    // No process: nothing is killed, and nothing hinders.
    let answer = bench.call("swf_kill_agent", json!({"name": "kx-gone"}));
    let expected = json!({
        "success": true, "name": "kx-gone", "pid": 0, "hostname": "", "killed": false, "kill_error": null,
        "old_state": "EXITED", "new_state": "EXITED",
    });
    assert_eq!(answer.to_string(), expected.to_string());
    let killed = std::fs::read_to_string(bench.server.path("killed")).expect("a list");
    assert_eq!(killed, "-KILL 812\n-KILL 812\n");
    assert_eq!(text(&mut bench.swf, rest), before);
    let marked = "SELECT string_agg(instance_name, ' ' ORDER BY id) FROM swf_systemagent WHERE starts_with(instance_name, 'kx-') AND operational_state = 'EXITED'";
    assert_eq!(text(&mut bench.swf, marked), "kx-_ kx-one kx-gone");
    remove_agents(&mut bench.swf, "kx-");
}
