//! panda_diagnose_jobs.

use super::panda::window;
use super::table::{Fields, Is, objects};
use super::*;

/// Components and the names of their columns, in the order of the service.
pub const COMPONENTS: [(&str, &str); 7] = [
    ("brokerage", "brokerage"),
    ("ddm", "ddm"),
    ("executor", "exe"),
    ("dispatcher", "jobdispatcher"),
    ("pilot", "pilot"),
    ("supervisor", "sup"),
    ("taskbuffer", "taskbuffer"),
];

pub const FAULTY: &str = "jobstatus IN ('failed', 'cancelled', 'closed')";

pub const FIELDS: Fields = &[
    ("pandaid", Is::Plain("pandaid")),
    ("jeditaskid", Is::Plain("jeditaskid")),
    ("reqid", Is::Plain("reqid")),
    ("produsername", Is::Plain("produsername")),
    ("jobstatus", Is::Plain("jobstatus")),
    ("computingsite", Is::Plain("computingsite")),
    ("transformation", Is::Plain("transformation")),
    ("processingtype", Is::Plain("processingtype")),
    ("creationtime", Is::Naive("creationtime")),
    ("starttime", Is::Naive("starttime")),
    ("endtime", Is::Naive("endtime")),
    ("modificationtime", Is::Naive("modificationtime")),
    ("corecount", Is::Plain("corecount")),
    ("nevents", Is::Plain("nevents")),
    ("noutputdatafiles", Is::Plain("noutputdatafiles")),
    ("outputfilebytes", Is::Plain("outputfilebytes")),
    ("brokerageerrorcode", Is::Plain("brokerageerrorcode")),
    ("brokerageerrordiag", Is::Plain("brokerageerrordiag")),
    ("ddmerrorcode", Is::Plain("ddmerrorcode")),
    ("ddmerrordiag", Is::Plain("ddmerrordiag")),
    ("exeerrorcode", Is::Plain("exeerrorcode")),
    ("exeerrordiag", Is::Plain("exeerrordiag")),
    (
        "jobdispatchererrorcode",
        Is::Plain("jobdispatchererrorcode"),
    ),
    (
        "jobdispatchererrordiag",
        Is::Plain("jobdispatchererrordiag"),
    ),
    ("piloterrorcode", Is::Plain("piloterrorcode")),
    ("piloterrordiag", Is::Plain("piloterrordiag")),
    ("superrorcode", Is::Plain("superrorcode")),
    ("superrordiag", Is::Plain("superrordiag")),
    ("taskbuffererrorcode", Is::Plain("taskbuffererrorcode")),
    ("taskbuffererrordiag", Is::Plain("taskbuffererrordiag")),
    ("transexitcode", Is::Plain("transexitcode")),
    ("jobname", Is::Plain("jobname")),
    ("pilotid", Is::Plain("pilotid")),
    ("computingelement", Is::Plain("computingelement")),
    ("jobmetrics", Is::Plain("jobmetrics")),
    ("specialhandling", Is::Plain("specialhandling")),
    ("commandtopilot", Is::Plain("commandtopilot")),
    ("maxrss", Is::Plain("maxrss")),
    ("maxpss", Is::Plain("maxpss")),
];

/// The jobs that ended badly, as `j`.
pub fn faulty(condition: &str) -> String {
    let columns: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
    let columns = columns.join(", ");
    format!(
        "FROM (SELECT {columns} FROM doma_panda.jobsactive4 UNION ALL SELECT {columns} FROM doma_panda.jobsarchived4) j
         WHERE {FAULTY} AND {condition}"
    )
}

