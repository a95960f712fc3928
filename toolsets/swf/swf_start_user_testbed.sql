/*+++
title = "Start a user's testbed"
order = 11
description = """Asks a user's agent manager to start that user's testbed agents. Refused when the manager is not alive or agents run already;
swf_get_testbed_status shows both. The command is sent, not awaited: look at the status again after some seconds."""
annotations = { read_only = false, destructive = false, idempotent = false, open_world = true }
shape = "document"
error = { success = false, error = "{message}" }
log = "start_testbed sent for '{username}' (config {config})"
error_key = "error"

[params.username]
type = "text"
description = "Whose testbed, e.g. alice"
[params.config_name]
type = "text"
optional = true
description = "Testbed configuration to start; the agent manager has a default"
[params.zone]
type = "text"
from = "setting.message_time_zone"

[effects.start]
kind = "stomp"
broker = "activemq"
destination = ":queue"
destinations = ["/queue/agent_control.*"]
encoding = "json-ascii"
body = ":body"

[[example]]
args = { username = "nobody" }
expect = { error = "The agent manager of 'nobody' is not running" }
[[example]]
args = { username = "" }
expect = { error = "username" }
+++*/
WITH manager AS (
    SELECT a.namespace
    FROM   swf_systemagent a
    WHERE  a.instance_name = 'agent-manager-' || :username
      AND  a.last_heartbeat >= now() - interval '5 minutes'
      AND  a.operational_state <> 'EXITED'
), running AS (
    SELECT json_agg(a.instance_name ORDER BY a.last_heartbeat DESC, a.id DESC) AS names,
           string_agg(a.instance_name, ', ' ORDER BY a.last_heartbeat DESC, a.id DESC) AS list
    FROM   manager
    JOIN   swf_systemagent a ON a.namespace = manager.namespace
    WHERE  a.agent_type <> 'agent_manager'
      AND  a.operational_state <> 'EXITED'
      AND  a.last_heartbeat >= now() - interval '2 minutes'
)
SELECT CASE
    WHEN NOT EXISTS (SELECT FROM manager) THEN json_build_object('result', json_build_object(
        'success', false,
        'error', 'The agent manager of ''' || :username || ''' is not running.',
        'how_to_start', 'Run ''testbed agent-manager'' in the swf-testbed directory of ' || :username,
        'username', :username))
    WHEN running.names IS NOT NULL THEN json_build_object('result', json_build_object(
        'success', false,
        'error', 'These agents are running already: ' || running.list,
        'how_to_fix', 'Call swf_stop_user_testbed first.',
        'username', :username,
        'running_agents', running.names))
    ELSE json_build_object('effects', json_build_array(json_build_object('effect', 'start', 'values', json_build_object(
        'queue', '/queue/agent_control.' || :username,
        'body', json_strip_nulls(json_build_object(
            'command', 'start_testbed',
            'timestamp', replace(to_char(now() AT TIME ZONE :zone, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', ''),
            'source', 'mcp',
            'config_name', :config_name))))))
    END
FROM   running;

SELECT CASE WHEN (:outcome -> 0 ->> 'ok')::boolean THEN json_build_object(
        'success', true,
        'message', 'The start command was sent to the agent manager.',
        'username', :username,
        'config', coalesce(:config_name, 'agent manager default'),
        'control_queue', '/queue/agent_control.' || :username,
        'note', 'The agents start one after the other; swf_get_testbed_status shows them.')
    ELSE json_build_object(
        'success', false,
        'error', 'The start command could not be sent: ' || (:outcome -> 0 ->> 'error'),
        'username', :username)
    END
