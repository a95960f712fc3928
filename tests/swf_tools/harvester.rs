//! panda_harvester_workers, with a PanDA monitor of our own that answers as it should, or not.

use super::*;
use crate::harness::canned::{Canned, Does};

fn json(body: &Value) -> Does {
    Does::Answer("200 OK", "application/json", body.to_string())
}

/// A server with this one tool, and the monitor that it asks.
fn bench(does: Does) -> (Bench, Canned) {
    let monitor = Canned::start(does);
    let mut bench = Bench::start();
    let cluster = data().cluster();
    let own = bench.server.path("harvester");
    std::fs::create_dir(&own).expect("a folder");
    for file in ["_toolset.toml", "panda_harvester_workers.sql"] {
        let text = std::fs::read_to_string(format!("{FOLDER}/{file}")).expect("a file");
        // So that a monitor that hangs costs the test less.
        let text = text.replace("timeout = \"8s\"", "timeout = \"2s\"");
        std::fs::write(own.join(file), text).expect("a file");
    }
    bench.server = Setup::bare()
        .workers(1)
        .option("timeout_request = \"3s\"\ntimeout_statement = \"2s\"")
        .variable("PANDA_BASE_URL", &format!("http://{}", monitor.address))
        .database("swf", &cluster.url("swf", LOGIN))
        .table("[http]\nprivate = [\"127.0.0.0/8\"]")
        .toolset(own)
        .start();
    (bench, monitor)
}

const TOOL: &str = "panda_harvester_workers";

/// One that was asked, as its parts: from, to, site.
fn parts(target: &str) -> (jiff::Timestamp, jiff::Timestamp, Option<String>) {
    let query = target
        .strip_prefix("/harvester/getworkerstats/?lastupdate_from=")
        .unwrap_or_else(|| panic!("{target}"));
    let plain = query.replace("%3A", ":").replace("%2B", "+");
    let (from, rest) = plain.split_once("&lastupdate_to=").expect("to");
    let (to, site) = match rest.split_once("&computingsite=") {
        Some((to, site)) => (to, Some(site.to_owned())),
        None => (rest, None),
    };
    let time = |text: &str| {
        text.parse()
            .unwrap_or_else(|fault| panic!("{text}: {fault}"))
    };
    (time(from), time(to), site)
}

#[test]
fn workers_are_summed_and_each_sum_is_in_order() {
    let rows = json!([
        {"computingsite": "ÖST", "status": "running", "jobtype": "prod", "resourcetype": "SCORE", "nworkers": 5},
        {"computingsite": "WEST", "status": "submitted", "jobtype": "prod", "resourcetype": "MCORE", "nworkers": 40},
        {"computingsite": "WEST", "status": "running", "resourcetype": "SCORE", "nworkers": "7"},
        {"computingsite": "WEST", "status": "running", "resourcetype": "SCORE", "nworkers": 2.0},
        {"computingsite": null, "status": "", "nworkers": 3},
        {"nworkers": 0},
        {"computingsite": "NO", "status": "running", "nworkers": "many"},
        {"computingsite": "NO", "status": "running", "nworkers": null},
        {"computingsite": "NO", "status": "running", "nworkers": [1]},
        {"computingsite": "NO", "status": "running", "nworkers": true},
        {"computingsite": "NO", "status": "running"},
        7, null, "x", [1],
    ]);
    let (bench, monitor) = bench(json(&rows));
    let answer = bench.call(TOOL, json!({}));
    let (from, to, site) = parts(&monitor.asked().remove(0));
    assert_eq!(site, None);
    assert_eq!(to.duration_since(from).as_secs(), 3600);
    assert_eq!(to.as_second() % 30, 0);
    let age = jiff::Timestamp::now().duration_since(to);
    assert!((0..90).contains(&age.as_secs()), "{to}");
    let zoned = |time: jiff::Timestamp| time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
    let expected = json!({
        "summary": "57 pilots total across all EIC sites (last 1h)",
        "by_status": {"submitted": 40, "running": 14, "unknown": 3},
        "by_site": {"WEST": 49, "ÖST": 5, "unknown": 3},
        "by_resourcetype": {"MCORE": 40, "SCORE": 14, "unknown": 3},
        "time_window": {"from": zoned(from), "to": zoned(to)},
    });
    assert_eq!(answer.to_string(), expected.to_string());
}

