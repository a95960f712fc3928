//! swf_list_messages, swf_get_workflow_monitor, swf_list_workflow_monitors.

use super::table::{Is, List, case, quoted, seconds};
use super::*;

/// The beginning of what a message says, as the service shows it.
fn summary(content: Value) -> Value {
    let text = match &content {
        Value::Null | Value::Bool(false) => return Value::Null,
        Value::Number(number) if number.as_f64() == Some(0.0) => return Value::Null,
        Value::String(text) if text.is_empty() => return Value::Null,
        Value::Array(items) if items.is_empty() => return Value::Null,
        Value::Object(entries) if entries.is_empty() => return Value::Null,
        Value::String(text) => text.clone(),
        // PostgreSQL and serde_json differ in how they write this one number.
        other => other.to_string().replace("1e-5", "0.00001"),
    };
    Value::String(text.chars().take(200).collect())
}

const MESSAGES: List = List {
    tool: "swf_list_messages",
    limit: 200,
    title: "Messages List",
    path: "/workflow/messages/",
    fields: &[
        ("message_type", Is::Plain("message_type")),
        ("sender_agent", Is::Plain("sender_agent")),
        ("namespace", Is::Plain("namespace")),
        ("sent_at", Is::Time("sent_at")),
        ("execution_id", Is::Plain("execution_id")),
        ("run_id", Is::Plain("run_id")),
        ("payload_summary", Is::Made("message_content", summary)),
    ],
    from: "swf_workflow_messages",
    order: "sent_at DESC, message_id DESC",
};

#[test]
fn each_filter_of_messages_alone_and_all_together() {
    let mut bench = Bench::start();
    let hour = |condition: &str| format!("sent_at >= now() - interval '1 hour' AND {condition}");
    let row = bench
        .swf
        .query_one(
            "SELECT namespace, execution_id, sender_agent, message_type FROM swf_workflow_messages
             WHERE namespace IS NOT NULL AND execution_id LIKE '%o''neill%' AND sender_agent IS NOT NULL
             ORDER BY sent_at DESC LIMIT 1",
            &[],
        )
        .expect("a message");
    let [namespace, execution, agent, kind]: [String; 4] =
        [0, 1, 2, 3].map(|column| row.get(column));
    let all = json!({"start_time": "2000-01-01"});
    let since = |arguments: Value| {
        let mut arguments = arguments;
        arguments["start_time"] = all["start_time"].clone();
        arguments
    };
    MESSAGES.check_all(
        &mut bench,
        &[
            case(json!({}), hour("true"), ""),
            case(json!({"namespace": "", "execution_id": null, "agent": "", "start_time": ""}), hour("true"), ""),
            case(all.clone(), "true", ""),
            case(since(json!({"namespace": namespace})), format!("namespace = {}", quoted(&namespace)), format!("?namespace={namespace}")),
            case(since(json!({"execution_id": execution})), format!("execution_id = {}", quoted(&execution)), format!("?execution_id={execution}")),
            case(since(json!({"agent": agent})), format!("sender_agent = {}", quoted(&agent)), ""),
            case(json!({"message_type": "stf_gen"}), hour("message_type = 'stf_gen'"), "?message_type=stf_gen"),
            case(json!({"message_type": "STF_GEN"}), "false", "?message_type=STF_GEN"),
            case(json!({"message_type": "stf%"}), "false", "?message_type=stf%"),
            case(json!({"namespace": "日本", "agent": "\\"}), "false", "?namespace=日本"),
            case(json!({"start_time": "now-2d", "end_time": "now-1d"}), "sent_at BETWEEN now() - interval '2 days' AND now() - interval '1 day'", ""),
            case(json!({"end_time": "2000-01-01"}), "false", ""),
            case(json!({"start_time": "2999-01-01T00:00:00+01:00"}), "false", ""),
            case(
                json!({"namespace": namespace, "execution_id": execution, "agent": agent, "message_type": kind,
                       "start_time": "2000-01-01", "end_time": "2999-01-01"}),
                format!(
                    "namespace = {} AND execution_id = {} AND sender_agent = {} AND message_type = {}",
                    quoted(&namespace), quoted(&execution), quoted(&agent), quoted(&kind)
                ),
                format!("?namespace={namespace}&execution_id={execution}&message_type={kind}"),
            ),
        ],
    );
}

