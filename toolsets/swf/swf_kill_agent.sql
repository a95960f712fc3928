/*+++
title = "Kill an agent"
order = 9
description = """Ends an agent's process at once (SIGKILL) if it runs on this server's host, and marks the agent EXITED in every case.
killed says whether a process was ended, kill_error why not. The last resort for an agent that does not react: swf_stop_user_testbed
stops a user's agents in order. Names are exact; swf_list_agents shows them."""
annotations = { read_only = false, destructive = true, idempotent = true, open_world = true }
shape = "document"
expect_rows = 1
error = { success = false, error = "{message}" }
log = "'{name}' pid={pid} killed={killed} error={kill_error}"
error_key = "error"

[params.name]
type = "text"
description = "Exact name of the agent"
[params.host]
from = "server.host"

[effects.kill]
kind = "program"
program = "kill"
args = ["-KILL", ":pid"]
timeout = "2s"

[[example]]
args = { name = "no such agent" }
expect = { error = "There is no agent 'no such agent'" }
+++*/
SELECT CASE
    WHEN a.id IS NULL THEN json_build_object('result', json_build_object(
        'success', false,
        'error', 'There is no agent ''' || :name || '''. Use swf_list_agents to see the agents and their exact names.'))
    ELSE json_build_object(
        'pid', a.pid,
        'old_state', a.operational_state,
        'kill_error', CASE
            WHEN a.pid IS NULL OR a.pid = 0 THEN NULL
            WHEN a.hostname <> '' AND a.hostname <> :host
                THEN 'The agent is on host ''' || a.hostname || ''', and this is ''' || :host || ''': it can''t be killed from here'
            -- A negative number would be a process group's.
            WHEN a.pid < 2 THEN 'The process id ' || a.pid || ' can''t be an agent''s' END,
        'effects', CASE
            WHEN a.pid >= 2 AND coalesce(a.hostname, '') IN ('', :host)
                THEN json_build_array(json_build_object('effect', 'kill', 'values', json_build_object('pid', a.pid)))
            ELSE json_build_array() END)
    END
FROM  (SELECT) one
LEFT   JOIN swf_systemagent a ON a.instance_name = :name;

UPDATE swf_systemagent a
SET    operational_state = 'EXITED', status = 'EXITED'
WHERE  a.instance_name = :name
RETURNING json_build_object(
    'success', true,
    'name', a.instance_name,
    'pid', a.pid,
    'hostname', a.hostname,
    'killed', coalesce((:outcome -> 0 ->> 'ok')::boolean, false),
    'kill_error', CASE
        WHEN :outcome -> 0 ->> 'stderr' LIKE '%No such process%'
            THEN 'Process ' || (:plan ->> 'pid') || ' was not there (dead already)'
        WHEN :outcome -> 0 ->> 'stderr' LIKE '%not permitted%'
            THEN 'This server may not kill process ' || (:plan ->> 'pid')
        ELSE coalesce(:outcome -> 0 ->> 'error', :plan ->> 'kill_error') END,
    'old_state', :plan ->> 'old_state',
    'new_state', a.operational_state)
