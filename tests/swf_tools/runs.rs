//! swf_list_runs, swf_get_run, swf_list_stf_files, swf_get_stf_file, swf_list_tf_slices, swf_get_tf_slice.

use super::table::{Fields, Is, List, case, check_one, quoted, seconds};
use super::*;

const TOOK: &str = "(extract(epoch FROM end_time - start_time) * 1000000)::bigint";

const RUNS: List = List {
    tool: "swf_list_runs",
    limit: 100,
    title: "Runs List",
    path: "/runs/",
    fields: &[
        ("run_number", Is::Plain("run_number")),
        ("start_time", Is::Time("start_time")),
        ("end_time", Is::Time("end_time")),
        ("duration_seconds", Is::Made(TOOK, seconds)),
        (
            "stf_file_count",
            Is::Plain("(SELECT count(*) FROM swf_stf_files f WHERE f.run_id = r.run_id)"),
        ),
    ],
    from: "swf_runs r",
    order: "start_time DESC, run_number DESC",
};

const STF_FILES: List = List {
    tool: "swf_list_stf_files",
    limit: 100,
    title: "STF Files List",
    path: "/stf-files/",
    fields: &[
        ("file_id", Is::Plain("file_id")),
        ("stf_filename", Is::Plain("stf_filename")),
        ("run_number", Is::Plain("run_number")),
        ("status", Is::Plain("status")),
        ("machine_state", Is::Plain("machine_state")),
        ("file_size_bytes", Is::Plain("file_size_bytes")),
        ("created_at", Is::Time("created_at")),
        (
            "tf_file_count",
            Is::Plain("(SELECT count(*) FROM swf_fastmon_files t WHERE t.stf_file_id = file_id)"),
        ),
    ],
    from: "swf_stf_files JOIN swf_runs USING (run_id)",
    order: "created_at DESC, file_id DESC",
};

const SLICES: List = List {
    tool: "swf_list_tf_slices",
    limit: 200,
    title: "TF Slices List",
    path: "/tf-slices/",
    fields: &[
        ("slice_id", Is::Plain("slice_id")),
        ("tf_filename", Is::Plain("tf_filename")),
        ("stf_filename", Is::Plain("stf_filename")),
        ("run_number", Is::Plain("run_number")),
        ("tf_first", Is::Plain("tf_first")),
        ("tf_last", Is::Plain("tf_last")),
        ("tf_count", Is::Plain("tf_count")),
        ("status", Is::Plain("status")),
        ("assigned_worker", Is::Plain("assigned_worker")),
        ("created_at", Is::Time("created_at")),
        ("completed_at", Is::Time("completed_at")),
    ],
    from: "swf_tf_slices",
    order: "created_at DESC, id DESC",
};

const DAY_OLD: &str = "created_at >= now() - interval '24 hours'";

#[test]
fn runs_look_back_a_week_or_as_far_as_asked() {
    let mut bench = Bench::start();
    let week = "start_time >= now() - interval '168 hours'";
    let exact = text(
        &mut bench.swf,
        "SELECT to_char(start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') FROM swf_runs
         ORDER BY start_time DESC OFFSET 50 LIMIT 1",
    );
    RUNS.check_all(
        &mut bench,
        &[
            case(json!({}), week, ""),
            case(json!({"start_time": "", "end_time": null}), week, ""),
            case(json!({"start_time": "2000-01-01"}), "true", ""),
            case(json!({"start_time": "now-2d", "end_time": "now-1d"}), "start_time BETWEEN now() - interval '2 days' AND now() - interval '1 day'", ""),
            case(json!({"end_time": "now-2h"}), format!("{week} AND start_time <= now() - interval '2 hours'"), ""),
            // Both bounds are inside; without a zone a time is UTC's.
            case(json!({"start_time": exact, "end_time": exact.replace('T', " ")}), format!("start_time = '{exact}Z'"), ""),
            case(json!({"start_time": format!("{exact}+02:00"), "end_time": format!("{exact}+02:00")}), "false", ""),
            case(json!({"start_time": "2999-12-31T23:59:59Z"}), "false", ""),
            case(json!({"end_time": "1999-01-01"}), "false", ""),
        ],
    );
}