/// Of every form of content, one by one: those that the lists above may not show.
#[test]
fn every_form_of_content_is_summed_up() {
    let mut bench = Bench::start();
    let odd = texts(
        &mut bench.swf,
        "SELECT DISTINCT ON (left(message_content::text, 30)) message_id::text FROM swf_workflow_messages
         WHERE NOT (jsonb_typeof(message_content) = 'object' AND message_content ? 'filename')",
        &[],
    );
    assert!(odd.len() > 15, "{}", odd.len());
    let mut forms = std::collections::BTreeSet::new();
    for id in odd {
        let sent = text(
            &mut bench.swf,
            &format!(
                "SELECT to_char(sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM swf_workflow_messages WHERE message_id = '{id}'"
            ),
        );
        let arguments = json!({"start_time": sent, "end_time": sent});
        let condition = format!("sent_at = '{sent}'");
        MESSAGES.check(&mut bench, &arguments, &condition, "");
        let list = bench.call("swf_list_messages", arguments);
        for item in list["items"].as_array().expect("items") {
            forms.insert(item["payload_summary"].to_string());
        }
    }
    assert!(
        forms.contains("null") && forms.contains("\"true\""),
        "{forms:?}"
    );
    assert!(
        forms.iter().any(|form| form.contains("'quoted'")),
        "{forms:?}"
    );
}

/// What the messages and logs of an execution say of its course.
fn course(bench: &mut Bench, id: &str) -> Value {
    let this = format!("execution_id = {}", quoted(id));
    let messages: Vec<Value> = texts(
        &mut bench.swf,
        &format!(
            "SELECT json_build_array(message_type, {}, run_id, message_content)::text FROM swf_workflow_messages
             WHERE {this} ORDER BY sent_at, message_id",
            micros("sent_at")
        ),
        &[],
    )
    .iter()
    .map(|text| serde_json::from_str(text).expect("JSON"))
    .collect();
    let empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    };
    let (mut phase, mut run) = ("unknown", Value::Null);
    let (mut events, mut errors, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for message in &messages {
        let time = moment(message[1].as_i64(), "+00:00");
        let content = &message[3];
        match message[0].as_str().expect("a type") {
            "run_imminent" => {
                phase = "imminent";
                run = if empty(&content["run_id"]) {
                    message[2].clone()
                } else {
                    content["run_id"].clone()
                };
                if !empty(&run) {
                    runs.push(run.clone());
                }
                events.push(json!({"type": "run_imminent", "time": time, "run_id": run}));
            }
            kind @ ("start_run" | "end_run") => {
                phase = if kind == "start_run" {
                    "running"
                } else {
                    "ended"
                };
                events.push(json!({"type": kind, "time": time}));
            }
            "error" | "run_workflow_failed" => {
                let error = match content {
                    Value::Object(entries) if entries.contains_key("error") => {
                        entries["error"].clone()
                    }
                    Value::Null => json!("{}"),
                    Value::String(text) => json!(text),
                    // As PostgreSQL writes it, with spaces.
                    other => json!(other.to_string().replace(':', ": ").replace(',', ", ")),
                };
                errors.push(json!({"time": time, "error": error}));
            }
            _ => {}
        }
    }
    if runs.is_empty() {
        runs.extend(messages.iter().map(|message| message[2].clone()));
    }
    let numbers: Vec<String> = runs
        .iter()
        .map(|run| run.as_str().map_or_else(|| run.to_string(), str::to_owned))
        .filter(|run| run.parse::<i64>().is_ok())
        .collect();
    let files = number(
        &mut bench.swf,
        "SELECT count(*) FROM swf_stf_files JOIN swf_runs USING (run_id) WHERE run_number::text = ANY($1)",
        &[&numbers],
    );
    let logs = texts(
        &mut bench.swf,
        &format!(
            "SELECT json_build_array({}, message)::text FROM swf_applog WHERE level >= 40 AND extra_data ->> 'execution_id' = {}
             ORDER BY \"timestamp\", id LIMIT 10",
            micros("\"timestamp\""),
            quoted(id)
        ),
        &[],
    );
    for log in logs {
        let log: Value = serde_json::from_str(&log).expect("JSON");
        errors.push(
            json!({"time": moment(log[0].as_i64(), "+00:00"), "error": log[1], "source": "log"}),
        );
    }
    let row = text(
        &mut bench.swf,
        &format!(
            "SELECT json_build_array(status, {}, {})::text FROM swf_workflow_executions WHERE {this}",
            micros("start_time"),
            micros("end_time")
        ),
    );
    let row: Value = serde_json::from_str(&row).expect("JSON");
    let took = row[2]
        .as_i64()
        .zip(row[1].as_i64())
        .map(|(end, start)| end - start);
    json!({
        "execution_id": id,
        "status": row[0],
        "phase": phase,
        "run_id": run,
        "stf_count": files,
        "events": events,
        "errors": errors,
        "start_time": moment(row[1].as_i64(), "+00:00"),
        "end_time": moment(row[2].as_i64(), "+00:00"),
        "duration_seconds": seconds(json!(took)),
    })
}

