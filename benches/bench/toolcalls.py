"""A usual call of every tool of the swf toolset: arguments as they are, or a query of the database for some that find something."""

import json

# So many different arguments, at most, for a tool that is asked for one thing by its name.
SAMPLES = 20

USUAL = {
    "get_server_instructions": {},
    "swf_get_system_state": {"username": "amara"},
    "swf_list_agents": {},
    "swf_get_agent": "SELECT instance_name AS name FROM swf_systemagent ORDER BY id",
    "swf_list_namespaces": {},
    "swf_get_namespace": "SELECT name AS namespace FROM swf_namespace ORDER BY name",
    "swf_list_logs": {"level": "WARNING"},
    "swf_get_log_entry": "SELECT id AS log_id FROM swf_applog ORDER BY id",
    "swf_kill_agent": "SELECT instance_name AS name FROM swf_systemagent WHERE hostname LIKE 'daq0_' AND pid IS NOT NULL ORDER BY id",
    "swf_check_agent_manager": {"username": "amara"},
    "swf_start_user_testbed": {"username": "bench"},
    "swf_stop_user_testbed": {"username": "bench"},
    "swf_get_testbed_status": {"username": "amara"},
    "swf_list_workflow_definitions": {},
    "swf_list_workflow_executions": {},
    "swf_get_workflow_execution": "SELECT execution_id FROM swf_workflow_executions ORDER BY execution_id",
    "swf_list_messages": {},
    "swf_list_runs": {},
    "swf_get_run": "SELECT run_number FROM swf_runs ORDER BY run_number",
    "swf_list_stf_files": {},
    "swf_get_stf_file": "SELECT stf_filename FROM swf_stf_files ORDER BY stf_filename",
    "swf_list_tf_slices": {},
    "swf_get_tf_slice": "SELECT tf_filename, slice_id FROM swf_tf_slices ORDER BY tf_filename, slice_id",
    "swf_start_workflow": {"namespace": "bench", "stf_count": 10},
    "swf_stop_workflow": "SELECT execution_id FROM swf_workflow_executions WHERE status = 'running' ORDER BY execution_id",
    "swf_end_execution": "SELECT execution_id FROM swf_workflow_executions WHERE status = 'running' ORDER BY execution_id",
    "swf_get_workflow_monitor": "SELECT execution_id FROM swf_workflow_executions ORDER BY start_time DESC",
    "swf_list_workflow_monitors": {},
    "swf_send_message": {"message": "The beam is back.", "username": "bench"},
    "swf_record_ai_memory": {"username": "bench", "session_id": "b", "role": "user", "content": "Which runs were taken last night?"},
    "swf_get_ai_memory": {"username": "amara"},
    "panda_list_jobs": {"status": "failed"},
    "panda_diagnose_jobs": {"limit": 50},
    "panda_list_tasks": {"limit": 50},
    "panda_error_summary": {},
    "panda_get_activity": {},
    "panda_list_queues": {"status": "online"},
    "panda_get_queue": "SELECT panda_queue FROM doma_panda.schedconfig_json ORDER BY panda_queue",
    "panda_resource_usage": {"days": 7},
    "panda_study_job": "SELECT pandaid FROM doma_panda.jobsarchived4 WHERE jobstatus = 'finished' ORDER BY pandaid",
    "panda_harvester_workers": {},
    "pcs_list_tags": {"tag_type": "p"},
    "pcs_get_tag": {"tag_label": "p1001"},
    "pcs_search_tags": {"query": "pythia"},
    "swf_list_available_tools": {},
}

# Named users and agents that the calls above need, awake for as long as it takes; and executions that stay running however often they
# are ended, so that each call does its whole work.
PREPARE = """
UPDATE swf_systemagent SET last_heartbeat = now() + interval '1 day' WHERE last_heartbeat > now() - interval '10 minutes';
INSERT INTO swf_systemagent (instance_name, agent_type, description, namespace, status, operational_state, last_heartbeat,
                             workflow_enabled, current_stf_count, total_stf_processed, created_at, updated_at)
VALUES ('agent-manager-bench', 'agent_manager', '', 'bench', 'OK', 'READY', now() + interval '1 day', false, 0, 0, now(), now());
CREATE FUNCTION stay_running() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := 'running'; RETURN NEW; END $$;
CREATE TRIGGER stay_running BEFORE UPDATE ON swf_workflow_executions FOR EACH ROW EXECUTE FUNCTION stay_running();
"""


def arguments(tool, store):
    """The argument objects to call the tool with in turn."""
    usual = USUAL[tool]
    if isinstance(usual, dict):
        return [usual]
    database = "panda" if tool.startswith("panda_") else "swf"
    rows = store.psql(database, f"SELECT row_to_json(r) FROM ({usual} LIMIT {SAMPLES}) r").stdout.splitlines()
    return [json.loads(row) for row in rows]
