/*+++
title = "Mark an execution as terminated"
order = 27
description = """Sets a running execution's status to terminated and its end time to now, in the database only: for executions whose programs have died
and which would count as running for ever. Sends nothing to anybody; to stop a living workflow use swf_stop_workflow."""
annotations = { read_only = false, destructive = true, idempotent = false, open_world = false }
shape = "document"
error = { success = false, error = "{message}" }
log = "'{execution_id}' terminated, was running since {start_time}"
error_key = "error"

[params.execution_id]
type = "text"
description = "Exact id of the execution"

[[example]]
args = { execution_id = "no such execution" }
expect = { error = "There is no execution 'no such execution'" }
+++*/
WITH found AS (
    SELECT execution_id, status, start_time
    FROM   swf_workflow_executions
    WHERE  execution_id = :execution_id
    FOR    UPDATE
), ended AS (
    UPDATE swf_workflow_executions e
    SET    status = 'terminated', end_time = now()
    FROM   found
    WHERE  e.execution_id = found.execution_id
      AND  found.status = 'running'
    RETURNING e.start_time, e.end_time
)
SELECT CASE
    WHEN found.execution_id IS NULL THEN json_build_object(
        'success', false,
        'error', 'There is no execution ''' || :execution_id || '''.')
    WHEN ended.end_time IS NULL THEN json_build_object(
        'success', false,
        'error', 'Execution ''' || :execution_id || ''' is not running (status: ' || found.status || ').')
    ELSE json_build_object(
        'success', true,
        'execution_id', found.execution_id,
        'old_status', found.status,
        'new_status', 'terminated',
        'start_time', replace(to_char(ended.start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''),
        'end_time', replace(to_char(ended.end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''))
    END
FROM  (SELECT) one
LEFT   JOIN found ON true
LEFT   JOIN ended ON true
