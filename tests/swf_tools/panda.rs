//! panda_list_jobs.

use super::*;

/// All jobs, as `j`.
pub const JOBS: &str = "(SELECT pandaid, jeditaskid, reqid, produsername, jobstatus, computingsite, modificationtime FROM doma_panda.jobsactive4
                     UNION ALL
                     SELECT pandaid, jeditaskid, reqid, produsername, jobstatus, computingsite, modificationtime FROM doma_panda.jobsarchived4) j";

/// What was modified in so many days.
pub fn window(days: i64) -> String {
    format!("modificationtime >= (now() AT TIME ZONE 'UTC') - interval '1 day' * {days}")
}

fn ids(list: &Value) -> Vec<i64> {
    let jobs = list["jobs"].as_array().expect("jobs");
    jobs.iter()
        .map(|job| job["pandaid"].as_i64().expect("an id"))
        .collect()
}

/// Compares a page with the jobs that satisfy the condition; `limit` is the page's effective size.
fn check(bench: &mut Bench, arguments: Value, condition: &str, limit: usize) -> i64 {
    let count = format!("SELECT count(*) FROM {JOBS} WHERE {condition}");
    let newest = format!(
        "SELECT pandaid::text FROM {JOBS} WHERE {condition} ORDER BY pandaid DESC LIMIT {limit}"
    );
    let summary = format!(
        "SELECT coalesce(json_object_agg(jobstatus, n ORDER BY n DESC, jobstatus), '{{}}')::text
         FROM (SELECT jobstatus, count(*) AS n FROM {JOBS} WHERE {condition} GROUP BY jobstatus) s"
    );
    let look = |bench: &mut Bench| {
        (
            number(&mut bench.panda, &count, &[]),
            text(&mut bench.panda, &summary),
            texts(&mut bench.panda, &newest, &[]),
        )
    };
    let (list, (total, summary, expected)) = bench.call_while("panda_list_jobs", &arguments, look);
    assert_eq!(
        keys(&list),
        [
            "summary",
            "total_in_window",
            "jobs",
            "count",
            "pagination",
            "filters"
        ]
    );
    assert_eq!(list["total_in_window"], json!(total), "{arguments}");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(
        list["summary"].to_string(),
        summary.to_string(),
        "{arguments}"
    );
    let shown: Vec<String> = ids(&list).iter().map(i64::to_string).collect();
    assert_eq!(shown, expected, "{arguments}");
    assert_eq!(list["count"], json!(shown.len()));
    assert_eq!(
        keys(&list["pagination"]),
        ["before_id", "has_more", "next_before_id", "limit"]
    );
    assert_eq!(list["pagination"]["limit"], json!(limit));
    assert_eq!(
        list["pagination"]["has_more"],
        json!(total > limit as i64),
        "{arguments}"
    );
    assert_eq!(
        keys(&list["filters"]),
        ["days", "status", "username", "site", "taskid", "reqid"]
    );
    for (name, value) in list["filters"].as_object().expect("filters") {
        let default = if name == "days" {
            json!(7)
        } else {
            Value::Null
        };
        let given = match &arguments[name] {
            none if none.is_null() || *none == json!("") => default,
            none if name != "days" && *none == json!(0) => default,
            given => given.clone(),
        };
        assert_eq!(*value, given, "{name} of {arguments}");
    }
    total
}

#[test]
fn each_filter_of_jobs_alone_and_all_together() {
    let mut bench = Bench::start();
    assert!(check(&mut bench, json!({}), &window(7), 200) > 200);
    let task = number(
        &mut bench.panda,
        "SELECT jeditaskid FROM doma_panda.jobsarchived4 GROUP BY 1 ORDER BY count(*) DESC LIMIT 1",
        &[],
    );
    let request = number(
        &mut bench.panda,
        "SELECT reqid::bigint FROM doma_panda.jobsarchived4 ORDER BY pandaid DESC LIMIT 1",
        &[],
    );
    let week = |condition: &str| format!("{} AND {condition}", window(7));
    let found = [
        check(&mut bench, json!({"days": 30}), &window(30), 200),
        check(&mut bench, json!({"days": 700_000, "limit": 3}), "true", 3),
        check(
            &mut bench,
            json!({"status": "running"}),
            &week("jobstatus = 'running'"),
            200,
        ),
        check(
            &mut bench,
            json!({"status": "failed", "limit": 1}),
            &week("jobstatus = 'failed'"),
            1,
        ),
        check(
            &mut bench,
            json!({"username": "Grace O'Neill"}),
            &week("produsername = 'Grace O''Neill'"),
            200,
        ),
        check(
            &mut bench,
            json!({"username": "%a%"}),
            &week("produsername LIKE '%a%'"),
            200,
        ),
        // With a percent sign the whole value is a pattern: `_` is any character.
        check(
            &mut bench,
            json!({"username": "production_100%"}),
            &week("produsername = 'production_100%'"),
            200,
        ),
        check(
            &mut bench,
            json!({"site": "LAKESIDE_HPC"}),
            &week("computingsite = 'LAKESIDE_HPC'"),
            200,
        ),
        check(
            &mut bench,
            json!({"site": "LAKESIDE%"}),
            &week("left(computingsite, 8) = 'LAKESIDE'"),
            200,
        ),
        check(
            &mut bench,
            json!({"reqid": request}),
            &week(&format!("reqid = {request}")),
            200,
        ),
        check(
            &mut bench,
            json!({"taskid": task, "days": 90, "limit": 2}),
            &format!("{} AND jeditaskid = {task}", window(90)),
            100_000,
        ),
        check(
            &mut bench,
            json!({"taskid": 0, "reqid": 0, "before_id": 0, "status": "", "username": "", "site": null}),
            &window(7),
            200,
        ),
        check(
            &mut bench,
            json!({"days": 60, "status": "finished", "username": "Amara%", "site": "NORTH%", "limit": 4}),
            &format!(
                "{} AND jobstatus = 'finished' AND produsername LIKE 'Amara%' AND computingsite LIKE 'NORTH%'",
                window(60)
            ),
            4,
        ),
    ];
    assert!(found.iter().all(|&count| count > 0), "{found:?}");
    for (arguments, limit) in [
        (json!({"status": "FINISHED"}), 200),
        (json!({"username": "Amara_Okafor"}), 200),
        (json!({"site": "\"'\\"}), 200),
        (json!({"taskid": -5}), 100_000),
        (json!({"reqid": 99_999_999_999_i64}), 200),
        (json!({"days": -3}), 200),
    ] {
        assert_eq!(check(&mut bench, arguments, "false", limit), 0);
    }
}

