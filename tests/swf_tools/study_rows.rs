//! panda_study_job against rows of the test's own: every column and every error of a job, which of two rows counts, and which log.

use super::own::make_panda;
use super::*;
use crate::harness::canned::{Canned, Does};

/// A database with PanDA's tables and no row, a monitor whose log the test chooses, and a server with this one tool.
pub struct Study {
    pub bench: Bench,
    pub monitor: Canned,
}

impl Study {
    /// In a database of this name, with the tool's file changed so.
    pub fn start(name: &str, edit: &dyn Fn(String) -> String) -> Study {
        let cluster = data().cluster();
        make_panda(name);
        let monitor = Canned::start(missing());
        let setup = Setup::bare();
        let folder = setup.path("study");
        std::fs::create_dir(&folder).expect("a folder");
        for file in ["_toolset.toml", "panda_study_job.sql"] {
            let text = std::fs::read_to_string(format!("{FOLDER}/{file}")).expect("a file");
            std::fs::write(folder.join(file), edit(text)).expect("a file");
        }
        let server = setup
            .workers(1)
            .variable("PANDA_BASE_URL", &format!("http://{}", monitor.address))
            .database("swf", &cluster.url("swf", LOGIN))
            .database("panda", &cluster.url(name, LOGIN))
            .table("[http]\nprivate = [\"127.0.0.0/8\"]")
            .toolset(folder)
            .start();
        let bench = Bench {
            server,
            swf: connect(&cluster.url("swf", SUPERUSER)),
            panda: connect(&cluster.url(name, SUPERUSER)),
        };
        Study { bench, monitor }
    }

    /// Adds a row with these columns; the others have what the table gives them.
    pub fn add(&mut self, table: &str, row: &Value) {
        let columns = keys(row).join(", ");
        let table = format!("doma_panda.{table}");
        let add = format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::{table}, $1::text::jsonb)"
        );
        let added = self.bench.panda.execute(&add, &[&row.to_string()]);
        added.unwrap_or_else(|fault| panic!("{row}: {fault:?}"));
    }

    /// Adds a job that failed, with these columns more.
    pub fn add_failed(&mut self, id: i64, more: &Value) {
        let mut row =
            json!({"pandaid": id, "jobstatus": "failed", "modificationtime": "2026-01-02"});
        for (column, value) in more.as_object().expect("columns") {
            row[column] = value.clone();
        }
        self.add("jobsarchived4", &row);
    }

    pub fn answer(&self, id: i64) -> Value {
        self.bench.call("panda_study_job", json!({"pandaid": id}))
    }

    /// What it makes of this log of a job.
    pub fn analysis(&self, id: i64, log: &str) -> Value {
        self.monitor.now(page(log));
        self.answer(id)["log_analysis"].clone()
    }
}

fn page(text: &str) -> Does {
    Does::Answer("200 OK", "text/plain", text.to_owned())
}

fn missing() -> Does {
    Does::Answer("404 Not Found", "text/plain", "no".to_owned())
}

fn same(text: String) -> String {
    text
}

