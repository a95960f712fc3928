//! panda_study_job: the line that a log's excerpt ends at, and what kind of failure the words of a job and of its log tell of.

use super::study_rows::Study;
use super::*;

/// A pilot's error code, and how a line of the log says it.
const PHRASES: [(i64, &str); 7] = [
    (1099, "Failed to stage-in file"),
    (1104, "work directory /a/b is too large"),
    (1150, "pilot has decided to kill looping job"),
    (1151, "File transfer timed out"),
    (1201, "caught signal"),
    (1235, "job has exceeded the memory limit"),
    (1324, "Service not available"),
];

/// The kinds of failure, the first that fits counts, and the words that tell of each.
const KINDS: [(&str, &[&str]); 12] = [
    ("reassigned_by_jedi", &["reassigned by jedi", "toreassign"]),
    (
        "stagein_timeout",
        &[
            "stage-in timeout",
            "stagein timeout",
            "stage-in timed out",
            "stagein timed out",
        ],
    ),
    (
        "stageout_timeout",
        &[
            "stage-out timeout",
            "stageout timeout",
            "stage-out timed out",
            "stageout timed out",
        ],
    ),
    (
        "timeout",
        &["timeout", "timed out", "looping job", "walltime"],
    ),
    (
        "segfault",
        &["segmentation fault", "segfault", "sigsegv", "signal 11"],
    ),
    (
        "disk_full",
        &["no space left", "disk full", "disk quota", "is too large"],
    ),
    (
        "memory",
        &[
            "out of memory",
            "memory limit",
            "oom-kill",
            "bad_alloc",
            "memoryerror",
        ],
    ),
    (
        "network",
        &[
            "connection refused",
            "connection reset",
            "network is unreachable",
            "could not resolve",
            "no route to host",
        ],
    ),
    (
        "input_missing",
        &[
            "no such file",
            "file not found",
            "does not exist",
            "missing input",
        ],
    ),
    (
        "stagein_failed",
        &["failed to stage-in", "stage-in failed", "stagein failed"],
    ),
    (
        "payload_error",
        &[
            "payload execution failed",
            "payload failed",
            "traceback (most recent call last)",
            "non-zero exit",
        ],
    ),
    ("pilot_error", &["pilot"]),
];

/// The columns whose words count, in the order they are read in; the log comes after them.
const FIELDS: [&str; 5] = [
    "taskbuffererrordiag",
    "piloterrordiag",
    "exeerrordiag",
    "jobsubstatus",
    "commandtopilot",
];

fn study(name: &str) -> Study {
    Study::start(name, &|text| text)
}

/// The lines of a log, from one to another.
fn lines(from: usize, to: usize) -> Vec<String> {
    (from..=to).map(|number| format!("line {number}")).collect()
}

#[test]
fn each_pilot_error_has_the_line_that_its_excerpt_ends_at() {
    let mut study = study("study_phrases");
    // Every log has the lines of all errors, one of each between ordinary ones, and once more at its end.
    let said = |(_, phrase): &(i64, &str)| {
        [
            "begin".to_owned(),
            format!("12:00 | {}!", phrase.to_uppercase()),
            format!("12:01 | {phrase}"),
            "end".to_owned(),
        ]
    };
    let log: Vec<String> = PHRASES.iter().flat_map(said).collect();
    for (place, (code, phrase)) in PHRASES.iter().enumerate() {
        let diag = json!({"piloterrorcode": code, "piloterrordiag": "not in the log"});
        study.add_failed(*code, &diag);
        let analysis = study.analysis(*code, &log.join("\n"));
        let expected = log[..=4 * place + 1].join("\n");
        assert_eq!(analysis["log_excerpt"], json!(expected), "{phrase}");
        assert_eq!(analysis["log_filename"], "pilotlog.txt");
    }
    // The codes beside them have no such line, so the end of the log is shown.
    for id in PHRASES
        .iter()
        .flat_map(|(code, _)| [code - 1, code + 1])
        .filter(|id| PHRASES.iter().all(|(code, _)| code != id))
    {
        let diag = json!({"piloterrorcode": id, "piloterrordiag": "not in the log"});
        study.add_failed(id, &diag);
        let analysis = study.analysis(id, &log.join("\n"));
        assert_eq!(analysis["log_excerpt"], json!(log.join("\n")), "{id}");
    }
}

#[test]
fn another_pilot_error_is_looked_for_with_the_first_forty_characters_of_what_it_says() {
    let mut study = study("study_diagnoses");
    let start = "E1: a.b*c+d?(e)[f]{2}^g$|h\\i é 012345678";
    assert_eq!(start.chars().count(), 40);
    let short: String = start.chars().take(39).collect();
    let log = [
        "E1: a.b".to_owned(),
        format!("{short}9 one character is another"),
        start.replace("a.b", "axb"),
        "h".to_owned(),
        format!("12:00 {} and then another end", start.to_uppercase()),
        format!("{start} once more"),
        "end".to_owned(),
    ];
    let row = |diag: Value| json!({"piloterrorcode": 9999, "piloterrordiag": diag});
    study.add_failed(1, &row(json!(format!("{start}, said at length"))));
    let analysis = study.analysis(1, &log.join("\n"));
    assert_eq!(analysis["log_excerpt"], json!(log[..=4].join("\n")));
    // What says nothing is looked for nowhere.
    for (id, diag) in [(2, json!("")), (3, json!(null))] {
        study.add_failed(id, &row(diag));
        let analysis = study.analysis(id, &log.join("\n"));
        assert_eq!(analysis["log_excerpt"], json!(log.join("\n")));
    }
}

