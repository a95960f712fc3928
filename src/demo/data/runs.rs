//! The tables of data taking in the workflow database: runs, their files of raw data, the slices that are processed fast,
//! and the states that a run goes through.

use serde_json::json;

use super::Table;
use crate::demo::copy::{HOUR, MINUTE, SECOND};

pub const RUNS: Table = Table::swf(
    "swf_runs",
    "run_number, start_time, end_time, run_conditions",
    |world, random, rows| {
        for run in &world.runs {
            let conditions = match random.below(5) {
                0 => None,
                1 => Some(json!({})),
                _ => Some(json!({
                    "beam": random.pick(&["10x275", "5x41", "18x275"]),
                    "field": random.below(30) as f64 / 10.0,
                    "note": random.pick(&["", "Schicht wechselte", "\"cosmics\" 100%", "宇宙線"]),
                })),
            };
            rows.row(|row| {
                row.plain(run.number)
                    .time(run.start)
                    .maybe_time(run.end)
                    .maybe_json(conditions.as_ref());
            })?;
        }
        Ok(())
    },
);

/// Most files get through; some senders write a status in their own way.
const STF_STATUSES: &[(&str, u64)] = &[
    ("registered", 12),
    ("processing", 8),
    ("processed", 60),
    ("done", 12),
    ("failed", 5),
    ("Failed", 1),
    ("archived", 2),
];

pub const STF_FILES: Table = Table::swf(
    "swf_stf_files",
    "file_id, machine_state, file_size_bytes, checksum, created_at, status, metadata, run_id, daq_state, \
     daq_substate, workflow_id, workflow_status, stf_filename, tf_count",
    |world, random, rows| {
        for file in &world.stf_files {
            let metadata = match random.below(3) {
                0 => None,
                1 => Some(json!({"source": "daq01", "events": random.below(9_000)})),
                _ => Some(json!({"note": "Prüfung 100%, 'ok'", "tags": ["α", null, 1.5]})),
            };
            let workflow = random.percent(30).then(|| random.uuid());
            rows.row(|row| {
                row.plain(&file.id)
                    .text(random.pick(&["physics", "physics", "Physics", "cosmics", "standby"]))
                    .maybe_plain((!random.percent(5)).then(|| random.below(1 << 34)))
                    .maybe_text((!random.percent(20)).then_some("ad:5e6f7a8b"))
                    .time(file.created)
                    .text(random.weighted(STF_STATUSES))
                    .maybe_json(metadata.as_ref())
                    // The identity counts from 1 in the order of the runs.
                    .plain(file.run + 1)
                    .maybe_text(random.pick(&[None, Some("run"), Some("no_beam")]))
                    .maybe_text(random.pick(&[None, Some("physics"), Some("not_ready")]))
                    .maybe_plain(workflow.as_deref())
                    .maybe_text(workflow.as_deref().map(|_| "completed"))
                    .text(&file.name)
                    .maybe_plain(random.percent(50).then(|| random.below(900)));
            })?;
        }
        Ok(())
    },
);

pub const TF_FILES: Table = Table::swf(
    "swf_fastmon_files",
    "tf_file_id, tf_filename, file_size_bytes, checksum, status, metadata, created_at, updated_at, stf_file_id, \
     tf_count, tf_first, tf_last",
    |world, random, rows| {
        for file in &world.stf_files {
            // Fast monitoring looks into some of the files, and into those at several places.
            for place in 0..random.below(4).saturating_sub(1) {
                let created = file.created + random.age(MINUTE, 1.0);
                let first = place as i64 * 100 + 1;
                rows.row(|row| {
                    row.plain(random.uuid())
                        .text(&tf_name(&file.name, place))
                        .maybe_plain((!random.percent(10)).then(|| random.below(1 << 28)))
                        .null()
                        .text(random.pick(&["registered", "processed", "failed"]))
                        .null()
                        .time(created)
                        .time(created)
                        .plain(&file.id)
                        .plain(100)
                        .plain(first)
                        .plain(first + 99);
                })?;
            }
        }
        Ok(())
    },
);

fn tf_name(stf: &str, place: u64) -> String {
    format!("{}_{place:03}.tf", stf.trim_end_matches(".stf"))
}

const SLICE_STATUSES: &[(&str, u64)] = &[
    ("queued", 10),
    ("processing", 6),
    ("completed", 78),
    ("Completed", 1),
    ("failed", 5),
];

