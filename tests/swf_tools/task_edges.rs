//! panda_list_tasks and panda_get_activity, against rows of the test's own.

use super::panda_edges::bench_with;
use super::*;

/// Jobs of a task: their status, attempt and number.
type Jobs = Vec<(&'static str, i16, i32)>;

#[test]
fn a_task_that_never_ended_is_given_up_after_sixty_days() {
    // A task of each status half a day younger than that, and one half a day older. All of them changed just now.
    let bench = bench_with(
        "panda_tasks_given_up",
        "INSERT INTO jedi_tasks (jeditaskid, status, username, creationdate, modificationtime)
         SELECT row_number() OVER (), status, 'u', ago(age), ago('1 hour')
         FROM   unnest('{done, failed, aborted, broken, finished, running, ready, exhausted, Done, finishing}'::text[]) status,
                unnest('{59 days 12 hours, 60 days 12 hours}'::interval[]) age",
    );
    let expected = json!({
        "done": 2, "failed": 2, "aborted": 2, "broken": 2, "finished": 2,
        "running": 1, "ready": 1, "exhausted": 1, "Done": 1, "finishing": 1,
    });
    let tasks = bench.call("panda_list_tasks", json!({}));
    assert_eq!(tasks["summary"], expected);
    assert_eq!(
        (&tasks["total_in_window"], &tasks["count"]),
        (&json!(15), &json!(15))
    );
    let activity = bench.call("panda_get_activity", json!({}));
    assert_eq!(activity["tasks"]["by_status"], expected);
    assert_eq!(activity["tasks"]["total"], 15);
}

#[test]
fn a_task_is_as_far_as_its_jobs_are() {
    let active = [
        "defined",
        "waiting",
        "assigned",
        "activated",
        "sent",
        "starting",
        "running",
        "holding",
        "transferring",
        "merging",
    ];
    // Per task its jobs, in whatever table and however old, and what is told of them.
    let mut tasks: Vec<(Jobs, Value)> = active
        .iter()
        .map(|status| {
            let running = i32::from(*status == "running");
            (
                vec![(*status, 1, 1)],
                json!([1, 0, 0, running, 0, 0, null, null, 0]),
            )
        })
        .collect();
    tasks.extend([
        // No jobs, and jobs that are neither at work nor at an end that counts.
        (vec![], json!([0, 0, 0, 0, 0, 0, null, null, null])),
        (
            vec![
                ("cancelled", 1, 2),
                ("closed", 1, 2),
                ("pending", 1, 1),
                ("Running", 1, 1),
            ],
            json!([0, 0, 0, 0, 0, 0, null, null, null]),
        ),
        // The second attempt is a retry, whatever became of it; the third is the last.
        (
            vec![
                ("failed", 0, 1),
                ("failed", 1, 1),
                ("failed", 2, 1),
                ("failed", 3, 1),
                ("failed", 4, 1),
                ("running", 2, 1),
                ("finished", 1, 1),
                ("cancelled", 3, 1),
            ],
            json!([1, 1, 5, 1, 5, 2, 0.8333, 0.6667, 86]),
        ),
        // Nothing failed for good; everything did.
        (
            vec![("failed", 2, 3)],
            json!([0, 0, 3, 0, 3, 0, 1.0, null, 100]),
        ),
        (
            vec![("failed", 3, 3)],
            json!([0, 0, 3, 0, 3, 3, 1.0, 1.0, 100]),
        ),
        (
            vec![("finished", 1, 3)],
            json!([0, 3, 0, 0, 0, 0, 0.0, 0.0, 100]),
        ),
        // True halves go to the even neighbour.
        (
            vec![("failed", 1, 1), ("finished", 1, 31)],
            json!([0, 31, 1, 0, 0, 0, 0.0312, 0.0, 100]),
        ),
        (
            vec![("failed", 3, 3), ("finished", 1, 29)],
            json!([0, 29, 3, 0, 3, 3, 0.0938, 0.0938, 100]),
        ),
        (
            vec![("sent", 1, 7), ("finished", 1, 1)],
            json!([7, 1, 0, 0, 0, 0, 0.0, 0.0, 12]),
        ),
        (
            vec![("sent", 1, 5), ("finished", 1, 1), ("failed", 1, 2)],
            json!([5, 1, 2, 0, 0, 0, 0.6667, 0.0, 38]),
        ),
    ]);
    let mut rows = String::new();
    let mut next = 0;
    for (task, (jobs, _)) in tasks.iter().enumerate() {
        rows += &format!(
            "INSERT INTO jedi_tasks (jeditaskid, status, username, creationdate, modificationtime)
             VALUES ({task}, 'running', 'u', ago('2 hours'), ago('1 hour'));"
        );
        for (status, attempt, count) in jobs {
            for _ in 0..*count {
                next += 1;
                let table = ["jobsactive4", "jobsarchived4"][next % 2];
                rows += &format!(
                    "INSERT INTO {table} (pandaid, jeditaskid, jobstatus, attemptnr, modificationtime)
                     VALUES ({next}, {task}, '{status}', {attempt}, ago({next} * interval '1 day'));"
                );
            }
        }
    }
    let bench = bench_with("panda_tasks_progress", &rows);
    let answer = bench.call("panda_list_tasks", json!({}));
    let shown = answer["tasks"].as_array().expect("tasks");
    assert_eq!(shown.len(), tasks.len());
    // The newest task comes first.
    for (task, (jobs, expected)) in shown.iter().rev().zip(&tasks) {
        let fields = [
            "nactive",
            "nfinished",
            "nfailed",
            "nrunning",
            "nretries",
            "nfinalfailed",
            "computed_failurerate",
            "computed_finalfailurerate",
            "computed_progress",
        ];
        assert_eq!(keys(task)[22..], fields);
        let values: Vec<&Value> = fields.iter().map(|field| &task[*field]).collect();
        assert_eq!(json!(values).to_string(), expected.to_string(), "{jobs:?}");
    }
}

#[test]
fn the_busiest_come_first_and_equals_by_name() {
    // Users, sites and statuses that have as much as each other; and a user whose name needs care in JSON.
    let bench = bench_with(
        "panda_activity_ties",
        r#"INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime, produsername, computingsite)
           SELECT row_number() OVER (), status, ago('1 hour'), name, site
           FROM  (VALUES ('holding', NULL, NULL, 4), ('failed', 'b', 'Y', 2), ('closed', 'b', 'X', 2), ('running', 'a "%s" \', 'Y', 2),
                         ('finished', 'a "%s" \', 'X', 2), ('sent', 'c', 'Z', 5), ('finished', 'd', 'W', 1), ('closed', 'd', 'W', 1),
                         ('running', 'd', 'W', 1), ('failed', 'd', 'W', 1)) j(status, name, site, n), generate_series(1, n);
           INSERT INTO jedi_tasks (jeditaskid, status, username, workinggroup, creationdate, modificationtime)
           SELECT row_number() OVER (), status, name, working, ago('2 hours'), ago('1 hour')
           FROM  (VALUES ('ready', 'b', 'g', 1), ('done', 'b', 'g', 1), ('running', 'a "%s" \', 'G', 2), ('done', 'c', NULL, 1),
                         ('failed', 'c', 'g', 3)) t(status, name, working, n), generate_series(1, n)"#,
    );
    let a = r#"a "%s" \"#;
    let jobs = json!({
        "total": 21,
        "by_status": {"sent": 5, "holding": 4, "closed": 3, "failed": 3, "finished": 3, "running": 3},
        "by_user": [
            {"user": "c", "total": 5, "sent": 5},
            {"user": a, "total": 4, "finished": 2, "running": 2},
            {"user": "b", "total": 4, "closed": 2, "failed": 2},
            {"user": "d", "total": 4, "closed": 1, "failed": 1, "finished": 1, "running": 1},
            {"user": null, "total": 4, "holding": 4}],
        "by_site": [
            {"site": "Z", "total": 5, "sent": 5},
            {"site": "W", "total": 4, "closed": 1, "failed": 1, "finished": 1, "running": 1},
            {"site": "X", "total": 4, "closed": 2, "finished": 2},
            {"site": "Y", "total": 4, "failed": 2, "running": 2},
            {"site": null, "total": 4, "holding": 4}],
    });
    let expected = json!({
        "jobs": jobs,
        "tasks": {
            "total": 8,
            "by_status": {"failed": 3, "done": 2, "running": 2, "ready": 1},
            "by_user": [
                {"user": "c", "total": 4, "failed": 3, "done": 1},
                {"user": a, "total": 2, "running": 2},
                {"user": "b", "total": 2, "done": 1, "ready": 1}],
        },
        "filters": {"days": 1, "username": null, "site": null, "workinggroup": null},
    });
    let answer = bench.call("panda_get_activity", json!({}));
    assert_eq!(answer.to_string(), expected.to_string());
    // A working group is of tasks only, a site of jobs only.
    let expected = json!({
        "jobs": {
            "total": 5,
            "by_status": {"sent": 5},
            "by_user": [{"user": "c", "total": 5, "sent": 5}],
            "by_site": [{"site": "Z", "total": 5, "sent": 5}],
        },
        "tasks": {
            "total": 5,
            "by_status": {"failed": 3, "done": 1, "ready": 1},
            "by_user": [{"user": "c", "total": 3, "failed": 3}, {"user": "b", "total": 2, "done": 1, "ready": 1}],
        },
        "filters": {"days": 1, "username": null, "site": "Z", "workinggroup": "g"},
    });
    let answer = bench.call(
        "panda_get_activity",
        json!({"site": "Z", "workinggroup": "g"}),
    );
    assert_eq!(answer.to_string(), expected.to_string());
}