#[test]
fn an_execution_is_told_from_its_messages_and_logs() {
    let mut bench = Bench::start();
    // Those that say most, those that fail oddly, those without a number for a run, and those of which nothing is heard.
    let ids = texts(
        &mut bench.swf,
        "(SELECT execution_id FROM swf_workflow_messages WHERE execution_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 40)
         UNION
         (SELECT execution_id FROM swf_workflow_messages WHERE execution_id IS NOT NULL
          AND (message_type IN ('error', 'run_workflow_failed') AND NOT message_content ? 'run_id'
               OR message_type = 'run_imminent' AND (run_id IN ('', 'test-run') OR NOT message_content ? 'tick')) ORDER BY 1 LIMIT 120)
         UNION
         (SELECT execution_id FROM swf_workflow_executions e
          WHERE NOT EXISTS (SELECT FROM swf_workflow_messages m WHERE m.execution_id = e.execution_id) ORDER BY 1 LIMIT 5)",
        &[],
    );
    let mut phases = std::collections::BTreeSet::new();
    for id in ids {
        let mut answer = bench.call("swf_get_workflow_monitor", json!({"execution_id": id}));
        check_url(
            &answer,
            "Execution Detail",
            &format!("/workflow-executions/{id}/"),
        );
        answer
            .as_object_mut()
            .expect("an object")
            .shift_remove("monitor_urls");
        assert_eq!(answer.to_string(), course(&mut bench, &id).to_string());
        phases.insert(answer["phase"].to_string());
    }
    assert_eq!(phases.len(), 4, "{phases:?}");
    for id in ["nonesuch", "100%", "'"] {
        let message = bench.refused("swf_get_workflow_monitor", json!({"execution_id": id}));
        assert!(message.contains(&format!("'{id}'")), "{message}");
    }
}

#[test]
fn monitors_are_the_executions_of_a_day() {
    let mut bench = Bench::start();
    let list = List {
        tool: "swf_list_workflow_monitors",
        limit: 20,
        title: "Executions List",
        path: "/workflow-executions/",
        fields: &[
            ("execution_id", Is::Plain("execution_id")),
            ("status", Is::Plain("status")),
            ("start_time", Is::Time("start_time")),
            ("end_time", Is::Time("end_time")),
            (
                "stf_count",
                Is::Plain(
                    "(SELECT count(*) FROM swf_stf_files JOIN swf_runs r USING (run_id)
                      WHERE EXISTS (SELECT FROM swf_workflow_messages m
                                    WHERE m.execution_id = e.execution_id AND m.run_id = r.run_number::text))",
                ),
            ),
        ],
        from: "swf_workflow_executions e",
        order: "start_time DESC, execution_id DESC",
    };
    let day = "start_time >= now() - interval '24 hours'";
    let total = list.check(&mut bench, &json!({}), day, "");
    assert!(total > 20);
    list.check(&mut bench, &json!({"status": "failed"}), day, "");
}
