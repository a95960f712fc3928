//! swf_list_agents, swf_get_agent, swf_list_namespaces.

use super::*;

/// What the service calls an agent's status: whoever fell silent without a word has exited.
const STATUS: &str =
    "CASE WHEN last_heartbeat < now() - interval '3 minutes' AND operational_state <> 'EXITED'
                      THEN 'EXITED' ELSE status END";

/// Names of the agents that satisfy the condition, in the order of the list.
fn expected(bench: &mut Bench, condition: &str) -> Vec<String> {
    let query = format!(
        "SELECT instance_name FROM (SELECT *, {STATUS} AS shown FROM swf_systemagent) a
         WHERE {condition} ORDER BY last_heartbeat DESC NULLS FIRST, id DESC"
    );
    texts(&mut bench.swf, &query, &[])
}

fn check(bench: &mut Bench, arguments: Value, condition: &str, query: &str) -> usize {
    let look = |bench: &mut Bench| expected(bench, condition);
    let (list, names) = bench.call_while("swf_list_agents", &arguments, look);
    check_list(
        &list,
        100,
        "Agents List",
        &format!("/workflow/agents/{query}"),
    );
    assert_eq!(list["total_count"], json!(names.len()), "{arguments}");
    assert_eq!(
        column(&list, "name"),
        names[..names.len().min(100)],
        "{arguments}"
    );
    names.len()
}

#[test]
fn agents_without_a_filter_are_those_that_have_not_exited() {
    let mut bench = Bench::start();
    assert!(check(&mut bench, json!({}), "shown <> 'EXITED'", "") > 100);
    let list = bench.call(
        "swf_list_agents",
        json!({"namespace": null, "agent_type": "", "start_time": ""}),
    );
    for item in list["items"].as_array().expect("items") {
        assert_eq!(
            keys(item),
            [
                "name",
                "agent_type",
                "status",
                "operational_state",
                "namespace",
                "last_heartbeat",
                "workflow_enabled",
                "total_stf_processed"
            ]
        );
    }
}

#[test]
fn each_filter_of_agents_alone_and_all_together() {
    let mut bench = Bench::start();
    let execution = text(
        &mut bench.swf,
        "SELECT execution_id FROM swf_workflow_messages WHERE sender_agent IS NOT NULL AND execution_id IS NOT NULL LIMIT 1",
    );
    let sent = format!(
        "instance_name IN (SELECT sender_agent FROM swf_workflow_messages WHERE execution_id = '{}')",
        execution.replace('\'', "''")
    );
    for (arguments, condition, query) in [
        (
            json!({"namespace": "prüfstand"}),
            "shown <> 'EXITED' AND namespace = 'prüfstand'",
            "?namespace=prüfstand",
        ),
        (
            json!({"namespace": "o'neill's-tests"}),
            "shown <> 'EXITED' AND namespace = 'o''neill''s-tests'",
            "?namespace=o'neill's-tests",
        ),
        (
            json!({"namespace": "fastmon-100%"}),
            "shown <> 'EXITED' AND namespace = 'fastmon-100%'",
            "?namespace=fastmon-100%",
        ),
        (json!({"namespace": "%"}), "false", "?namespace=%"),
        (
            json!({"agent_type": "data_agent"}),
            "shown <> 'EXITED' AND agent_type = 'data_agent'",
            "?agent_type=data_agent",
        ),
        (json!({"status": "AlL"}), "true", ""),
        (
            json!({"status": "exited"}),
            "shown = 'EXITED'",
            "?status=exited",
        ),
        (json!({"status": "ok"}), "shown = 'OK'", "?status=ok"),
        (json!({"status": ""}), "false", ""),
        (json!({"status": null}), "shown <> 'EXITED'", ""),
        (
            json!({"execution_id": execution, "status": "all"}),
            sent.as_str(),
            "",
        ),
        (json!({"execution_id": "nonesuch"}), "false", ""),
        // A window leaves out those that never sent a heartbeat.
        (
            json!({"status": "all", "start_time": "now-20d"}),
            "last_heartbeat >= now() - interval '20 days'",
            "",
        ),
        (
            json!({"status": "all", "start_time": "2999-01-01T00:00:00Z"}),
            "false",
            "",
        ),
        (
            json!({"status": "all", "end_time": "now-1h"}),
            "last_heartbeat <= now() - interval '1 hour'",
            "",
        ),
        (
            json!({"namespace": "torre1", "agent_type": "DAQ_Simulator", "status": "OK", "start_time": "2001-02-03", "end_time": "2999-01-01"}),
            "namespace = 'torre1' AND agent_type = 'DAQ_Simulator' AND shown = 'OK' AND last_heartbeat IS NOT NULL",
            "?namespace=torre1&agent_type=DAQ_Simulator&status=OK",
        ),
    ] {
        check(&mut bench, arguments, condition, query);
    }
}