#[test]
fn an_excerpt_has_forty_lines_of_a_pilots_log_and_three_hundred_of_a_payloads() {
    let mut study = study("study_lengths");
    // 1305 is the payload's own failure. A phrase of the pilot means nothing in its log.
    for (id, code, length, stop) in [
        (1, 1201, 40, Some(50)),
        (2, 1201, 40, Some(40)),
        (3, 1201, 40, Some(39)),
        (4, 1201, 40, None),
        (5, 1304, 40, None),
        (6, 1305, 300, Some(350)),
        (7, 1306, 40, None),
    ] {
        let diag = json!({"piloterrorcode": code, "piloterrordiag": "caught signal"});
        study.add_failed(id, &diag);
        for total in [length - 1, length, length + 1, length + 100] {
            let mut log = lines(1, total);
            let stop = stop.filter(|stop| *stop <= total);
            if let Some(stop) = stop {
                log[stop - 1] = "caught signal".to_owned();
            }
            let last = if code == 1305 {
                total
            } else {
                stop.unwrap_or(total)
            };
            let expected = log[last.saturating_sub(length)..last].join("\n");
            let job = id * 1000 + i64::try_from(total).expect("a number");
            study.add_failed(job, &diag);
            let analysis = study.analysis(job, &(log.join("\r\n") + "\n"));
            assert_eq!(analysis["log_excerpt"], json!(expected), "{id} of {total}");
        }
    }
    // And six thousand characters, not bytes, at most: the first ones.
    study.add_failed(100, &json!({}));
    study.add_failed(101, &json!({}));
    let full = "ü".repeat(5_999) + "x";
    assert_eq!(study.analysis(100, &full)["log_excerpt"], json!(full));
    let more = format!("{full}y");
    assert_eq!(study.analysis(101, &more)["log_excerpt"], json!(full));
}

#[test]
fn each_word_in_any_field_or_in_the_log_tells_its_kind_of_failure() {
    let mut study = study("study_words");
    let words = KINDS
        .iter()
        .flat_map(|(kind, words)| words.iter().map(move |word| (*kind, *word)));
    let mut id = 0;
    for (kind, word) in words.chain([("unknown", "nothing of it"), ("unknown", "time out")]) {
        // Every word in two of the places, so that every kind is told in each. The first one is at the very beginning.
        for place in [id % 6, (id / 2 + 3) % 6] {
            id += 1;
            let mut row = json!({"piloterrorcode": 1});
            let mut log = "a\nb".to_owned();
            match FIELDS.get(place) {
                Some(field) => row[*field] = json!(word.to_uppercase()),
                None => log = format!("a\n{word}\nb"),
            }
            let job = i64::try_from(id).expect("a number");
            study.add_failed(job, &row);
            let analysis = study.analysis(job, &log);
            assert_eq!(analysis["failure_type"], kind, "{word} in {row}");
        }
    }
}

#[test]
fn every_field_is_read_and_a_space_is_between_two() {
    let mut study = study("study_fields");
    let mut id = 0;
    let mut kind = |study: &mut Study, row: Value, log: &str| {
        id += 1;
        study.add_failed(id, &row);
        study.analysis(id, log)["failure_type"].clone()
    };
    for (place, field) in FIELDS.iter().enumerate() {
        assert_eq!(
            kind(&mut study, json!({*field: "segfault"}), "a"),
            "segfault"
        );
        let mut row = json!({*field: "say: out of"});
        match FIELDS.get(place + 1) {
            Some(next) => {
                row[*next] = json!("memory it is");
                assert_eq!(kind(&mut study, row, "a"), "memory", "{field}");
            }
            None => assert_eq!(kind(&mut study, row, "memory"), "memory"),
        }
    }
    // What other columns say doesn't count.
    for other in [
        "brokerageerrordiag",
        "ddmerrordiag",
        "jobdispatchererrordiag",
        "superrordiag",
        "jobmetrics",
        "transexitcode",
        "jobname",
    ] {
        let row = json!({other: "segfault"});
        assert_eq!(kind(&mut study, row, "a"), "unknown", "{other}");
    }
    // Nor what stands before the excerpt.
    let long = format!("segfault\n{}", lines(1, 40).join("\n"));
    assert_eq!(kind(&mut study, json!({}), &long), "unknown");
}

#[test]
fn of_two_kinds_of_failure_the_first_counts() {
    let mut study = study("study_kinds");
    let mut id = 0;
    for (place, (first, words)) in KINDS.iter().enumerate() {
        for (_, others) in &KINDS[place + 1..] {
            id += 1;
            // The words of the later kind come first.
            let row = json!({"taskbuffererrordiag": others.join(", ")});
            study.add_failed(id, &row);
            let analysis = study.analysis(id, words[words.len() - 1]);
            assert_eq!(analysis["failure_type"], *first, "{others:?}");
        }
    }
}
