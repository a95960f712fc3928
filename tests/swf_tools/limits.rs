//! The lists at their limits: nothing, exactly as many as fit, and one more; all rows of one moment, so that only the last key orders them.

use super::own::own;
use super::*;

/// A list: its tool, arguments, limit, field that tells items apart, statement that makes rows number `{from}` to `{to}`,
/// and query of that field in the order that they must have.
type Case = (
    &'static str,
    Value,
    i64,
    &'static str,
    &'static str,
    &'static str,
);

fn cases() -> Vec<Case> {
    // A window of no length holds what is at its two ends.
    let moment = || json!({"start_time": "2999-01-01", "end_time": "2999-01-01T00:00:00Z"});
    vec![
        (
            "swf_list_agents",
            moment(),
            100,
            "name",
            "INSERT INTO swf_systemagent (instance_name, agent_type, description, status, operational_state, last_heartbeat, created_at,
                 updated_at, current_stf_count, total_stf_processed, workflow_enabled)
             SELECT 'a' || n, 't', '', 'OK', 'READY', '2999-01-01Z', now(), now(), 0, 0, true FROM generate_series({from}, {to}) n",
            "SELECT instance_name FROM swf_systemagent ORDER BY id DESC",
        ),
        (
            "swf_list_namespaces",
            json!({}),
            100,
            "name",
            "INSERT INTO swf_namespace (name, owner, description, created_at, updated_at)
             SELECT 'n' || 1000 - n, 'o', '', now(), now() FROM generate_series({from}, {to}) n",
            "SELECT name FROM swf_namespace ORDER BY name",
        ),
        (
            "swf_list_workflow_definitions",
            json!({}),
            100,
            "version",
            "INSERT INTO swf_workflow_definitions (workflow_name, version, workflow_type, definition, parameter_values, created_by,
                 created_at, updated_at)
             SELECT 'w' || (1000 - n) / 4, 'v' || 1000 + n * 7 % 10, 't', '', '{}', 'c', now(), now() FROM generate_series({from}, {to}) n",
            "SELECT version FROM swf_workflow_definitions ORDER BY workflow_name, version DESC",
        ),
        // Twenty of them, before there are a hundred.
        (
            "swf_list_workflow_monitors",
            json!({}),
            20,
            "execution_id",
            EXECUTIONS,
            "SELECT execution_id FROM swf_workflow_executions ORDER BY execution_id DESC",
        ),
        (
            "swf_list_workflow_executions",
            moment(),
            100,
            "execution_id",
            EXECUTIONS,
            "SELECT execution_id FROM swf_workflow_executions ORDER BY execution_id DESC",
        ),
        (
            "swf_list_logs",
            moment(),
            200,
            "message",
            "INSERT INTO swf_applog (app_name, instance_name, timestamp, levelname, level, message, module, funcname, lineno, process, thread)
             SELECT 'a', 'i', '2999-01-01Z', 'INFO', 20, 'm' || n, '', '', 1, 1, 1 FROM generate_series({from}, {to}) n",
            "SELECT message FROM swf_applog ORDER BY id DESC",
        ),
        (
            "swf_list_messages",
            moment(),
            200,
            "execution_id",
            "INSERT INTO swf_workflow_messages (message_id, message_type, message_content, sent_at, execution_id)
             SELECT gen_random_uuid(), 't', '{}', '2999-01-01Z', 'x' || n FROM generate_series({from}, {to}) n",
            "SELECT execution_id FROM swf_workflow_messages ORDER BY message_id DESC",
        ),
        (
            "swf_list_runs",
            moment(),
            100,
            "run_number",
            "INSERT INTO swf_runs (run_number, start_time) SELECT 7 * n % 1009, '2999-01-01Z' FROM generate_series({from}, {to}) n",
            "SELECT run_number::text FROM swf_runs ORDER BY swf_runs.run_number DESC",
        ),
        (
            "swf_list_stf_files",
            moment(),
            100,
            "file_id",
            "INSERT INTO swf_stf_files (file_id, machine_state, created_at, status, run_id, stf_filename)
             SELECT gen_random_uuid(), 'm', '2999-01-01Z', 's', 1, 'f' || n FROM generate_series({from}, {to}) n",
            "SELECT file_id::text FROM swf_stf_files ORDER BY swf_stf_files.file_id DESC",
        ),
        (
            "swf_list_tf_slices",
            moment(),
            200,
            "slice_id",
            "INSERT INTO swf_tf_slices (slice_id, tf_first, tf_last, tf_count, tf_filename, stf_filename, run_number, status, retries,
                 created_at, updated_at)
             SELECT 7 * n % 1009, 0, 0, 0, 't', 's', 1, 's', 0, '2999-01-01Z', now() FROM generate_series({from}, {to}) n",
            "SELECT slice_id::text FROM swf_tf_slices ORDER BY id DESC",
        ),
    ]
}

const EXECUTIONS: &str = "INSERT INTO swf_workflow_executions (execution_id, parameter_values, status, start_time, executed_by, workflow_definition_id)
    SELECT 'e' || 7 * n % 1009, '{}', 's', '2999-01-01Z', 'u', 1 FROM generate_series({from}, {to}) n";

