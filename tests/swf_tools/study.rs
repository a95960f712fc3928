//! panda_study_job, with a PanDA monitor of our own that has a log of every job, or none.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use super::faults::errors;
use super::table::{Fields, Is, objects};
use super::*;

const JOB: Fields = &[
    ("pandaid", Is::Plain("pandaid")),
    ("jeditaskid", Is::Plain("jeditaskid")),
    ("reqid", Is::Plain("reqid")),
    ("jobname", Is::Plain("jobname")),
    ("produsername", Is::Plain("produsername")),
    ("jobstatus", Is::Plain("jobstatus")),
    ("computingsite", Is::Plain("computingsite")),
    ("computingelement", Is::Plain("computingelement")),
    ("transformation", Is::Plain("transformation")),
    ("processingtype", Is::Plain("processingtype")),
    ("creationtime", Is::Naive("creationtime")),
    ("starttime", Is::Naive("starttime")),
    ("endtime", Is::Naive("endtime")),
    ("modificationtime", Is::Naive("modificationtime")),
    ("corecount", Is::Plain("corecount")),
    ("actualcorecount", Is::Plain("actualcorecount")),
    ("nevents", Is::Plain("nevents")),
    ("maxrss", Is::Plain("maxrss")),
    ("maxpss", Is::Plain("maxpss")),
    ("maxvmem", Is::Plain("maxvmem")),
    ("maxswap", Is::Plain("maxswap")),
    ("maxwalltime", Is::Plain("maxwalltime")),
    ("cpuconsumptiontime", Is::Plain("cpuconsumptiontime::text")),
    ("cpuconsumptionunit", Is::Plain("cpuconsumptionunit")),
    ("inputfilebytes", Is::Plain("inputfilebytes")),
    ("ninputfiles", Is::Plain("ninputfiles")),
    ("ninputdatafiles", Is::Plain("ninputdatafiles")),
    ("outputfilebytes", Is::Plain("outputfilebytes")),
    ("noutputdatafiles", Is::Plain("noutputdatafiles")),
    ("destinationdblock", Is::Plain("destinationdblock")),
    ("destinationse", Is::Plain("destinationse")),
    ("pilotid", Is::Plain("pilotid")),
    ("pilottiming", Is::Plain("pilottiming")),
    ("batchid", Is::Plain("batchid")),
    ("container_name", Is::Plain("container_name")),
    ("specialhandling", Is::Plain("specialhandling")),
    ("commandtopilot", Is::Plain("commandtopilot")),
    ("brokerageerrorcode", Is::Plain("brokerageerrorcode")),
    ("brokerageerrordiag", Is::Plain("brokerageerrordiag")),
    ("ddmerrorcode", Is::Plain("ddmerrorcode")),
    ("ddmerrordiag", Is::Plain("ddmerrordiag")),
    ("exeerrorcode", Is::Plain("exeerrorcode")),
    ("exeerrordiag", Is::Plain("exeerrordiag")),
    (
        "jobdispatchererrorcode",
        Is::Plain("jobdispatchererrorcode"),
    ),
    (
        "jobdispatchererrordiag",
        Is::Plain("jobdispatchererrordiag"),
    ),
    ("piloterrorcode", Is::Plain("piloterrorcode")),
    ("piloterrordiag", Is::Plain("piloterrordiag")),
    ("superrorcode", Is::Plain("superrorcode")),
    ("superrordiag", Is::Plain("superrordiag")),
    ("taskbuffererrorcode", Is::Plain("taskbuffererrorcode")),
    ("taskbuffererrordiag", Is::Plain("taskbuffererrordiag")),
    ("transexitcode", Is::Plain("transexitcode")),
    ("jobmetrics", Is::Plain("jobmetrics")),
    ("metadata", Is::Plain("metadata")),
];

const FILE: Fields = &[
    ("lfn", Is::Plain("lfn")),
    ("type", Is::Plain("type")),
    ("guid", Is::Plain("guid")),
    ("scope", Is::Plain("scope")),
    ("fsize", Is::Plain("fsize")),
    ("status", Is::Plain("status")),
    ("dataset", Is::Plain("dataset")),
    ("destinationdblock", Is::Plain("destinationdblock")),
    ("checksum", Is::Plain("checksum")),
];

const WORKER: Fields = &[
    ("workerid", Is::Plain("workerid")),
    ("harvesterid", Is::Plain("harvesterid")),
    ("stdout", Is::Plain("stdout")),
    ("stderr", Is::Plain("stderr")),
    ("batchlog", Is::Plain("batchlog")),
    ("errorcode", Is::Plain("errorcode")),
    ("diagmessage", Is::Plain("diagmessage")),
    ("status", Is::Plain("status")),
];

const TASK: Fields = &[
    ("jeditaskid", Is::Plain("jeditaskid")),
    ("taskname", Is::Plain("taskname")),
    ("status", Is::Plain("status")),
    ("username", Is::Plain("username")),
    ("errordialog", Is::Plain("errordialog")),
    ("failurerate", Is::Plain("failurerate")),
    ("workinggroup", Is::Plain("workinggroup")),
];

/// Answers every request with this log, or with 404. Ends with the test binary.
fn monitor(log: Option<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { continue };
            let mut lines = BufReader::new(client.try_clone().expect("a socket")).lines();
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines
                .next()
                .and_then(Result::ok)
                .is_some_and(|line| !line.is_empty())
            {}
            let found = first.starts_with("GET /filebrowser/?pandaid=");
            let (status, body) = match &log {
                Some(log) if found => ("200 OK", log.as_str()),
                _ => ("404 Not Found", "nothing"),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = client
                .write_all(head.as_bytes())
                .and_then(|()| client.write_all(body.as_bytes()));
        }
    });
    url
}

