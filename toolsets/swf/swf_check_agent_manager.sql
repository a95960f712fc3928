/*+++
title = "Check a user's agent manager"
order = 10
description = """Whether a user's agent manager is alive: it starts and stops that user's testbed agents, and nothing can be started without it.
alive means a heartbeat in the last 5 minutes and no exit. A manager that never ran is an answer too (alive is false, how_to_start says what to do).
swf_get_testbed_status also shows the agents and whether the testbed is ready."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.username]
type = "text"
description = "Whose agent manager, e.g. alice for agent-manager-alice"

[[example]]
args = { username = "amara" }
expect = { columns = ["alive", "username", "instance_name", "namespace", "last_heartbeat", "operational_state", "status", "description", "control_queue", "agents_running", "supervisord_healthy"] }
[[example]]
args = { username = "nobody" }
expect = { columns = ["alive", "username", "instance_name", "namespace", "last_heartbeat", "operational_state", "control_queue", "agents_running", "how_to_start"] }
[[example]]
args = { username = "" }
expect = { error = "username" }
+++*/
SELECT CASE WHEN a.id IS NULL
       THEN json_build_object(
                'alive', false,
                'username', :username,
                'instance_name', 'agent-manager-' || :username,
                'namespace', NULL,
                'last_heartbeat', NULL,
                'operational_state', NULL,
                'control_queue', '/queue/agent_control.' || :username,
                'agents_running', false,
                'how_to_start', 'Run ''testbed agent-manager'' in the swf-testbed directory of ' || :username)
       ELSE json_build_object(
                'alive', coalesce(a.last_heartbeat >= now() - interval '5 minutes' AND a.operational_state <> 'EXITED', false),
                'username', :username,
                'instance_name', a.instance_name,
                'namespace', a.namespace,
                'last_heartbeat', replace(to_char(a.last_heartbeat AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''),
                'operational_state', a.operational_state,
                'status', a.status,
                'description', a.description,
                'control_queue', '/queue/agent_control.' || :username,
                'agents_running', coalesce(a.metadata -> 'agents_running', 'false'),
                'supervisord_healthy', a.metadata -> 'supervisord_healthy')
       END
FROM  (SELECT) one
LEFT   JOIN swf_systemagent a ON a.instance_name = 'agent-manager-' || :username
