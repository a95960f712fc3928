//! panda_error_summary, against rows of the test's own.

use super::panda_edges::bench_with;
use super::*;

/// Component, code, diagnosis and count of each error, in order.
fn errors(answer: &Value) -> Vec<(&str, i64, &str, i64)> {
    let number = |error: &Value, field: &str| error[field].as_i64().expect("a number");
    let list = answer["errors"].as_array().expect("errors");
    list.iter()
        .map(|error| {
            (
                error["error_source"].as_str().expect("a component"),
                number(error, "error_code"),
                error["error_diag"].as_str().expect("a diagnosis"),
                number(error, "count"),
            )
        })
        .collect()
}

#[test]
fn errors_come_by_count_then_component_then_code_then_diagnosis() {
    // The order of the codes and of the rows is against that of the components.
    let bench = bench_with(
        "panda_errors_in_order",
        "INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime, piloterrorcode, piloterrordiag)
         VALUES (1, 'failed', ago('1 hour'), 300, NULL), (2, 'failed', ago('1 hour'), 300, 'b'), (3, 'failed', ago('1 hour'), 300, 'a'),
                (4, 'failed', ago('1 hour'), 299, 'z'), (5, 'cancelled', ago('1 hour'), 1, 'often'), (6, 'closed', ago('1 hour'), 1, 'often'),
                (7, 'failed', ago('1 hour'), -8, ''),
                -- None of these failed, whatever their codes say.
                (8, 'finished', ago('1 hour'), 5, 'f'), (9, 'merging', ago('1 hour'), 5, 'm'), (10, 'Failed', ago('1 hour'), 5, 'F');
         INSERT INTO jobsactive4 (pandaid, jobstatus, modificationtime, taskbuffererrorcode, superrorcode, jobdispatchererrorcode, exeerrorcode,
                                  ddmerrorcode, brokerageerrorcode)
         VALUES (11, 'failed', ago('1 hour'), 100, 200, 400, 500, 600, 700),
                (12, 'running', ago('1 hour'), 100, 200, 400, 500, 600, 700)",
    );
    let expected = [
        ("pilot", 1, "often", 2),
        ("brokerage", 700, "", 1),
        ("ddm", 600, "", 1),
        ("executor", 500, "", 1),
        ("dispatcher", 400, "", 1),
        ("pilot", -8, "", 1),
        ("pilot", 299, "z", 1),
        ("pilot", 300, "a", 1),
        ("pilot", 300, "b", 1),
        ("pilot", 300, "", 1),
        ("supervisor", 200, "", 1),
        ("taskbuffer", 100, "", 1),
    ];
    let answer = bench.call("panda_error_summary", json!({}));
    assert_eq!(errors(&answer), expected);
    assert_eq!(
        (&answer["total_errors"], &answer["count"]),
        (&json!(13), &json!(12))
    );
    // What is cut off is the end of that order.
    for limit in 0..expected.len() {
        let answer = bench.call("panda_error_summary", json!({"limit": limit}));
        assert_eq!(errors(&answer), expected[..limit]);
        let total: i64 = expected[..limit].iter().map(|error| error.3).sum();
        assert_eq!(
            (&answer["total_errors"], &answer["count"]),
            (&json!(total), &json!(limit))
        );
    }
    for component in [
        "brokerage",
        "ddm",
        "executor",
        "dispatcher",
        "pilot",
        "supervisor",
        "taskbuffer",
    ] {
        let answer = bench.call("panda_error_summary", json!({"error_source": component}));
        let own: Vec<_> = expected
            .into_iter()
            .filter(|error| error.0 == component)
            .collect();
        assert_eq!(errors(&answer), own);
    }
}

