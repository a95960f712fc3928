/*+++
title = "List workflow executions"
order = 15
description = """Runs of workflows with status, owner, times and parameters, newest start first, at most 100.
Looks back 24 hours unless start_time says otherwise. To see what runs at this moment, whenever it started, pass currently_running=true.
Use swf_get_workflow_execution for one run's details and metrics."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.namespace]
type = "text"
optional = true
description = "Only executions in this namespace (exact name, see swf_list_namespaces)"
[params.status]
type = "text"
optional = true
description = "Only executions in this status, in any case: pending, running, completed, failed, terminated"
[params.executed_by]
type = "text"
optional = true
description = "Only executions started by this user"
[params.workflow_name]
type = "text"
optional = true
description = "Only executions of this workflow definition, e.g. stf_datataking"
[params.currently_running]
type = "boolean"
default = false
description = "Only what is running now; status, start_time and end_time are then ignored"
[params.start_time]
type = "timestamptz"
default = "now-24h"
description = "Only executions started at or after this time"
[params.end_time]
type = "timestamptz"
optional = true
description = "Only executions started at or before this time"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = {}
expect = { columns = ["items", "total_count", "has_more", "monitor_urls"] }
[[example]]
args = { currently_running = true }
[[example]]
args = { namespace = "torre1", status = "failed", start_time = "now-30d", end_time = "now-1h" }
[[example]]
args = { currently_running = "perhaps" }
expect = { error = "currently_running" }
+++*/
WITH page AS (
    SELECT e.*, d.workflow_name, count(*) OVER () AS total
    FROM   swf_workflow_executions e
    JOIN   swf_workflow_definitions d ON d.id = e.workflow_definition_id
    WHERE  CASE WHEN :currently_running
                THEN upper(e.status) = 'RUNNING'
                ELSE e.start_time >= :start_time
                 AND e.start_time <= :end_time                                  --? end_time
                 AND upper(e.status) = upper(:status)                           --? status
           END
      AND  e.namespace = :namespace                                             --? namespace
      AND  e.executed_by = :executed_by                                         --? executed_by
      AND  d.workflow_name = :workflow_name                                     --? workflow_name
    ORDER  BY e.start_time DESC, e.execution_id DESC
    LIMIT  100)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item)
                       FROM  (SELECT execution_id, workflow_name, namespace, status, executed_by,
                                     replace(to_char(start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS start_time,
                                     replace(to_char(end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS end_time,
                                     parameter_values
                              FROM   page
                              ORDER  BY page.start_time DESC, execution_id DESC) item), '[]'),
    'total_count', coalesce((SELECT max(total) FROM page), 0),
    'has_more', coalesce((SELECT max(total) FROM page), 0) > 100,
    'monitor_urls', json_build_array(json_build_object(
        'title', 'Executions List',
        'url', rtrim(:monitor_url, '/') || '/workflow-executions/'
               || coalesce('?' || nullif(concat_ws('&',
                      'namespace=' || :namespace,
                      'status=' || :status,
                      'executed_by=' || :executed_by), ''), ''))))
