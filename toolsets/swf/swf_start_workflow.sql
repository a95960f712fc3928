/*+++
title = "Start a workflow"
order = 25
description = """Asks the DAQ simulator to run a workflow. What is not given comes from the server's testbed configuration, else from defaults
(stf_datataking, fast_processing_default, real time). The command is sent, not awaited: swf_list_workflow_executions shows the new execution after
some seconds. Ask swf_get_testbed_status first whether the testbed is ready."""
annotations = { read_only = false, destructive = false, idempotent = false, open_world = true }
shape = "document"
error = { success = false, error = "{message}" }
log = "run_workflow sent for '{workflow_name}' (namespace {namespace}, config {config}, realtime {realtime})"
error_key = "error"

[params.workflow_name]
type = "text"
optional = true
description = "Name of the workflow, e.g. stf_datataking"
[params.namespace]
type = "text"
optional = true
description = "Namespace to run in; when not given, the configured one, else that of the agent manager heard last"
[params.config]
type = "text"
optional = true
description = "Name of the workflow's configuration, e.g. fast_processing_default"
[params.realtime]
type = "boolean"
optional = true
description = "Whether to run in real time rather than as fast as possible"
[params.duration]
type = "integer"
default = 0
zero = "value"
description = "Seconds to run; 0 for as long as the workflow says"
[params.stf_count]
type = "integer"
optional = true
zero = "value"
description = "Number of STF files to make"
[params.physics_period_count]
type = "integer"
optional = true
zero = "value"
description = "Number of physics periods"
[params.physics_period_duration]
type = "number"
optional = true
zero = "value"
description = "Seconds of a physics period"
[params.stf_interval]
type = "number"
optional = true
zero = "value"
description = "Seconds between two STF files"
[params.testbed]
from = "file.testbed"
[params.zone]
type = "text"
from = "setting.message_time_zone"

[effects.start]
kind = "stomp"
broker = "activemq"
destination = "/queue/workflow_control"
encoding = "json-ascii"
body = ":body"

[[example]]
args = { workflow_name = "stf_datataking", namespace = "check", stf_count = 3, stf_interval = 2 }
expect = { columns = ["success", "message", "workflow_name", "namespace", "config", "realtime", "params", "note"], contains = ["\"stf_count\":3", "2.0"] }
+++*/
WITH chosen AS (
    SELECT coalesce(:workflow_name, :testbed -> 'workflow' ->> 'name', 'stf_datataking') AS workflow_name,
           coalesce(:config, :testbed -> 'workflow' ->> 'config', 'fast_processing_default') AS config,
           coalesce(to_json(:realtime::boolean), :testbed -> 'workflow' -> 'realtime', 'true'::json) AS realtime,
           coalesce(:namespace,
                    :testbed -> 'testbed' ->> 'namespace',
                    (SELECT a.namespace
                     FROM   swf_systemagent a
                     WHERE  a.agent_type = 'agent_manager'
                       AND  a.last_heartbeat >= now() - interval '5 minutes'
                     ORDER  BY a.last_heartbeat DESC
                     LIMIT  1),
                    'torre1') AS namespace
), given AS (
    -- Numbers with a fraction keep it, also when it is zero.
    SELECT name, value, place
    FROM   chosen,
           (VALUES ('stf_count', to_json(:stf_count::bigint), 1),
                   ('physics_period_count', to_json(:physics_period_count::bigint), 2),
                   ('physics_period_duration', CASE WHEN :physics_period_duration::float8 = trunc(:physics_period_duration::float8)
                                               THEN (trunc(:physics_period_duration::numeric) || '.0')::json
                                               ELSE to_json(:physics_period_duration::float8) END, 3),
                   ('stf_interval', CASE WHEN :stf_interval::float8 = trunc(:stf_interval::float8)
                                    THEN (trunc(:stf_interval::numeric) || '.0')::json
                                    ELSE to_json(:stf_interval::float8) END, 4)) AS v (name, value, place)
    WHERE  value IS NOT NULL
    UNION  ALL
    SELECT 'namespace', to_json(namespace), 5
    FROM   chosen
), configured AS (
    SELECT name, value, place
    FROM   json_each(CASE WHEN json_typeof(:testbed -> 'parameters') = 'object' THEN :testbed -> 'parameters' ELSE '{}'::json END)
           WITH ORDINALITY AS t (name, value, place)
), params AS (
    -- What is configured keeps its place when a call says something else; the rest follows.
    SELECT json_object_agg(name, value ORDER BY rank, place) AS params
    FROM  (SELECT c.name, coalesce(g.value, c.value) AS value, 0 AS rank, c.place
           FROM   configured c
           LEFT   JOIN given g USING (name)
           UNION  ALL
           SELECT g.name, g.value, 1, g.place
           FROM   given g
           WHERE  NOT EXISTS (SELECT FROM configured c WHERE c.name = g.name)) merged
)
SELECT json_build_object('effects', json_build_array(json_build_object('effect', 'start', 'values', json_build_object('body', json_build_object(
    'msg_type', 'run_workflow',
    'namespace', namespace,
    'workflow_name', workflow_name,
    'config', config,
    'realtime', realtime,
    'duration', :duration,
    'params', params,
    'timestamp', replace(to_char(now() AT TIME ZONE :zone, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', ''),
    'source', 'mcp')))))
FROM   chosen, params;

SELECT CASE WHEN (:outcome -> 0 ->> 'ok')::boolean THEN json_build_object(
        'success', true,
        'message', 'The start command for workflow ''' || (body ->> 'workflow_name') || ''' was sent to the DAQ simulator.',
        'workflow_name', body ->> 'workflow_name',
        'namespace', body ->> 'namespace',
        'config', body ->> 'config',
        'realtime', body -> 'realtime',
        'params', body -> 'params',
        'note', 'It runs by itself; swf_list_workflow_executions shows how it goes.')
    ELSE json_build_object(
        'success', false,
        'error', 'The message could not be sent: ' || (:outcome -> 0 ->> 'error'),
        'workflow_name', body ->> 'workflow_name',
        'namespace', body ->> 'namespace')
    END
FROM  (SELECT :plan -> 'effects' -> 0 -> 'values' -> 'body' AS body) sent