#[test]
fn an_error_says_whom_it_hit_and_where() {
    // Nobody has all of it: neither a user nor a site, task or destination.
    let bench = bench_with(
        "panda_errors_shared",
        "INSERT INTO jobsarchived4 (pandaid, jeditaskid, jobstatus, modificationtime, produsername, computingsite, ddmerrorcode, ddmerrordiag)
         VALUES (1, 71, 'failed', ago('1 hour'), 'vera', 'S', 9, repeat('d', 256)),
                (2, 71, 'failed', ago('1 hour'), 'udo', 'R', 9, repeat('d', 256) || 'one'),
                (3, NULL, 'failed', ago('1 hour'), NULL, NULL, 9, repeat('d', 256) || 'two'),
                (4, 70, 'failed', ago('1 hour'), 'vera', 'R', 9, repeat('d', 256)),
                (5, 70, 'failed', ago('1 hour'), 'vera', 'R', 9, repeat('d', 255));
         INSERT INTO filestable4 (row_id, pandaid, destinationse)
         VALUES (1, 1, 'TAPE'), (2, 1, 'DISK'), (3, 1, 'DISK'), (4, 1, NULL), (5, 3, 'DISK'), (6, 4, NULL), (7, 6, 'NONE')",
    );
    let long = "d".repeat(256);
    // Job 1 counts once for each of its destinations.
    let expected = json!({
        "total_errors": 6,
        "errors": [
            {"error_source": "ddm", "error_code": 9, "error_diag": long, "count": 5, "task_count": 2, "users": ["udo", "vera", null],
             "sites": ["R", "S", null], "destination_sites": ["DISK", "TAPE", null]},
            {"error_source": "ddm", "error_code": 9, "error_diag": long[..255], "count": 1, "task_count": 1, "users": ["vera"],
             "sites": ["R"], "destination_sites": [null]}],
        "count": 2,
        "filters": {"days": 10, "username": null, "site": null, "taskid": null, "error_source": null},
    });
    let answer = bench.call("panda_error_summary", json!({}));
    assert_eq!(answer.to_string(), expected.to_string());
    // With a destination only what is bound for it counts.
    let expected = json!({
        "total_errors": 2,
        "errors": [
            {"error_source": "ddm", "error_code": 9, "error_diag": long, "count": 2, "task_count": 1, "users": ["vera", null],
             "sites": ["S", null], "destination_sites": ["DISK"]}],
        "count": 1,
        "filters": {"days": 10, "username": null, "site": null, "taskid": null, "error_source": "ddm"},
    });
    let arguments = json!({"destinationse": "DISK", "error_source": "ddm"});
    let answer = bench.call("panda_error_summary", arguments);
    assert_eq!(answer.to_string(), expected.to_string());
}

#[test]
fn twenty_errors_are_shown_and_ten_thousand_of_a_task() {
    // A diagnosis as long as it can be, that needs two bytes a letter: not even so the answer grows too large.
    let bench = bench_with(
        "panda_errors_many",
        "INSERT INTO jobsarchived4 (pandaid, jeditaskid, jobstatus, modificationtime, piloterrorcode, piloterrordiag)
         SELECT n, 5, 'failed', ago('1 hour'), n, repeat('ü', 500) FROM generate_series(1, 10001) n",
    );
    for (arguments, shown) in [
        (json!({}), 20),
        (json!({"limit": 21}), 21),
        (json!({"limit": 10_000}), 10_000),
        (json!({"taskid": 5, "limit": 1}), 10_000),
        (json!({"taskid": 6}), 0),
    ] {
        let answer = bench.call("panda_error_summary", arguments.clone());
        let shown_codes: Vec<i64> = errors(&answer).iter().map(|error| error.1).collect();
        assert_eq!(
            shown_codes,
            (1..=shown).collect::<Vec<i64>>(),
            "{arguments}"
        );
        assert_eq!(answer["count"], json!(shown), "{arguments}");
        assert_eq!(answer["total_errors"], json!(shown), "{arguments}");
    }
    for limit in [-1, 10_001] {
        let message = bench.refused("panda_error_summary", json!({"limit": limit}));
        assert!(message.contains("limit"), "{message}");
    }
}
