/*+++
title = "Get an STF file"
order = 21
description = """Everything known about one super time frame (STF) file: run, status, size, checksum, metadata, the state of data taking and of its workflow.
Give its file_id or its exact stf_filename; with both the file_id decides. swf_list_stf_files shows both, swf_list_tf_slices what was made of a file."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "row"
not_found = "No STF file found. Give file_id or the exact stf_filename of a file that swf_list_stf_files shows."

[params.file_id]
type = "uuid"
optional = true
description = "The file's id"
[params.stf_filename]
type = "text"
optional = true
description = "The file's exact name"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = {}
expect = { error = "file_id or the exact stf_filename" }
[[example]]
args = { file_id = "{0F8FAD5B-D9CB-469F-A165-70867728950E}" }
expect = { error = "No STF file found" }
[[example]]
args = { file_id = "not-a-uuid", stf_filename = "x.stf" }
expect = { error = "file_id" }
+++*/
SELECT f.file_id,
       f.stf_filename,
       r.run_number,
       f.status,
       f.machine_state,
       f.file_size_bytes,
       f.checksum,
       replace(to_char(f.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS created_at,
       f.metadata,
       f.workflow_id,
       f.daq_state,
       f.daq_substate,
       f.workflow_status,
       json_build_array(json_build_object(
           'title', 'STF File Detail',
           'url', rtrim(:monitor_url, '/') || '/stf-files/' || f.file_id || '/')) AS monitor_urls
FROM   swf_stf_files f
JOIN   swf_runs r ON r.run_id = f.run_id
WHERE  f.file_id = coalesce(:file_id, (SELECT n.file_id FROM swf_stf_files n WHERE n.stf_filename = :stf_filename))
