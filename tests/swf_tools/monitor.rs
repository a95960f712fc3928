//! swf_get_workflow_monitor and swf_list_workflow_monitors on messages, logs and files that are all known.

use super::own::own;
use super::*;

/// One execution's messages: second, type, run and content, in the order in which they must be told. Several are of one moment.
fn messages(execution: &str, rows: &[(i64, &str, Option<&str>, &str)]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(place, (second, kind, run, content))| {
            format!(
                "(lpad('{place}', 32, '0')::uuid, '{kind}', {content}, '2026-01-01Z'::timestamptz + {second} * interval '1 second', '{execution}', {run})",
                content = super::table::quoted(content),
                run = run.map_or("NULL".to_owned(), super::table::quoted)
            )
        })
        .collect();
    // Stored the other way round, so that nothing comes in order by chance.
    format!(
        "INSERT INTO swf_workflow_messages (message_id, message_type, message_content, sent_at, execution_id, run_id)
         SELECT id, kind, content::jsonb, sent, execution, run FROM (VALUES {}) row(id, kind, content, sent, execution, run)
         ORDER BY id DESC;",
        rows.join(", ")
    )
}

const EXECUTIONS: &str = "INSERT INTO swf_workflow_executions (execution_id, parameter_values, status, start_time, end_time, executed_by, workflow_definition_id)
    SELECT id, '{}', 'failed', now(), now() + 90.25 * interval '1 second', 'u', 1 FROM unnest(ARRAY['x', 'empty', 'odd']) id;
    INSERT INTO swf_runs (run_id, run_number, start_time) SELECT 100 + n, n, now() FROM generate_series(1, 9) n;
    INSERT INTO swf_stf_files (file_id, machine_state, created_at, status, run_id, stf_filename)
    SELECT gen_random_uuid(), 'm', now(), 's', 100 + n, 'f' FROM generate_series(1, 9) n, generate_series(1, n);";

