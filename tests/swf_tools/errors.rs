//! panda_error_summary.

use std::collections::{BTreeMap, BTreeSet};

use super::faults::{COMPONENTS, FAULTY, FIELDS, faulty};
use super::table::objects;
use super::*;

/// What the summary says of one error.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    count: u64,
    tasks: BTreeSet<i64>,
    users: BTreeSet<Option<String>>,
    sites: BTreeSet<Option<String>>,
    destinations: BTreeSet<Option<String>>,
}

type Summary = BTreeMap<(String, i64, Option<String>), Seen>;

/// Adds up the errors of the jobs that satisfy `condition`, in files bound for what satisfies `place`.
fn add_up(
    bench: &mut Bench,
    condition: &str,
    place: Option<&str>,
    source: Option<&str>,
) -> Summary {
    let mut summary = Summary::new();
    for job in objects(&mut bench.panda, FIELDS, &faulty(condition)) {
        let id = job["pandaid"].as_i64().expect("an id");
        let found = texts(
            &mut bench.panda,
            &format!(
                "SELECT DISTINCT destinationse FROM doma_panda.filestable4 WHERE pandaid = {id} AND destinationse IS NOT NULL AND {}",
                place.unwrap_or("true")
            ),
            &[],
        );
        let mut places: Vec<Option<String>> = found.into_iter().map(Some).collect();
        if places.is_empty() && place.is_none() {
            places.push(None);
        }
        let text = |field: &str| job[field].as_str().map(str::to_owned);
        for (component, column) in COMPONENTS {
            let code = job[format!("{column}errorcode")].as_i64().expect("a code");
            if code == 0 || source.is_some_and(|source| source != component) {
                continue;
            }
            let diagnosis =
                text(&format!("{column}errordiag")).map(|d| d.chars().take(256).collect());
            for place in &places {
                let seen = summary
                    .entry((component.to_owned(), code, diagnosis.clone()))
                    .or_default();
                seen.count += 1;
                seen.tasks.extend(job["jeditaskid"].as_i64());
                seen.users.insert(text("produsername"));
                seen.sites.insert(text("computingsite"));
                seen.destinations.insert(place.clone());
            }
        }
    }
    summary
}

/// A list of names, each once, nothing after null.
fn names(list: &Value) -> BTreeSet<Option<String>> {
    let list = list.as_array().expect("names");
    let names: BTreeSet<_> = list
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect();
    assert_eq!(names.len(), list.len());
    assert!(
        list.iter().rev().skip(1).all(|name| !name.is_null()),
        "{list:?}"
    );
    names
}

