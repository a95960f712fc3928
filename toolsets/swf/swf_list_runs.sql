/*+++
title = "List runs"
order = 18
description = """Runs of data taking with their times, length in seconds and number of STF files, newest first, at most 100.
Looks back one week unless start_time says otherwise. A run without end_time is still going, or broke off. Details of one: swf_get_run."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.start_time]
type = "timestamptz"
default = "now-168h"
description = "Only runs that started at or after this time"
[params.end_time]
type = "timestamptz"
optional = true
description = "Only runs that started at or before this time"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = { start_time = "now-30d" }
expect = { columns = ["items", "total_count", "has_more", "monitor_urls"], min_rows = 1, max_rows = 100 }
[[example]]
args = { start_time = "2999-01-01" }
expect = { max_rows = 0 }
[[example]]
args = { end_time = "tomorrow" }
expect = { error = "end_time" }
+++*/
WITH page AS (
    SELECT r.*, count(*) OVER () AS total
    FROM   swf_runs r
    WHERE  r.start_time >= :start_time
      AND  r.start_time <= :end_time                                            --? end_time
    ORDER  BY r.start_time DESC, r.run_number DESC
    LIMIT  100)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item)
                       FROM  (SELECT run_number,
                                     replace(to_char(start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS start_time,
                                     replace(to_char(end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS end_time,
                                     round(took.seconds, greatest(scale(trim_scale(took.seconds)), 1)) AS duration_seconds,
                                     (SELECT count(*) FROM swf_stf_files f WHERE f.run_id = page.run_id) AS stf_file_count
                              FROM   page
                              CROSS  JOIN LATERAL (SELECT extract(epoch FROM page.end_time - page.start_time)::numeric AS seconds) took
                              ORDER  BY page.start_time DESC, run_number DESC) item), '[]'),
    'total_count', coalesce((SELECT max(total) FROM page), 0),
    'has_more', coalesce((SELECT max(total) FROM page), 0) > 100,
    'monitor_urls', json_build_array(json_build_object(
        'title', 'Runs List',
        'url', rtrim(:monitor_url, '/') || '/runs/')))
