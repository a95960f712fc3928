//! What all lists and counts of PanDA have in common at their edges, each against rows of the test's own.

use super::own::make_panda;
use super::*;

/// A server whose database `panda` is the test's own, under this name: no rows are in it but these. `ago` is short for a moment as PanDA
/// writes it.
pub fn bench_with(name: &str, rows: &str) -> Bench {
    make_panda(name);
    let mut bench = Bench::with(Setup::bare(), LOGIN, "swf", name);
    let short = "CREATE FUNCTION doma_panda.ago(interval) RETURNS timestamp LANGUAGE sql
                 AS $$ SELECT (now() AT TIME ZONE 'UTC') - $1 $$;
                 SET search_path = doma_panda";
    for statements in [short, rows] {
        bench
            .panda
            .batch_execute(statements)
            .unwrap_or_else(|fault| panic!("{name}: {fault}: {statements}"));
    }
    bench
}

/// The number at this place of the answer.
fn count(bench: &Bench, tool: &str, arguments: &Value, place: &str) -> u64 {
    let answer = bench.call(tool, arguments.clone());
    answer
        .pointer(place)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("{tool} {arguments}: no number at {place}: {answer}"))
}

#[test]
fn only_a_percent_sign_makes_a_name_a_pattern() {
    let bench = bench_with(
        "panda_names",
        "INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime, starttime, endtime, produsername, computingsite, piloterrorcode)
         SELECT id, status, ago('1 hour'), ago('3 hours'), ago('2 hours'), name, name, 1
         FROM  (VALUES (1, 'failed', 'ax'), (2, 'failed', '_x'), (3, 'failed', 'xa'),
                       (4, 'finished', 'ax'), (5, 'finished', '_x'), (6, 'finished', 'xa')) j(id, status, name);
         INSERT INTO filestable4 (row_id, pandaid, destinationse)
         SELECT pandaid, pandaid, computingsite FROM jobsarchived4;
         INSERT INTO jedi_tasks (jeditaskid, status, taskname, username, processingtype, creationdate, modificationtime)
         SELECT id, 'done', name, name, name, ago('2 hours'), ago('1 hour')
         FROM  (VALUES (1, 'ax'), (2, '_x'), (3, 'xa')) t(id, name)",
    );
    // A filter, where its matches are counted, and how many there are of each name.
    for (tool, filter, place, each) in [
        ("panda_list_jobs", "username", "/total_in_window", 2),
        ("panda_list_jobs", "site", "/total_in_window", 2),
        ("panda_diagnose_jobs", "username", "/count", 1),
        ("panda_diagnose_jobs", "site", "/count", 1),
        ("panda_list_tasks", "username", "/total_in_window", 1),
        ("panda_list_tasks", "taskname", "/total_in_window", 1),
        ("panda_list_tasks", "processingtype", "/total_in_window", 1),
        ("panda_error_summary", "username", "/total_errors", 1),
        ("panda_error_summary", "site", "/total_errors", 1),
        ("panda_error_summary", "destinationse", "/total_errors", 1),
        ("panda_get_activity", "username", "/jobs/total", 2),
        ("panda_get_activity", "username", "/tasks/total", 1),
        ("panda_get_activity", "site", "/jobs/total", 2),
        ("panda_resource_usage", "username", "/totals/job_count", 1),
        ("panda_resource_usage", "site", "/totals/job_count", 1),
    ] {
        for (name, names) in [
            ("_x", 1),
            ("ax", 1),
            ("AX", 0),
            ("x", 0),
            (r"\_x", 0),
            ("%x", 2),
            ("x%", 1),
            ("_x%", 2),
            (r"\_x%", 1),
            ("%", 3),
        ] {
            assert_eq!(
                count(&bench, tool, &json!({filter: name}), place),
                each * names,
                "{tool} {filter} {name}"
            );
        }
    }
}

#[test]
fn every_window_ends_where_its_default_says() {
    // Something half a day inside the window of each tool, and something half a day outside.
    let bench = bench_with(
        "panda_windows",
        "INSERT INTO jobsactive4 (pandaid, jobstatus, modificationtime, starttime, endtime, piloterrorcode)
         SELECT number, status, ago(number * interval '12 hours'), ago('50 days'), ago('40 days'), 1
         FROM   unnest('{1, 3, 13, 15, 19, 21, 59, 61}'::int[]) number, unnest('{failed, finished}'::text[]) status;
         INSERT INTO jedi_tasks (jeditaskid, status, username, creationdate, modificationtime)
         SELECT pandaid, 'done', 'u', ago('90 days'), modificationtime FROM jobsactive4 WHERE jobstatus = 'failed'",
    );
    for (tool, days, place, expected) in [
        ("panda_get_activity", 1, "/jobs/total", 2),
        ("panda_get_activity", 1, "/tasks/total", 1),
        ("panda_list_jobs", 7, "/total_in_window", 6),
        ("panda_list_jobs", 7, "/count", 6),
        ("panda_diagnose_jobs", 7, "/count", 3),
        ("panda_list_tasks", 7, "/total_in_window", 3),
        ("panda_list_tasks", 7, "/count", 3),
        ("panda_error_summary", 10, "/total_errors", 5),
        ("panda_resource_usage", 30, "/totals/job_count", 7),
    ] {
        for arguments in [json!({}), json!({"days": days})] {
            assert_eq!(
                count(&bench, tool, &arguments, place),
                expected,
                "{tool} {arguments}"
            );
            assert_eq!(
                count(&bench, tool, &arguments, "/filters/days"),
                days,
                "{tool}"
            );
        }
        // Windows that reach back to the days of Rome, and as far ahead.
        assert!(count(&bench, tool, &json!({"days": 700_000}), place) >= 8);
        assert_eq!(count(&bench, tool, &json!({"days": -700_000}), place), 0);
        for days in [700_001, -700_001] {
            let message = bench.refused(tool, json!({"days": days}));
            assert!(message.contains("days"), "{message}");
        }
    }
}

