/*+++
title = "Get a namespace"
order = 6
description = """What goes on in one namespace: its owner and description, how many agents it has in all, and for a span of time how many workflow
executions started, who started them (newest first) and how many messages were sent. The span is the last 24 hours unless you say otherwise.
A name that is in no list is counted all the same: agents may use one that nobody registered."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "row"

[params.namespace]
type = "text"
description = "Exact name of the namespace, see swf_list_namespaces"
[params.start_time]
type = "timestamptz"
default = "now-24h"
description = "Count executions and messages from this time on"
[params.end_time]
type = "timestamptz"
default = "now"
description = "Count executions and messages up to this time"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = { namespace = "torre1", start_time = "now-30d" }
expect = { columns = ["name", "owner", "description", "agent_count", "execution_count", "message_count", "active_users", "time_range", "monitor_urls"] }
[[example]]
args = { namespace = "nobody's" }
expect = { contains = ["\"owner\":null"] }
[[example]]
args = { namespace = "torre1", end_time = "soon" }
expect = { error = "end_time" }
+++*/
WITH started AS (
    SELECT e.executed_by, max(e.start_time) AS latest, count(*) AS n
    FROM   swf_workflow_executions e
    WHERE  e.namespace = :namespace
      AND  e.start_time >= :start_time
      AND  e.start_time <= :end_time
    GROUP  BY e.executed_by)
SELECT :namespace AS name,
       n.owner,
       n.description,
       (SELECT count(*) FROM swf_systemagent a WHERE a.namespace = :namespace) AS agent_count,
       coalesce((SELECT sum(s.n) FROM started s), 0) AS execution_count,
       (SELECT count(*)
        FROM   swf_workflow_messages m
        WHERE  m.namespace = :namespace
          AND  m.sent_at >= :start_time
          AND  m.sent_at <= :end_time) AS message_count,
       coalesce((SELECT json_agg(s.executed_by ORDER BY s.latest DESC, s.executed_by) FROM started s), '[]') AS active_users,
       json_build_object(
           'start', replace(to_char(:start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''),
           'end', replace(to_char(:end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '')) AS time_range,
       json_build_array(json_build_object(
           'title', 'Namespace Detail',
           'url', rtrim(:monitor_url, '/') || '/workflow/namespaces/' || :namespace || '/')) AS monitor_urls
FROM  (SELECT) one
LEFT   JOIN swf_namespace n ON n.name = :namespace