/// A job that has everything, in the order it is shown in.
fn full() -> Value {
    let text = r#"{
        "pandaid": 1, "jeditaskid": 2, "reqid": 3, "jobname": "name é", "produsername": "user", "jobstatus": "finished",
        "computingsite": "SITE", "computingelement": "element", "transformation": "run.sh", "processingtype": "type",
        "creationtime": "2026-01-02T03:04:05", "starttime": "2026-01-02T03:04:05.000006",
        "endtime": "2026-01-02T03:04:06.7", "modificationtime": "2026-01-02T23:59:59.999999",
        "corecount": 4, "actualcorecount": 5, "nevents": 6, "maxrss": 7, "maxpss": 8, "maxvmem": 9, "maxswap": 10, "maxwalltime": 11,
        "cpuconsumptiontime": "12", "cpuconsumptionunit": "s", "inputfilebytes": 13, "ninputfiles": 14, "ninputdatafiles": 15,
        "outputfilebytes": 16, "noutputdatafiles": 17, "destinationdblock": "block", "destinationse": "se",
        "pilotid": "http://pilot.example/a.out|PR|x86|3.9", "pilottiming": "1|2|3", "batchid": "batch", "container_name": "box",
        "specialhandling": "special", "commandtopilot": "tobekilled", "brokerageerrorcode": 21, "brokerageerrordiag": "no broker",
        "ddmerrorcode": 22, "ddmerrordiag": "no ddm", "exeerrorcode": 23, "exeerrordiag": "no exe", "jobdispatchererrorcode": 24,
        "jobdispatchererrordiag": "no dispatcher", "piloterrorcode": 25, "piloterrordiag": "no pilot", "superrorcode": 26,
        "superrordiag": "no super", "taskbuffererrorcode": 27, "taskbuffererrordiag": "no buffer", "transexitcode": "28",
        "jobmetrics": "metrics", "metadata": "about"
    }"#;
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn every_column_and_every_error_of_a_job_has_its_place() {
    let mut study = Study::start("study_every_column", &same);
    study.add("jobsactive4", &full());
    // An archived job may have the id of one that is still active: that one counts.
    study.add_failed(1, &json!({"jobname": "archived"}));
    let mut job = full();
    job["endtime"] = json!("2026-01-02T03:04:06.700000");
    let error = |component: &str, code: Value, diag: &str| json!({"component": component, "code": code, "diag": diag});
    job["errors"] = json!([
        error("brokerage", json!(21), "no broker"),
        error("ddm", json!(22), "no ddm"),
        error("executor", json!(23), "no exe"),
        error("dispatcher", json!(24), "no dispatcher"),
        error("pilot", json!(25), "no pilot"),
        error("supervisor", json!(26), "no super"),
        error("taskbuffer", json!(27), "no buffer"),
        error("transformation", json!("28"), ""),
    ]);
    job["pilot_type"] = json!("PR");
    job["pilot_version"] = json!("3.9");
    let expected = json!({
        "pandaid": 1, "job": job, "files": [],
        "log_urls": {
            "pilot_stdout": "http://pilot.example/a.out",
            "pilot_stderr": "http://pilot.example/a.err",
            "batch_log": "http://pilot.example/a.log",
        },
        "monitor_url": "https://epic-devcloud.org/panda/jobs/1/",
    });
    assert_eq!(study.answer(1).to_string(), expected.to_string());
}

#[test]
fn zeros_and_empty_texts_stay_and_nulls_and_errors_without_a_code_go() {
    let mut study = Study::start("study_empty", &same);
    let row = json!({
        "pandaid": 3, "jobname": "", "produsername": null, "jobstatus": "running", "creationtime": "2026-01-02",
        "modificationtime": "2026-01-02", "corecount": 0, "maxrss": null, "piloterrordiag": "said without a code",
        "transexitcode": " 0 ",
    });
    // The table's own values for what isn't given, which are no nulls, would hide the nulls.
    let fill = "ALTER TABLE doma_panda.jobsactive4 ALTER starttime DROP DEFAULT, ALTER endtime DROP DEFAULT";
    study.bench.panda.batch_execute(fill).expect("no defaults");
    study.add("jobsactive4", &row);
    let job = json!({
        "pandaid": 3, "jobname": "", "jobstatus": "running", "creationtime": "2026-01-02T00:00:00",
        "modificationtime": "2026-01-02T00:00:00", "corecount": 0, "nevents": 0, "cpuconsumptiontime": "0",
        "brokerageerrorcode": 0, "ddmerrorcode": 0, "exeerrorcode": 0, "jobdispatchererrorcode": 0, "piloterrorcode": 0,
        "piloterrordiag": "said without a code", "superrorcode": 0, "taskbuffererrorcode": 0, "transexitcode": " 0 ",
        "errors": [],
    });
    let expected = json!({
        "pandaid": 3, "job": job, "files": [], "log_urls": {}, "monitor_url": "https://epic-devcloud.org/panda/jobs/3/",
    });
    assert_eq!(study.answer(3).to_string(), expected.to_string());
}

