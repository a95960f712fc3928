//! swf_list_workflow_executions, swf_get_workflow_execution.

use super::*;

const DAY_OLD: &str = "start_time >= now() - interval '24 hours'";

/// Compares a list with the executions that satisfy the condition, and says how many they are.
fn check(bench: &mut Bench, arguments: Value, condition: &str, query: &str) -> usize {
    let ids = format!(
        "SELECT execution_id FROM swf_workflow_executions e
         JOIN swf_workflow_definitions d ON d.id = e.workflow_definition_id
         WHERE {condition} ORDER BY start_time DESC, execution_id DESC"
    );
    let look = |bench: &mut Bench| texts(&mut bench.swf, &ids, &[]);
    let (list, expected) = bench.call_while("swf_list_workflow_executions", &arguments, look);
    check_list(
        &list,
        100,
        "Executions List",
        &format!("/workflow-executions/{query}"),
    );
    assert_eq!(list["total_count"], json!(expected.len()), "{arguments}");
    assert_eq!(
        column(&list, "execution_id"),
        expected[..expected.len().min(100)],
        "{arguments}"
    );
    expected.len()
}

#[test]
fn each_filter_of_executions_alone_and_all_together() {
    let mut bench = Bench::start();
    assert!(check(&mut bench, json!({}), DAY_OLD, "") > 100);
    let day = |condition: &str| format!("{DAY_OLD} AND {condition}");
    for (arguments, condition, query) in [
        (json!({"namespace": "東京-daq"}), day("namespace = '東京-daq'"), "?namespace=東京-daq"),
        (json!({"namespace": "back\\slash_1"}), day("namespace = E'back\\\\slash_1'"), "?namespace=back\\slash_1"),
        (json!({"status": "FAILED"}), day("status = 'failed'"), "?status=FAILED"),
        (json!({"status": "100%"}), day("false"), "?status=100%"),
        (json!({"status": "", "end_time": null}), day("true"), ""),
        (json!({"executed_by": "o'neill"}), day("executed_by = 'o''neill'"), "?executed_by=o'neill"),
        (json!({"workflow_name": "calibration \"quick\""}), day("workflow_name = 'calibration \"quick\"'"), ""),
        (json!({"start_time": "2000-01-01"}), "true".into(), ""),
        (json!({"start_time": "2000-01-01T00:00:00+02:00", "end_time": "now-10d"}), "start_time <= now() - interval '10 days'".into(), ""),
        (json!({"start_time": "2999-12-31 23:59:59"}), "false".into(), ""),
        (json!({"end_time": "2000-01-01T00:00:00"}), "false".into(), ""),
        (
            json!({"namespace": "torre1", "status": "Completed", "executed_by": "amara", "workflow_name": "fast_processing",
                   "start_time": "now-40d", "end_time": "now-1d", "currently_running": false}),
            "namespace = 'torre1' AND status = 'completed' AND executed_by = 'amara' AND workflow_name = 'fast_processing'
             AND start_time BETWEEN now() - interval '40 days' AND now() - interval '1 day'".into(),
            "?namespace=torre1&status=Completed&executed_by=amara",
        ),
    ] {
        check(&mut bench, arguments, &condition, query);
    }
}

#[test]
fn what_runs_now_has_no_window_and_no_status() {
    let mut bench = Bench::start();
    let running = "upper(status) = 'RUNNING'";
    for arguments in [
        json!({"currently_running": true}),
        json!({"currently_running": "true", "start_time": "2999-01-01", "end_time": "2000-01-01"}),
        json!({"currently_running": 1}),
    ] {
        assert!(check(&mut bench, arguments, running, "") > 0);
    }
    check(
        &mut bench,
        json!({"currently_running": true, "status": "failed"}),
        running,
        "?status=failed",
    );
    check(
        &mut bench,
        json!({"currently_running": true, "executed_by": "grace"}),
        "upper(status) = 'RUNNING' AND executed_by = 'grace'",
        "?executed_by=grace",
    );
    let message = bench.refused(
        "swf_list_workflow_executions",
        json!({"currently_running": "perhaps"}),
    );
    assert!(message.contains("currently_running"), "{message}");
}

#[test]
fn a_bound_of_the_window_is_inside_it_and_naive_times_are_utc() {
    let mut bench = Bench::start();
    let exact = text(
        &mut bench.swf,
        "SELECT to_char(start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') FROM swf_workflow_executions
         ORDER BY start_time DESC OFFSET 500 LIMIT 1",
    );
    let condition = format!("start_time = '{exact}Z'");
    for (start, end) in [
        (exact.clone(), exact.clone()),
        (format!("{exact}Z"), exact.replace('T', " ")),
        (format!("{exact}+00:00"), format!("{exact}z")),
    ] {
        assert!(
            check(
                &mut bench,
                json!({"start_time": start, "end_time": end}),
                &condition,
                ""
            ) >= 1
        );
    }
}

#[test]
fn every_recent_execution_is_found_with_all_its_fields() {
    let mut bench = Bench::start();
    let query = format!(
        "SELECT execution_id, workflow_name, namespace, status, executed_by, {}, {}, e.parameter_values::text,
                performance_metrics::text
         FROM swf_workflow_executions e JOIN swf_workflow_definitions d ON d.id = e.workflow_definition_id
         ORDER BY start_time DESC, execution_id DESC LIMIT 100",
        micros("start_time"),
        micros("end_time")
    );
    let list = bench.call(
        "swf_list_workflow_executions",
        json!({"start_time": "now-99d"}),
    );
    for (row, item) in bench
        .swf
        .query(&query, &[])
        .expect("executions")
        .iter()
        .zip(list["items"].as_array().expect("items"))
    {
        let id: String = row.get(0);
        let json_of = |column: usize| {
            row.get::<_, Option<String>>(column)
                .map_or(Value::Null, |text| {
                    serde_json::from_str(&text).expect("JSON")
                })
        };
        let mut expected = json!({
            "execution_id": id,
            "workflow_name": row.get::<_, String>(1),
            "namespace": row.get::<_, Option<String>>(2),
            "status": row.get::<_, String>(3),
            "executed_by": row.get::<_, String>(4),
            "start_time": moment(row.get(5), "+00:00"),
            "end_time": moment(row.get(6), "+00:00"),
            "parameter_values": json_of(7),
        });
        assert_eq!(item.to_string(), expected.to_string());
        let execution = bench.call("swf_get_workflow_execution", json!({"execution_id": id}));
        check_url(
            &execution,
            "Execution Detail",
            &format!("/workflow-executions/{id}/"),
        );
        expected["performance_metrics"] = json_of(8);
        expected["monitor_urls"] = execution["monitor_urls"].clone();
        assert_eq!(execution.to_string(), expected.to_string());
    }
}

#[test]
fn an_execution_that_is_not_there() {
    let bench = Bench::start();
    for id in ["nonesuch", "100%", "\"", "\\"] {
        let message = bench.refused("swf_get_workflow_execution", json!({"execution_id": id}));
        assert!(
            message.contains(&format!("'{id}'"))
                && message.contains("swf_list_workflow_executions"),
            "{message}"
        );
    }
    let message = bench.refused("swf_get_workflow_execution", json!({"execution_id": 12}));
    assert!(message.contains("execution_id"), "{message}");
}