/// A server with this one tool, and the monitor that it asks.
fn bench(log: Option<String>) -> Bench {
    let mut bench = Bench::start();
    let cluster = data().cluster();
    let own = bench.server.path("study");
    std::fs::create_dir(&own).expect("a folder");
    for file in ["_toolset.toml", "panda_study_job.sql"] {
        std::fs::copy(format!("{FOLDER}/{file}"), own.join(file)).expect("a copy");
    }
    bench.server = Setup::bare()
        .workers(1)
        .variable("PANDA_BASE_URL", &monitor(log))
        .database("swf", &cluster.url("swf", LOGIN))
        .database("panda", &cluster.url("panda", LOGIN))
        .table("[http]\nprivate = [\"127.0.0.0/8\"]")
        .toolset(own)
        .start();
    bench
}

fn without_nulls(object: &Value) -> Value {
    let entries = object.as_object().expect("an object").clone();
    entries
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect()
}

/// What the tables say of a job, all but its log.
fn known(bench: &mut Bench, id: i64) -> Value {
    let columns: Vec<&str> = JOB.iter().map(|(name, _)| *name).collect();
    let columns = columns.join(", ");
    let rest = format!(
        "FROM (SELECT {columns} FROM doma_panda.jobsactive4 UNION ALL SELECT {columns} FROM doma_panda.jobsarchived4) j WHERE pandaid = {id}"
    );
    let row = objects(&mut bench.panda, JOB, &rest).remove(0);
    let mut job = without_nulls(&row);
    job["errors"] = Value::Array(errors(&row));
    let pilot: Vec<&str> = row["pilotid"]
        .as_str()
        .unwrap_or_default()
        .split('|')
        .collect();
    if pilot.len() >= 4 {
        job["pilot_type"] = json!(pilot[1]);
        job["pilot_version"] = json!(pilot[3]);
    }
    let mut find = |fields, rest: String| -> Vec<Value> {
        objects(&mut bench.panda, fields, &rest)
            .iter()
            .map(without_nulls)
            .collect()
    };
    let files = find(
        FILE,
        format!("FROM doma_panda.filestable4 WHERE pandaid = {id} ORDER BY type, lfn"),
    );
    let worker = find(
        WORKER,
        format!(
            "FROM doma_panda.harvester_rel_jobs_workers JOIN doma_panda.harvester_workers USING (harvesterid, workerid) WHERE pandaid = {id}"
        ),
    );
    let task = find(
        TASK,
        format!(
            "FROM doma_panda.jedi_tasks WHERE jeditaskid = {}",
            row["jeditaskid"]
        ),
    );
    let worker = worker.first();
    let mut urls = json!({});
    for (name, key, end) in [
        ("pilot_stdout", "stdout", ".out"),
        ("pilot_stderr", "stderr", ".err"),
        ("batch_log", "batchlog", ".log"),
    ] {
        let own = worker
            .and_then(|worker| worker[key].as_str())
            .filter(|url| !url.is_empty());
        match own {
            Some(url) => urls[name] = json!(url),
            None if pilot.len() > 1 => urls[name] = json!(pilot[0].replace(".out", end)),
            None => {}
        }
    }
    let mut all = json!({"pandaid": id, "job": job, "files": files, "log_urls": urls});
    if let Some(log) = files.iter().rfind(|file| file["type"] == "log") {
        all["log_file"] = log.clone();
    }
    if let Some(worker) = worker {
        all["harvester"] = worker.clone();
    }
    if let Some(task) = task.first() {
        all["task"] = task.clone();
    }
    all["monitor_url"] = json!(format!("https://epic-devcloud.org/panda/jobs/{id}/"));
    all
}

/// Some jobs of every status, with every pilot error, and those that a pilot of Harvester ran.
fn ids(bench: &mut Bench) -> Vec<i64> {
    let columns = "pandaid, jobstatus, piloterrorcode";
    let some = format!(
        "SELECT pandaid::text FROM (SELECT *, row_number() OVER (PARTITION BY jobstatus, piloterrorcode ORDER BY pandaid DESC) AS place
         FROM (SELECT {columns} FROM doma_panda.jobsactive4 UNION ALL SELECT {columns} FROM doma_panda.jobsarchived4) j) k WHERE place <= 3"
    );
    let ids = texts(&mut bench.panda, &some, &[]);
    ids.iter().map(|id| id.parse().expect("a number")).collect()
}

#[test]
fn a_job_is_told_from_every_table_when_there_is_no_log() {
    let mut bench = bench(None);
    let ids = ids(&mut bench);
    assert!(ids.len() > 30);
    for id in ids {
        let answer = bench.call("panda_study_job", json!({"pandaid": id}));
        let mut expected = known(&mut bench, id);
        let job = &expected["job"];
        let status = job["jobstatus"].as_str().expect("a status");
        if ["failed", "holding", "cancelled", "closed"].contains(&status) {
            let file = if job["piloterrorcode"] == 1305 {
                "payload.stdout"
            } else {
                "pilotlog.txt"
            };
            expected["log_analysis"] = json!({"log_available": false, "log_filename": file});
        }
        assert_eq!(answer.to_string(), expected.to_string());
    }
    for id in [0, -1, 1_i64 << 60] {
        let message = bench.refused("panda_study_job", json!({"pandaid": id}));
        assert!(message.contains(&format!("job {id}.")), "{message}");
    }
    for wrong in [json!("x"), json!(1.5), json!(null)] {
        let message = bench.refused("panda_study_job", json!({"pandaid": wrong}));
        assert!(message.starts_with("pandaid: "), "{message}");
    }
}

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