#[test]
fn a_pilot_tells_its_type_and_version_in_four_parts() {
    let mut study = Study::start("study_pilots", &same);
    let url = "http://pilot.example/a.out";
    for (id, parts, told) in [
        (1, "", json!([null, null, null])),
        (2, "|PR", json!([url, null, null])),
        (3, "|PR|x86", json!([url, null, null])),
        (4, "|PR|x86|3.9", json!([url, "PR", "3.9"])),
        (5, "|PR|x86|3.9|more", json!([url, "PR", "3.9"])),
    ] {
        study.add_failed(id, &json!({"pilotid": format!("{url}{parts}")}));
        let answer = study.answer(id);
        let job = &answer["job"];
        let seen = json!([
            answer["log_urls"]["pilot_stdout"],
            job["pilot_type"],
            job["pilot_version"]
        ]);
        assert_eq!(seen, told, "{parts}");
    }
}

#[test]
fn files_come_by_type_and_name_and_the_last_log_counts() {
    let mut study = Study::start("study_files", &same);
    study.add_failed(1, &json!({}));
    study.add_failed(2, &json!({}));
    let file = |kind: &str, name: &str, guid: &str| json!({"lfn": name, "type": kind, "guid": guid, "fsize": 0});
    let mut shown = vec![
        file("input", "b", "z"),
        file("input", "c", "a"),
        file("log", "a", "z"),
    ];
    // Of those that are called the same the greater number of the row comes last.
    shown.extend((0..12).map(|number| file("log", "b", &format!("b{number}"))));
    shown.push(file("output", "a", "a"));
    // The rows lie in the table in the opposite order.
    for (place, file) in shown.iter().enumerate().rev() {
        let mut row = file.clone();
        row["row_id"] = json!(place);
        row["pandaid"] = json!(1);
        study.add("filestable4", &row);
    }
    study.add(
        "filestable4",
        &json!({"row_id": 99, "pandaid": 2, "type": "output", "lfn": "x", "guid": "x", "scope": "s", "fsize": 5,
                "status": "ready", "dataset": "d", "destinationdblock": "b", "checksum": "ad:1", "md5sum": "hidden"}),
    );
    let answer = study.answer(1);
    assert_eq!(answer["files"].to_string(), json!(shown).to_string());
    assert_eq!(answer["log_file"].to_string(), shown[14].to_string());
    let other = study.answer(2);
    let all = json!([{"lfn": "x", "type": "output", "guid": "x", "scope": "s", "fsize": 5, "status": "ready", "dataset": "d",
                      "destinationdblock": "b", "checksum": "ad:1"}]);
    assert_eq!(other["files"].to_string(), all.to_string());
    assert!(other.get("log_file").is_none(), "{other}");
}

#[test]
fn the_newest_worker_of_harvester_counts() {
    let mut study = Study::start("study_workers", &same);
    study.add_failed(1, &json!({"pilotid": "http://pilot.example/p.out|PR"}));
    let moment = "2026-01-02 00:00:00";
    // Of two of one moment the one with the greater number; the one of another harvester is none of this job's.
    for (harvester, number, time) in [
        ("h", 7, moment),
        ("h", 12, moment),
        ("h", 9, moment),
        ("h", 30, "2026-01-01 23:59:59"),
        ("other", 40, "2026-01-03"),
    ] {
        study.add(
            "harvester_workers",
            &json!({"harvesterid": harvester, "workerid": number, "lastupdate": time, "status": "finished", "errorcode": 0,
                    "stdout": format!("http://h.example/{number}.out"), "stderr": "", "batchlog": format!("http://h.example/{number}.log"),
                    "nodeid": "hidden"}),
        );
        if harvester == "h" {
            let row =
                json!({"harvesterid": "h", "workerid": number, "pandaid": 1, "lastupdate": time});
            study.add("harvester_rel_jobs_workers", &row);
        }
    }
    let answer = study.answer(1);
    let worker = json!({"workerid": 12, "harvesterid": "h", "stdout": "http://h.example/12.out", "stderr": "",
                        "batchlog": "http://h.example/12.log", "errorcode": 0, "status": "finished"});
    assert_eq!(answer["harvester"].to_string(), worker.to_string());
    let urls = json!({"pilot_stdout": "http://h.example/12.out", "pilot_stderr": "http://pilot.example/p.err",
                      "batch_log": "http://h.example/12.log"});
    assert_eq!(answer["log_urls"].to_string(), urls.to_string());
}