pub const SLICES: Table = Table::swf(
    "swf_tf_slices",
    "slice_id, tf_first, tf_last, tf_count, tf_filename, stf_filename, run_number, status, retries, metadata, \
     created_at, updated_at, assigned_worker, assigned_at, completed_at",
    |world, random, rows| {
        let (count, files) = (world.counts.slices, world.stf_files.len());
        let mut slice = 0;
        let mut before = files;
        for index in 0..count {
            let place = index * files / count;
            slice = if place == before { slice + 1 } else { 1 };
            before = place;
            let file = &world.stf_files[place];
            let status = random.weighted(SLICE_STATUSES);
            // The slices of a file are made in one transaction, most in the same microsecond.
            let created = file.created + SECOND + if random.percent(80) { 0 } else { slice };
            let assigned = (status != "queued").then(|| created + random.age(MINUTE, 2.0));
            let completed = matches!(status, "completed" | "Completed")
                .then(|| created + MINUTE + random.age(HOUR, 3.0));
            let worker = format!("arbeiter-{}@wf-node-7", random.early_index(30));
            let metadata = match random.below(3) {
                0 => None,
                1 => Some(json!({"attempts": [], "rate": 0.1})),
                _ => Some(json!({"hint": "50% \"lost\"", "worker": null})),
            };
            rows.row(|row| {
                row.plain(slice)
                    .plain(slice * 10 - 9)
                    .plain(slice * 10)
                    .plain(10)
                    .text(&tf_name(&file.name, 0))
                    .text(&file.name)
                    .plain(world.runs[file.run].number)
                    .text(status)
                    .plain(random.below(3).saturating_sub(1))
                    .maybe_json(metadata.as_ref())
                    .time(created)
                    .time(completed.or(assigned).unwrap_or(created))
                    .maybe_text(assigned.map(|_| worker.as_str()))
                    .maybe_time(assigned)
                    .maybe_time(completed);
            })?;
        }
        Ok(())
    },
);

pub const STATES: Table = Table::swf(
    "swf_run_state",
    "run_number, phase, state, substate, target_worker_count, active_worker_count, stf_samples_received, \
     slices_created, slices_queued, slices_processing, slices_completed, slices_failed, state_changed_at, updated_at, \
     metadata",
    |world, random, rows| {
        for run in world.runs.iter().rev().take(60).rev() {
            let changed = run.end.unwrap_or(world.now - random.age(MINUTE, 1.0));
            let workers = random.between(0, 40);
            rows.row(|row| {
                row.plain(run.number)
                    .text(if run.end.is_some() {
                        "ended"
                    } else {
                        "running"
                    })
                    .text(random.pick(&["run", "no_beam", "beam"]))
                    .maybe_text(random.pick(&[None, Some("physics"), Some("standby")]))
                    .plain(workers)
                    .plain(random.between(0, workers))
                    .plain(random.below(400))
                    .plain(random.below(6_000))
                    .plain(random.below(90))
                    .plain(random.below(40))
                    .plain(random.below(6_000))
                    .plain(random.below(9))
                    .time(changed)
                    .time(changed)
                    .null();
            })?;
        }
        Ok(())
    },
);

pub const EVENTS: Table = Table::swf(
    "swf_system_state_events",
    "timestamp, run_number, event_type, state, substate, event_data",
    |world, random, rows| {
        for run in &world.runs {
            for (kind, state, at) in [
                ("run_imminent", "beam", run.start - MINUTE),
                ("start_run", "run", run.start),
                ("end_run", "no_beam", run.end.unwrap_or(world.now)),
            ] {
                rows.row(|row| {
                    row.time(at)
                        .plain(run.number)
                        .text(kind)
                        .text(state)
                        .maybe_text(random.pick(&[None, Some("physics")]))
                        .json(&json!({"run_number": run.number, "by": "DAQ é"}));
                })?;
            }
        }
        Ok(())
    },
);

pub const PERSISTENT: Table = Table::swf(
    "swf_persistent_state",
    "state_data, updated_at",
    |world, random, rows| {
        let next = world.runs.last().map_or(1, |run| run.number + 1);
        rows.row(|row| {
            row.json(&json!({
                "next_run_number": next,
                "agents_seen": random.between(100, 900),
                "note": "zuletzt geprüft: \"gestern\"",
            }))
            .time(world.now);
        })
    },
);