/// A job with its errors read off its codes.
pub fn errors(job: &Value) -> Vec<Value> {
    let mut errors: Vec<Value> = COMPONENTS
        .iter()
        .filter(|(_, column)| job[format!("{column}errorcode")] != 0)
        .map(|(component, column)| {
            json!({
                "component": component,
                "code": job[format!("{column}errorcode")],
                "diag": job[format!("{column}errordiag")],
            })
        })
        .collect();
    if let Some(code) = job["transexitcode"].as_str()
        && !["", "0"].contains(&code.trim())
    {
        errors.push(json!({"component": "transformation", "code": code, "diag": ""}));
    }
    errors
}

/// What is said of the errors of a page.
fn summary(jobs: &[Value]) -> Value {
    let mut by_component: Vec<(Value, u64)> = Vec::new();
    let mut codes: Vec<(Value, u64)> = Vec::new();
    for error in jobs
        .iter()
        .flat_map(|job| job["errors"].as_array().expect("errors"))
    {
        match by_component
            .iter_mut()
            .find(|(name, _)| *name == error["component"])
        {
            Some((_, n)) => *n += 1,
            None => by_component.push((error["component"].clone(), 1)),
        }
        let same = |known: &Value| {
            known["component"] == error["component"] && known["code"] == error["code"]
        };
        match codes.iter_mut().find(|(known, _)| same(known)) {
            Some((_, n)) => *n += 1,
            None => codes.push((error.clone(), 1)),
        }
    }
    codes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let top: Vec<Value> = codes
        .iter()
        .take(20)
        .map(|(error, n)| json!({"component": error["component"], "code": error["code"], "count": n, "sample_diag": error["diag"]}))
        .collect();
    let by_component: serde_json::Map<String, Value> = by_component
        .into_iter()
        .map(|(name, n)| (name.as_str().expect("a name").to_owned(), json!(n)))
        .collect();
    json!({"total_faulty_jobs": jobs.len(), "by_component": by_component, "top_error_codes": top})
}

/// Compares a page with the jobs that satisfy the condition; `limit` is the page's effective size.
fn check(bench: &mut Bench, arguments: &Value, condition: &str, limit: usize) -> i64 {
    let from = faulty(condition);
    let count = format!("SELECT count(*) {from}");
    let rest = format!("{from} ORDER BY pandaid DESC LIMIT {limit}");
    let look = |bench: &mut Bench| {
        (
            number(&mut bench.panda, &count, &[]),
            objects(&mut bench.panda, FIELDS, &rest),
        )
    };
    let (answer, (total, mut jobs)) = bench.call_while("panda_diagnose_jobs", arguments, look);
    let shown = answer["jobs"].as_array().expect("jobs");
    assert_eq!(shown.len(), jobs.len(), "{arguments}");
    for (job, shown) in jobs.iter_mut().zip(shown) {
        job["errors"] = Value::Array(errors(job));
        job["destinationse"] = shown["destinationse"].clone();
        assert_eq!(shown.to_string(), job.to_string(), "{arguments}");
    }
    let has_more = total > limit as i64;
    let next = jobs
        .last()
        .filter(|_| has_more)
        .map(|job| job["pandaid"].clone());
    let given = |name: &str, default: Value| match &arguments[name] {
        Value::Null => default,
        value if *value == 0 || *value == "" => default,
        value => value.clone(),
    };
    let filters = [
        "days",
        "username",
        "site",
        "taskid",
        "reqid",
        "error_component",
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
        "error_summary": summary(&jobs),
        "jobs": jobs,
        "count": jobs.len(),
        "pagination": {"before_id": given("before_id", Value::Null), "has_more": has_more, "next_before_id": next, "limit": limit},
        "filters": Value::Object(filters.into_iter().collect()),
    });
    assert_eq!(answer.to_string(), expected.to_string(), "{arguments}");
    total
}

