//! panda_get_activity.

use std::collections::BTreeMap;

use super::panda::{JOBS, window};
use super::*;

/// Counts by name and status.
type Cells = BTreeMap<Option<String>, BTreeMap<String, i64>>;

fn cells(client: &mut Client, name: &str, from: &str, condition: &str) -> Cells {
    let query = format!(
        "SELECT {name}::text, {}, count(*) FROM {from} WHERE {condition} GROUP BY 1, 2",
        if from == JOBS { "jobstatus" } else { "status" }
    );
    let mut cells = Cells::new();
    for row in client.query(&query, &[]).expect("counts") {
        cells
            .entry(row.get(0))
            .or_default()
            .insert(row.get(1), row.get(2));
    }
    cells
}

/// A breakdown as the tool gives it, which must be in order: the busiest first, and in each its own most frequent status.
fn read(list: &Value, field: &str) -> Cells {
    let mut cells = Cells::new();
    let mut last = i64::MAX;
    for entry in list.as_array().expect("a breakdown") {
        let names = keys(entry);
        assert_eq!(names[..2], [field, "total"]);
        let total = entry["total"].as_i64().expect("a total");
        assert!(total <= last);
        last = total;
        let counts: Vec<i64> = names[2..]
            .iter()
            .map(|name| entry[*name].as_i64().expect("a count"))
            .collect();
        assert!(counts.is_sorted_by(|a, b| a >= b));
        assert_eq!(counts.iter().sum::<i64>(), total);
        let statuses = names[2..]
            .iter()
            .map(|name| (*name).to_owned())
            .zip(counts)
            .collect();
        assert!(
            cells
                .insert(entry[field].as_str().map(str::to_owned), statuses)
                .is_none()
        );
    }
    cells
}

#[test]
fn activity_adds_up_under_each_filter() {
    let mut bench = Bench::start();
    let alive = "NOT (creationdate < (now() AT TIME ZONE 'UTC') - interval '60 days' AND status NOT IN ('done', 'failed', 'aborted', 'broken', 'finished'))";
    // Windows so wide that nothing leaves them meanwhile, but one.
    for (arguments, jobs, tasks) in [
        (json!({"days": 1000}), "true", "true"),
        (
            json!({"days": 1000, "username": "Chloé Martin"}),
            "produsername = 'Chloé Martin'",
            "username = 'Chloé Martin'",
        ),
        (
            json!({"days": 1000, "username": "%o%"}),
            "produsername LIKE '%o%'",
            "username LIKE '%o%'",
        ),
        (
            json!({"days": 1000, "username": "nobody"}),
            "false",
            "false",
        ),
        (
            json!({"days": 1000, "site": "ALPINE_GRID"}),
            "computingsite = 'ALPINE_GRID'",
            "true",
        ),
        (
            json!({"days": 1000, "site": "%\\_1"}),
            "computingsite LIKE '%\\_1'",
            "true",
        ),
        (
            json!({"days": 1000, "workinggroup": "EIC"}),
            "true",
            "workinggroup = 'EIC'",
        ),
        (
            json!({"days": "1000", "username": "%a%", "site": "N%", "workinggroup": "eic-production"}),
            "produsername LIKE '%a%' AND computingsite LIKE 'N%'",
            "username LIKE '%a%' AND workinggroup = 'eic-production'",
        ),
        (json!({"days": 0, "site": ""}), "false", "false"),
    ] {
        let answer = bench.call("panda_get_activity", arguments.clone());
        assert_eq!(keys(&answer), ["jobs", "tasks", "filters"]);
        assert_eq!(
            keys(&answer["jobs"]),
            ["total", "by_status", "by_user", "by_site"]
        );
        assert_eq!(keys(&answer["tasks"]), ["total", "by_status", "by_user"]);
        assert_eq!(
            keys(&answer["filters"]),
            ["days", "username", "site", "workinggroup"]
        );
        let tasks = format!("{alive} AND {tasks}");
        let table = "doma_panda.jedi_tasks";
        for (part, field, list, expected) in [
            (
                "jobs",
                "user",
                "by_user",
                cells(&mut bench.panda, "produsername", JOBS, jobs),
            ),
            (
                "jobs",
                "site",
                "by_site",
                cells(&mut bench.panda, "computingsite", JOBS, jobs),
            ),
            (
                "tasks",
                "user",
                "by_user",
                cells(&mut bench.panda, "username", table, &tasks),
            ),
        ] {
            assert_eq!(
                read(&answer[part][list], field),
                expected,
                "{arguments} {part} {list}"
            );
            let mut statuses: BTreeMap<String, i64> = BTreeMap::new();
            for (status, count) in expected.values().flatten() {
                *statuses.entry(status.clone()).or_default() += count;
            }
            assert_eq!(
                answer[part]["total"],
                json!(statuses.values().sum::<i64>()),
                "{arguments} {part}"
            );
            let shown = &answer[part]["by_status"];
            let counts: Vec<i64> = keys(shown)
                .iter()
                .map(|status| shown[*status].as_i64().expect("a count"))
                .collect();
            assert!(counts.is_sorted_by(|a, b| a >= b));
            assert_eq!(*shown, json!(statuses), "{arguments} {part}");
        }
    }
}

#[test]
fn activity_looks_back_one_day() {
    let mut bench = Bench::start();
    let count = format!("SELECT count(*) FROM {JOBS} WHERE {}", window(1));
    let look = |bench: &mut Bench| number(&mut bench.panda, &count, &[]);
    let (answer, total) = bench.call_while("panda_get_activity", &json!({}), look);
    assert!(total > 0);
    assert_eq!(answer["jobs"]["total"], json!(total));
    assert_eq!(
        answer["filters"],
        json!({"days": 1, "username": null, "site": null, "workinggroup": null})
    );
    let message = bench.refused("panda_get_activity", json!({"days": "a week", "site": 3}));
    assert!(
        message.contains("days") && message.contains("site"),
        "{message}"
    );
}
