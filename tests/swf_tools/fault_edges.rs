//! panda_diagnose_jobs, against rows of the test's own.

use super::panda_edges::bench_with;
use super::*;

/// The ids of the jobs shown.
fn ids(answer: &Value) -> Vec<i64> {
    let jobs = answer["jobs"].as_array().expect("jobs");
    jobs.iter()
        .map(|job| job["pandaid"].as_i64().expect("an id"))
        .collect()
}

#[test]
fn every_error_of_a_job_is_shown_and_counted() {
    // The later job is met first: its errors come first, in the order of the components. Codes below zero are codes.
    let bench = bench_with(
        "panda_faults_counted",
        "INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime, taskbuffererrorcode, taskbuffererrordiag, superrorcode, superrordiag,
                                    piloterrorcode, piloterrordiag, transexitcode)
         VALUES (9, 'failed', ago('1 hour'), 100, 'tb', 200, '', -300, NULL, '1'),
                (8, 'closed', ago('1 hour'), 100, 'tb later', 0, 'no code', 0, 'no code', '0'),
                (7, 'cancelled', ago('1 hour'), 101, 'x', 0, NULL, -300, 'pilot later', '1');
         INSERT INTO jobsactive4 (pandaid, jobstatus, modificationtime, brokerageerrorcode, brokerageerrordiag, ddmerrorcode, ddmerrordiag,
                                  exeerrorcode, exeerrordiag, jobdispatchererrorcode, jobdispatchererrordiag, piloterrorcode)
         VALUES (6, 'failed', ago('1 hour'), 1, 'b', 1, 'd', 1, 'e', 1, 'j', 1),
                -- None of these ended badly, whatever their codes say.
                (5, 'finished', ago('1 hour'), 1, 'b', 1, 'd', 1, 'e', 1, 'j', 1),
                (4, 'running', ago('1 hour'), 1, 'b', 1, 'd', 1, 'e', 1, 'j', 1)",
    );
    let error = |component: &str, code: Value, diag: Value| json!({"component": component, "code": code, "diag": diag});
    let answer = bench.call("panda_diagnose_jobs", json!({}));
    assert_eq!(ids(&answer), [9, 8, 7, 6]);
    let expected = [
        json!([
            error("pilot", json!(-300), Value::Null),
            error("supervisor", json!(200), json!("")),
            error("taskbuffer", json!(100), json!("tb")),
            error("transformation", json!("1"), json!("")),
        ]),
        json!([error("taskbuffer", json!(100), json!("tb later"))]),
        json!([
            error("pilot", json!(-300), json!("pilot later")),
            error("taskbuffer", json!(101), json!("x")),
            error("transformation", json!("1"), json!("")),
        ]),
        json!([
            error("brokerage", json!(1), json!("b")),
            error("ddm", json!(1), json!("d")),
            error("executor", json!(1), json!("e")),
            error("dispatcher", json!(1), json!("j")),
            error("pilot", json!(1), Value::Null),
        ]),
    ];
    for (job, expected) in answer["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .zip(&expected)
    {
        assert_eq!(job["errors"].to_string(), expected.to_string());
    }
    let top = |component: &str, code: Value, count: i64, sample: Value| json!({"component": component, "code": code, "count": count, "sample_diag": sample});
    let expected = json!({
        "total_faulty_jobs": 4,
        "by_component": {
            "pilot": 3, "supervisor": 1, "taskbuffer": 3, "transformation": 2, "brokerage": 1, "ddm": 1, "executor": 1, "dispatcher": 1,
        },
        // The most frequent first, equals as they were met; the diagnosis is the first that was met, even if it says nothing.
        "top_error_codes": [
            top("pilot", json!(-300), 2, Value::Null),
            top("taskbuffer", json!(100), 2, json!("tb")),
            top("transformation", json!("1"), 2, json!("")),
            top("supervisor", json!(200), 1, json!("")),
            top("taskbuffer", json!(101), 1, json!("x")),
            top("brokerage", json!(1), 1, json!("b")),
            top("ddm", json!(1), 1, json!("d")),
            top("executor", json!(1), 1, json!("e")),
            top("dispatcher", json!(1), 1, json!("j")),
            top("pilot", json!(1), 1, Value::Null),
        ],
    });
    assert_eq!(answer["error_summary"].to_string(), expected.to_string());
    // A component chooses jobs, of which all errors are shown.
    for (component, jobs) in [
        ("brokerage", vec![6]),
        ("ddm", vec![6]),
        ("executor", vec![6]),
        ("dispatcher", vec![6]),
        ("pilot", vec![9, 7, 6]),
        ("supervisor", vec![9]),
        ("taskbuffer", vec![9, 8, 7]),
        ("transformation", vec![9, 8, 7, 6]),
    ] {
        let answer = bench.call("panda_diagnose_jobs", json!({"error_component": component}));
        assert_eq!(ids(&answer), jobs, "{component}");
        let shown = answer["jobs"][0]["errors"].as_array().expect("errors");
        assert_eq!(shown.len(), if jobs[0] == 9 { 4 } else { 5 }, "{component}");
        assert_eq!(answer["filters"]["error_component"], component);
    }
    // What is counted is this page.
    let answer = bench.call("panda_diagnose_jobs", json!({"limit": 1, "before_id": 9}));
    let expected = json!({
        "total_faulty_jobs": 1,
        "by_component": {"taskbuffer": 1},
        "top_error_codes": [top("taskbuffer", json!(100), 1, json!("tb later"))],
    });
    assert_eq!(answer["error_summary"].to_string(), expected.to_string());
}

