//! swf_list_logs.

use super::*;

const DAY_OLD: &str = "\"timestamp\" >= now() - interval '24 hours'";

/// Compares a list with the records that satisfy the condition, and says how many they are.
fn check(bench: &mut Bench, arguments: Value, condition: &str, query: &str) -> i64 {
    let count = format!("SELECT count(*) FROM swf_applog WHERE {condition}");
    let ids = format!(
        "SELECT id::text FROM swf_applog WHERE {condition} ORDER BY \"timestamp\" DESC, id DESC LIMIT 200"
    );
    let look = |bench: &mut Bench| {
        (
            number(&mut bench.swf, &count, &[]),
            texts(&mut bench.swf, &ids, &[]),
        )
    };
    let (list, (total, newest)) = bench.call_while("swf_list_logs", &arguments, look);
    check_list(&list, 200, "Logs List", &format!("/logs/{query}"));
    assert_eq!(list["total_count"], json!(total), "{arguments}");
    let shown: Vec<String> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["id"].to_string())
        .collect();
    assert_eq!(shown, newest, "{arguments}");
    total
}

#[test]
fn each_filter_of_logs_alone_and_all_together() {
    let mut bench = Bench::start();
    assert!(check(&mut bench, json!({}), DAY_OLD, "") > 200);
    let day = |condition: &str| format!("{DAY_OLD} AND {condition}");
    let agent = text(
        &mut bench.swf,
        "SELECT instance_name FROM swf_applog ORDER BY \"timestamp\" DESC LIMIT 1",
    );
    let execution = text(
        &mut bench.swf,
        "SELECT extra_data ->> 'execution_id' FROM swf_applog WHERE extra_data ? 'execution_id' ORDER BY \"timestamp\" DESC LIMIT 1",
    );
    let quoted = |text: &str| text.replace('\'', "''");
    let found = [
        check(
            &mut bench,
            json!({"app_name": "swf-data-agent"}),
            &day("app_name = 'swf-data-agent'"),
            "",
        ),
        check(
            &mut bench,
            json!({"instance_name": agent}),
            &day(&format!("instance_name = '{}'", quoted(&agent))),
            &format!("?instance_name={agent}"),
        ),
        check(
            &mut bench,
            json!({"execution_id": execution}),
            &day(&format!(
                "extra_data ->> 'execution_id' = '{}'",
                quoted(&execution)
            )),
            &format!("?execution_id={execution}"),
        ),
        check(
            &mut bench,
            json!({"level": "WARNING"}),
            &day("levelname IN ('WARNING', 'ERROR', 'CRITICAL')"),
            "?level=WARNING",
        ),
        check(
            &mut bench,
            json!({"level": "error"}),
            &day("levelname IN ('ERROR', 'CRITICAL')"),
            "?level=error",
        ),
        check(
            &mut bench,
            json!({"level": "debug"}),
            &day("true"),
            "?level=debug",
        ),
        // An unknown level is no filter.
        check(
            &mut bench,
            json!({"level": "loud"}),
            &day("true"),
            "?level=loud",
        ),
        check(
            &mut bench,
            json!({"search": "PRÜFSUMME"}),
            &day("message ILIKE '%prüfsumme%'"),
            "",
        ),
        // Neither of these is a wildcard.
        check(
            &mut bench,
            json!({"search": "100%"}),
            &day("message LIKE '%100\\%%'"),
            "",
        ),
        check(
            &mut bench,
            json!({"search": "y_w"}),
            &day("message LIKE '%y\\_w%'"),
            "",
        ),
        check(
            &mut bench,
            json!({"search": "c:\\DATA\\"}),
            &day("message LIKE 'C:%data%'"),
            "",
        ),
        check(
            &mut bench,
            json!({"search": "'run_id'"}),
            &day("message LIKE '%''run_id''%'"),
            "",
        ),
        check(
            &mut bench,
            json!({"search": "", "level": null, "end_time": ""}),
            DAY_OLD,
            "",
        ),
        check(&mut bench, json!({"start_time": "now-90d"}), "true", ""),
        check(
            &mut bench,
            json!({"start_time": "1999-01-01", "end_time": "now-5d"}),
            "\"timestamp\" <= now() - interval '5 days'",
            "",
        ),
    ];
    assert!(found.iter().all(|&count| count > 0), "{found:?}");
    for arguments in [
        json!({"search": "%"}),
        json!({"search": "_"}),
        json!({"app_name": "SWF-DATA-AGENT"}),
        json!({"start_time": "2999-01-01T00:00:00+14:00"}),
        json!({"execution_id": "nonesuch"}),
    ] {
        let list = bench.call("swf_list_logs", arguments.clone());
        let percent = arguments["search"] == "%" || arguments["search"] == "_";
        assert_eq!(list["total_count"] == json!(0), !percent, "{arguments}");
    }
    let mix = json!({"app_name": "swf-agent-manager", "level": "info", "search": "h", "start_time": "now-20d", "end_time": "now-1h"});
    let condition = "app_name = 'swf-agent-manager' AND level >= 20 AND message ILIKE '%h%'
                     AND \"timestamp\" BETWEEN now() - interval '20 days' AND now() - interval '1 hour'";
    assert!(check(&mut bench, mix, condition, "?level=info") > 0);
}

#[test]
fn a_record_has_all_its_fields() {
    let mut bench = Bench::start();
    let list = bench.call("swf_list_logs", json!({"start_time": "now-90d"}));
    let query = format!(
        "SELECT id, {}, app_name, instance_name, levelname, message, module, funcname, lineno, extra_data::text
         FROM swf_applog ORDER BY \"timestamp\" DESC, id DESC LIMIT 200",
        micros("\"timestamp\"")
    );
    let rows = bench.swf.query(&query, &[]).expect("logs");
    assert_eq!(rows.len(), 200);
    for (row, item) in rows.iter().zip(list["items"].as_array().expect("items")) {
        let extra: Option<String> = row.get(9);
        let expected = json!({
            "id": row.get::<_, i64>(0),
            "timestamp": moment(row.get(1), "+00:00"),
            "app_name": row.get::<_, String>(2),
            "instance_name": row.get::<_, String>(3),
            "level": row.get::<_, String>(4),
            "message": row.get::<_, String>(5),
            "module": row.get::<_, String>(6),
            "funcname": row.get::<_, String>(7),
            "lineno": row.get::<_, i32>(8),
            "extra_data": extra.map_or(Value::Null, |text| serde_json::from_str(&text).expect("JSON")),
        });
        assert_eq!(item.to_string(), expected.to_string());
    }
}

#[test]
fn wrong_arguments_of_logs_are_all_named() {
    let bench = Bench::start();
    let message = bench.refused(
        "swf_list_logs",
        json!({"start_time": "last week", "end_time": 5, "level": {}, "search": true}),
    );
    for name in ["start_time", "end_time", "level", "search"] {
        assert!(message.contains(name), "{message}");
    }
    assert!(!message.contains("http"), "{message}");
}
