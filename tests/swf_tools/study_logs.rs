//! The log part of panda_study_job: what is shown of a log, when it is fetched again, and what a PanDA monitor that fails costs.

use super::study::{bench, bench_asking, known};
use super::*;
use crate::harness::canned::{Canned, Does};

#[test]
fn the_end_of_a_log_is_shown_up_to_the_line_that_tells_most() {
    let told = "ERROR: FAILED to stage-in file of the größte Datei";
    let line = |number: usize| format!("line {number}");
    let log: Vec<String> = (0..500)
        .map(|n| if n == 300 { told.to_owned() } else { line(n) })
        .collect();
    let mut bench = bench(Some(log.join("\n") + "\n"));
    for (code, file, from, to) in [
        (1099, "pilotlog.txt", 261, 300),
        (1235, "pilotlog.txt", 460, 499),
        (1305, "payload.stdout", 200, 499),
    ] {
        let id = number(
            &mut bench.panda,
            &format!(
                "SELECT max(pandaid) FROM doma_panda.jobsarchived4 WHERE piloterrorcode = {code}"
            ),
            &[],
        );
        let answer = bench.call("panda_study_job", json!({"pandaid": id}));
        let analysis = &answer["log_analysis"];
        assert_eq!(
            keys(analysis),
            [
                "failure_type",
                "log_filename",
                "log_source",
                "log_excerpt",
                "log_available"
            ]
        );
        assert_eq!(
            analysis["log_excerpt"],
            json!(log[from..=to].join("\n")),
            "{code}"
        );
        assert_eq!(analysis["log_filename"], file);
        assert_eq!(analysis["log_source"], "filebrowser");
        assert_eq!(analysis["log_available"], true);
        let kind = analysis["failure_type"].as_str().expect("a kind");
        assert!(
            match code {
                1099 => kind == "timeout",
                1235 => kind == "memory",
                _ => kind == "stagein_failed",
            },
            "{code}: {kind}"
        );
    }
}

#[test]
fn a_log_of_long_lines_is_cut() {
    let mut bench = bench(Some("é".repeat(50_000)));
    let id = number(
        &mut bench.panda,
        "SELECT max(pandaid) FROM doma_panda.jobsarchived4 WHERE piloterrorcode = 1305",
        &[],
    );
    let answer = bench.call("panda_study_job", json!({"pandaid": id}));
    let excerpt = answer["log_analysis"]["log_excerpt"]
        .as_str()
        .expect("text");
    assert_eq!(excerpt, "é".repeat(6_000));
}

/// The newest job of this status.
fn newest(bench: &mut Bench, condition: &str) -> i64 {
    let of = |table: &str| format!("SELECT pandaid FROM doma_panda.{table} WHERE {condition}");
    let both = [of("jobsactive4"), of("jobsarchived4")].join(" UNION ALL ");
    number(
        &mut bench.panda,
        &format!("SELECT max(pandaid) FROM ({both}) j"),
        &[],
    )
}

#[test]
fn the_log_of_a_job_that_is_over_is_fetched_once() {
    let log = |text: &str| Does::Answer("200 OK", "text/plain", text.to_owned());
    let monitor = Canned::start(Does::Answer("404 Not Found", "text/plain", String::new()));
    let mut bench = bench_asking(&monitor);
    let excerpt = |bench: &Bench, id: i64| {
        let answer = bench.call("panda_study_job", json!({"pandaid": id}));
        let text = &answer["log_analysis"]["log_excerpt"];
        text.as_str().map(str::to_owned)
    };
    let failed = newest(&mut bench, "jobstatus = 'failed' AND piloterrorcode = 1305");
    let other = newest(
        &mut bench,
        &format!("jobstatus = 'failed' AND pandaid < {failed}"),
    );
    let holding = newest(&mut bench, "jobstatus = 'holding'");
    assert_eq!(excerpt(&bench, failed), None);
    let target = format!("/filebrowser/?pandaid={failed}&json&filename=payload.stdout");
    assert_eq!(monitor.asked(), std::slice::from_ref(&target));
    monitor.now(log("first"));
    assert_eq!(
        excerpt(&bench, failed).as_deref(),
        Some("first"),
        "none is not kept"
    );
    monitor.now(log("second"));
    assert_eq!(excerpt(&bench, failed).as_deref(), Some("first"));
    assert_eq!(monitor.asked(), [target]);
    assert_eq!(
        excerpt(&bench, other).as_deref(),
        Some("second"),
        "another job"
    );
    assert_eq!(monitor.asked().len(), 1);
    assert_eq!(excerpt(&bench, holding).as_deref(), Some("second"));
    monitor.now(log("third"));
    assert_eq!(
        excerpt(&bench, holding).as_deref(),
        Some("third"),
        "it may go on"
    );
    assert_eq!(monitor.asked().len(), 2);
}

#[test]
fn a_monitor_that_fails_costs_the_log_and_nothing_else() {
    let monitor = Canned::start(Does::Hang);
    let mut bench = bench_asking(&monitor);
    let id = newest(&mut bench, "jobstatus = 'failed' AND piloterrorcode = 1099");
    let mut expected = known(&mut bench, id);
    expected["log_analysis"] = json!({"log_available": false, "log_filename": "pilotlog.txt"});
    for does in [
        Does::Hang,
        Does::Answer("500 Oh", "text/plain", "secret trace".to_owned()),
        Does::Answer("200 OK", "text/plain", String::new()),
        Does::Bytes(b"\x01\x02 no http\r\n\r\n"),
        Does::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
    ] {
        monitor.now(does);
        let answer = bench.call("panda_study_job", json!({"pandaid": id}));
        assert_eq!(answer.to_string(), expected.to_string());
    }
    // Of a log that is too large the end counts, and bytes that are no text are shown as such.
    monitor.now(Does::Pour(100 << 20));
    let answer = bench.call("panda_study_job", json!({"pandaid": id}));
    assert!(answer["log_analysis"]["log_excerpt"] == "x".repeat(6000));
    let rubbish = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\0\x1b\x80";
    monitor.now(Does::Bytes(rubbish));
    let answer = bench.call("panda_study_job", json!({"pandaid": id}));
    assert_eq!(
        answer["log_analysis"]["log_excerpt"],
        "\u{fffd}\u{fffd}\u{1b}\u{fffd}"
    );
}
