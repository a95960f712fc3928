/*+++
title = "List workflow messages"
order = 17
description = """Messages that agents sent each other, newest first, at most 200: type, sender, namespace, time, execution, run and the beginning of the content.
Looks back only one hour unless start_time says otherwise, also when an execution_id is given. For an execution's course in short use
swf_get_workflow_monitor."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.namespace]
type = "text"
optional = true
description = "Only messages of this namespace (exact name, see swf_list_namespaces)"
[params.execution_id]
type = "text"
optional = true
description = "Only messages of this workflow execution; pass start_time too if it ran more than an hour ago"
[params.agent]
type = "text"
optional = true
description = "Only messages that this agent sent (exact name, see swf_list_agents)"
[params.message_type]
type = "text"
optional = true
description = "Only messages of this type, e.g. run_imminent, start_run, stf_gen, stf_ready, end_run, run_workflow_failed, error"
[params.start_time]
type = "timestamptz"
default = "now-1h"
description = "Only messages sent at or after this time"
[params.end_time]
type = "timestamptz"
optional = true
description = "Only messages sent at or before this time"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = {}
expect = { columns = ["items", "total_count", "has_more", "monitor_urls"] }
[[example]]
args = { namespace = "torre1", message_type = "stf_gen", agent = "o'neill", execution_id = "100%", start_time = "now-7d", end_time = "now-1h" }
expect = { max_rows = 0 }
[[example]]
args = { start_time = "an hour ago", agent = 5 }
expect = { error = "start_time" }
+++*/
WITH page AS (
    SELECT m.*, count(*) OVER () AS total
    FROM   swf_workflow_messages m
    WHERE  m.sent_at >= :start_time
      AND  m.sent_at <= :end_time                                               --? end_time
      AND  m.namespace = :namespace                                             --? namespace
      AND  m.execution_id = :execution_id                                       --? execution_id
      AND  m.sender_agent = :agent                                              --? agent
      AND  m.message_type = :message_type                                       --? message_type
    ORDER  BY m.sent_at DESC, m.message_id DESC
    LIMIT  200)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item)
                       FROM  (SELECT message_type, sender_agent, namespace,
                                     replace(to_char(sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS sent_at,
                                     execution_id, run_id,
                                     CASE WHEN message_content IN ('null', '{}', '[]', '0', '""', 'false') THEN NULL
                                          WHEN jsonb_typeof(message_content) = 'string' THEN left(message_content #>> '{}', 200)
                                          -- Without the spaces that jsonb prints between its parts, but with those inside strings; at most
                                          -- every other character is such a space, so 400 are enough.
                                          ELSE left(regexp_replace(left(message_content::text, 400),
                                                                   '("(?:[^"\\]|\\.)*(?:"|\\?$))|([,:]) ', '\1\2', 'g'), 200)
                                     END AS payload_summary
                              FROM   page
                              ORDER  BY page.sent_at DESC, message_id DESC) item), '[]'),
    'total_count', coalesce((SELECT max(total) FROM page), 0),
    'has_more', coalesce((SELECT max(total) FROM page), 0) > 200,
    'monitor_urls', json_build_array(json_build_object(
        'title', 'Messages List',
        'url', rtrim(:monitor_url, '/') || '/workflow/messages/'
               || coalesce('?' || nullif(concat_ws('&',
                      'namespace=' || :namespace,
                      'execution_id=' || :execution_id,
                      'message_type=' || :message_type), ''), ''))))