#[test]
fn a_list_says_that_there_is_more_only_when_there_is() {
    let mut bench = own("at_the_limits", "");
    for (tool, arguments, limit, field, insert, order) in cases() {
        let table = order.split_once(" FROM ").expect("a table").1;
        let table = table.split_once(' ').expect("its name").0;
        for wanted in [None, Some(limit), Some(limit + 1)] {
            let there = number(
                &mut bench.swf,
                &format!("SELECT count(*) FROM {table}"),
                &[],
            );
            let wanted = wanted.unwrap_or(there);
            let insert = insert
                .replace("{from}", &(there + 1).to_string())
                .replace("{to}", &wanted.to_string());
            bench.put(&insert);
            let list = bench.call(tool, arguments.clone());
            assert_eq!(list["total_count"], json!(wanted), "{tool}");
            assert_eq!(
                list["has_more"],
                json!(wanted > limit),
                "{tool} of {wanted}"
            );
            let shown: Vec<String> = list["items"]
                .as_array()
                .expect("items")
                .iter()
                .map(|item| item[field].to_string().trim_matches('"').to_owned())
                .collect();
            let expected = texts(&mut bench.swf, &format!("{order} LIMIT {limit}"), &[]);
            assert_eq!(shown, expected, "{tool} of {wanted}");
        }
    }
}

#[test]
fn a_level_is_the_least_that_a_log_record_has() {
    let mut bench = own("log_levels", "");
    bench.put(
        "INSERT INTO swf_applog (app_name, instance_name, timestamp, levelname, level, message, module, funcname, lineno, process, thread)
         SELECT 'a', 'i', now(), 'L' || level, level, '', '', '', 1, 1, 1
         FROM   unnest(ARRAY[0, 9, 10, 19, 20, 29, 30, 39, 40, 49, 50, 51]) level",
    );
    for (level, count) in [
        ("DEBUG", 10),
        ("info", 8),
        ("Warning", 6),
        ("ERROR", 4),
        ("CRITICAL", 2),
        ("LOUD", 12),
    ] {
        let list = bench.call("swf_list_logs", json!({"level": level}));
        assert_eq!(list["total_count"], json!(count), "{level}");
    }
}

#[test]
fn twenty_turns_of_memory_are_its_newest_forty_rows_oldest_first() {
    let mut bench = own("memory_turns", "");
    // Three and three at one moment; the other user's are among them.
    bench.put(
        "INSERT INTO swf_ai_memory (username, session_id, role, content, created_at, namespace)
         SELECT u, 's', 'user', u || n, now() - interval '1 day' + n / 3 * interval '1 minute', CASE n % 3 WHEN 0 THEN 'three' END
         FROM   unnest(ARRAY['mine', 'yours']) u, generate_series(1, 45) n ORDER BY n",
    );
    for (arguments, expected) in [
        (json!({}), (6..=45).collect::<Vec<_>>()),
        (json!({"turns": 1}), vec![44, 45]),
        (json!({"turns": 0}), vec![]),
        (
            json!({"turns": 3, "namespace": "three"}),
            vec![30, 33, 36, 39, 42, 45],
        ),
        (json!({"namespace": "four"}), vec![]),
    ] {
        let mut all = arguments.clone();
        all["username"] = json!("mine");
        let memory = bench.call("swf_get_ai_memory", all);
        let expected: Vec<String> = expected.iter().map(|n| format!("mine{n}")).collect();
        assert_eq!(column(&memory, "content"), expected, "{arguments}");
        let rest = json!({
            "count": expected.len(),
            "username": "mine",
            "turns_requested": arguments["turns"].as_i64().unwrap_or(20),
            "namespace": arguments["namespace"],
        });
        for (key, value) in rest.as_object().expect("an object") {
            assert_eq!(memory[key], *value, "{arguments}");
        }
    }
}

#[test]
fn a_payload_is_summed_up_in_its_first_two_hundred_characters() {
    let mut bench = own("summaries", "");
    // As many digits as make the array's compact text this long: "[1,1,1]".
    let array = |length: usize| Value::from(vec![1; (length - 1) / 2]);
    let payloads = [
        json!("é".repeat(199)),
        json!("é".repeat(200)),
        json!("é".repeat(201)),
        array(199),
        array(201),
        array(1001),
        // A space inside a string is the sender's own, and after the 200th character nothing matters.
        json!({"k": " , : ".repeat(60)}),
        json!(["\\\"".repeat(150)]),
    ];
    for payload in payloads {
        bench.put(&format!(
            "TRUNCATE swf_workflow_messages;
             INSERT INTO swf_workflow_messages (message_id, message_type, message_content, sent_at)
             VALUES (gen_random_uuid(), 't', {}, now())",
            super::table::quoted(&payload.to_string())
        ));
        let whole = match &payload {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let expected: String = whole.chars().take(200).collect();
        let list = bench.call("swf_list_messages", json!({}));
        assert_eq!(column(&list, "payload_summary"), [expected]);
    }
}
