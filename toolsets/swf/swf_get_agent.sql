/*+++
title = "Get an agent"
order = 4
description = """Everything known about one agent: type, status, namespace, last heartbeat, description, counts of processed files, metadata.
The name must be exact; swf_list_agents shows the names. Status is EXITED when the agent stopped or has sent no heartbeat for 3 minutes."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "row"
not_found = "There is no agent '{name}'. Use swf_list_agents to see the agents and their exact names."

[params.name]
type = "text"
description = "Exact name of the agent, e.g. agent-manager-alice"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = { name = "no such agent" }
expect = { error = "no agent 'no such agent'" }
+++*/
SELECT a.instance_name AS name,
       a.agent_type,
       -- The rule of swf_list_agents: whoever went silent without a word is gone.
       CASE WHEN a.last_heartbeat < now() - interval '3 minutes' AND a.operational_state <> 'EXITED'
            THEN 'EXITED' ELSE a.status END AS status,
       a.namespace,
       replace(to_char(a.last_heartbeat AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS last_heartbeat,
       a.description,
       a.workflow_enabled,
       a.current_stf_count,
       a.total_stf_processed,
       replace(to_char(a.last_stf_processed AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS last_stf_processed,
       a.metadata,
       json_build_array(json_build_object(
           'title', 'Agent Detail',
           'url', rtrim(:monitor_url, '/') || '/workflow/agents/' || a.instance_name || '/')) AS monitor_urls
FROM   swf_systemagent a
WHERE  a.instance_name = :name
