//! The tool files of the demo, part of the program so that it needs no source tree beside it.

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../toolsets/swf/", $name)))),*]
    };
}

/// Every file of `toolsets/swf`: name and text.
pub const FILES: &[(&str, &str)] = files![
    "_toolset.toml",
    "get_server_instructions.toml",
    "panda_diagnose_jobs.sql",
    "panda_error_summary.sql",
    "panda_get_activity.sql",
    "panda_get_queue.sql",
    "panda_harvester_workers.sql",
    "panda_list_jobs.sql",
    "panda_list_queues.sql",
    "panda_list_tasks.sql",
    "panda_resource_usage.sql",
    "panda_study_job.sql",
    "pcs_get_tag.sql",
    "pcs_list_tags.sql",
    "pcs_search_tags.sql",
    "swf_check_agent_manager.sql",
    "swf_end_execution.sql",
    "swf_get_agent.sql",
    "swf_get_ai_memory.sql",
    "swf_get_log_entry.sql",
    "swf_get_namespace.sql",
    "swf_get_run.sql",
    "swf_get_stf_file.sql",
    "swf_get_system_state.sql",
    "swf_get_testbed_status.sql",
    "swf_get_tf_slice.sql",
    "swf_get_workflow_execution.sql",
    "swf_get_workflow_monitor.sql",
    "swf_kill_agent.sql",
    "swf_list_agents.sql",
    "swf_list_available_tools.toml",
    "swf_list_logs.sql",
    "swf_list_messages.sql",
    "swf_list_namespaces.sql",
    "swf_list_runs.sql",
    "swf_list_stf_files.sql",
    "swf_list_tf_slices.sql",
    "swf_list_workflow_definitions.sql",
    "swf_list_workflow_executions.sql",
    "swf_list_workflow_monitors.sql",
    "swf_record_ai_memory.sql",
    "swf_send_message.sql",
    "swf_start_user_testbed.sql",
    "swf_start_workflow.sql",
    "swf_stop_user_testbed.sql",
    "swf_stop_workflow.sql",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_of_the_folder_is_forgotten() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/toolsets/swf");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let listed: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, listed);
    }
}
