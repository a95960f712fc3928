//! panda_list_queues and panda_get_queue, against rows of the test's own.

use super::panda_edges::bench_with;
use super::*;

#[test]
fn every_setting_of_a_queue_has_its_place() {
    // In the configuration the settings stand the other way round, among others; in the last queue they are all null.
    let bench = bench_with(
        "panda_queue_settings",
        r#"INSERT INTO schedconfig_json (panda_queue, data, last_update)
           VALUES ('B full', '{"zone": 1, "maxwdir": 17, "maxtime": 16, "maxrss": 15, "pilot_version": "14", "container_type": "13", "cloud": "12", "tier": "T1",
                               "country": "10", "region": "9", "atlas_site": "8", "corepower": 7.5, "capability": "6", "type": "5",
                               "resource_type": "4", "vo_name": "3", "state": "2", "status": "1", "name": "x"}', '2026-02-03 04:05:06.7'),
                  ('D none', NULL, NULL),
                  ('A some', '{"status": "", "tier": null, "cloud": 0, "region": {"a": null}, "maxwdir": false, "last_update": "x", "panda_queue": "y"}',
                   '2026-02-03 04:05:06'),
                  ('C null', '{"status": null, "state": null, "vo_name": null, "resource_type": null, "type": null, "capability": null, "corepower": null,
                               "atlas_site": null, "region": null, "country": null, "tier": null, "cloud": null, "container_type": null,
                               "pilot_version": null, "maxrss": null, "maxtime": null, "maxwdir": null}', NULL)"#,
    );
    let expected = r#"{"queues":[{"panda_queue":"A some","status":"","region":{"a":null},"cloud":0,"maxwdir":false,"last_update":"2026-02-03T04:05:06"},{"panda_queue":"B full","status":"1","state":"2","vo_name":"3","resource_type":"4","type":"5","capability":"6","corepower":7.5,"atlas_site":"8","region":"9","country":"10","tier":"T1","cloud":"12","container_type":"13","pilot_version":"14","maxrss":15,"maxtime":16,"maxwdir":17,"last_update":"2026-02-03T04:05:06.700000"},{"panda_queue":"C null","last_update":null},{"panda_queue":"D none","last_update":null}],"count":4,"filters":{"vo":null,"status":null,"state":null,"search":null}}"#;
    let answer = bench.call("panda_list_queues", json!({}));
    assert_eq!(answer.to_string(), expected);
    for (arguments, names) in [
        (json!({"vo": "3"}), vec!["B full"]),
        (json!({"status": "1"}), vec!["B full"]),
        (json!({"state": "2"}), vec!["B full"]),
        (json!({"status": "1", "state": "3"}), vec![]),
        (json!({"search": "n"}), vec!["C null", "D none"]),
        (json!({"search": "_N"}), vec!["C null", "D none"]),
        (json!({"search": "_ N%L"}), vec!["C null"]),
        (json!({"search": "full b"}), vec![]),
    ] {
        let answer = bench.call("panda_list_queues", arguments.clone());
        let queues = answer["queues"].as_array().expect("queues");
        let shown: Vec<&Value> = queues.iter().map(|queue| &queue["panda_queue"]).collect();
        assert_eq!(json!(shown), json!(names), "{arguments}");
        assert_eq!(answer["count"], json!(names.len()), "{arguments}");
    }
}

#[test]
fn a_configuration_is_shown_as_a_reader_of_json_has_it() {
    let bench = bench_with(
        "panda_queue_configurations",
        r#"INSERT INTO schedconfig_json (panda_queue, data, last_update)
           VALUES ('twice', '{"b": 1, "a": {"z": null, "y": [null]}, "b": 2, "c": null, "d": 3, "d": null, "e": null, "e": 4}', '2026-02-03 04:05:06.000007'),
                  ('own', '{"x": 1, "last_update": "2000-01-01", "y": 2, "panda_queue": "other", "z": 3}', '2026-02-03 04:05:06'),
                  ('own null', '{"last_update": "2000-01-01", "panda_queue": null, "z": 3}', NULL),
                  ('empty', '{}', NULL),
                  ('none', NULL, '2026-02-03 00:00:00')"#,
    );
    for (name, expected) in [
        // The first place and the last value of a key that comes twice; what is null within a setting stays.
        (
            "twice",
            r#"{"b":2,"a":{"z":null,"y":[null]},"e":4,"panda_queue":"twice","last_update":"2026-02-03T04:05:06.000007"}"#,
        ),
        // The table's own values, in the places that the configuration gave them.
        (
            "own",
            r#"{"x":1,"last_update":"2026-02-03T04:05:06","y":2,"panda_queue":"own","z":3}"#,
        ),
        (
            "own null",
            r#"{"last_update":null,"panda_queue":"own null","z":3}"#,
        ),
        ("empty", r#"{"panda_queue":"empty","last_update":null}"#),
        (
            "none",
            r#"{"panda_queue":"none","last_update":"2026-02-03T00:00:00"}"#,
        ),
    ] {
        let answer = bench.call("panda_get_queue", json!({"panda_queue": name}));
        assert_eq!(answer.to_string(), format!(r#"{{"queue":{expected}}}"#));
    }
}