#[test]
fn pages_cover_every_job_once() {
    let mut bench = Bench::start();
    let condition = "jobstatus = 'cancelled' AND computingsite = 'LAKESIDE_HPC'";
    let expected = texts(
        &mut bench.panda,
        &format!("SELECT pandaid::text FROM {JOBS} WHERE {condition} ORDER BY pandaid DESC"),
        &[],
    );
    let mut seen = Vec::new();
    let mut before = Value::Null;
    loop {
        let page = bench.call(
            "panda_list_jobs",
            json!({"days": 300, "status": "cancelled", "site": "LAKESIDE_HPC", "limit": 7, "before_id": before}),
        );
        assert_eq!(
            page["total_in_window"],
            json!(expected.len()),
            "the counts ignore the page"
        );
        assert_eq!(page["pagination"]["before_id"], before);
        seen.extend(ids(&page).iter().map(i64::to_string));
        if page["pagination"]["has_more"] == false {
            assert_eq!(page["pagination"]["next_before_id"], Value::Null);
            break;
        }
        before = page["pagination"]["next_before_id"].clone();
        assert_eq!(before.to_string(), *seen.last().expect("a job"));
    }
    assert_eq!(seen, expected);
}

#[test]
fn a_page_of_no_jobs_still_counts() {
    let bench = Bench::start();
    for limit in [0, -1] {
        let page = bench.call("panda_list_jobs", json!({"limit": limit}));
        assert_eq!((&page["jobs"], &page["count"]), (&json!([]), &json!(0)));
        assert_eq!(
            page["pagination"],
            json!({"before_id": null, "has_more": true, "next_before_id": null, "limit": limit})
        );
        assert!(page["total_in_window"].as_i64() > Some(0));
    }
    for (name, value) in [
        ("limit", json!(-2)),
        ("limit", json!("many")),
        ("days", json!(1.5)),
        ("days", json!(999_999_999)),
        ("taskid", json!("x")),
        ("before_id", json!([])),
        ("status", json!(1)),
    ] {
        let message = bench.refused("panda_list_jobs", json!({ name: value }));
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn a_job_has_all_its_fields() {
    let mut bench = Bench::start();
    let columns = "pandaid, jeditaskid, reqid, produsername, jobstatus, computingsite, transformation, processingtype, creationtime,
                   starttime, endtime, modificationtime, corecount, nevents, noutputdatafiles, outputfilebytes";
    let query = format!(
        "SELECT pandaid, jeditaskid, reqid, produsername, jobstatus, computingsite, transformation, processingtype, {}, {}, {}, {},
                corecount, nevents, noutputdatafiles, outputfilebytes,
                (SELECT array_agg(destinationse) FROM doma_panda.filestable4 f WHERE f.pandaid = j.pandaid AND destinationse IS NOT NULL)
         FROM (SELECT {columns} FROM doma_panda.jobsactive4 UNION ALL SELECT {columns} FROM doma_panda.jobsarchived4) j
         ORDER BY pandaid DESC LIMIT 500",
        micros("creationtime"), micros("starttime"), micros("endtime"), micros("modificationtime")
    );
    let page = bench.call("panda_list_jobs", json!({"limit": 500, "days": 300}));
    let jobs = page["jobs"].as_array().expect("jobs");
    assert_eq!(jobs.len(), 500);
    for (row, job) in bench
        .panda
        .query(&query, &[])
        .expect("jobs")
        .iter()
        .zip(jobs)
    {
        let places: Option<Vec<String>> = row.get(16);
        match (&job["destinationse"], &places) {
            (Value::String(place), Some(places)) => assert!(places.contains(place)),
            (place, places) => assert!(place.is_null() && places.is_none(), "{place} {places:?}"),
        }
        let expected = json!({
            "pandaid": row.get::<_, i64>(0),
            "jeditaskid": row.get::<_, Option<i64>>(1),
            "reqid": row.get::<_, Option<i32>>(2),
            "produsername": row.get::<_, Option<String>>(3),
            "jobstatus": row.get::<_, String>(4),
            "computingsite": row.get::<_, Option<String>>(5),
            "transformation": row.get::<_, Option<String>>(6),
            "processingtype": row.get::<_, Option<String>>(7),
            "creationtime": moment(row.get(8), ""),
            "starttime": moment(row.get(9), ""),
            "endtime": moment(row.get(10), ""),
            "modificationtime": moment(row.get(11), ""),
            "corecount": row.get::<_, Option<i16>>(12),
            "nevents": row.get::<_, i64>(13),
            "noutputdatafiles": row.get::<_, Option<i32>>(14),
            "outputfilebytes": row.get::<_, Option<i64>>(15),
            "destinationse": job["destinationse"],
        });
        assert_eq!(job.to_string(), expected.to_string());
    }
}
