/*+++
title = "List workflow definitions"
order = 14
description = """The workflows that can be run: name, version, type, who made them, and how often each was run. By name, the highest version first, at most 100.
Versions are compared as text, so 1.9 comes before 1.10. Runs of a definition: swf_list_workflow_executions with workflow_name."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.workflow_type]
type = "text"
optional = true
description = "Only definitions of this type, e.g. datataking or processing"
[params.created_by]
type = "text"
optional = true
description = "Only definitions that this user made"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = {}
expect = { columns = ["items", "total_count", "has_more", "monitor_urls"], min_rows = 1 }
[[example]]
args = { workflow_type = "processing", created_by = "nobody" }
expect = { max_rows = 0 }
[[example]]
args = { workflow_type = 1 }
expect = { error = "workflow_type" }
+++*/
WITH page AS (
    SELECT d.*, count(*) OVER () AS total
    FROM   swf_workflow_definitions d
    WHERE  true
      AND  d.workflow_type = :workflow_type                                     --? workflow_type
      AND  d.created_by = :created_by                                           --? created_by
    ORDER  BY d.workflow_name, d.version DESC
    LIMIT  100)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item)
                       FROM  (SELECT workflow_name, version, workflow_type, created_by,
                                     replace(to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS created_at,
                                     (SELECT count(*)
                                      FROM   swf_workflow_executions e
                                      WHERE  e.workflow_definition_id = page.id) AS execution_count
                              FROM   page
                              ORDER  BY workflow_name, version DESC) item), '[]'),
    'total_count', coalesce((SELECT max(total) FROM page), 0),
    'has_more', coalesce((SELECT max(total) FROM page), 0) > 100,
    'monitor_urls', json_build_array(json_build_object(
        'title', 'Workflow Definitions',
        'url', rtrim(:monitor_url, '/') || '/workflow-definitions/')))
