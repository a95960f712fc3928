/*+++
title = "List TF slices"
order = 22
description = """Slices of time frames (TF), the small pieces that workers process fast: file, run, range, status and worker. Newest first, at most 200.
Without run_number, stf_filename, tf_filename and start_time only the last 24 hours are looked at. One slice's retries and metadata: swf_get_tf_slice."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.run_number]
type = "integer"
optional = true
zero = "absent"
description = "Only slices of this run, whenever they were made"
[params.stf_filename]
type = "text"
optional = true
description = "Only slices of this STF file (exact name, see swf_list_stf_files)"
[params.tf_filename]
type = "text"
optional = true
description = "Only slices of this TF file (exact name)"
[params.status]
type = "text"
optional = true
description = "Only slices in this status, in any case: queued, processing, completed, failed"
[params.assigned_worker]
type = "text"
optional = true
description = "Only slices given to this worker (exact name)"
[params.start_time]
type = "timestamptz"
optional = true
description = "Only slices made at or after this time"
[params.end_time]
type = "timestamptz"
optional = true
description = "Only slices made at or before this time"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = {}
expect = { columns = ["items", "total_count", "has_more", "monitor_urls"] }
[[example]]
args = { run_number = 1001, stf_filename = "swf.run1001.000001.stf", tf_filename = "swf.run1001.000001_000.tf", status = "COMPLETED", assigned_worker = "w", start_time = "2000-01-01", end_time = "now" }
[[example]]
args = { assigned_worker = [], start_time = "x" }
expect = { error = "assigned_worker" }
+++*/
WITH page AS (
    SELECT s.*, count(*) OVER () AS total
    FROM   swf_tf_slices s
    WHERE  s.created_at >= coalesce(:start_time,
                                    CASE WHEN coalesce(:run_number::text, :stf_filename, :tf_filename) IS NULL
                                         THEN now() - interval '24 hours' ELSE '-infinity' END)
      AND  s.created_at <= :end_time                                            --? end_time
      AND  s.run_number = :run_number                                           --? run_number
      AND  s.stf_filename = :stf_filename                                       --? stf_filename
      AND  s.tf_filename = :tf_filename                                         --? tf_filename
      AND  upper(s.status) = upper(:status)                                     --? status
      AND  s.assigned_worker = :assigned_worker                                 --? assigned_worker
    ORDER  BY s.created_at DESC, s.id DESC
    LIMIT  200)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item)
                       FROM  (SELECT slice_id, tf_filename, stf_filename, run_number, tf_first, tf_last, tf_count, status, assigned_worker,
                                     replace(to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS created_at,
                                     replace(to_char(completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS completed_at
                              FROM   page
                              ORDER  BY page.created_at DESC, id DESC) item), '[]'),
    'total_count', coalesce((SELECT max(total) FROM page), 0),
    'has_more', coalesce((SELECT max(total) FROM page), 0) > 200,
    'monitor_urls', json_build_array(json_build_object(
        'title', 'TF Slices List',
        'url', rtrim(:monitor_url, '/') || '/tf-slices/'
               || coalesce('?' || nullif(concat_ws('&',
                      'run_number=' || :run_number,
                      'status=' || :status), ''), ''))))
