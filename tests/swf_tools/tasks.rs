//! panda_list_tasks.

use std::collections::HashMap;

use super::panda::window;
use super::table::{Fields, Is, objects};
use super::*;

const FIELDS: Fields = &[
    ("jeditaskid", Is::Plain("jeditaskid")),
    ("taskname", Is::Plain("taskname")),
    ("status", Is::Plain("status")),
    ("username", Is::Plain("username")),
    ("creationdate", Is::Naive("creationdate")),
    ("starttime", Is::Naive("starttime")),
    ("endtime", Is::Naive("endtime")),
    ("modificationtime", Is::Naive("modificationtime")),
    ("reqid", Is::Plain("reqid")),
    ("processingtype", Is::Plain("processingtype")),
    ("transpath", Is::Plain("transpath")),
    ("progress", Is::Plain("progress")),
    ("failurerate", Is::Plain("failurerate")),
    ("errordialog", Is::Plain("errordialog")),
    ("site", Is::Plain("site")),
    ("corecount", Is::Plain("corecount")),
    ("taskpriority", Is::Plain("taskpriority")),
    ("currentpriority", Is::Plain("currentpriority")),
    ("gshare", Is::Plain("gshare")),
    ("attemptnr", Is::Plain("attemptnr")),
    ("parent_tid", Is::Plain("parent_tid")),
    ("workinggroup", Is::Plain("workinggroup")),
];

/// Tasks that were given up without an end don't count.
const KEPT: &str = "NOT (creationdate < (now() AT TIME ZONE 'UTC') - interval '60 days'
                         AND status NOT IN ('done', 'failed', 'aborted', 'broken', 'finished'))";

/// Jobs of each task by status and attempt.
type Jobs = HashMap<i64, Vec<(String, i64, i64)>>;

fn jobs(bench: &mut Bench) -> Jobs {
    let mut jobs = Jobs::new();
    let rows = bench.panda.query(
        "SELECT jeditaskid, jobstatus, attemptnr::bigint, count(*)
         FROM (SELECT jeditaskid, jobstatus, attemptnr FROM doma_panda.jobsactive4
               UNION ALL SELECT jeditaskid, jobstatus, attemptnr FROM doma_panda.jobsarchived4) j GROUP BY 1, 2, 3",
        &[],
    );
    for row in rows.expect("jobs") {
        jobs.entry(row.get(0))
            .or_default()
            .push((row.get(1), row.get(2), row.get(3)));
    }
    jobs
}

/// A share of four digits after the point: the nearest to what the double exactly is.
fn share(part: i64, rest: i64) -> Value {
    match part + rest {
        0 => Value::Null,
        whole => {
            let shown = format!("{:.4}", part as f64 / whole as f64);
            json!(shown.parse::<f64>().expect("a number"))
        }
    }
}

/// A task with what its jobs say of it.
fn with_jobs(mut task: Value, jobs: &Jobs) -> Value {
    let none = Vec::new();
    let own = jobs
        .get(&task["jeditaskid"].as_i64().expect("an id"))
        .unwrap_or(&none);
    let count = |chosen: &dyn Fn(&str, i64) -> bool| -> i64 {
        own.iter()
            .filter(|(status, attempt, _)| chosen(status, *attempt))
            .map(|(_, _, n)| n)
            .sum()
    };
    let ended = ["finished", "failed", "cancelled", "closed"];
    let active = count(&|status, _| !ended.contains(&status));
    let finished = count(&|status, _| status == "finished");
    let failed = count(&|status, _| status == "failed");
    let for_good = count(&|status, attempt| status == "failed" && attempt >= 3);
    let of = active + finished + failed;
    task["nactive"] = json!(active);
    task["nfinished"] = json!(finished);
    task["nfailed"] = json!(failed);
    task["nrunning"] = json!(count(&|status, _| status == "running"));
    task["nretries"] = json!(count(&|_, attempt| attempt > 1));
    task["nfinalfailed"] = json!(for_good);
    task["computed_failurerate"] = share(failed, finished);
    task["computed_finalfailurerate"] = share(for_good, finished);
    task["computed_progress"] = match of {
        0 => Value::Null,
        _ => json!((100.0 * (finished + failed) as f64 / of as f64).round_ties_even() as i64),
    };
    task
}