#[test]
fn each_filter_of_stf_files_alone_and_all_together() {
    let mut bench = Bench::start();
    let day = |condition: &str| format!("{DAY_OLD} AND {condition}");
    let run = number(
        &mut bench.swf,
        "SELECT run_number::bigint FROM swf_stf_files JOIN swf_runs USING (run_id)
         WHERE status = 'processed' AND machine_state = 'Physics' LIMIT 1",
        &[],
    );
    STF_FILES.check_all(
        &mut bench,
        &[
            case(json!({}), DAY_OLD, ""),
            // Of a run all files are shown, however old.
            case(json!({"run_number": 1001}), "run_number = 1001", "?run_number=1001"),
            case(json!({"run_number": "1001"}), "run_number = 1001", "?run_number=1001"),
            case(json!({"run_number": 0, "status": "", "machine_state": null}), DAY_OLD, ""),
            case(json!({"run_number": 1001, "start_time": "now-1h"}), "false", "?run_number=1001"),
            case(json!({"run_number": 99_999_999_999_i64}), "false", "?run_number=99999999999"),
            case(json!({"run_number": -1}), "false", "?run_number=-1"),
            case(json!({"status": "PROCESSED"}), day("status = 'processed'"), "?status=PROCESSED"),
            case(json!({"status": "failed", "start_time": "2000-01-01"}), "lower(status) = 'failed'", "?status=failed"),
            case(json!({"status": "process%"}), "false", "?status=process%"),
            case(json!({"machine_state": "pHysics"}), day("machine_state ILIKE 'physics'"), ""),
            case(json!({"machine_state": "physic_"}), "false", ""),
            case(json!({"start_time": "2000-01-01"}), "true", ""),
            case(json!({"start_time": "now-9d", "end_time": "now-3d"}), "created_at BETWEEN now() - interval '9 days' AND now() - interval '3 days'", ""),
            case(json!({"end_time": "now-3h"}), day("created_at <= now() - interval '3 hours'"), ""),
            case(json!({"start_time": "2999-01-01T00:00:00+14:00"}), "false", ""),
            case(
                json!({"run_number": run, "status": "Processed", "machine_state": "PHYSICS", "start_time": "2000-01-01", "end_time": "2999-01-01"}),
                format!("run_number = {run} AND status = 'processed' AND machine_state ILIKE 'physics'"),
                format!("?run_number={run}&status=Processed"),
            ),
        ],
    );
}

