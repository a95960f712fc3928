/*+++
title = "Get a log record"
order = 8
description = """One log record with everything that was recorded: message, level, where in the code, process and thread, extra data.
swf_list_logs finds records and shows their id."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "row"
not_found = "There is no log record {log_id}. Use swf_list_logs to find records and their ids."

[params.log_id]
type = "integer"
description = "The record's id"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = { log_id = 1 }
expect = { columns = ["id", "timestamp", "app_name", "instance_name", "level", "message", "module", "funcname", "lineno", "process", "thread", "extra_data", "monitor_urls"] }
[[example]]
args = { log_id = -1 }
expect = { error = "no log record -1" }
+++*/
SELECT l.id,
       replace(to_char(l."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS "timestamp",
       l.app_name,
       l.instance_name,
       l.levelname AS level,
       l.message,
       l.module,
       l.funcname,
       l.lineno,
       l.process,
       l.thread,
       l.extra_data,
       json_build_array(json_build_object(
           'title', 'Log Detail',
           'url', rtrim(:monitor_url, '/') || '/logs/' || l.id || '/')) AS monitor_urls
FROM   swf_applog l
WHERE  l.id = :log_id
