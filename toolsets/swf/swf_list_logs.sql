/*+++
title = "List logs"
order = 7
description = """Log records of all agents, newest first, at most 200. Looks back 24 hours unless start_time says otherwise, also when an execution_id is given.
For failures pass level='ERROR'; combine it with execution_id, instance_name or search to narrow down."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"
custom_plan = true      # the window decides between the time index and a scan

[params.app_name]
type = "text"
optional = true
description = "Only records of this application, e.g. swf-data-agent"
[params.instance_name]
type = "text"
optional = true
description = "Only records of this agent (exact name, see swf_list_agents)"
[params.execution_id]
type = "text"
optional = true
description = "Only records that belong to this workflow execution"
[params.level]
type = "text"
optional = true
description = "Lowest level to show: DEBUG, INFO, WARNING, ERROR or CRITICAL, in any case"
[params.search]
type = "text"
optional = true
description = "Only records whose message contains this text, in any case"
[params.start_time]
type = "timestamptz"
default = "now-24h"
description = "Only records written at or after this time"
[params.end_time]
type = "timestamptz"
optional = true
description = "Only records written at or before this time"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = {}
expect = { columns = ["items", "total_count", "has_more", "monitor_urls"] }
[[example]]
args = { level = "error", search = "100%", start_time = "now-7d" }
[[example]]
args = { start_time = "" , end_time = "soon" }
expect = { error = "end_time" }
+++*/
-- Read twice on purpose: the count can often be had from an index alone, and the page from the end of the time index.
WITH log AS NOT MATERIALIZED (
    SELECT l.*
    FROM   swf_applog l
    WHERE  l."timestamp" >= :start_time
      AND  l."timestamp" <= :end_time                                           --? end_time
      AND  l.app_name = :app_name                                               --? app_name
      AND  l.instance_name = :instance_name                                     --? instance_name
      AND  l.extra_data -> 'execution_id' = to_jsonb(:execution_id)             --? execution_id
      AND  l.level >= CASE upper(:level) WHEN 'DEBUG' THEN 10 WHEN 'INFO' THEN 20 WHEN 'WARNING' THEN 30 WHEN 'ERROR' THEN 40 WHEN 'CRITICAL' THEN 50 ELSE 0 END --? level
      AND  strpos(upper(l.message), upper(:search)) > 0                         --? search
), total AS (
    SELECT count(*) AS n FROM log
)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item)
                       FROM  (SELECT id,
                                     replace(to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS "timestamp",
                                     app_name, instance_name, levelname AS level, message, module, funcname, lineno,
                                     extra_data
                              FROM   log
                              ORDER  BY log."timestamp" DESC, id DESC
                              LIMIT  200) item), '[]'),
    'total_count', total.n,
    'has_more', total.n > 200,
    'monitor_urls', json_build_array(json_build_object(
        'title', 'Logs List',
        'url', rtrim(:monitor_url, '/') || '/logs/'
               || coalesce('?' || nullif(concat_ws('&',
                      'instance_name=' || :instance_name,
                      'execution_id=' || :execution_id,
                      'level=' || :level), ''), ''))))
FROM   total