#[test]
fn each_filter_of_slices_alone_and_all_together() {
    let mut bench = Bench::start();
    let day = |condition: &str| format!("{DAY_OLD} AND {condition}");
    let some = |bench: &mut Bench, column: &str| {
        text(
            &mut bench.swf,
            &format!(
                "SELECT {column}::text FROM swf_tf_slices WHERE assigned_worker IS NOT NULL AND status = 'completed' ORDER BY id LIMIT 1"
            ),
        )
    };
    let [stf, tf, worker, run] = [
        "stf_filename",
        "tf_filename",
        "assigned_worker",
        "run_number",
    ]
    .map(|c| some(&mut bench, c));
    let run_number: i64 = run.parse().expect("a number");
    SLICES.check_all(
        &mut bench,
        &[
            case(json!({}), DAY_OLD, ""),
            // Each of these three shows slices of any age.
            case(json!({"run_number": run_number}), format!("run_number = {run}"), format!("?run_number={run}")),
            case(json!({"stf_filename": stf}), format!("stf_filename = {}", quoted(&stf)), ""),
            case(json!({"tf_filename": tf}), format!("tf_filename = {}", quoted(&tf)), ""),
            case(json!({"run_number": 0, "stf_filename": "", "tf_filename": null}), DAY_OLD, ""),
            case(json!({"stf_filename": stf, "start_time": "now-1h"}), "false", ""),
            case(json!({"stf_filename": stf.to_uppercase()}), "false", ""),
            case(json!({"tf_filename": "%"}), "false", ""),
            case(json!({"status": "COMPLETED"}), day("lower(status) = 'completed'"), "?status=COMPLETED"),
            case(json!({"status": "läuft"}), "false", "?status=läuft"),
            case(json!({"assigned_worker": worker, "start_time": "2000-01-01"}), format!("assigned_worker = {}", quoted(&worker)), ""),
            case(json!({"assigned_worker": "'; SELECT 1; --"}), "false", ""),
            case(json!({"start_time": "2000-01-01T00:00:00-05:00"}), "true", ""),
            case(json!({"start_time": "now-9d", "end_time": "now-3d"}), "created_at BETWEEN now() - interval '9 days' AND now() - interval '3 days'", ""),
            case(json!({"end_time": "2000-01-01"}), "false", ""),
            case(
                json!({"run_number": run_number, "stf_filename": stf, "tf_filename": tf, "status": "Completed", "assigned_worker": worker,
                       "start_time": "2000-01-01", "end_time": "2999-01-01"}),
                format!("tf_filename = {} AND assigned_worker = {} AND lower(status) = 'completed'", quoted(&tf), quoted(&worker)),
                format!("?run_number={run}&status=Completed"),
            ),
        ],
    );
}

const RUN: Fields = &[
    ("run_number", Is::Plain("run_number")),
    ("start_time", Is::Time("start_time")),
    ("end_time", Is::Time("end_time")),
    ("duration_seconds", Is::Made(TOOK, seconds)),
    ("run_conditions", Is::Plain("run_conditions")),
    (
        "file_stats",
        Is::Made(
            "(SELECT json_agg(status) FROM swf_stf_files f WHERE f.run_id = r.run_id)",
            file_stats,
        ),
    ),
    (
        "total_stf_files",
        Is::Plain(
            "(SELECT count(*) FROM swf_stf_files f WHERE f.run_id = r.run_id
              AND status IN ('registered', 'processing', 'processed', 'failed', 'done'))",
        ),
    ),
];

fn file_stats(statuses: Value) -> Value {
    let statuses = statuses.as_array().cloned().unwrap_or_default();
    let count = |status: &str| statuses.iter().filter(|s| **s == status).count();
    json!({
        "registered": count("registered"),
        "processing": count("processing"),
        "processed": count("processed"),
        "failed": count("failed"),
        "done": count("done"),
    })
}

#[test]
fn every_run_is_found_with_all_its_fields() {
    let mut bench = Bench::start();
    for run in 1001..1501 {
        if run % 5 != 0 && run < 1490 {
            continue;
        }
        let rest = format!("FROM swf_runs r WHERE run_number = {run}");
        let page = Some(("Run Detail", format!("/runs/{run}/")));
        check_one(
            &mut bench,
            "swf_get_run",
            &json!({"run_number": run}),
            RUN,
            &rest,
            page,
        );
    }
    for run in [0_i64, -1, 99_999_999_999] {
        let message = bench.refused("swf_get_run", json!({"run_number": run}));
        assert!(
            message.contains(&run.to_string()) && message.contains("swf_list_runs"),
            "{message}"
        );
    }
}

const STF_FILE: Fields = &[
    ("file_id", Is::Plain("file_id")),
    ("stf_filename", Is::Plain("stf_filename")),
    ("run_number", Is::Plain("run_number")),
    ("status", Is::Plain("status")),
    ("machine_state", Is::Plain("machine_state")),
    ("file_size_bytes", Is::Plain("file_size_bytes")),
    ("checksum", Is::Plain("checksum")),
    ("created_at", Is::Time("created_at")),
    ("metadata", Is::Plain("metadata")),
    ("workflow_id", Is::Plain("workflow_id")),
    ("daq_state", Is::Plain("daq_state")),
    ("daq_substate", Is::Plain("daq_substate")),
    ("workflow_status", Is::Plain("workflow_status")),
];

