//! swf_get_namespace, swf_check_agent_manager, swf_get_testbed_status, swf_get_log_entry, swf_list_workflow_definitions.

use super::table::{Fields, Is, List, case, check_one, quoted};
use super::*;

const NAMESPACE: &str = "swf_get_namespace";

/// What the tables say of a namespace between two moments of SQL.
fn namespace(bench: &mut Bench, name: &str, start: &str, end: &str) -> Value {
    let name_sql = quoted(name);
    let within =
        |time: &str| format!("namespace = {name_sql} AND {time} BETWEEN {start} AND {end}");
    let registered = format!("FROM swf_namespace WHERE name = {name_sql}");
    let owner = texts(&mut bench.swf, &format!("SELECT owner {registered}"), &[]);
    let description = texts(
        &mut bench.swf,
        &format!("SELECT description {registered}"),
        &[],
    );
    let mut count =
        |from: &str| number(&mut bench.swf, &format!("SELECT count(*) FROM {from}"), &[]);
    let agents = count(&format!("swf_systemagent WHERE namespace = {name_sql}"));
    let executions = count(&format!(
        "swf_workflow_executions WHERE {}",
        within("start_time")
    ));
    let messages = count(&format!(
        "swf_workflow_messages WHERE {}",
        within("sent_at")
    ));
    let users = texts(
        &mut bench.swf,
        &format!(
            "SELECT executed_by FROM swf_workflow_executions WHERE {} ORDER BY start_time DESC, executed_by",
            within("start_time")
        ),
        &[],
    );
    // Each once, where it stands first.
    let mut active: Vec<String> = Vec::new();
    for user in users {
        if !active.contains(&user) {
            active.push(user);
        }
    }
    json!({
        "name": name,
        "owner": owner.first(),
        "description": description.first(),
        "agent_count": agents,
        "execution_count": executions,
        "message_count": messages,
        "active_users": active,
    })
}

#[test]
fn a_namespace_is_counted_whether_or_not_it_is_registered() {
    let mut bench = Bench::start();
    let day = ("now() - interval '24 hours'", "now()");
    for (arguments, name, (start, end)) in [
        (json!({"namespace": "torre1"}), "torre1", day),
        (
            json!({"namespace": "o'neill's-tests", "start_time": "", "end_time": null}),
            "o'neill's-tests",
            day,
        ),
        (
            json!({"namespace": "東京-daq", "start_time": "2000-01-01", "end_time": "2999-01-01T00:00:00Z"}),
            "東京-daq",
            ("'2000-01-01Z'::timestamptz", "'2999-01-01Z'::timestamptz"),
        ),
        (
            json!({"namespace": "fastmon-100%", "start_time": "now-30d", "end_time": "now-1d"}),
            "fastmon-100%",
            ("now() - interval '30 days'", "now() - interval '1 day'"),
        ),
        (json!({"namespace": "nobody's"}), "nobody's", day),
        (
            json!({"namespace": "torre1", "start_time": "2999-01-01", "end_time": "2000-01-01"}),
            "torre1",
            ("'2999-01-01Z'::timestamptz", "'2000-01-01Z'::timestamptz"),
        ),
    ] {
        let look = |bench: &mut Bench| namespace(bench, name, start, end);
        let (mut answer, expected) = bench.call_while(NAMESPACE, &arguments, look);
        check_url(
            &answer,
            "Namespace Detail",
            &format!("/workflow/namespaces/{name}/"),
        );
        assert_eq!(keys(&answer)[7..], ["time_range", "monitor_urls"]);
        assert_eq!(keys(&answer["time_range"]), ["start", "end"]);
        let rest = answer.as_object_mut().expect("an object");
        rest.shift_remove("time_range");
        rest.shift_remove("monitor_urls");
        assert_eq!(answer.to_string(), expected.to_string(), "{arguments}");
    }
    let answer = bench.call(
        NAMESPACE,
        json!({"namespace": "torre1", "start_time": "2026-04-28", "end_time": "2026-04-28T08:00:00.5+02:00"}),
    );
    assert_eq!(
        answer["time_range"],
        json!({"start": "2026-04-28T00:00:00+00:00", "end": "2026-04-28T06:00:00.500000+00:00"})
    );
}

