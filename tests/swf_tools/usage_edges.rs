//! panda_resource_usage, against rows of the test's own.

use super::panda_edges::bench_with;
use super::*;

#[test]
fn a_job_held_the_cores_that_it_says_it_had() {
    // An hour each. The cores that it really had come first, even none; then those that it asked for; one if nothing is known.
    let bench = bench_with(
        "panda_usage_cores",
        "INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime, starttime, endtime, computingsite, produsername, actualcorecount, corecount, cpuconsumptiontime)
         SELECT id, status, ago('1 hour'), ago('3 hours'), ago('2 hours'), site, 'u', actual, asked, used
         FROM  (VALUES (1, 'finished', 'both', 2, 8, 3600), (2, 'finished', 'none', 0, 8, 7200), (3, 'finished', 'asked', NULL, 4, 0),
                       (4, 'finished', 'unknown', NULL, NULL, 360), (5, 'finished', 'asked none', NULL, 0, 0),
                       (6, 'failed', 'both', 64, 64, 36000), (7, 'running', 'both', 64, 64, 36000)) j(id, status, site, actual, asked, used);
         -- A job without a beginning or an end lasted no time that is known: it isn't there at all.
         INSERT INTO jobsactive4 (pandaid, jobstatus, modificationtime, starttime, endtime, computingsite, produsername, cpuconsumptiontime)
         VALUES (8, 'finished', ago('1 hour'), NULL, ago('2 hours'), 'both', 'u', 36000),
                (9, 'finished', ago('1 hour'), ago('3 hours'), NULL, 'both', 'u', 36000),
                (10, 'finished', ago('1 hour'), NULL, NULL, 'timeless', 'nobody', 36000)",
    );
    // Sites that held as much as each other come by name.
    let expected = json!({
        "totals": {"job_count": 5, "allocated_core_hours": 7.0, "used_core_hours": 3.1, "wall_hours": 5.0},
        "by_site": [
            {"job_count": 1, "allocated_core_hours": 4.0, "used_core_hours": 0.0, "wall_hours": 1.0, "site": "asked"},
            {"job_count": 1, "allocated_core_hours": 2.0, "used_core_hours": 1.0, "wall_hours": 1.0, "site": "both"},
            {"job_count": 1, "allocated_core_hours": 1.0, "used_core_hours": 0.1, "wall_hours": 1.0, "site": "unknown"},
            {"job_count": 1, "allocated_core_hours": 0.0, "used_core_hours": 0.0, "wall_hours": 1.0, "site": "asked none"},
            {"job_count": 1, "allocated_core_hours": 0.0, "used_core_hours": 2.0, "wall_hours": 1.0, "site": "none"}],
        "by_user": [
            {"job_count": 5, "allocated_core_hours": 7.0, "used_core_hours": 3.1, "wall_hours": 5.0, "user": "u"}],
        "filters": {"days": 30, "site": null, "username": null, "taskid": null},
    });
    let answer = bench.call("panda_resource_usage", json!({}));
    assert_eq!(answer.to_string(), expected.to_string());
}

#[test]
fn hours_are_rounded_to_the_tenth_that_is_nearest_to_the_double() {
    // Hours in hundredths and what they are shown as. Of the halves of a tenth only quarters of an hour are true halves, which
    // go to the even tenth; every other one is as a double a little above or below.
    let table = [
        (4, 0.0),
        (5, 0.1),
        (15, 0.1),
        (25, 0.2),
        (35, 0.3),
        (45, 0.5),
        (55, 0.6),
        (65, 0.7),
        (75, 0.8),
        (85, 0.8),
        (95, 0.9),
        (105, 1.1),
        (115, 1.1),
        (125, 1.2),
        (175, 1.8),
        (225, 2.2),
        (12_345_678_925, 123_456_789.2),
        (12_345_678_975, 123_456_789.8),
    ];
    let rows: Vec<String> = table
        .iter()
        .map(|(hundredths, _)| {
            let seconds = hundredths * 36_i64;
            // Short jobs only: a long time is that of many cores.
            let (cores, wall) = if seconds > 100_000 { (seconds / 900, 900) } else { (1, seconds) };
            format!(
                "INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime, starttime, endtime, computingsite, actualcorecount, cpuconsumptiontime)
                 VALUES ({hundredths}, 'finished', ago('1 hour'), '2026-01-01', timestamp '2026-01-01' + {wall} * interval '1 second',
                         'site {hundredths}', {cores}, {seconds});"
            )
        })
        .collect();
    let bench = bench_with("panda_usage_rounded", &rows.concat());
    for (hundredths, hours) in table {
        let arguments = json!({"site": format!("site {hundredths}")});
        let answer = bench.call("panda_resource_usage", arguments);
        let totals = &answer["totals"];
        assert_eq!(totals["allocated_core_hours"], json!(hours), "{hundredths}");
        assert_eq!(totals["used_core_hours"], json!(hours), "{hundredths}");
        if hundredths < 1000 {
            assert_eq!(totals["wall_hours"], json!(hours), "{hundredths}");
        }
        assert_eq!(answer["by_site"][0]["used_core_hours"], json!(hours));
        assert_eq!(answer["by_user"][0]["used_core_hours"], json!(hours));
    }
}

#[test]
fn the_largest_come_first_and_equals_by_name() {
    // Sites and users by what was held before rounding, not by jobs, use or time; a job of nobody comes after its equals.
    let bench = bench_with(
        "panda_usage_ties",
        "INSERT INTO jobsarchived4 (pandaid, jobstatus, modificationtime, starttime, endtime, computingsite, produsername, actualcorecount, cpuconsumptiontime, jeditaskid)
         SELECT id, 'finished', ago('1 hour'), '2026-01-01', timestamp '2026-01-01' + wall * interval '1 second', name, name, cores, used, id
         FROM  (VALUES (1, NULL, 100, 1, 9000), (2, 'd', 100, 1, 0), (3, 'c', 50, 2, 7200), (4, 'b', 100, 1, 36000), (5, 'a', 99, 1, 720000),
                       (6, 'e', 101, 1, 0), (7, 'f', 34, 3, 0), (8, 'g', 5000, 0, 0)) j(id, name, wall, cores, used)",
    );
    let answer = bench.call("panda_resource_usage", json!({}));
    let expected = json!(["f", "e", "b", "c", "d", null, "a", "g"]);
    for (list, field) in [("by_site", "site"), ("by_user", "user")] {
        let entries = answer[list].as_array().expect("entries");
        let names: Vec<&Value> = entries.iter().map(|entry| &entry[field]).collect();
        assert_eq!(json!(names), expected, "{list}");
    }
    // Without any job there are zeros, and no lines.
    let answer = bench.call("panda_resource_usage", json!({"taskid": 9}));
    let expected = json!({
        "totals": {"job_count": 0, "allocated_core_hours": 0.0, "used_core_hours": 0.0, "wall_hours": 0.0},
        "by_site": [],
        "by_user": [],
        "filters": {"days": 30, "site": null, "username": null, "taskid": 9},
    });
    assert_eq!(answer.to_string(), expected.to_string());
}
