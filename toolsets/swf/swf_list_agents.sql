/*+++
title = "List agents"
order = 3
description = """Agents of the testbed with status and last heartbeat, most recent heartbeat first, at most 100.
Without a status, agents that have exited are left out; status='all' shows every agent, another status only the agents in it.
An agent that has sent no heartbeat for 3 minutes counts as EXITED. Use swf_get_agent for one agent's details."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.namespace]
type = "text"
optional = true
description = "Only agents of this namespace (exact name, see swf_list_namespaces)"
[params.agent_type]
type = "text"
optional = true
description = "Only agents of this type, e.g. DAQ_Simulator, data_agent, processing_agent, fastmon_agent, workflow_runner, agent_manager"
[params.status]
type = "text"
optional = true
empty = "value"         # no agent's status is empty, so "" finds none
description = "OK, WARNING, ERROR, EXITED, ... in any case, or 'all'. Left out: every agent that has not exited"
[params.execution_id]
type = "text"
optional = true
description = "Only agents that sent messages in this workflow execution"
[params.start_time]
type = "timestamptz"
optional = true
description = "Only agents whose last heartbeat is at or after this time"
[params.end_time]
type = "timestamptz"
optional = true
description = "Only agents whose last heartbeat is at or before this time"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = {}
expect = { columns = ["items", "total_count", "has_more", "monitor_urls"] }
[[example]]
args = { namespace = "torre1", status = "all", start_time = "now-1h" }
[[example]]
args = { start_time = "yesterday-ish" }
expect = { error = "start_time" }
+++*/
WITH page AS (
    SELECT a.*, count(*) OVER () AS total
    FROM  (SELECT s.*, CASE WHEN s.silent THEN 'EXITED' ELSE s.status END AS shown_status
           FROM  (SELECT r.*,
                         r.last_heartbeat < now() - interval '3 minutes'
                             AND r.status <> 'EXITED' AND r.operational_state <> 'EXITED' AS silent
                  FROM   swf_systemagent r) s) a
    WHERE  CASE WHEN :status IS NULL THEN a.shown_status <> 'EXITED'
                WHEN upper(:status) = 'ALL' THEN true
                ELSE upper(a.shown_status) = upper(:status) END
      AND  a.namespace = :namespace                                             --? namespace
      AND  a.agent_type = :agent_type                                           --? agent_type
      AND  a.last_heartbeat >= :start_time                                      --? start_time
      AND  a.last_heartbeat <= :end_time                                        --? end_time
      AND  a.instance_name IN (SELECT m.sender_agent                            --? execution_id
                               FROM   swf_workflow_messages m                   --? execution_id
                               WHERE  m.execution_id = :execution_id)           --? execution_id
    ORDER  BY a.last_heartbeat DESC, a.id DESC
    LIMIT  100)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item)
                       FROM  (SELECT instance_name AS name,
                                     agent_type,
                                     shown_status AS status,
                                     CASE WHEN silent THEN 'EXITED' ELSE operational_state END AS operational_state,
                                     namespace,
                                     replace(to_char(last_heartbeat AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS last_heartbeat,
                                     workflow_enabled,
                                     total_stf_processed
                              FROM   page
                              ORDER  BY page.last_heartbeat DESC, id DESC) item), '[]'),
    'total_count', coalesce((SELECT max(total) FROM page), 0),
    'has_more', coalesce((SELECT max(total) FROM page), 0) > 100,
    'monitor_urls', json_build_array(json_build_object(
        'title', 'Agents List',
        'url', rtrim(:monitor_url, '/') || '/workflow/agents/'
               || coalesce('?' || nullif(concat_ws('&',
                      'namespace=' || :namespace,
                      'agent_type=' || :agent_type,
                      'status=' || nullif(CASE WHEN upper(:status) <> 'ALL' THEN :status END, '')), ''), ''))))