#[test]
fn an_exit_code_is_an_error_unless_it_says_nothing_or_zero() {
    let codes = [
        ("''", None),
        ("'0'", None),
        ("'   '", None),
        ("' 0 '", None),
        (r"E'\t0\n'", None),
        ("NULL", None),
        ("'1'", Some("1")),
        ("' 1 '", Some(" 1 ")),
        ("'00'", Some("00")),
        ("'0 0'", Some("0 0")),
        ("'0.0'", Some("0.0")),
        ("'-1'", Some("-1")),
        ("'10'", Some("10")),
        (r"E'0\n1'", Some("0\n1")),
        ("'NULL'", Some("NULL")),
        (r#"'"\'"#, Some(r#""\"#)),
    ];
    let rows: Vec<String> = codes
        .iter()
        .enumerate()
        .map(|(place, (code, _))| {
            let id = 100 - place;
            format!("INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime, transexitcode) VALUES ({id}, 'failed', ago('1 hour'), {code});")
        })
        .collect();
    let bench = bench_with("panda_faults_exit", &rows.concat());
    let answer = bench.call("panda_diagnose_jobs", json!({}));
    let jobs = answer["jobs"].as_array().expect("jobs");
    assert_eq!(jobs.len(), codes.len());
    for (job, (sql, code)) in jobs.iter().zip(codes) {
        let expected = code.map_or(
            json!([]),
            |code| json!([{"component": "transformation", "code": code, "diag": ""}]),
        );
        assert_eq!(job["errors"].to_string(), expected.to_string(), "{sql}");
    }
    // Each of them is a code of its own, as it is written.
    let shown: Vec<&Value> = answer["error_summary"]["top_error_codes"]
        .as_array()
        .expect("codes")
        .iter()
        .map(|top| &top["code"])
        .collect();
    let expected: Vec<&str> = codes.iter().filter_map(|(_, code)| *code).collect();
    assert_eq!(json!(shown), json!(expected));
}

#[test]
fn twenty_codes_are_the_top_and_five_hundred_jobs_a_page() {
    // Job by job another code, but that the last two were met before: they are at the top.
    let bench = bench_with(
        "panda_faults_many",
        "INSERT INTO jobsarchived4 (pandaid, jeditaskid, reqid, jobstatus, modificationtime, piloterrorcode)
         SELECT id, id % 2, id % 3, 'failed', ago('1 hour'), CASE id WHEN 1 THEN 30 WHEN 2 THEN 40 ELSE id END FROM generate_series(1, 501) id",
    );
    let answer = bench.call("panda_diagnose_jobs", json!({"before_id": 50}));
    let shown: Vec<(i64, i64)> = answer["error_summary"]["top_error_codes"]
        .as_array()
        .expect("codes")
        .iter()
        .map(|top| {
            (
                top["code"].as_i64().expect("a code"),
                top["count"].as_i64().expect("a count"),
            )
        })
        .collect();
    let others = (31..=49)
        .rev()
        .filter(|code| *code != 40)
        .map(|code| (code, 1));
    let expected: Vec<(i64, i64)> = [(40, 2), (30, 2)].into_iter().chain(others).collect();
    assert_eq!(shown, expected[..20]);
    assert_eq!(
        answer["error_summary"]["by_component"],
        json!({"pilot": 49})
    );

    let down = |from: i64, step: usize| (1..=from).rev().step_by(step);
    for (arguments, expected) in [
        (json!({}), down(501, 1).take(500).collect::<Vec<i64>>()),
        (json!({"before_id": 2}), vec![1]),
        // All of a task's jobs come at once, whatever limit is given.
        (json!({"taskid": 1}), down(501, 2).collect()),
        (json!({"taskid": 1, "limit": 1}), down(501, 2).collect()),
        (json!({"taskid": 1, "limit": 0}), down(501, 2).collect()),
        (json!({"reqid": 2, "limit": 2}), vec![500, 497]),
        (
            json!({"taskid": 1, "reqid": 2, "before_id": 12}),
            vec![11, 5],
        ),
    ] {
        let answer = bench.call("panda_diagnose_jobs", arguments.clone());
        assert_eq!(ids(&answer), expected, "{arguments}");
        let limit = if arguments["taskid"].is_null() {
            arguments.get("limit").cloned().unwrap_or(json!(500))
        } else {
            json!(100_000)
        };
        let pagination = &answer["pagination"];
        assert_eq!(pagination["limit"], limit, "{arguments}");
        let has_more = arguments["taskid"].is_null() && arguments["before_id"].is_null();
        assert_eq!(pagination["has_more"], has_more, "{arguments}");
        let next = if has_more {
            json!(expected.last())
        } else {
            Value::Null
        };
        assert_eq!(pagination["next_before_id"], next, "{arguments}");
    }
}
