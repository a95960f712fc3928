/*+++
title = "List STF files"
order = 20
description = """Files of super time frames (STF), the raw data of a run: name, run, status, machine state, size, and how many time frame files were made of
each. Newest first, at most 100. Without run_number and start_time only the last 24 hours are looked at; with run_number all of that run."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.run_number]
type = "integer"
optional = true
zero = "absent"
description = "Only files of this run, whenever they were made"
[params.status]
type = "text"
optional = true
description = "Only files in this status, in any case: registered, processing, processed, failed, done"
[params.machine_state]
type = "text"
optional = true
description = "Only files taken in this state of the machine, in any case, e.g. physics, cosmics, standby"
[params.start_time]
type = "timestamptz"
optional = true
description = "Only files made at or after this time"
[params.end_time]
type = "timestamptz"
optional = true
description = "Only files made at or before this time"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = {}
expect = { columns = ["items", "total_count", "has_more", "monitor_urls"] }
[[example]]
args = { run_number = 1001, status = "PROCESSED", machine_state = "physics", start_time = "2000-01-01", end_time = "now" }
[[example]]
args = { run_number = "x", end_time = "never" }
expect = { error = "run_number" }
+++*/
WITH page AS (
    SELECT f.*, r.run_number, count(*) OVER () AS total
    FROM   swf_stf_files f
    JOIN   swf_runs r ON r.run_id = f.run_id
    WHERE  f.created_at >= coalesce(:start_time, CASE WHEN :run_number IS NULL THEN now() - interval '24 hours' ELSE '-infinity' END)
      AND  f.created_at <= :end_time                                            --? end_time
      AND  r.run_number = :run_number                                           --? run_number
      AND  upper(f.status) = upper(:status)                                     --? status
      AND  upper(f.machine_state) = upper(:machine_state)                       --? machine_state
    ORDER  BY f.created_at DESC, f.file_id DESC
    LIMIT  100)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item)
                       FROM  (SELECT file_id, stf_filename, run_number, status, machine_state, file_size_bytes,
                                     replace(to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS created_at,
                                     (SELECT count(*) FROM swf_fastmon_files t WHERE t.stf_file_id = page.file_id) AS tf_file_count
                              FROM   page
                              ORDER  BY page.created_at DESC, file_id DESC) item), '[]'),
    'total_count', coalesce((SELECT max(total) FROM page), 0),
    'has_more', coalesce((SELECT max(total) FROM page), 0) > 100,
    'monitor_urls', json_build_array(json_build_object(
        'title', 'STF Files List',
        'url', rtrim(:monitor_url, '/') || '/stf-files/'
               || coalesce('?' || nullif(concat_ws('&',
                      'run_number=' || :run_number,
                      'status=' || :status), ''), ''))))