#[test]
fn each_filter_of_faulty_jobs_alone_and_all_together() {
    let mut bench = Bench::start();
    let week = |condition: &str| format!("{} AND {condition}", window(7));
    let task = number(
        &mut bench.panda,
        &format!(
            "SELECT jeditaskid FROM doma_panda.jobsarchived4 WHERE {FAULTY} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        ),
        &[],
    );
    let request = number(
        &mut bench.panda,
        &format!(
            "SELECT reqid::bigint FROM doma_panda.jobsarchived4 WHERE {FAULTY} AND reqid IS NOT NULL ORDER BY pandaid DESC LIMIT 1"
        ),
        &[],
    );
    let mut table = vec![
        (json!({}), window(7), 500),
        (json!({"days": 1000, "limit": 3}), "true".to_owned(), 3),
        (
            json!({"username": "Grace O'Neill"}),
            week("produsername = 'Grace O''Neill'"),
            500,
        ),
        (
            json!({"username": "%a%", "limit": 50}),
            week("produsername LIKE '%a%'"),
            50,
        ),
        (
            json!({"site": "LAKESIDE_HPC"}),
            week("computingsite = 'LAKESIDE_HPC'"),
            500,
        ),
        (
            json!({"site": "LAKESIDE_%", "limit": "40"}),
            week("left(computingsite, 9) = 'LAKESIDE_'"),
            40,
        ),
        (
            json!({"reqid": request}),
            week(&format!("reqid = {request}")),
            500,
        ),
        (
            json!({"taskid": task, "days": 90, "limit": 2}),
            format!("{} AND jeditaskid = {task}", window(90)),
            100_000,
        ),
        // A component that nobody knows is no filter.
        (
            json!({"error_component": "cosmic rays", "limit": 20}),
            window(7),
            20,
        ),
        (
            json!({"taskid": 0, "reqid": 0, "before_id": 0, "error_component": "", "username": "", "site": null, "limit": 10}),
            window(7),
            10,
        ),
        (
            json!({"days": 60, "username": "Amara%", "site": "NORTH%", "error_component": "pilot", "limit": 4}),
            format!(
                "{} AND produsername LIKE 'Amara%' AND computingsite LIKE 'NORTH%' AND piloterrorcode <> 0",
                window(60)
            ),
            4,
        ),
    ];
    for (component, column) in COMPONENTS {
        let condition = format!("{} AND {column}errorcode <> 0", window(30));
        table.push((
            json!({"days": 30, "error_component": component, "limit": 30}),
            condition,
            30,
        ));
    }
    for (arguments, condition, limit) in table {
        assert!(
            check(&mut bench, &arguments, &condition, limit) > 0,
            "{arguments}"
        );
    }
    for (arguments, limit) in [
        (json!({"username": "Amara_Okafor"}), 500),
        (json!({"site": "\"'\\"}), 500),
        (json!({"taskid": -5}), 100_000),
        (json!({"reqid": 99_999_999_999_i64}), 500),
        (json!({"days": -3}), 500),
    ] {
        assert_eq!(check(&mut bench, &arguments, "false", limit), 0);
    }
}

#[test]
fn pages_cover_every_faulty_job_once() {
    let mut bench = Bench::start();
    let condition = "computingsite = 'ALPINE_GRID' AND superrorcode <> 0";
    let expected = texts(
        &mut bench.panda,
        &format!(
            "SELECT pandaid::text {} ORDER BY pandaid DESC",
            faulty(condition)
        ),
        &[],
    );
    let mut seen = Vec::new();
    let mut before = Value::Null;
    loop {
        let page = bench.call(
            "panda_diagnose_jobs",
            json!({"days": 300, "error_component": "supervisor", "site": "ALPINE_GRID", "limit": 3, "before_id": before}),
        );
        seen.extend(
            page["jobs"]
                .as_array()
                .expect("jobs")
                .iter()
                .map(|job| job["pandaid"].to_string()),
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
        let page = bench.call("panda_diagnose_jobs", json!({"limit": limit}));
        assert_eq!(
            page["pagination"],
            json!({"before_id": null, "has_more": true, "next_before_id": null, "limit": limit})
        );
        assert_eq!((&page["jobs"], &page["count"]), (&json!([]), &json!(0)));
    }
}
