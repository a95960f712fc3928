/*+++
title = "Get a TF slice"
order = 23
description = """One slice of a time frame file: its range, status, retries, worker, times and metadata. A slice is named by its file and its number in that file;
swf_list_tf_slices shows both."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "row"
not_found = "There is no slice {slice_id} of {tf_filename}. Use swf_list_tf_slices to see the slices."

[params.tf_filename]
type = "text"
description = "Exact name of the TF file"
[params.slice_id]
type = "integer"
description = "The slice's number in that file"

[[example]]
args = { tf_filename = "swf.run1001.000001_000.tf", slice_id = 1 }
expect = { columns = ["slice_id", "tf_filename", "stf_filename", "run_number", "tf_first", "tf_last", "tf_count", "status", "retries", "assigned_worker", "assigned_at", "completed_at", "metadata"] }
[[example]]
args = { tf_filename = "no such file", slice_id = 0 }
expect = { error = "no slice 0 of no such file" }
[[example]]
args = { slice_id = 1.5 }
expect = { error = "tf_filename" }
+++*/
SELECT s.slice_id,
       s.tf_filename,
       s.stf_filename,
       s.run_number,
       s.tf_first,
       s.tf_last,
       s.tf_count,
       s.status,
       s.retries,
       s.assigned_worker,
       replace(to_char(s.assigned_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS assigned_at,
       replace(to_char(s.completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS completed_at,
       s.metadata
FROM   swf_tf_slices s
WHERE  s.tf_filename = :tf_filename
  AND  s.slice_id = :slice_id
