//! panda_study_job's other sources of a log: the portal of a site that keeps its jobs' logs, and Harvester's own. Servers of ours stand for
//! them, so the test's copy of the tool names those.

use super::study::bench_of;
use super::*;
use crate::harness::canned::{Canned, Does};

fn page(text: &str) -> Does {
    Does::Answer("200 OK", "text/html", text.to_owned())
}

fn missing() -> Does {
    Does::Answer("404 Not Found", "text/plain", "no".to_owned())
}

/// The tool with this server in the place of the portal, and a monitor that has no log. Data that may be changed.
fn bench(portal: &Canned) -> Bench {
    let monitor = Canned::start(missing());
    let place = format!("http://{}", portal.address);
    let edit = move |text: String| {
        text.replace("https://portal.nersc.gov", &place)
            .replace("[\"portal.nersc.gov\"", "[\"127.0.0.1\"")
            .replace("(portal\\.nersc\\.gov|", "(127\\.0\\.0\\.1|")
    };
    bench_of(&monitor, super::acting::data().cluster(), &edit)
}

/// Adds a job like another one, with these columns changed.
fn add_job(panda: &mut Client, id: i64, changed: &Value) {
    let remove = format!("DELETE FROM doma_panda.jobsarchived4 WHERE pandaid = {id}");
    panda.batch_execute(&remove).expect("a job");
    let mut changed = changed.clone();
    changed["pandaid"] = json!(id);
    let add = "INSERT INTO doma_panda.jobsarchived4
               SELECT (jsonb_populate_record(j, $1::text::jsonb)).* FROM doma_panda.jobsarchived4 j WHERE jobstatus = 'failed' LIMIT 1";
    let added = panda.execute(add, &[&changed.to_string()]);
    assert_eq!(added.expect("a job"), 1);
}

const PILOT: &str = "https://elsewhere.example/a.out.d/b.out|PR|x86|3.9.1";

#[test]
fn a_portal_that_has_the_job_takes_the_place_of_the_pilots_urls() {
    let portal = Canned::start(page(
        "<a href=\"other\">\n<a href=\"slurm-12-task3-panda7.out\">\nexec: out of memory",
    ));
    let mut bench = bench(&portal);
    let site = "NERSC_Perlmutter_größer";
    let job = json!({"computingsite": site, "pilotid": PILOT, "piloterrorcode": 0, "piloterrordiag": null});
    add_job(&mut bench.panda, 7, &job);
    let study = |bench: &Bench| bench.call("panda_study_job", json!({"pandaid": 7}));
    let answer = study(&bench);
    let folder = format!("http://{}/cfs/m3763/panda/jobs/{site}/7/", portal.address);
    let expected = json!({
        "pilot_stdout": format!("{folder}pilotlog.txt"),
        "nersc_log_dir": folder,
        "slurm_task_stdout": format!("{folder}slurm-12-task3-panda7.out"),
    });
    assert_eq!(answer["log_urls"].to_string(), expected.to_string());
    let job = &answer["job"];
    assert_eq!(
        (&job["pilot_type"], &job["pilot_version"]),
        (&json!("PR"), &json!("3.9.1"))
    );
    assert!(answer.get("log_analysis").is_some(), "{answer}");
    let path = "/cfs/m3763/panda/jobs/NERSC_Perlmutter_gr%C3%B6%C3%9Fer/7/";
    assert_eq!(portal.asked()[0], path);

    portal.now(page("nothing of it"));
    let none = study(&bench);
    assert_eq!(keys(&none["log_urls"]), ["pilot_stdout", "nersc_log_dir"]);

    portal.now(missing());
    let answer = study(&bench);
    let expected = json!({
        "pilot_stdout": "https://elsewhere.example/a.out.d/b.out",
        "pilot_stderr": "https://elsewhere.example/a.err.d/b.err",
        "batch_log": "https://elsewhere.example/a.log.d/b.log",
    });
    assert_eq!(answer["log_urls"].to_string(), expected.to_string());
    assert_eq!(
        answer["log_analysis"],
        json!({"log_available": false, "log_filename": "pilotlog.txt"})
    );
}

#[test]
fn a_log_comes_from_the_portal_or_from_harvester_when_the_monitor_has_none() {
    let portal = Canned::start(page("one\nUnexpected: NO SPACE LEFT on device\nthree"));
    let mut bench = bench(&portal);
    let place = format!("http://{}", portal.address);
    let pilot = json!({
        "computingsite": "NERSC_Perlmutter", "pilotid": "none", "piloterrorcode": 9, "piloterrordiag": "unexpected: (no",
        "exeerrordiag": null, "taskbuffererrordiag": null, "jobsubstatus": null, "commandtopilot": null,
    });
    add_job(&mut bench.panda, 8, &pilot);
    let harvester = json!({"computingsite": "HERE", "pilotid": format!("{place}/p.out|PR")});
    let mut all = pilot.clone();
    for (key, value) in harvester.as_object().expect("an object") {
        all[key] = value.clone();
    }
    add_job(&mut bench.panda, 9, &all);
    add_job(&mut bench.panda, 10, &all);
    bench
        .panda
        .batch_execute(&format!(
            "DELETE FROM doma_panda.harvester_rel_jobs_workers WHERE pandaid = 10;
             DELETE FROM doma_panda.harvester_workers WHERE harvesterid = 'h-test';
             INSERT INTO doma_panda.harvester_rel_jobs_workers VALUES ('h-test', 1, 10, now());
             INSERT INTO doma_panda.harvester_workers
             SELECT (jsonb_populate_record(w, '{{\"harvesterid\": \"h-test\", \"workerid\": 1, \"stdout\": \"{place}/h.out\", \"stderr\": \"\", \"batchlog\": null}}')).*
             FROM doma_panda.harvester_workers w LIMIT 1"
        ))
        .expect("a worker");
    let excerpt = "one\nUnexpected: NO SPACE LEFT on device\nthree";
    for (id, source, path) in [
        (
            8,
            "nersc_portal",
            "/cfs/m3763/panda/jobs/NERSC_Perlmutter/8/pilotlog.txt",
        ),
        (9, "nersc_portal", "/p.out"),
        (10, "harvester", "/h.out"),
    ] {
        portal.asked();
        let answer = bench.call("panda_study_job", json!({"pandaid": id}));
        let expected = json!({
            "failure_type": "disk_full", "log_filename": "pilotlog.txt", "log_source": source, "log_excerpt": excerpt,
            "log_available": true,
        });
        assert_eq!(
            answer["log_analysis"].to_string(),
            expected.to_string(),
            "{id}"
        );
        assert_eq!(portal.asked().last().map(String::as_str), Some(path));
    }
    let answer = bench.call("panda_study_job", json!({"pandaid": 10}));
    let urls = &answer["log_urls"];
    assert_eq!(
        urls["pilot_stdout"],
        format!("{place}/h.out"),
        "Harvester's comes before the pilot's"
    );
    assert_eq!(
        urls["pilot_stderr"],
        format!("{place}/p.err"),
        "an empty one is none"
    );
}