/// What the tables say of a user's agent manager.
fn manager(bench: &mut Bench, user: &str) -> Option<Value> {
    const MANAGER: Fields = &[
        (
            "alive",
            Is::Plain(
                "coalesce(last_heartbeat >= now() - interval '5 minutes', false) AND operational_state <> 'EXITED'",
            ),
        ),
        ("username", Is::Plain("substr(instance_name, 15)")),
        ("instance_name", Is::Plain("instance_name")),
        ("namespace", Is::Plain("namespace")),
        ("last_heartbeat", Is::Time("last_heartbeat")),
        ("operational_state", Is::Plain("operational_state")),
        ("status", Is::Plain("status")),
        ("description", Is::Plain("description")),
        (
            "control_queue",
            Is::Plain("'/queue/agent_control.' || substr(instance_name, 15)"),
        ),
        (
            "agents_running",
            Is::Plain("coalesce(metadata -> 'agents_running', 'false')"),
        ),
        (
            "supervisord_healthy",
            Is::Plain("metadata -> 'supervisord_healthy'"),
        ),
    ];
    let rest = format!(
        "FROM swf_systemagent WHERE instance_name = {}",
        quoted(&format!("agent-manager-{user}"))
    );
    table::objects(&mut bench.swf, MANAGER, &rest).pop()
}

fn users(bench: &mut Bench) -> Vec<String> {
    texts(
        &mut bench.swf,
        "SELECT substr(instance_name, 15) FROM swf_systemagent WHERE agent_type = 'agent_manager'",
        &[],
    )
}

#[test]
fn an_agent_manager_is_alive_or_not_or_never_was() {
    let mut bench = Bench::start();
    let mut alive = 0;
    for user in users(&mut bench) {
        let look = |bench: &mut Bench| manager(bench, &user);
        let arguments = json!({"username": user});
        let (answer, expected) = bench.call_while("swf_check_agent_manager", &arguments, look);
        let expected = expected.expect("a manager");
        assert_eq!(answer.to_string(), expected.to_string());
        alive += u32::from(answer["alive"] == true);
    }
    assert!(alive > 0);
    for user in ["nobody", "%", "o'neil", "李"] {
        let answer = bench.call("swf_check_agent_manager", json!({"username": user}));
        let how = answer["how_to_start"].as_str().expect("words").to_owned();
        assert!(
            how.contains(user) && how.contains("testbed agent-manager"),
            "{how}"
        );
        let expected = json!({
            "alive": false,
            "username": user,
            "instance_name": format!("agent-manager-{user}"),
            "namespace": null,
            "last_heartbeat": null,
            "operational_state": null,
            "control_queue": format!("/queue/agent_control.{user}"),
            "agents_running": false,
            "how_to_start": how,
        });
        assert_eq!(answer.to_string(), expected.to_string());
    }
    for tool in ["swf_check_agent_manager", "swf_get_testbed_status"] {
        for arguments in [
            json!({}),
            json!({"username": ""}),
            json!({"username": null}),
            json!({"username": 3}),
        ] {
            let message = bench.refused(tool, arguments);
            assert!(message.starts_with("username: "), "{message}");
        }
    }
}

/// The agents that a status shows, and how many workflows run beside them.
fn neighbours(bench: &mut Bench, namespace: &Value) -> (Vec<Value>, i64) {
    const AGENT: Fields = &[
        ("name", Is::Plain("instance_name")),
        ("type", Is::Plain("agent_type")),
        (
            "status",
            Is::Plain(
                "CASE WHEN last_heartbeat >= now() - interval '2 minutes' THEN 'running' ELSE 'stopped' END",
            ),
        ),
        ("last_heartbeat", Is::Time("last_heartbeat")),
    ];
    let Some(namespace) = namespace.as_str() else {
        return (Vec::new(), 0);
    };
    let here = format!("namespace = {}", quoted(namespace));
    let rest = format!(
        "FROM swf_systemagent WHERE {here} AND agent_type <> 'agent_manager' AND operational_state <> 'EXITED'
         AND NOT coalesce(last_heartbeat < now() - interval '3 minutes' AND status <> 'EXITED', false)
         ORDER BY last_heartbeat DESC NULLS FIRST, id DESC"
    );
    let agents = table::objects(&mut bench.swf, AGENT, &rest);
    let running =
        format!("SELECT count(*) FROM swf_workflow_executions WHERE {here} AND status = 'running'");
    (agents, number(&mut bench.swf, &running, &[]))
}

