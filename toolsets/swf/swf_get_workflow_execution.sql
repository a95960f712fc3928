/*+++
title = "Get a workflow execution"
order = 16
description = """One run of a workflow: definition, namespace, status, who started it, start and end, parameters and performance metrics.
Use swf_list_workflow_executions to find the execution_id, and swf_list_logs with it to see what the run logged."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "row"
not_found = "There is no execution '{execution_id}'. Use swf_list_workflow_executions to see recent ones."

[params.execution_id]
type = "text"
description = "Exact id of the execution, e.g. stf_datataking-alice-0042"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = { execution_id = "no-such-execution" }
expect = { error = "no execution 'no-such-execution'" }
+++*/
SELECT e.execution_id,
       d.workflow_name,
       e.namespace,
       e.status,
       e.executed_by,
       replace(to_char(e.start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS start_time,
       replace(to_char(e.end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS end_time,
       e.parameter_values,
       e.performance_metrics,
       json_build_array(json_build_object(
           'title', 'Execution Detail',
           'url', rtrim(:monitor_url, '/') || '/workflow-executions/' || e.execution_id || '/')) AS monitor_urls
FROM   swf_workflow_executions e
JOIN   swf_workflow_definitions d ON d.id = e.workflow_definition_id
WHERE  e.execution_id = :execution_id
