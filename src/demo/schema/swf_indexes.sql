-- Keys and indexes of the database `swf`, as in production and no more: a demo with better indexes would flatter the
-- tools. Made after the data is loaded, which is several times faster.

ALTER TABLE swf_systemagent ADD PRIMARY KEY (id);
ALTER TABLE swf_systemagent ADD UNIQUE (instance_name);
CREATE INDEX ON swf_systemagent (instance_name varchar_pattern_ops);
CREATE INDEX ON swf_systemagent (namespace varchar_pattern_ops);
CREATE INDEX ON swf_systemagent (namespace);

ALTER TABLE swf_namespace ADD PRIMARY KEY (name);
CREATE INDEX ON swf_namespace (name varchar_pattern_ops);

ALTER TABLE swf_applog ADD PRIMARY KEY (id);
CREATE INDEX ON swf_applog (app_name varchar_pattern_ops);
CREATE INDEX ON swf_applog (app_name);
CREATE INDEX ON swf_applog (instance_name varchar_pattern_ops);
CREATE INDEX ON swf_applog (instance_name);
CREATE INDEX ON swf_applog (level);
CREATE INDEX ON swf_applog (timestamp);
CREATE INDEX ON swf_applog (timestamp, app_name, instance_name);

ALTER TABLE swf_workflow_definitions ADD PRIMARY KEY (id);
ALTER TABLE swf_workflow_definitions ADD UNIQUE (workflow_name, version);

ALTER TABLE swf_workflow_executions ADD PRIMARY KEY (execution_id);
CREATE INDEX ON swf_workflow_executions (execution_id varchar_pattern_ops);
CREATE INDEX ON swf_workflow_executions (namespace varchar_pattern_ops);
CREATE INDEX ON swf_workflow_executions (namespace);
CREATE INDEX ON swf_workflow_executions (workflow_definition_id);

ALTER TABLE swf_workflow_messages ADD PRIMARY KEY (message_id);
CREATE INDEX ON swf_workflow_messages (execution_id varchar_pattern_ops);
CREATE INDEX ON swf_workflow_messages (execution_id);
CREATE INDEX ON swf_workflow_messages (message_type, sent_at);
CREATE INDEX ON swf_workflow_messages (namespace varchar_pattern_ops);
CREATE INDEX ON swf_workflow_messages (namespace);
CREATE INDEX ON swf_workflow_messages (namespace, execution_id);
CREATE INDEX ON swf_workflow_messages (namespace, run_id);
CREATE INDEX ON swf_workflow_messages (run_id varchar_pattern_ops);
CREATE INDEX ON swf_workflow_messages (run_id);
CREATE INDEX ON swf_workflow_messages (sender_agent, sent_at);
CREATE INDEX ON swf_workflow_messages (stage_id);
CREATE INDEX ON swf_workflow_messages (workflow_id);
CREATE INDEX ON swf_workflow_messages (workflow_id, message_type);

ALTER TABLE swf_runs ADD PRIMARY KEY (run_id);
ALTER TABLE swf_runs ADD UNIQUE (run_number);

ALTER TABLE swf_stf_files ADD PRIMARY KEY (file_id);
ALTER TABLE swf_stf_files ADD UNIQUE (stf_filename);
CREATE INDEX ON swf_stf_files (run_id);
CREATE INDEX ON swf_stf_files (stf_filename varchar_pattern_ops);
CREATE INDEX ON swf_stf_files (workflow_id);

ALTER TABLE swf_fastmon_files ADD PRIMARY KEY (tf_file_id);
ALTER TABLE swf_fastmon_files ADD UNIQUE (tf_filename);
CREATE INDEX ON swf_fastmon_files (stf_file_id);
CREATE INDEX ON swf_fastmon_files (tf_filename varchar_pattern_ops);