#[test]
fn a_testbed_is_ready_or_says_why_not() {
    let mut bench = Bench::start();
    let mut users = users(&mut bench);
    users.push("nobody".to_owned());
    let mut words = std::collections::BTreeSet::new();
    for user in users {
        let look = |bench: &mut Bench| {
            let manager = manager(bench, &user);
            let namespace = manager
                .as_ref()
                .map_or(Value::Null, |m| m["namespace"].clone());
            (manager, neighbours(bench, &namespace))
        };
        let arguments = json!({"username": user});
        let (answer, (manager, (agents, workflows))) =
            bench.call_while("swf_get_testbed_status", &arguments, look);
        let of = |field: &str| manager.as_ref().map_or(Value::Null, |m| m[field].clone());
        let alive = of("alive") == true;
        let running = agents
            .iter()
            .filter(|agent| agent["status"] == "running")
            .count();
        let (word, part) = match () {
            () if !alive => ("error", "not running"),
            () if of("status") == "ERROR" => ("error", "agent manager on"),
            () if workflows > 0 => ("note", "workflow(s) running now"),
            () if running > 0 => ("note", "ready to run"),
            () => ("note", "No agents"),
        };
        let said = answer[word].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(part), "{user}: {answer}");
        words.insert(part);
        let expected = json!({
            "username": user,
            "agent_manager": {
                "alive": alive,
                "namespace": of("namespace"),
                "operational_state": of("operational_state"),
                "status": of("status"),
                "last_heartbeat": of("last_heartbeat"),
                "supervisord_healthy": of("supervisord_healthy"),
            },
            "agents": agents,
            "summary": {"running": running, "stopped": agents.len() - running},
            "running_workflows": workflows,
            "ready": part == "ready to run",
            word: said,
        });
        assert_eq!(answer.to_string(), expected.to_string());
    }
    assert_eq!(words.len(), 5, "not every case occurs: {words:?}");
}

const RECORD: Fields = &[
    ("id", Is::Plain("id")),
    ("timestamp", Is::Time("\"timestamp\"")),
    ("app_name", Is::Plain("app_name")),
    ("instance_name", Is::Plain("instance_name")),
    ("level", Is::Plain("levelname")),
    ("message", Is::Plain("message")),
    ("module", Is::Plain("module")),
    ("funcname", Is::Plain("funcname")),
    ("lineno", Is::Plain("lineno")),
    ("process", Is::Plain("process")),
    ("thread", Is::Plain("thread")),
    ("extra_data", Is::Plain("extra_data")),
];

#[test]
fn a_log_record_is_found_with_all_its_fields() {
    let mut bench = Bench::start();
    for id in 1..60 {
        let rest = format!("FROM swf_applog WHERE id = {id}");
        let page = Some(("Log Detail", format!("/logs/{id}/")));
        check_one(
            &mut bench,
            "swf_get_log_entry",
            &json!({"log_id": id}),
            RECORD,
            &rest,
            page,
        );
    }
    for id in [0, -7, i64::MAX] {
        let message = bench.refused("swf_get_log_entry", json!({"log_id": id}));
        assert!(message.contains(&format!("record {id}.")), "{message}");
    }
    // Beyond what any column holds.
    let message = bench.refused("swf_get_log_entry", json!({"log_id": 1e20}));
    assert!(message.contains("log_id"), "{message}");
}

#[test]
fn definitions_are_listed_by_name_and_highest_version() {
    let mut bench = Bench::start();
    let list = List {
        tool: "swf_list_workflow_definitions",
        limit: 100,
        title: "Workflow Definitions",
        path: "/workflow-definitions/",
        fields: &[
            ("workflow_name", Is::Plain("workflow_name")),
            ("version", Is::Plain("version")),
            ("workflow_type", Is::Plain("workflow_type")),
            ("created_by", Is::Plain("created_by")),
            ("created_at", Is::Time("created_at")),
            (
                "execution_count",
                Is::Plain(
                    "(SELECT count(*) FROM swf_workflow_executions e WHERE e.workflow_definition_id = d.id)",
                ),
            ),
        ],
        from: "swf_workflow_definitions d",
        order: "workflow_name, version DESC",
    };
    let maker = text(
        &mut bench.swf,
        "SELECT created_by FROM swf_workflow_definitions ORDER BY id LIMIT 1",
    );
    let by_maker = format!("created_by = {}", quoted(&maker));
    list.check_all(
        &mut bench,
        &[
            case(json!({}), "true", ""),
            case(json!({"workflow_type": "", "created_by": null}), "true", ""),
            case(
                json!({"workflow_type": "processing"}),
                "workflow_type = 'processing'",
                "",
            ),
            case(json!({"workflow_type": "Processing"}), "false", ""),
            case(json!({"created_by": maker}), by_maker.as_str(), ""),
            case(json!({"created_by": "%"}), "false", ""),
            case(
                json!({"workflow_type": "datataking", "created_by": maker}),
                format!("workflow_type = 'datataking' AND {by_maker}"),
                "",
            ),
            case(
                json!({"workflow_type": "\"quick\"", "created_by": "日"}),
                "false",
                "",
            ),
        ],
    );
}
