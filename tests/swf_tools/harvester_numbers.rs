//! panda_harvester_workers: which numbers are added up, what comes first of equal sums, and an answer without a type.

use super::*;
use crate::harness::canned::{Canned, Does};

fn bench(monitor: &Canned) -> Bench {
    let setup = Setup::bare()
        .variable("PANDA_BASE_URL", &format!("http://{}", monitor.address))
        .table("[http]\nprivate = [\"127.0.0.0/8\"]");
    Bench::with(setup, LOGIN, "swf", "panda")
}

const TOOL: &str = "panda_harvester_workers";

#[test]
fn numbers_of_any_digits_count_without_their_fraction() {
    let monitor = Canned::start(Does::Hang);
    let bench = bench(&monitor);
    let long = "9".repeat(16);
    for (place, (number, total)) in [
        (json!(1_234_567_890), 1_234_567_890),
        (json!("1234567890"), 1_234_567_890),
        (json!("1.1234567890"), 1),
        (json!("1.9876543210"), 1),
        (json!(0.9), 0),
        (json!(-1.9), -1),
        (json!("999999999999999"), 999_999_999_999_999_i64),
        // None of these is a number of workers.
        (json!(long), 0),
        (json!(format!("1.{long}")), 0),
        (json!("1."), 0),
        (json!(".5"), 0),
        (json!("+5"), 0),
        (json!(" 5"), 0),
        (json!("5 "), 0),
        (json!("5\n"), 0),
        (json!("1e3"), 0),
        (json!("1_000"), 0),
        (json!("0x10"), 0),
        (json!("٣"), 0),
        (json!("NaN"), 0),
        (json!(""), 0),
    ]
    .iter()
    .enumerate()
    {
        let rows = json!([{"status": "running", "nworkers": number}]);
        monitor.now(Does::Answer("200 OK", "application/json", rows.to_string()));
        // Of other hours each time: what was asked already isn't asked again.
        let hours = place + 1;
        let answer = bench.call(TOOL, json!({"hours": hours}));
        let words = format!("{total} pilots total across all EIC sites (last {hours}h)");
        assert_eq!(answer["summary"], words, "{number}");
    }
}

#[test]
fn equal_sums_are_in_the_order_of_their_names() {
    let names = ["m", "c", "x", "a", "q", "b"];
    let mut rows: Vec<Value> = names
        .iter()
        .map(|name| json!({"status": name, "computingsite": name, "resourcetype": name, "nworkers": 2}))
        .collect();
    rows.push(json!({"status": "z", "computingsite": "z", "resourcetype": "z", "nworkers": 3}));
    let monitor = Canned::start(Does::Answer(
        "200 OK",
        "application/json",
        json!(rows).to_string(),
    ));
    let answer = bench(&monitor).call(TOOL, json!({}));
    for sum in ["by_status", "by_site", "by_resourcetype"] {
        assert_eq!(keys(&answer[sum]), ["z", "a", "b", "c", "m", "q", "x"]);
    }
}

#[test]
fn an_answer_without_a_type_is_told_as_such() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nword";
    let monitor = Canned::start(Does::Bytes(bytes));
    let message = bench(&monitor).refused(TOOL, json!({}));
    assert_eq!(
        message,
        "The PanDA monitor answered no list (content type none)."
    );
}