ALTER TABLE swf_tf_slices ADD PRIMARY KEY (id);
ALTER TABLE swf_tf_slices ADD UNIQUE (tf_filename, slice_id);
CREATE INDEX ON swf_tf_slices (run_number);
CREATE INDEX ON swf_tf_slices (run_number, status);
CREATE INDEX ON swf_tf_slices (status, created_at);
CREATE INDEX ON swf_tf_slices (stf_filename varchar_pattern_ops);
CREATE INDEX ON swf_tf_slices (stf_filename);
CREATE INDEX ON swf_tf_slices (stf_filename, status);
CREATE INDEX ON swf_tf_slices (tf_filename varchar_pattern_ops);
CREATE INDEX ON swf_tf_slices (tf_filename);

ALTER TABLE swf_run_state ADD PRIMARY KEY (run_number);

ALTER TABLE swf_system_state_events ADD PRIMARY KEY (event_id);
CREATE INDEX ON swf_system_state_events (event_type varchar_pattern_ops);
CREATE INDEX ON swf_system_state_events (event_type);
CREATE INDEX ON swf_system_state_events (run_number);
CREATE INDEX ON swf_system_state_events (state varchar_pattern_ops);
CREATE INDEX ON swf_system_state_events (state);
CREATE INDEX ON swf_system_state_events (substate varchar_pattern_ops);
CREATE INDEX ON swf_system_state_events (substate);
CREATE INDEX ON swf_system_state_events (timestamp);
CREATE INDEX ON swf_system_state_events (timestamp, run_number);

ALTER TABLE swf_persistent_state ADD PRIMARY KEY (id);

ALTER TABLE swf_ai_memory ADD PRIMARY KEY (id);
CREATE INDEX ON swf_ai_memory (created_at);
CREATE INDEX ON swf_ai_memory (session_id varchar_pattern_ops);
CREATE INDEX ON swf_ai_memory (session_id);
CREATE INDEX ON swf_ai_memory (username varchar_pattern_ops);
CREATE INDEX ON swf_ai_memory (username);
CREATE INDEX ON swf_ai_memory (username, created_at DESC);

ALTER TABLE pcs_physics_category ADD PRIMARY KEY (digit);
ALTER TABLE pcs_physics_category ADD UNIQUE (name);
CREATE INDEX ON pcs_physics_category (name varchar_pattern_ops);

ALTER TABLE pcs_physics_tag ADD PRIMARY KEY (id);
ALTER TABLE pcs_physics_tag ADD UNIQUE (tag_number);
ALTER TABLE pcs_physics_tag ADD UNIQUE (tag_label);
CREATE INDEX ON pcs_physics_tag (category_id);
CREATE INDEX ON pcs_physics_tag (tag_label varchar_pattern_ops);

ALTER TABLE pcs_evgen_tag ADD PRIMARY KEY (id);
ALTER TABLE pcs_evgen_tag ADD UNIQUE (tag_number);
ALTER TABLE pcs_evgen_tag ADD UNIQUE (tag_label);
CREATE INDEX ON pcs_evgen_tag (tag_label varchar_pattern_ops);

ALTER TABLE pcs_simu_tag ADD PRIMARY KEY (id);
ALTER TABLE pcs_simu_tag ADD UNIQUE (tag_number);
ALTER TABLE pcs_simu_tag ADD UNIQUE (tag_label);
CREATE INDEX ON pcs_simu_tag (tag_label varchar_pattern_ops);

ALTER TABLE pcs_reco_tag ADD PRIMARY KEY (id);
ALTER TABLE pcs_reco_tag ADD UNIQUE (tag_number);
ALTER TABLE pcs_reco_tag ADD UNIQUE (tag_label);
CREATE INDEX ON pcs_reco_tag (tag_label varchar_pattern_ops);

ALTER TABLE swf_workflow_executions ADD FOREIGN KEY (workflow_definition_id) REFERENCES swf_workflow_definitions(id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE swf_stf_files ADD FOREIGN KEY (run_id) REFERENCES swf_runs(run_id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE swf_fastmon_files ADD FOREIGN KEY (stf_file_id) REFERENCES swf_stf_files(file_id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE pcs_physics_tag ADD FOREIGN KEY (category_id) REFERENCES pcs_physics_category(digit) DEFERRABLE INITIALLY DEFERRED;
