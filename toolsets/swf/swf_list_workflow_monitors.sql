/*+++
title = "List workflow monitors"
order = 28
description = """The workflow executions that started in the last 24 hours with their status, times and number of STF files, newest first, at most 20.
Follow one of them with swf_get_workflow_monitor; for older ones or filters use swf_list_workflow_executions."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = {}
expect = { columns = ["items", "total_count", "has_more", "monitor_urls"], max_rows = 20 }
+++*/
WITH page AS (
    SELECT e.*, count(*) OVER () AS total
    FROM   swf_workflow_executions e
    WHERE  e.start_time >= now() - interval '24 hours'
    ORDER  BY e.start_time DESC, e.execution_id DESC
    LIMIT  20)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item)
                       FROM  (SELECT execution_id, status,
                                     replace(to_char(start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS start_time,
                                     replace(to_char(end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS end_time,
                                     (SELECT count(*)
                                      FROM   swf_runs r
                                      JOIN   swf_stf_files f ON f.run_id = r.run_id
                                             -- A name that is no number is no run's.
                                      WHERE  r.run_number IN (SELECT CASE WHEN m.run_id ~ '^\s*[+-]?\d{1,18}\s*$' THEN m.run_id::bigint END
                                                              FROM   swf_workflow_messages m
                                                              WHERE  m.execution_id = page.execution_id)) AS stf_count
                              FROM   page
                              ORDER  BY page.start_time DESC, execution_id DESC) item), '[]'),
    'total_count', coalesce((SELECT max(total) FROM page), 0),
    'has_more', coalesce((SELECT max(total) FROM page), 0) > 20,
    'monitor_urls', json_build_array(json_build_object(
        'title', 'Executions List',
        'url', rtrim(:monitor_url, '/') || '/workflow-executions/')))