/// Compares a page with the tasks that satisfy the condition.
fn check(bench: &mut Bench, arguments: &Value, condition: &str, limit: usize) -> i64 {
    let from = format!("FROM doma_panda.jedi_tasks WHERE {KEPT} AND {condition}");
    let rest = format!("{from} ORDER BY jeditaskid DESC LIMIT {limit}");
    let look = |bench: &mut Bench| {
        (
            texts(&mut bench.panda, &format!("SELECT status {from}"), &[]),
            objects(&mut bench.panda, FIELDS, &rest),
        )
    };
    let (answer, (mut statuses, tasks)) = bench.call_while("panda_list_tasks", arguments, look);
    statuses.sort();
    let total = statuses.len();
    let jobs = jobs(bench);
    let tasks: Vec<Value> = tasks
        .into_iter()
        .map(|task| with_jobs(task, &jobs))
        .collect();
    let mut summary: Vec<(String, usize)> = statuses
        .chunk_by(|a, b| a == b)
        .map(|same| (same[0].clone(), same.len()))
        .collect();
    summary.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let summary: serde_json::Map<String, Value> = summary
        .into_iter()
        .map(|(status, n)| (status, json!(n)))
        .collect();
    let has_more = total > limit;
    let next = tasks
        .last()
        .filter(|_| has_more)
        .map(|task| task["jeditaskid"].clone());
    let given = |name: &str, default: Value| match &arguments[name] {
        Value::Null => default,
        value if *value == 0 || *value == "" => default,
        value => value.clone(),
    };
    let filters = [
        "days",
        "status",
        "username",
        "taskname",
        "reqid",
        "workinggroup",
        "taskid",
    ]
    .map(|name| {
        let default = if name == "days" {
            json!(7)
        } else {
            Value::Null
        };
        (name.to_owned(), given(name, default))
    });
    let expected = json!({
        "summary": summary,
        "total_in_window": total,
        "tasks": tasks,
        "count": tasks.len(),
        "pagination": {"before_id": null, "has_more": has_more, "next_before_id": next, "limit": limit},
        "filters": Value::Object(filters.into_iter().collect()),
    });
    assert_eq!(answer.to_string(), expected.to_string(), "{arguments}");
    total as i64
}