#[test]
fn a_silent_agent_is_shown_as_exited_and_nothing_is_written() {
    let mut bench = Bench::start();
    let silent = "SELECT instance_name FROM swf_systemagent
                  WHERE last_heartbeat < now() - interval '3 minutes' AND status = 'OK' AND operational_state = 'READY'";
    let names = texts(&mut bench.swf, silent, &[]);
    assert!(!names.is_empty());
    let list = bench.call("swf_list_agents", json!({"status": "exited"}));
    let items = list["items"].as_array().expect("items");
    for name in &names {
        let item = items.iter().find(|item| item["name"] == **name);
        let item = item.unwrap_or_else(|| panic!("{name} is not shown as exited"));
        assert_eq!(
            (&item["status"], &item["operational_state"]),
            (&json!("EXITED"), &json!("EXITED"))
        );
    }
    let agent = bench.call("swf_get_agent", json!({"name": names[0]}));
    assert_eq!(agent["status"], "EXITED");
    assert_eq!(texts(&mut bench.swf, silent, &[]), names);
}

#[test]
fn every_agent_is_found_by_its_name() {
    let mut bench = Bench::start();
    let query = format!(
        "SELECT instance_name, agent_type, {STATUS}, namespace, {}, description, workflow_enabled, current_stf_count,
                total_stf_processed, {}, metadata::text FROM swf_systemagent",
        micros("last_heartbeat"),
        micros("last_stf_processed")
    );
    for row in bench.swf.query(&query, &[]).expect("agents") {
        let name: String = row.get(0);
        let agent = bench.call("swf_get_agent", json!({"name": name}));
        check_url(&agent, "Agent Detail", &format!("/workflow/agents/{name}/"));
        let metadata: Option<String> = row.get(10);
        let expected = json!({
            "name": name,
            "agent_type": row.get::<_, String>(1),
            "status": row.get::<_, String>(2),
            "namespace": row.get::<_, Option<String>>(3),
            "last_heartbeat": moment(row.get(4), "+00:00"),
            "description": row.get::<_, String>(5),
            "workflow_enabled": row.get::<_, bool>(6),
            "current_stf_count": row.get::<_, i32>(7),
            "total_stf_processed": row.get::<_, i32>(8),
            "last_stf_processed": moment(row.get(9), "+00:00"),
            "metadata": metadata.map_or(Value::Null, |text| serde_json::from_str(&text).expect("JSON")),
            "monitor_urls": agent["monitor_urls"],
        });
        assert_eq!(agent.to_string(), expected.to_string());
    }
}

#[test]
fn an_agent_that_is_not_there_or_not_named() {
    let bench = Bench::start();
    for name in [
        "nonesuch",
        "Agent-Manager-amara",
        "'; DROP TABLE swf_systemagent; --",
        "%",
        "日本",
    ] {
        let message = bench.refused("swf_get_agent", json!({"name": name}));
        assert!(
            message.contains(&format!("'{name}'")) && message.contains("swf_list_agents"),
            "{message}"
        );
    }
    for arguments in [
        json!({}),
        json!({"name": null}),
        json!({"name": 7}),
        json!({"name": ["a"]}),
    ] {
        let message = bench.refused("swf_get_agent", arguments);
        assert!(message.contains("name"), "{message}");
    }
}

#[test]
fn times_that_cannot_be_read_are_named() {
    let bench = Bench::start();
    let message = bench.refused(
        "swf_list_agents",
        json!({"start_time": "soon", "end_time": "2026-13-45", "status": 5}),
    );
    for name in ["start_time", "end_time", "status"] {
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn namespaces_are_listed_by_name() {
    let mut bench = Bench::start();
    let list = bench.call("swf_list_namespaces", json!({}));
    check_list(&list, 100, "Namespaces List", "/namespaces/");
    let rows = bench
        .swf
        .query(
            "SELECT name, owner, description FROM swf_namespace ORDER BY name",
            &[],
        )
        .expect("namespaces");
    let expected: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.get::<_, String>(0),
                "owner": row.get::<_, String>(1),
                "description": row.get::<_, String>(2),
            })
        })
        .collect();
    assert_eq!(
        list["items"].to_string(),
        Value::Array(expected).to_string()
    );
    assert_eq!(
        bench.call("swf_list_namespaces", json!({"unknown": [1, {}]})),
        list
    );
}
