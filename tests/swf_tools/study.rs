//! panda_study_job: what the tables say of a job, with a PanDA monitor of our own that has no log of it. What comes of logs: `study_logs`.

use super::faults::errors;
use super::table::{Fields, Is, objects};
use super::*;
use crate::harness::canned::{Canned, Does};
use tine::cluster::Cluster;

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

/// A monitor that has this log of every job, or none.
pub fn monitor(log: Option<String>) -> Canned {
    Canned::start(match log {
        Some(log) => Does::Answer("200 OK", "text/plain", log),
        None => Does::Answer("404 Not Found", "text/plain", "nothing".to_owned()),
    })
}

/// A server with this one tool, and the monitor that it asks.
pub fn bench(log: Option<String>) -> Bench {
    bench_asking(&monitor(log))
}

pub fn bench_asking(monitor: &Canned) -> Bench {
    bench_of(monitor, data().cluster(), &|text| text)
}

/// With this data, and the tool's files changed so.
pub fn bench_of(monitor: &Canned, cluster: &Cluster, edit: &dyn Fn(String) -> String) -> Bench {
    let setup = Setup::bare();
    let own = setup.path("study");
    std::fs::create_dir(&own).expect("a folder");
    for file in ["_toolset.toml", "panda_study_job.sql"] {
        let text = std::fs::read_to_string(format!("{FOLDER}/{file}")).expect("a file");
        std::fs::write(own.join(file), edit(text)).expect("a file");
    }
    let server = setup
        .workers(1)
        .variable("PANDA_BASE_URL", &format!("http://{}", monitor.address))
        .database("swf", &cluster.url("swf", LOGIN))
        .database("panda", &cluster.url("panda", LOGIN))
        .table("[http]\nprivate = [\"127.0.0.0/8\"]")
        .toolset(own)
        .start();
    Bench {
        server,
        swf: connect(&cluster.url("swf", SUPERUSER)),
        panda: connect(&cluster.url("panda", SUPERUSER)),
    }
}

fn without_nulls(object: &Value) -> Value {
    let entries = object.as_object().expect("an object").clone();
    entries
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect()
}

/// What the tables say of a job, all but its log.
pub fn known(bench: &mut Bench, id: i64) -> Value {
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
