/*+++
title = "Get a run"
order = 19
description = """One run of data taking: its times, length in seconds, conditions, and how many of its STF files are registered, processing, processed,
failed and done. swf_list_stf_files with run_number lists the files."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "row"
not_found = "There is no run {run_number}. Use swf_list_runs to see the runs."

[params.run_number]
type = "integer"
description = "The run's number"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = { run_number = 1001 }
expect = { columns = ["run_number", "start_time", "end_time", "duration_seconds", "run_conditions", "file_stats", "total_stf_files", "monitor_urls"] }
[[example]]
args = { run_number = 99999999999 }
expect = { error = "no run 99999999999" }
+++*/
SELECT r.run_number,
       replace(to_char(r.start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS start_time,
       replace(to_char(r.end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS end_time,
       round(took.seconds, greatest(scale(trim_scale(took.seconds)), 1)) AS duration_seconds,
       r.run_conditions,
       json_build_object(
           'registered', n.registered,
           'processing', n.processing,
           'processed', n.processed,
           'failed', n.failed,
           'done', n.done) AS file_stats,
       -- Files in any other state are not counted.
       n.registered + n.processing + n.processed + n.failed + n.done AS total_stf_files,
       json_build_array(json_build_object(
           'title', 'Run Detail',
           'url', rtrim(:monitor_url, '/') || '/runs/' || r.run_number || '/')) AS monitor_urls
FROM   swf_runs r
CROSS  JOIN LATERAL (SELECT extract(epoch FROM r.end_time - r.start_time)::numeric AS seconds) took
CROSS  JOIN LATERAL (SELECT count(*) FILTER (WHERE f.status = 'registered') AS registered,
                            count(*) FILTER (WHERE f.status = 'processing') AS processing,
                            count(*) FILTER (WHERE f.status = 'processed') AS processed,
                            count(*) FILTER (WHERE f.status = 'failed') AS failed,
                            count(*) FILTER (WHERE f.status = 'done') AS done
                     FROM   swf_stf_files f
                     WHERE  f.run_id = r.run_id) n
WHERE  r.run_number = :run_number