#[test]
fn errors_add_up_under_each_filter() {
    let mut bench = Bench::start();
    let task = number(
        &mut bench.panda,
        &format!(
            "SELECT jeditaskid FROM doma_panda.jobsarchived4 WHERE {FAULTY} AND piloterrorcode <> 0 GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        ),
        &[],
    );
    let by_task = format!("jeditaskid = {task}");
    // Windows so wide that nothing leaves them meanwhile.
    for (arguments, condition, place, source) in [
        (
            json!({"site": "TEST_SITE"}),
            "computingsite = 'TEST_SITE'",
            None,
            None,
        ),
        (
            json!({"site": "COAST%"}),
            "computingsite LIKE 'COAST%'",
            None,
            None,
        ),
        (
            json!({"username": "Inés Peña"}),
            "produsername = 'Inés Peña'",
            None,
            None,
        ),
        (
            json!({"username": "Haruka%", "destinationse": ""}),
            "produsername LIKE 'Haruka%'",
            None,
            None,
        ),
        (
            json!({"username": "Inés Peña", "destinationse": "%DISK"}),
            "produsername = 'Inés Peña'",
            Some("destinationse LIKE '%DISK'"),
            None,
        ),
        (
            json!({"username": "Inés Peña", "destinationse": "LAKESIDE_TAPE"}),
            "produsername = 'Inés Peña'",
            Some("destinationse = 'LAKESIDE_TAPE'"),
            None,
        ),
        (
            json!({"username": "Inés Peña", "error_source": "executor"}),
            "produsername = 'Inés Peña'",
            None,
            Some("executor"),
        ),
        (
            json!({"taskid": task, "limit": 1}),
            by_task.as_str(),
            None,
            None,
        ),
        (
            json!({"username": "%a%", "site": "ALPINE_GRID", "destinationse": "ALPINE%", "error_source": "pilot"}),
            "produsername LIKE '%a%' AND computingsite = 'ALPINE_GRID'",
            Some("destinationse LIKE 'ALPINE%'"),
            Some("pilot"),
        ),
        (json!({"username": "nobody"}), "false", None, None),
        (
            json!({"destinationse": "alpine_disk", "username": "Inés Peña"}),
            "false",
            None,
            None,
        ),
        (json!({"taskid": -1, "site": "日本"}), "false", None, None),
    ] {
        let mut all = arguments.clone();
        all["days"] = json!(1000);
        if all["limit"].is_null() {
            all["limit"] = json!(10_000);
        }
        let answer = bench.call("panda_error_summary", all);
        let expected = add_up(&mut bench, condition, place, source);
        assert_eq!(expected.is_empty(), condition == "false", "{arguments}");
        let mut shown = Summary::new();
        let mut last = u64::MAX;
        for error in answer["errors"].as_array().expect("errors") {
            assert_eq!(
                keys(error),
                [
                    "error_source",
                    "error_code",
                    "error_diag",
                    "count",
                    "task_count",
                    "users",
                    "sites",
                    "destination_sites"
                ]
            );
            let component = error["error_source"].as_str().expect("a source").to_owned();
            let code = error["error_code"].as_i64().expect("a code");
            let diagnosis = error["error_diag"].as_str().expect("text");
            let key = (
                component,
                code,
                (!diagnosis.is_empty()).then(|| diagnosis.to_owned()),
            );
            let count = error["count"].as_u64().expect("a count");
            assert!(count <= last, "not the most frequent first");
            last = count;
            let tasks = expected
                .get(&key)
                .map(|seen| seen.tasks.clone())
                .unwrap_or_default();
            assert_eq!(error["task_count"], json!(tasks.len()), "{arguments}");
            let seen = Seen {
                count,
                tasks,
                users: names(&error["users"]),
                sites: names(&error["sites"]),
                destinations: names(&error["destination_sites"]),
            };
            assert!(shown.insert(key, seen).is_none());
        }
        assert_eq!(shown, expected, "{arguments}");
        assert_eq!(
            keys(&answer),
            ["total_errors", "errors", "count", "filters"]
        );
        assert_eq!(answer["count"], json!(shown.len()));
        assert_eq!(
            answer["total_errors"],
            json!(shown.values().map(|seen| seen.count).sum::<u64>())
        );
        assert_eq!(
            keys(&answer["filters"]),
            ["days", "username", "site", "taskid", "error_source"]
        );
    }
}

#[test]
fn an_error_summary_is_cut_at_its_limit_and_knows_its_sources() {
    let bench = Bench::start();
    let all = bench.call("panda_error_summary", json!({"days": 1000, "limit": 1000}));
    let all = all["errors"].as_array().expect("errors");
    assert!(all.len() > 7);
    for limit in [0, 1, 7] {
        let answer = bench.call("panda_error_summary", json!({"days": 1000, "limit": limit}));
        assert_eq!(answer["errors"].as_array().expect("errors"), &all[..limit]);
        let sum: u64 = all[..limit]
            .iter()
            .map(|error| error["count"].as_u64().expect("a count"))
            .sum();
        assert_eq!(answer["total_errors"], json!(sum));
    }
    for (name, value) in [
        ("error_source", json!("exe")),
        ("limit", json!(-1)),
        ("days", json!("x")),
        ("destinationse", json!(1)),
    ] {
        let message = bench.refused("panda_error_summary", json!({ name: value }));
        assert!(message.starts_with(name), "{message}");
    }
}