#[test]
fn a_page_has_more_only_if_there_is_one_more() {
    // One job is still among the active ones.
    let bench = bench_with(
        "panda_pages",
        "INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime) VALUES (11, 'failed', ago('1 hour')), (13, 'failed', ago('2 hours'));
         INSERT INTO jobsactive4 (pandaid, jobstatus, modificationtime) VALUES (12, 'failed', ago('3 hours'));
         INSERT INTO jedi_tasks (jeditaskid, status, username, creationdate, modificationtime)
         SELECT id, 'done', 'u', ago('2 hours'), ago('1 hour') FROM generate_series(11, 13) id",
    );
    for (tool, list, id, default) in [
        ("panda_list_jobs", "jobs", "pandaid", 200),
        ("panda_diagnose_jobs", "jobs", "pandaid", 500),
        ("panda_list_tasks", "tasks", "jeditaskid", 500),
    ] {
        for (limit, before, shown, next) in [
            (Value::Null, Value::Null, vec![13, 12, 11], None),
            (json!(100_000), Value::Null, vec![13, 12, 11], None),
            (json!(3), Value::Null, vec![13, 12, 11], None),
            (json!(2), Value::Null, vec![13, 12], Some(12)),
            (json!(1), Value::Null, vec![13], Some(13)),
            (json!(1), json!(13), vec![12], Some(12)),
            (json!(1), json!(12), vec![11], None),
            (json!(1), json!(11), vec![], None),
            (json!(3), json!(14), vec![13, 12, 11], None),
        ] {
            let arguments = json!({"limit": limit, "before_id": before});
            let answer = bench.call(tool, arguments.clone());
            let ids: Vec<i64> = answer[list]
                .as_array()
                .expect("items")
                .iter()
                .map(|item| item[id].as_i64().expect("an id"))
                .collect();
            assert_eq!(ids, shown, "{tool} {arguments}");
            assert_eq!(answer["count"], json!(shown.len()), "{tool} {arguments}");
            let limit = if limit.is_null() {
                json!(default)
            } else {
                limit
            };
            assert_eq!(
                answer["pagination"].to_string(),
                json!({"before_id": before, "has_more": next.is_some(), "next_before_id": next, "limit": limit})
                    .to_string(),
                "{tool} {arguments}"
            );
            // What is counted is the whole selection, not this page.
            if tool != "panda_diagnose_jobs" {
                assert_eq!(answer["total_in_window"], 3, "{tool} {arguments}");
            }
        }
        for limit in [100_001, -2] {
            let message = bench.refused(tool, json!({"limit": limit}));
            assert!(message.contains("limit"), "{message}");
        }
    }
}

#[test]
fn a_job_that_is_in_both_tables_counts_in_both() {
    // Jobs that are alike in all that a tool reads are still jobs each.
    let bench = bench_with(
        "panda_twins",
        "INSERT INTO jobsactive4 (pandaid, jobstatus, modificationtime, starttime, endtime, piloterrorcode)
         SELECT id, status, ago('1 hour'), ago('3 hours'), ago('2 hours'), 7
         FROM  (VALUES (1, 'failed'), (2, 'finished'), (3, 'finished')) j(id, status);
         INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime, starttime, endtime, piloterrorcode)
         SELECT pandaid, jobstatus, modificationtime, starttime, endtime, piloterrorcode FROM jobsactive4",
    );
    for (tool, place, expected) in [
        ("panda_list_jobs", "/total_in_window", 6),
        ("panda_list_jobs", "/count", 6),
        ("panda_diagnose_jobs", "/count", 2),
        ("panda_error_summary", "/total_errors", 2),
        ("panda_get_activity", "/jobs/total", 6),
        ("panda_resource_usage", "/totals/job_count", 4),
    ] {
        assert_eq!(count(&bench, tool, &json!({}), place), expected, "{tool}");
    }
}

#[test]
fn of_several_destinations_a_job_shows_the_first_by_name() {
    // Both lists say the same of a job, whatever the order of its files.
    let bench = bench_with(
        "panda_destinations",
        "INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime)
         SELECT id, 'failed', ago('1 hour') FROM generate_series(1, 4) id;
         INSERT INTO filestable4 (row_id, pandaid, destinationse)
         VALUES (1, 4, 'B'), (2, 4, 'A'), (3, 4, 'C'), (4, 4, NULL), (5, 3, NULL), (6, 2, NULL), (7, 2, 'B'), (8, 5, 'A')",
    );
    for tool in ["panda_list_jobs", "panda_diagnose_jobs"] {
        let answer = bench.call(tool, json!({}));
        let jobs = answer["jobs"].as_array().expect("jobs");
        let shown: Vec<&Value> = jobs.iter().map(|job| &job["destinationse"]).collect();
        assert_eq!(json!(shown), json!(["A", null, "B", null]), "{tool}");
    }
}
