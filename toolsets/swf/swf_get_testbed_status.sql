/*+++
title = "Get a user's testbed status"
order = 13
description = """Whether a user's testbed can run a workflow now: the agent manager, the agents of its namespace that have not exited (running: a heartbeat in
the last 2 minutes), how many workflows run there, and ready. An error or a note says in words what is missing or going on.
Ask this before starting or stopping anything for a user."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.username]
type = "text"
description = "Whose testbed"

[[example]]
args = { username = "amara" }
expect = { contains = ["\"summary\":{\"running\":"] }
[[example]]
args = { username = "nobody" }
expect = { columns = ["username", "agent_manager", "agents", "summary", "running_workflows", "ready", "error"] }
[[example]]
args = {}
expect = { error = "username" }
+++*/
WITH manager AS (
    SELECT a.namespace, a.operational_state, a.status, a.last_heartbeat, a.description,
           a.metadata -> 'supervisord_healthy' AS supervisord_healthy,
           coalesce(a.last_heartbeat >= now() - interval '5 minutes' AND a.operational_state <> 'EXITED', false) AS alive
    FROM  (SELECT) one
    LEFT   JOIN swf_systemagent a ON a.instance_name = 'agent-manager-' || :username
), agent AS (
    SELECT a.id, a.instance_name, a.agent_type, a.last_heartbeat,
           coalesce(a.last_heartbeat >= now() - interval '2 minutes', false) AS running
    FROM   manager
    JOIN   swf_systemagent a ON a.namespace = manager.namespace
    WHERE  a.agent_type <> 'agent_manager'
      AND  a.operational_state <> 'EXITED'
           -- Whoever went silent without a word is gone: the rule of swf_list_agents.
      AND  (a.last_heartbeat < now() - interval '3 minutes' AND a.status <> 'EXITED') IS NOT TRUE
), counted AS (
    SELECT manager.*,
           (SELECT count(*) FROM agent WHERE running) AS running,
           (SELECT count(*) FROM agent WHERE NOT running) AS stopped,
           (SELECT count(*) FROM swf_workflow_executions e WHERE e.namespace = manager.namespace AND e.status = 'running') AS workflows
    FROM   manager
)
SELECT json_build_object(
    'username', :username,
    'agent_manager', json_build_object(
        'alive', c.alive,
        'namespace', c.namespace,
        'operational_state', c.operational_state,
        'status', c.status,
        'last_heartbeat', replace(to_char(c.last_heartbeat AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''),
        'supervisord_healthy', c.supervisord_healthy),
    'agents', coalesce((SELECT json_agg(item)
                        FROM  (SELECT instance_name AS name,
                                      agent_type AS type,
                                      CASE WHEN running THEN 'running' ELSE 'stopped' END AS status,
                                      replace(to_char(last_heartbeat AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS last_heartbeat
                               FROM   agent
                               ORDER  BY agent.last_heartbeat DESC, id DESC) item), '[]'),
    'summary', json_build_object('running', c.running, 'stopped', c.stopped),
    'running_workflows', c.workflows,
    'ready', c.alive AND c.status <> 'ERROR' AND c.running > 0 AND c.workflows = 0,
    CASE WHEN NOT c.alive OR c.status = 'ERROR' THEN 'error' ELSE 'note' END,
    CASE WHEN NOT c.alive       THEN 'The agent manager is not running; it has to be started first (swf_check_agent_manager says how).'
         WHEN c.status = 'ERROR' THEN 'The agent manager reports an error: ' || c.description
         WHEN c.workflows > 0    THEN c.workflows || ' workflow(s) running now'
         WHEN c.running > 0      THEN 'The testbed is idle and ready to run a workflow.'
         ELSE 'No agents are running; start the testbed first.' END)
FROM   counted c