#[test]
fn each_filter_of_tasks_alone_and_all_together() {
    let mut bench = Bench::start();
    let week = |condition: &str| format!("{} AND {condition}", window(7));
    let row = bench
        .panda
        .query_one(
            &format!(
                "SELECT jeditaskid, reqid::bigint, taskname, username FROM doma_panda.jedi_tasks
                 WHERE {KEPT} AND {} AND status = 'done' ORDER BY jeditaskid DESC LIMIT 1",
                window(6)
            ),
            &[],
        )
        .expect("a task");
    let (task, request): (i64, i64) = (row.get(0), row.get(1));
    let (name, user): (String, String) = (row.get(2), row.get(3));
    for (arguments, condition, limit) in [
        (json!({}), window(7), 500),
        (json!({"days": 1000}), "true".to_owned(), 500),
        (json!({"days": 1000, "limit": 7}), "true".to_owned(), 7),
        (json!({"status": "done"}), week("status = 'done'"), 500),
        (
            json!({"status": "running", "limit": "1"}),
            week("status = 'running'"),
            1,
        ),
        (
            json!({"username": user}),
            week(&format!("username = {}", table::quoted(&user))),
            500,
        ),
        (json!({"username": "%a%"}), week("username LIKE '%a%'"), 500),
        (
            json!({"taskname": "group.EIC.SIDIS.%"}),
            week("taskname LIKE 'group.EIC.SIDIS.%'"),
            500,
        ),
        (json!({"taskname": "%_é100%"}), week("true"), 500),
        // With a percent sign in it the name is a pattern, and fits itself.
        (
            json!({"taskname": name}),
            week(&format!("taskname = {}", table::quoted(&name))),
            500,
        ),
        (
            json!({"reqid": request}),
            week(&format!("reqid = {request}")),
            500,
        ),
        (
            json!({"workinggroup": "EIC"}),
            week("workinggroup = 'EIC'"),
            500,
        ),
        // A task's number lifts neither the window nor the limit.
        (
            json!({"taskid": task}),
            week(&format!("jeditaskid = {task}")),
            500,
        ),
        (
            json!({"processingtype": "stfprocessing"}),
            week("processingtype = 'stfprocessing'"),
            500,
        ),
        (
            json!({"processingtype": "panda-client%"}),
            week("processingtype LIKE 'panda-client%'"),
            500,
        ),
        (
            json!({"taskid": 0, "reqid": 0, "before_id": 0, "status": "", "taskname": null}),
            window(7),
            500,
        ),
        (
            json!({"days": 60, "status": "done", "username": "%a%", "taskname": "group.EIC.%", "workinggroup": "EIC", "processingtype": "epic%", "limit": 4}),
            format!(
                "{} AND status = 'done' AND username LIKE '%a%' AND workinggroup = 'EIC' AND processingtype LIKE 'epic%'",
                window(60)
            ),
            4,
        ),
    ] {
        assert!(
            check(&mut bench, &arguments, &condition, limit) > 0,
            "{arguments}"
        );
    }
    for arguments in [
        json!({"status": "DONE"}),
        json!({"username": "Amara_Okafor"}),
        json!({"taskname": "group.EIC."}),
        json!({"workinggroup": "eic"}),
        json!({"taskid": 99_999_999_999_i64}),
        json!({"days": -3}),
        json!({"processingtype": "日'\\"}),
    ] {
        assert_eq!(
            check(&mut bench, &arguments, "false", 500),
            0,
            "{arguments}"
        );
    }
    // A task that was given up is left out, however wide the window.
    let given_up = number(
        &mut bench.panda,
        &format!(
            "SELECT jeditaskid FROM doma_panda.jedi_tasks WHERE NOT {KEPT} ORDER BY 1 DESC LIMIT 1"
        ),
        &[],
    );
    let answer = bench.call(
        "panda_list_tasks",
        json!({"taskid": given_up, "days": 1000}),
    );
    assert_eq!(answer["count"], 0);
}

#[test]
fn pages_cover_every_task_once() {
    let mut bench = Bench::start();
    let expected = texts(
        &mut bench.panda,
        &format!(
            "SELECT jeditaskid::text FROM doma_panda.jedi_tasks WHERE {KEPT} AND status = 'aborted' ORDER BY jeditaskid DESC"
        ),
        &[],
    );
    let mut seen = Vec::new();
    let mut before = Value::Null;
    loop {
        let page = bench.call(
            "panda_list_tasks",
            json!({"days": 300, "status": "aborted", "limit": 3, "before_id": before}),
        );
        assert_eq!(
            page["total_in_window"],
            json!(expected.len()),
            "the counts ignore the page"
        );
        assert_eq!(page["pagination"]["before_id"], before);
        seen.extend(
            page["tasks"]
                .as_array()
                .expect("tasks")
                .iter()
                .map(|task| task["jeditaskid"].to_string()),
        );
        before = page["pagination"]["next_before_id"].clone();
        assert_eq!(page["pagination"]["has_more"], json!(!before.is_null()));
        if before.is_null() {
            break;
        }
    }
    assert!(seen.len() > 6);
    assert_eq!(seen, expected);
    for limit in [0, -1] {
        let page = bench.call("panda_list_tasks", json!({"limit": limit}));
        assert_eq!(
            page["pagination"],
            json!({"before_id": null, "has_more": true, "next_before_id": null, "limit": limit})
        );
        assert_eq!((&page["tasks"], &page["count"]), (&json!([]), &json!(0)));
    }
}
