/*+++
title = "Watch a workflow execution"
order = 27
description = """How one workflow execution went or goes, told from its messages and logs: phase (unknown, imminent, running, ended), run, number of STF files, the
steps in order, and errors (those of messages, then the first 10 from the logs). Ask again to follow a running one.
swf_get_workflow_execution has its parameters; swf_list_workflow_monitors shows the latest executions."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "row"
not_found = "There is no execution '{execution_id}'. Use swf_list_workflow_monitors to see recent ones."

[params.execution_id]
type = "text"
description = "Exact id of the execution, e.g. stf_datataking-alice-0042"
[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = { execution_id = "no-such-execution" }
expect = { error = "no execution 'no-such-execution'" }
+++*/
WITH message AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY m.sent_at, m.message_id) AS place,
           m.message_type AS type,
           replace(to_char(m.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS "time",
           m.run_id AS row_run,
           CASE WHEN m.message_content = 'null' THEN '{}' ELSE m.message_content END AS content
    FROM   swf_workflow_messages m
    WHERE  m.execution_id = :execution_id
), step AS (
    -- The run that a run_imminent announces, as its sender wrote it; what says nothing leaves it to the message's own run.
    SELECT place, type, "time",
           CASE WHEN content -> 'run_id' NOT IN ('null', '""', '0', 'false', '{}', '[]') THEN content -> 'run_id'
                ELSE to_jsonb(row_run) END AS run_id
    FROM   message
    WHERE  type IN ('run_imminent', 'start_run', 'end_run')
), announced AS (
    SELECT place, run_id FROM step WHERE type = 'run_imminent'
), named AS (
    SELECT run_id #>> '{}' AS run FROM announced WHERE run_id <> '""'
    UNION
    SELECT row_run FROM message WHERE NOT EXISTS (SELECT FROM announced WHERE run_id <> '""')
), failure AS (
    SELECT 0 AS part, place, "time",
           CASE WHEN jsonb_typeof(content) = 'object' AND content ? 'error' THEN content -> 'error'
                WHEN jsonb_typeof(content) = 'string' THEN content
                ELSE to_jsonb(content::text) END AS error
    FROM   message
    WHERE  type IN ('run_workflow_failed', 'error')
    UNION  ALL
    (SELECT 1, row_number() OVER (ORDER BY l."timestamp", l.id),
            replace(to_char(l."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''),
            to_jsonb(l.message)
     FROM   swf_applog l
     WHERE  l.level >= 40
       AND  l.extra_data -> 'execution_id' = to_jsonb(:execution_id)
     ORDER  BY l."timestamp", l.id
     LIMIT  10)
)
SELECT e.execution_id,
       e.status,
       coalesce((SELECT CASE type WHEN 'run_imminent' THEN 'imminent' WHEN 'start_run' THEN 'running' ELSE 'ended' END
                 FROM   step ORDER BY place DESC LIMIT 1), 'unknown') AS phase,
       (SELECT run_id FROM announced ORDER BY place DESC LIMIT 1) AS run_id,
       (SELECT count(*)
        FROM   swf_runs r
        JOIN   swf_stf_files f ON f.run_id = r.run_id
               -- A name that is no number is no run's.
        WHERE  r.run_number IN (SELECT CASE WHEN run ~ '^\s*[+-]?\d{1,18}\s*$' THEN run::bigint END FROM named)) AS stf_count,
       coalesce((SELECT json_agg(CASE type WHEN 'run_imminent' THEN json_build_object('type', type, 'time', "time", 'run_id', run_id)
                                           ELSE json_build_object('type', type, 'time', "time") END ORDER BY place)
                 FROM   step), '[]') AS events,
       coalesce((SELECT json_agg(CASE part WHEN 0 THEN json_build_object('time', "time", 'error', error)
                                           ELSE json_build_object('time', "time", 'error', error, 'source', 'log') END ORDER BY part, place)
                 FROM   failure), '[]') AS errors,
       replace(to_char(e.start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS start_time,
       replace(to_char(e.end_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS end_time,
       round(took.seconds, greatest(scale(trim_scale(took.seconds)), 1)) AS duration_seconds,
       json_build_array(json_build_object(
           'title', 'Execution Detail',
           'url', rtrim(:monitor_url, '/') || '/workflow-executions/' || e.execution_id || '/')) AS monitor_urls
FROM   swf_workflow_executions e
CROSS  JOIN LATERAL (SELECT extract(epoch FROM e.end_time - e.start_time)::numeric AS seconds) took
WHERE  e.execution_id = :execution_id
