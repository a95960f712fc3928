//! panda_resource_usage.

use std::collections::HashMap;

use super::*;

/// Jobs, and microseconds: of core time held, of core time used, of time.
#[derive(Debug, Clone, Default, PartialEq)]
struct Used(i64, i128, i128, i128);

impl Used {
    fn shown(&self) -> Value {
        // The tenth of an hour that is nearest to what the double exactly is.
        let hours = |micros: i128| {
            let shown = format!("{:.1}", micros as f64 / 3.6e9);
            json!(shown.parse::<f64>().expect("a number"))
        };
        json!({
            "job_count": self.0,
            "allocated_core_hours": hours(self.1),
            "used_core_hours": hours(self.2),
            "wall_hours": hours(self.3),
        })
    }
}

/// By name, the largest first.
fn breakdown(field: &str, cells: HashMap<Option<String>, Used>) -> Value {
    let mut cells: Vec<_> = cells.into_iter().collect();
    cells.sort_by_key(|(name, used)| (std::cmp::Reverse(used.1), name.is_none(), name.clone()));
    let shown = cells.into_iter().map(|(name, used)| {
        let mut entry = used.shown();
        entry[field] = json!(name);
        entry
    });
    shown.collect()
}

#[test]
fn usage_adds_up_under_each_filter() {
    let mut bench = Bench::start();
    let task = number(
        &mut bench.panda,
        "SELECT jeditaskid FROM doma_panda.jobsarchived4 WHERE jobstatus = 'finished' GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
        &[],
    );
    let by_task = format!("jeditaskid = {task}");
    // Windows so wide that nothing leaves them meanwhile.
    for (filters, condition) in [
        (json!({}), "true"),
        (json!({"site": "", "username": null, "taskid": 0}), "true"),
        (
            json!({"site": "LAKESIDE_GPU"}),
            "computingsite = 'LAKESIDE_GPU'",
        ),
        (
            json!({"site": "NORTHLAB%"}),
            "computingsite LIKE 'NORTHLAB%'",
        ),
        (
            json!({"username": "Elif Şahin"}),
            "produsername = 'Elif Şahin'",
        ),
        (json!({"username": "%O%"}), "produsername LIKE '%O%'"),
        (json!({"taskid": task}), by_task.as_str()),
        (
            json!({"site": "%", "username": "%a%"}),
            "computingsite IS NOT NULL AND produsername LIKE '%a%'",
        ),
        (json!({"site": "nowhere", "username": "'"}), "false"),
        (json!({"taskid": -1}), "false"),
    ] {
        let mut arguments = filters.clone();
        arguments["days"] = json!(1000);
        let answer = bench.call("panda_resource_usage", arguments.clone());
        let columns = "jeditaskid, computingsite, produsername, jobstatus, starttime, endtime, corecount, actualcorecount, cpuconsumptiontime";
        let query = format!(
            "SELECT computingsite, produsername, {} - {}, coalesce(actualcorecount, corecount, 1)::bigint, cpuconsumptiontime::bigint
             FROM (SELECT {columns} FROM doma_panda.jobsactive4 UNION ALL SELECT {columns} FROM doma_panda.jobsarchived4) j
             WHERE jobstatus = 'finished' AND starttime IS NOT NULL AND endtime IS NOT NULL AND {condition}",
            micros("endtime"),
            micros("starttime")
        );
        let mut totals = Used::default();
        let (mut sites, mut users) = (HashMap::new(), HashMap::new());
        for row in bench.panda.query(&query, &[]).expect("jobs") {
            let (wall, cores, used): (i64, i64, i64) = (row.get(2), row.get(3), row.get(4));
            let site: &mut Used = sites.entry(row.get(0)).or_default();
            let user: &mut Used = users.entry(row.get(1)).or_default();
            for sum in [&mut totals, site, user] {
                sum.0 += 1;
                sum.1 += i128::from(wall) * i128::from(cores);
                sum.2 += i128::from(used) * 1_000_000;
                sum.3 += i128::from(wall);
            }
        }
        assert_eq!(totals.0 == 0, condition == "false", "{arguments}");
        let given = |name: &str| match &filters[name] {
            value if *value == 0 || *value == "" => Value::Null,
            value => value.clone(),
        };
        let expected = json!({
            "totals": totals.shown(),
            "by_site": breakdown("site", sites),
            "by_user": breakdown("user", users),
            "filters": {"days": 1000, "site": given("site"), "username": given("username"), "taskid": given("taskid")},
        });
        assert_eq!(answer.to_string(), expected.to_string(), "{arguments}");
    }
    let week = bench.call("panda_resource_usage", json!({"days": 7}));
    let month = bench.call("panda_resource_usage", json!({}));
    assert!(week["totals"]["job_count"].as_i64() < month["totals"]["job_count"].as_i64());
    assert_eq!(month["filters"]["days"], 30);
}