#[test]
fn the_monitors_copy_of_a_log_comes_before_the_one_at_its_source() {
    let portal = Canned::start(page(
        "href=\"slurm-1234567890-task1234567890-panda1234567890.out\"\nfrom the portal",
    ));
    let place = format!("http://{}", portal.address);
    let edit = |text: String| {
        text.replace("https://portal.nersc.gov", &place)
            .replace("[\"portal.nersc.gov\"", "[\"127.0.0.1\"")
            .replace("(portal\\.nersc\\.gov|", "(127\\.0\\.0\\.1|")
    };
    let mut study = Study::start("study_sources", &edit);
    let site = json!({"computingsite": "NERSC_Perlmutter_cpu"});
    study.add_failed(1, &site);
    study.add_failed(2, &site);
    let told = |answer: &Value| {
        let analysis = &answer["log_analysis"];
        (
            analysis["log_source"].clone(),
            analysis["log_excerpt"].clone(),
        )
    };
    study.monitor.now(page("from the monitor"));
    let answer = study.answer(1);
    assert_eq!(
        told(&answer),
        (json!("filebrowser"), json!("from the monitor"))
    );
    let folder = format!("{place}/cfs/m3763/panda/jobs/NERSC_Perlmutter_cpu/1/");
    let urls = json!({
        "pilot_stdout": format!("{folder}pilotlog.txt"),
        "nersc_log_dir": folder,
        "slurm_task_stdout": format!("{folder}slurm-1234567890-task1234567890-panda1234567890.out"),
    });
    assert_eq!(answer["log_urls"].to_string(), urls.to_string());

    // A worker's own files stand beside what the portal has.
    study.add(
        "harvester_rel_jobs_workers",
        &json!({"harvesterid": "h", "workerid": 1, "pandaid": 2, "lastupdate": "2026-01-02"}),
    );
    study.add(
        "harvester_workers",
        &json!({"harvesterid": "h", "workerid": 1, "lastupdate": "2026-01-02", "status": "failed",
                "stdout": format!("{place}/w.out"), "stderr": "http://h.example/w.err", "batchlog": "http://h.example/w.log"}),
    );
    study.monitor.now(missing());
    let answer = study.answer(2);
    let names = [
        "pilot_stdout",
        "pilot_stderr",
        "batch_log",
        "nersc_log_dir",
        "slurm_task_stdout",
    ];
    assert_eq!(keys(&answer["log_urls"]), names);
    assert_eq!(told(&answer).0, "harvester");
}

#[test]
fn a_log_that_the_monitor_sends_as_json_is_shown_as_text() {
    let mut study = Study::start("study_json", &same);
    study.add_failed(1, &json!({}));
    let log = "[{\"line\": \"no such file\"}]".to_owned();
    study
        .monitor
        .now(Does::Answer("200 OK", "application/json", log));
    let analysis = &study.answer(1)["log_analysis"];
    assert_eq!(analysis["failure_type"], "input_missing", "{analysis}");
    let excerpt = analysis["log_excerpt"].as_str().expect("text");
    let value: Value = serde_json::from_str(excerpt).expect("JSON");
    assert_eq!(value, json!([{"line": "no such file"}]));
}
