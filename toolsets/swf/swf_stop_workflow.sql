/*+++
title = "Stop a running workflow"
order = 26
description = """Asks the DAQ simulator to stop a running execution at its next checkpoint. Only executions with status running can be stopped;
swf_list_workflow_executions with currently_running=true lists them. The command is sent, not awaited: look at the execution again afterwards.
An execution whose programs are gone already is put in order with swf_end_execution instead."""
annotations = { read_only = false, destructive = true, idempotent = true, open_world = true }
shape = "document"
error = { success = false, error = "{message}" }
log = "stop_workflow sent for execution '{execution_id}'"
error_key = "error"

[params.execution_id]
type = "text"
description = "Exact id of the execution"
[params.zone]
type = "text"
from = "setting.message_time_zone"

[effects.stop]
kind = "stomp"
broker = "activemq"
destination = "/queue/workflow_control"
encoding = "json-ascii"
body = ":body"

[[example]]
args = { execution_id = "no such execution" }
expect = { error = "There is no execution 'no such execution'" }
+++*/
SELECT CASE
    WHEN e.execution_id IS NULL THEN json_build_object('result', json_build_object(
        'success', false,
        'error', 'There is no execution ''' || :execution_id || '''.'))
    WHEN e.status <> 'running' THEN json_build_object('result', json_build_object(
        'success', false,
        'error', 'Execution ''' || :execution_id || ''' is not running (status: ' || e.status || ').'))
    ELSE json_build_object(
        'namespace', e.namespace,
        'effects', json_build_array(json_build_object('effect', 'stop', 'values', json_build_object('body', json_build_object(
            'msg_type', 'stop_workflow',
            'execution_id', e.execution_id,
            'namespace', e.namespace,
            'timestamp', replace(to_char(now() AT TIME ZONE :zone, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', ''),
            'source', 'mcp')))))
    END
FROM  (SELECT) one
LEFT   JOIN swf_workflow_executions e ON e.execution_id = :execution_id;

SELECT CASE WHEN (:outcome -> 0 ->> 'ok')::boolean THEN json_build_object(
        'success', true,
        'message', 'The stop command for execution ''' || :execution_id || ''' was sent.',
        'execution_id', :execution_id,
        'namespace', :plan ->> 'namespace',
        'note', 'It stops at its next checkpoint; swf_get_workflow_execution shows when.')
    ELSE json_build_object(
        'success', false,
        'error', 'The message could not be sent: ' || (:outcome -> 0 ->> 'error'),
        'execution_id', :execution_id)
    END
