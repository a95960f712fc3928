/*+++
title = "Stop a user's testbed"
order = 12
description = """Asks a user's agent manager to stop all of that user's testbed agents, also in the middle of a workflow. Refused when the manager is not
alive; agents that are left then can be ended with swf_kill_agent. The command is sent, not awaited: swf_list_agents shows who is left."""
annotations = { read_only = false, destructive = true, idempotent = true, open_world = true }
shape = "document"
error = { success = false, error = "{message}" }
log = "stop_testbed sent for '{username}'"
error_key = "error"

[params.username]
type = "text"
description = "Whose testbed, e.g. alice"
[params.zone]
type = "text"
from = "setting.message_time_zone"

[effects.stop]
kind = "stomp"
broker = "activemq"
destination = ":queue"
destinations = ["/queue/agent_control.*"]
encoding = "json-ascii"
body = ":body"

[[example]]
args = { username = "nobody" }
expect = { error = "The agent manager of 'nobody' is not running" }
+++*/
SELECT CASE
    WHEN EXISTS (
        SELECT FROM swf_systemagent a
        WHERE  a.instance_name = 'agent-manager-' || :username
          AND  a.last_heartbeat >= now() - interval '5 minutes'
          AND  a.operational_state <> 'EXITED')
    THEN json_build_object('effects', json_build_array(json_build_object('effect', 'stop', 'values', json_build_object(
        'queue', '/queue/agent_control.' || :username,
        'body', json_build_object(
            'command', 'stop_testbed',
            'timestamp', replace(to_char(now() AT TIME ZONE :zone, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', ''),
            'source', 'mcp')))))
    ELSE json_build_object('result', json_build_object(
        'success', false,
        'error', 'The agent manager of ''' || :username || ''' is not running.',
        'username', :username,
        'note', 'Agents that still run can be ended with swf_kill_agent.'))
    END;

SELECT CASE WHEN (:outcome -> 0 ->> 'ok')::boolean THEN json_build_object(
        'success', true,
        'message', 'The stop command was sent to the agent manager of ' || :username || '.',
        'username', :username,
        'control_queue', '/queue/agent_control.' || :username,
        'note', 'The agents stop one after the other; swf_list_agents shows who is left.')
    ELSE json_build_object(
        'success', false,
        'error', 'The message could not be sent: ' || (:outcome -> 0 ->> 'error'),
        'username', :username)
    END