#[test]
fn an_execution_is_told_in_the_order_in_which_it_happened() {
    let mut bench = own("monitor_told", "");
    bench.put(EXECUTIONS);
    bench.put(&messages(
        "x",
        &[
            (1, "run_imminent", Some("9"), r#"{"run_id": 7}"#),
            (1, "start_run", Some("8"), "null"),
            (1, "error", None, r#"{"error": {"b": 1}}"#),
            (2, "chatter", Some("9"), "{}"),
            // What says nothing leaves it to the message's own run.
            (2, "run_imminent", Some("2"), r#"{"run_id": false}"#),
            (2, "run_workflow_failed", None, r#"{"why": "x"}"#),
            (2, "error", None, r#""plain""#),
            (3, "end_run", Some("2"), "{}"),
        ],
    ));
    // The first ten errors of the log, however many there are; two of one moment, and nothing below an error or of others.
    bench.put(
        r#"INSERT INTO swf_applog (app_name, instance_name, timestamp, levelname, level, message, module, funcname, lineno, process, thread, extra_data)
           SELECT 'a', 'i', '2025-12-31Z'::timestamptz + (n / 2) * interval '1 second', 'L', CASE n WHEN 3 THEN 39 WHEN 4 THEN 50 ELSE 40 END, 'm' || n, '', '', 1, 1, 1,
                  jsonb_build_object('execution_id', CASE n WHEN 5 THEN 'X' ELSE 'x' END)
           FROM   generate_series(1, 14) n"#,
    );
    let answer = bench.call("swf_get_workflow_monitor", json!({"execution_id": "x"}));
    let at = |second: i64| format!("2026-01-01T00:00:0{second}+00:00");
    let log = |n: i64| json!({"time": format!("2025-12-31T00:00:0{}+00:00", n / 2), "error": format!("m{n}"), "source": "log"});
    let mut errors = vec![
        json!({"time": at(1), "error": {"b": 1}}),
        json!({"time": at(2), "error": "{\"why\": \"x\"}"}),
        json!({"time": at(2), "error": "plain"}),
    ];
    errors.extend([1, 2, 4, 6, 7, 8, 9, 10, 11, 12].map(log));
    assert_eq!(answer["phase"], "ended");
    assert_eq!(answer["run_id"], "2");
    assert_eq!(answer["stf_count"], 7 + 2);
    assert_eq!(answer["duration_seconds"].to_string(), "90.25");
    assert_eq!(
        answer["events"].to_string(),
        json!([
            {"type": "run_imminent", "time": at(1), "run_id": 7},
            {"type": "start_run", "time": at(1)},
            {"type": "run_imminent", "time": at(2), "run_id": "2"},
            {"type": "end_run", "time": at(3)},
        ])
        .to_string()
    );
    assert_eq!(
        answer["errors"].to_string(),
        Value::from(errors).to_string()
    );

    let empty = bench.call("swf_get_workflow_monitor", json!({"execution_id": "empty"}));
    assert_eq!(
        (
            &empty["phase"],
            &empty["run_id"],
            &empty["stf_count"],
            &empty["events"],
            &empty["errors"]
        ),
        (
            &json!("unknown"),
            &Value::Null,
            &json!(0),
            &json!([]),
            &json!([])
        )
    );
}

#[test]
fn the_files_are_those_of_the_runs_that_were_announced_or_else_of_all_that_were_named() {
    let mut bench = own("monitor_files", "");
    bench.put(EXECUTIONS);
    let count = |bench: &Bench| {
        let one = bench.call("swf_get_workflow_monitor", json!({"execution_id": "odd"}));
        let list = bench.call("swf_list_workflow_monitors", json!({}));
        let item = list["items"].as_array().expect("items").iter();
        let item = item.filter(|item| item["execution_id"] == "odd");
        let of_list = item.map(|item| item["stf_count"].clone()).next();
        (one["stf_count"].clone(), of_list.expect("the execution"))
    };
    for (rows, announced, named) in [
        // An announcement that names no run is none.
        (
            vec![
                (1, "run_imminent", Some(""), "{}"),
                (2, "start_run", Some("5"), "{}"),
                (3, "chatter", Some(" +3 "), "{}"),
                (3, "chatter", Some("3"), "{}"),
                (4, "chatter", None, "{}"),
            ],
            8,
            8,
        ),
        (
            vec![
                (1, "run_imminent", Some("1"), r#"{"run_id": "4"}"#),
                (2, "start_run", Some("5"), "{}"),
            ],
            4,
            6,
        ),
        // A name that is no number is no run's, and neither is one that is too long for any.
        (
            vec![
                (1, "chatter", Some("run 5"), "{}"),
                (1, "chatter", Some("6x"), "{}"),
                (1, "chatter", Some("99999999999999999999"), "{}"),
                (1, "chatter", Some("2"), "{}"),
            ],
            2,
            2,
        ),
    ] {
        bench.put("TRUNCATE swf_workflow_messages");
        bench.put(&messages("odd", &rows));
        assert_eq!(count(&bench), (json!(announced), json!(named)), "{rows:?}");
    }
}

#[test]
fn the_twenty_newest_executions_are_watched() {
    let mut bench = own("monitor_newest", "");
    bench.put(
        "INSERT INTO swf_workflow_executions (execution_id, parameter_values, status, start_time, executed_by, workflow_definition_id)
         SELECT 'e' || n, '{}', 'failed', now() - (n * 8 % 23) * interval '1 minute', 'u', 1 FROM generate_series(1, 22) n",
    );
    let list = bench.call("swf_list_workflow_monitors", json!({}));
    // 3 is the inverse of 8 modulo 23.
    let expected: Vec<String> = (1..=20).map(|age| format!("e{}", age * 3 % 23)).collect();
    assert_eq!(column(&list, "execution_id"), expected);
    assert_eq!(list["total_count"], 22);
}

#[test]
fn a_length_has_as_many_digits_as_it_needs_and_at_least_one() {
    let mut bench = own("lengths", "");
    for (length, text) in [
        ("3600 seconds", "3600.0"),
        ("90.5 seconds", "90.5"),
        ("0.000625 seconds", "0.000625"),
        ("2 days 1.10 seconds", "172801.1"),
        ("0 seconds", "0.0"),
    ] {
        bench.put(&format!(
            "TRUNCATE swf_runs, swf_workflow_executions;
             INSERT INTO swf_runs (run_number, start_time, end_time) VALUES (1, now(), now() + interval '{length}');
             INSERT INTO swf_workflow_executions (execution_id, parameter_values, status, start_time, end_time, executed_by, workflow_definition_id)
             VALUES ('x', '{{}}', 'failed', now(), now() + interval '{length}', 'u', 1)"
        ));
        for (tool, arguments) in [
            ("swf_get_run", json!({"run_number": 1})),
            ("swf_list_runs", json!({})),
            ("swf_get_workflow_monitor", json!({"execution_id": "x"})),
        ] {
            let (answer, _) = bench.raw(Era::Legacy, tool, &arguments);
            let expected = format!("\"duration_seconds\":{text},");
            assert!(answer.contains(&expected), "{tool}: {answer}");
        }
    }
}
