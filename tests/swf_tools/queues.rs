//! panda_list_queues, panda_get_queue.

use super::*;

const SHOWN: [&str; 17] = [
    "status",
    "state",
    "vo_name",
    "resource_type",
    "type",
    "capability",
    "corepower",
    "atlas_site",
    "region",
    "country",
    "tier",
    "cloud",
    "container_type",
    "pilot_version",
    "maxrss",
    "maxtime",
    "maxwdir",
];

/// Name, configuration (null where there is none) and the time of the last update, by name.
fn queues(bench: &mut Bench, condition: &str) -> Vec<(String, Value, Value)> {
    let query = format!(
        "SELECT panda_queue, data::text, {} FROM doma_panda.schedconfig_json WHERE {condition} ORDER BY panda_queue",
        micros("last_update")
    );
    let rows = bench.panda.query(&query, &[]).expect("queues");
    rows.iter()
        .map(|row| {
            let data: Option<String> = row.get(1);
            let data = data.map_or(Value::Null, |text| {
                serde_json::from_str(&text).expect("JSON")
            });
            (row.get(0), data, moment(row.get(2), ""))
        })
        .collect()
}

#[test]
fn each_filter_of_queues_alone_and_all_together() {
    let mut bench = Bench::start();
    for (arguments, condition) in [
        (json!({}), "true"),
        (
            json!({"vo": "", "status": null, "state": "", "search": ""}),
            "true",
        ),
        (json!({"vo": "atlas"}), "data ->> 'vo_name' = 'atlas'"),
        (json!({"vo": "ATLAS"}), "false"),
        (
            json!({"status": "brokeroff"}),
            "data ->> 'status' = 'brokeroff'",
        ),
        (json!({"status": "online%"}), "false"),
        (
            json!({"state": "DISABLED"}),
            "data ->> 'state' = 'DISABLED'",
        ),
        (
            json!({"search": "lakeside"}),
            "panda_queue LIKE 'LAKESIDE%'",
        ),
        // In a search both of LIKE's wildcards stand for what they do there.
        (json!({"search": "lab%q__1"}), "panda_queue ~ 'LAB.*Q..1'"),
        (json!({"search": "100%"}), "panda_queue LIKE '%100%'"),
        (json!({"search": "'\"日"}), "false"),
        (
            json!({"vo": "eic", "status": "online", "state": "ACTIVE", "search": "grid"}),
            "data ->> 'vo_name' = 'eic' AND data ->> 'status' = 'online' AND data ->> 'state' = 'ACTIVE' AND panda_queue LIKE '%GRID%'",
        ),
    ] {
        let answer = bench.call("panda_list_queues", arguments.clone());
        let shown: Vec<Value> = queues(&mut bench, condition)
            .into_iter()
            .map(|(name, data, updated)| {
                let mut queue = json!({"panda_queue": name});
                for key in SHOWN {
                    if !data[key].is_null() {
                        queue[key] = data[key].clone();
                    }
                }
                queue["last_update"] = updated;
                queue
            })
            .collect();
        assert_eq!(shown.is_empty(), condition == "false", "{arguments}");
        let given = |name: &str| match &arguments[name] {
            value if *value == "" => Value::Null,
            value => value.clone(),
        };
        let expected = json!({
            "queues": shown,
            "count": shown.len(),
            "filters": {"vo": given("vo"), "status": given("status"), "state": given("state"), "search": given("search")},
        });
        assert_eq!(answer.to_string(), expected.to_string(), "{arguments}");
    }
}

#[test]
fn a_queue_has_its_whole_configuration() {
    let mut bench = Bench::start();
    let all = queues(&mut bench, "true");
    assert!(all.iter().any(|(_, data, _)| data.is_null()));
    assert!(all.iter().any(|(_, _, updated)| updated.is_null()));
    for (name, data, updated) in all {
        let mut queue = data.as_object().cloned().unwrap_or_default();
        // The table's own columns hold, where the configuration has a key of that name.
        queue.insert("panda_queue".to_owned(), json!(name));
        queue.insert("last_update".to_owned(), updated);
        let queue: serde_json::Map<String, Value> = queue
            .into_iter()
            .filter(|(key, value)| !value.is_null() || key == "last_update")
            .collect();
        let answer = bench.call("panda_get_queue", json!({"panda_queue": name}));
        assert_eq!(answer.to_string(), json!({"queue": queue}).to_string());
    }
    for name in ["nonesuch", "northlab_panda_1", "%", "'", "日本"] {
        let message = bench.refused("panda_get_queue", json!({"panda_queue": name}));
        assert!(
            message.contains(&format!("'{name}'")) && message.contains("panda_list_queues"),
            "{message}"
        );
    }
}
