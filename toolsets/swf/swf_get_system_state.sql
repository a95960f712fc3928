/*+++
title = "Get the state of the whole system"
order = 2
description = """One look at everything for one user: the configured namespace and workflow, the agent manager, the workflow runner and whether it is ready,
the last execution, errors of the last hour, counts of agents, executions and messages, the newest runs' states and events.
Good as a first question when something is wrong; swf_get_testbed_status is the shorter answer to whether a workflow can be started."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.username]
type = "text"
description = "Whose agent manager to look at, e.g. alice"
[params.testbed]
from = "file.testbed"
[params.testbed_file]
type = "text"
from = "setting.testbed_file"
[params.testbed_variable]
type = "text"
from = "setting.testbed_variable"

[[example]]
args = { username = "amara" }
expect = { columns = ["timestamp", "user_context", "agent_manager", "workflow_runner", "ready_to_run", "last_execution", "errors_last_hour", "agents", "executions", "messages_last_10min", "run_states", "persistent_state", "recent_events"] }
[[example]]
args = {}
expect = { error = "username" }
+++*/
WITH context AS (
    SELECT :testbed -> 'testbed' ->> 'namespace' AS namespace
), agent AS (
    -- The rule of swf_list_agents: whoever went silent without a word is gone.
    SELECT a.id, a.instance_name, a.agent_type, a.namespace, a.last_heartbeat,
           CASE WHEN gone THEN 'EXITED' ELSE a.status END AS status,
           CASE WHEN gone THEN 'EXITED' ELSE a.operational_state END AS operational_state,
           coalesce(a.last_heartbeat >= now() - interval '5 minutes', false) AS recent
    FROM  (SELECT *, coalesce(last_heartbeat < now() - interval '3 minutes' AND status <> 'EXITED' AND operational_state <> 'EXITED', false) AS gone
           FROM   swf_systemagent) a
), runner AS (
    SELECT a.instance_name, a.last_heartbeat, a.recent
    FROM   agent a, context
    WHERE  a.agent_type IN ('DAQ_Simulator', 'workflow_runner')
      AND  a.namespace IS NOT DISTINCT FROM context.namespace
      AND  a.operational_state <> 'EXITED'
    ORDER  BY a.recent DESC, CASE WHEN a.recent THEN a.last_heartbeat END DESC, a.id
    LIMIT  1
), counted AS (
    SELECT count(*) AS total,
           count(*) FILTER (WHERE operational_state = 'EXITED') AS exited,
           count(*) FILTER (WHERE recent AND status = 'OK' AND operational_state <> 'EXITED') AS healthy
    FROM   agent
)
SELECT json_build_object(
    'timestamp', replace(to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''),
    'user_context', json_build_object(
        'username', :username,
        'namespace', context.namespace,
        'workflow_name', :testbed -> 'workflow' ->> 'name',
        'config', :testbed -> 'workflow' ->> 'config',
        'config_file', CASE WHEN :testbed::json IS NOT NULL THEN regexp_replace(:testbed_file, '^.*/', '') END,
        'config_source', CASE WHEN :testbed::json IS NULL THEN NULL WHEN :testbed_variable = '' THEN 'default' ELSE 'SWF_TESTBED_CONFIG' END),
    'agent_manager', json_build_object(
        'status', CASE WHEN manager.id IS NULL THEN 'missing'
                       WHEN manager.operational_state = 'EXITED' THEN 'exited'
                       WHEN manager.recent THEN 'healthy' ELSE 'unhealthy' END,
        'last_heartbeat', replace(to_char(manager.last_heartbeat AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '')),
    'workflow_runner', json_build_object(
        'status', CASE WHEN runner.instance_name IS NULL THEN 'missing' WHEN runner.recent THEN 'healthy' ELSE 'unhealthy' END,
        'name', runner.instance_name,
        'last_heartbeat', replace(to_char(runner.last_heartbeat AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '')),
    'ready_to_run', coalesce(runner.recent, false),
    'last_execution', (
        SELECT json_build_object(
            'execution_id', e.execution_id,
            'status', e.status,
            'start_time', replace(to_char(e.start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''),
            'end_time', replace(to_char(e.end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''))
        FROM   swf_workflow_executions e
        WHERE  e.namespace = context.namespace
        ORDER  BY e.start_time DESC
        LIMIT  1),
    'errors_last_hour', (
        SELECT count(*)
        FROM   swf_applog l
        WHERE  l.level >= 40
          AND  l.timestamp >= now() - interval '1 hour'
          AND  l.extra_data -> 'namespace' = to_jsonb(context.namespace)),
    'agents', json_build_object(
        'total', counted.total,
        'active', counted.total - counted.exited,
        'exited', counted.exited,
        'healthy', counted.healthy,
        'unhealthy', counted.total - counted.exited - counted.healthy),
    'executions', json_build_object(
        'running', (SELECT count(*) FROM swf_workflow_executions e WHERE e.status = 'running'),
        'completed_last_hour', (SELECT count(*) FROM swf_workflow_executions e
                                WHERE  e.status = 'completed' AND e.end_time >= now() - interval '1 hour')),
    'messages_last_10min', (SELECT count(*) FROM swf_workflow_messages m WHERE m.sent_at >= now() - interval '10 minutes'),
    'run_states', coalesce((
        SELECT json_agg(r)
        FROM  (SELECT run_number, phase, state, substate, active_worker_count AS active_workers, target_worker_count AS target_workers,
                      slices_queued, slices_processing, slices_completed, slices_failed
               FROM   swf_run_state
               ORDER  BY swf_run_state.run_number DESC
               LIMIT  5) r), '[]'),
    'persistent_state', coalesce((SELECT p.state_data FROM swf_persistent_state p WHERE p.id = 1), '{}'),
    'recent_events', coalesce((
        SELECT json_agg(v)
        FROM  (SELECT replace(to_char(s.timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS timestamp,
                      s.run_number, s.event_type, s.state
               FROM   swf_system_state_events s
               ORDER  BY s.timestamp DESC
               LIMIT  10) v), '[]'))
FROM   context
CROSS  JOIN counted
LEFT   JOIN runner ON true
LEFT   JOIN agent manager ON manager.instance_name = 'agent-manager-' || :username