#[test]
fn a_file_is_found_by_its_id_in_any_form_or_by_its_name() {
    let mut bench = Bench::start();
    let ids = texts(
        &mut bench.swf,
        "SELECT file_id::text FROM swf_stf_files ORDER BY file_id LIMIT 40",
        &[],
    );
    for (index, id) in ids.iter().enumerate() {
        let name = text(
            &mut bench.swf,
            &format!("SELECT stf_filename FROM swf_stf_files WHERE file_id = '{id}'"),
        );
        let arguments = match index % 6 {
            0 => json!({"file_id": id}),
            1 => json!({"file_id": id.to_uppercase()}),
            2 => json!({"file_id": format!("{{{id}}}")}),
            3 => json!({"file_id": id.replace('-', "")}),
            // The id decides.
            4 => json!({"file_id": id, "stf_filename": "nonesuch.stf"}),
            _ => json!({"file_id": "", "stf_filename": name}),
        };
        let rest = format!("FROM {} WHERE file_id = '{id}'", STF_FILES.from);
        let page = Some(("STF File Detail", format!("/stf-files/{id}/")));
        check_one(
            &mut bench,
            "swf_get_stf_file",
            &arguments,
            STF_FILE,
            &rest,
            page,
        );
    }
    for arguments in [
        json!({}),
        json!({"file_id": null, "stf_filename": ""}),
        json!({"file_id": "0f8fad5b-d9cb-469f-a165-70867728950e"}),
        json!({"stf_filename": "swf.run1001.%"}),
    ] {
        let message = bench.refused("swf_get_stf_file", arguments);
        assert!(message.contains("swf_list_stf_files"), "{message}");
    }
    for wrong in ["not-a-uuid", "0f8fad5b", "“"] {
        let message = bench.refused("swf_get_stf_file", json!({"file_id": wrong}));
        assert!(message.starts_with("file_id: "), "{message}");
    }
}

const SLICE: Fields = &[
    ("slice_id", Is::Plain("slice_id")),
    ("tf_filename", Is::Plain("tf_filename")),
    ("stf_filename", Is::Plain("stf_filename")),
    ("run_number", Is::Plain("run_number")),
    ("tf_first", Is::Plain("tf_first")),
    ("tf_last", Is::Plain("tf_last")),
    ("tf_count", Is::Plain("tf_count")),
    ("status", Is::Plain("status")),
    ("retries", Is::Plain("retries")),
    ("assigned_worker", Is::Plain("assigned_worker")),
    ("assigned_at", Is::Time("assigned_at")),
    ("completed_at", Is::Time("completed_at")),
    ("metadata", Is::Plain("metadata")),
];

#[test]
fn a_slice_is_found_by_its_file_and_number() {
    let mut bench = Bench::start();
    let rows = bench
        .swf
        .query(
            "SELECT tf_filename, slice_id FROM swf_tf_slices ORDER BY id DESC LIMIT 40",
            &[],
        )
        .expect("slices");
    for row in rows {
        let (name, id): (String, i32) = (row.get(0), row.get(1));
        let arguments = json!({"tf_filename": name, "slice_id": id});
        let rest = format!(
            "FROM swf_tf_slices WHERE slice_id = {id} AND tf_filename = {}",
            quoted(&name)
        );
        check_one(
            &mut bench,
            "swf_get_tf_slice",
            &arguments,
            SLICE,
            &rest,
            None,
        );
    }
    let message = bench.refused(
        "swf_get_tf_slice",
        json!({"tf_filename": "größe 100%.tf", "slice_id": 0}),
    );
    assert!(
        message.contains("slice 0 of größe 100%.tf") && message.contains("swf_list_tf_slices"),
        "{message}"
    );
    let message = bench.refused("swf_get_tf_slice", json!({}));
    assert!(
        message.contains("tf_filename") && message.contains("slice_id"),
        "{message}"
    );
}