#[test]
fn sites_and_hours_are_passed_on_and_nothing_is_no_pilot() {
    let (bench, monitor) = bench(json(&json!([])));
    for (arguments, site, hours, told) in [
        (
            json!({"site": null}),
            None,
            1,
            " across all EIC sites (last 1h)",
        ),
        (
            json!({"site": "", "hours": 24}),
            None,
            24,
            " across all EIC sites (last 24h)",
        ),
        (
            json!({"site": "a b&c=é%'", "hours": "2"}),
            Some("a%20b%26c%3D%C3%A9%25%27"),
            2,
            " at a b&c=é%' (last 2h)",
        ),
        (
            json!({"site": "X", "hours": 8760}),
            Some("X"),
            8760,
            " at X (last 8760h)",
        ),
    ] {
        let answer = bench.call(TOOL, arguments.clone());
        let (from, to, asked) = parts(&monitor.asked().remove(0));
        assert_eq!(asked.as_deref(), site, "{arguments}");
        assert_eq!(
            to.duration_since(from).as_secs(),
            hours * 3600,
            "{arguments}"
        );
        assert_eq!(answer["summary"], format!("0 pilots total{told}"));
        for sum in ["by_status", "by_site", "by_resourcetype"] {
            assert_eq!(answer[sum], json!({}), "{sum}");
        }
    }
    for (arguments, part) in [
        (json!({"hours": 0}), "hours: "),
        (json!({"hours": 8761}), "hours: "),
        (json!({"hours": -1}), "hours: "),
        (json!({"hours": "x"}), "hours: "),
        (json!({"hours": 1.5}), "hours: "),
        (json!({"hours": []}), "hours: "),
        (json!({"site": 5}), "site: "),
        (json!({"site": {}}), "site: "),
        (json!({"site": "a\0b"}), "site: "),
    ] {
        let message = bench.refused(TOOL, arguments.clone());
        assert!(message.starts_with(part), "{arguments}: {message}");
    }
    assert_eq!(
        monitor.asked(),
        Vec::<String>::new(),
        "nobody asks with faulty arguments"
    );
}

#[test]
fn a_monitor_that_fails_is_told_and_asked_again() {
    let (bench, monitor) = bench(Does::Hang);
    let page = |status, text: &str| Does::Answer(status, "text/html", text.to_owned());
    let cases = [
        (Does::Hang, "did not answer in time"),
        (page("500 Oh", "secret trace"), "answered 500"),
        (page("404 Not Found", "[]"), "answered 404"),
        (
            Does::Answer("503 Busy", "application/json", "[]".to_owned()),
            "answered 503",
        ),
        (Does::Bytes(b"\x01\x02 no http\r\n\r\n"), "can't be reached"),
        (Does::Bytes(b""), "can't be reached"),
        (
            Does::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]"),
            "broke off",
        ),
        (Does::Pour(100 << 20), "larger than 8388608 bytes"),
    ];
    for (does, part) in cases {
        monitor.now(does);
        for _ in 0..2 {
            let message = bench.refused(TOOL, json!({}));
            assert!(
                message.starts_with("The PanDA monitor can't be asked: "),
                "{message}"
            );
            assert!(
                message.contains(part) && !message.contains("secret"),
                "{message}"
            );
            assert_eq!(monitor.asked().len(), 1, "a failure isn't kept: {part}");
        }
    }
    assert_eq!(bench.server.workers()[0].inflight, 0);
}

#[test]
fn an_answer_that_is_no_list_is_told() {
    let (bench, monitor) = bench(Does::Hang);
    for (number, (kind, body)) in [
        ("text/html", "<html>log in</html>"),
        ("application/json", "{\"error\": []}"),
        ("application/json", "[1, 2"),
        ("application/json", ""),
        ("text/plain", "7"),
    ]
    .into_iter()
    .enumerate()
    {
        monitor.now(Does::Answer("200 OK", kind, body.to_owned()));
        let message = bench.refused(TOOL, json!({"hours": number + 1}));
        let expected = format!("The PanDA monitor answered no list (content type {kind}).");
        assert_eq!(message, expected, "{body}");
    }
}

#[test]
fn the_same_question_is_not_asked_twice_within_half_a_minute() {
    let count = |n: u32| json(&json!([{"computingsite": "X", "status": "running", "nworkers": n}]));
    let (bench, monitor) = bench(count(1));
    // The clock may go into the next half minute between two calls: then they are two questions.
    wait::until("two calls within one half minute", || {
        monitor.now(count(1));
        let first = bench.call(TOOL, json!({}));
        monitor.now(count(2));
        let second = bench.call(TOOL, json!({}));
        let asked = monitor.asked();
        let same = first["time_window"] == second["time_window"];
        assert_eq!(same, first == second, "{first} {second}");
        same && asked.len() <= 1
    });
    let answer = bench.call(TOOL, json!({"site": "X"}));
    assert_eq!(
        answer["by_status"],
        json!({"running": 2}),
        "another site is asked for"
    );
    assert_eq!(monitor.asked().len(), 1);
    bench.call(TOOL, json!({"hours": 2}));
    assert_eq!(monitor.asked().len(), 1);
}
