/*+++
title = "List PanDA tasks"
order = 34
description = """PanDA tasks that changed in the last days, highest jeditaskid first: status, owner, times, priorities, and from all their jobs how many are active,
finished and failed, with failure rates and progress computed from them. summary counts the whole selection by status, not only this page.
Tasks that were given up (older than 60 days and never ended) are left out. Jobs of a task: panda_list_jobs with taskid.
Further pages: pass pagination.next_before_id as before_id while pagination.has_more is true."""
annotations = { read_only = true, idempotent = true, open_world = false }
database = "panda"
shape = "document"
result = { max_bytes = 67108864 }
custom_plan = true      # a pattern or an equality, a day or a year: each wants its own plan

[params.days]
type = "integer"
default = 7
min = -700000
max = 700000
description = "Only tasks modified in this many days"
[params.status]
type = "text"
optional = true
description = "Only tasks in this status, e.g. running, ready, scouting, done, finished, failed, aborted, broken, exhausted"
[params.username]
type = "text"
optional = true
description = "Only tasks of this user (exact name; with % as a pattern, e.g. %Smith%)"
[params.taskname]
type = "text"
optional = true
description = "Only tasks of this name (exact; with % as a pattern, e.g. group.EIC.%)"
[params.reqid]
type = "integer"
optional = true
zero = "absent"
description = "Only tasks of this request"
[params.workinggroup]
type = "text"
optional = true
description = "Only tasks of this working group"
[params.taskid]
type = "integer"
optional = true
zero = "absent"
description = "Only this task (jeditaskid); give days too if it changed more than a week ago"
[params.processingtype]
type = "text"
optional = true
description = "Only tasks of this processing type (exact; with % as a pattern)"
[params.limit]
type = "integer"
default = 500
min = -1                # -1 is 0, as callers know it
max = 100000
description = "Tasks on one page"
[params.before_id]
type = "integer"
optional = true
zero = "absent"
description = "Only tasks with a jeditaskid below this: next_before_id of the page before"

[[example]]
args = { limit = 5 }
expect = { columns = ["summary", "total_in_window", "tasks", "count", "pagination", "filters"] }
[[example]]
args = { days = 30, status = "done", username = "%O%", taskname = "group.EIC.%", workinggroup = "EIC", processingtype = "epic%", limit = 20 }
[[example]]
args = { limit = 100001, taskid = "x" }
expect = { error = "taskid" }
+++*/
WITH task AS NOT MATERIALIZED (
    SELECT t.*
    FROM   doma_panda.jedi_tasks t
    WHERE  t.modificationtime >= now() AT TIME ZONE 'UTC' - make_interval(days => :days)
           -- Tasks that were given up without an end are no activity.
      AND  NOT (t.creationdate < now() AT TIME ZONE 'UTC' - interval '60 days'
                AND t.status NOT IN ('done', 'failed', 'aborted', 'broken', 'finished'))
      AND  t.status = :status                                                   --? status
      AND  CASE WHEN strpos(:username, '%') > 0 THEN t.username LIKE :username ELSE t.username = :username END         --? username
      AND  CASE WHEN strpos(:taskname, '%') > 0 THEN t.taskname LIKE :taskname ELSE t.taskname = :taskname END         --? taskname
      AND  t.reqid = :reqid                                                     --? reqid
      AND  t.workinggroup = :workinggroup                                       --? workinggroup
      AND  t.jeditaskid = :taskid                                               --? taskid
      AND  CASE WHEN strpos(:processingtype, '%') > 0 THEN t.processingtype LIKE :processingtype ELSE t.processingtype = :processingtype END --? processingtype
), summary AS (
    SELECT status, count(*) AS n FROM task GROUP BY status
), page AS (
    -- One more than asked for shows whether there are further ones.
    SELECT task.*, row_number() OVER (ORDER BY jeditaskid DESC) AS place
    FROM   task
    WHERE  jeditaskid < :before_id                                              --? before_id
    ORDER  BY jeditaskid DESC
    LIMIT  :limit + 1
), kept AS (
    SELECT page.* FROM page WHERE page.place <= :limit
), ends AS (
    SELECT :limit AS size,
           (SELECT count(*) FROM page) > :limit AS has_more,
           (SELECT count(*) FROM kept) AS kept,
           (SELECT min(jeditaskid) FROM kept) AS last_id
)
SELECT json_build_object(
    'summary', coalesce((SELECT json_object_agg(status, n ORDER BY n DESC, status) FROM summary), '{}'),
    'total_in_window', coalesce((SELECT sum(n) FROM summary), 0),
    'tasks', coalesce((SELECT json_agg(item)
                       FROM  (SELECT k.jeditaskid, k.taskname, k.status, k.username,
                                     replace(to_char(k.creationdate, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS creationdate,
                                     replace(to_char(k.starttime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS starttime,
                                     replace(to_char(k.endtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS endtime,
                                     replace(to_char(k.modificationtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS modificationtime,
                                     k.reqid, k.processingtype, k.transpath, k.progress, k.failurerate, k.errordialog, k.site,
                                     k.corecount, k.taskpriority, k.currentpriority, k.gshare, k.attemptnr, k.parent_tid, k.workinggroup,
                                     n.nactive, n.nfinished, n.nfailed, n.nrunning, n.nretries, n.nfinalfailed,
                                     round(r.failed, greatest(scale(trim_scale(r.failed)), 1)) AS computed_failurerate,
                                     round(r.finalfailed, greatest(scale(trim_scale(r.finalfailed)), 1)) AS computed_finalfailurerate,
                                     r.progress AS computed_progress
                              FROM   kept k
                              CROSS  JOIN LATERAL (
                                  SELECT count(*) FILTER (WHERE jobstatus IN ('defined', 'waiting', 'assigned', 'activated', 'sent', 'starting',
                                                                              'running', 'holding', 'transferring', 'merging')) AS nactive,
                                         count(*) FILTER (WHERE jobstatus = 'finished') AS nfinished,
                                         count(*) FILTER (WHERE jobstatus = 'failed') AS nfailed,
                                         count(*) FILTER (WHERE jobstatus = 'running') AS nrunning,
                                         count(*) FILTER (WHERE attemptnr > 1) AS nretries,
                                         count(*) FILTER (WHERE jobstatus = 'failed' AND attemptnr >= 3) AS nfinalfailed
                                  FROM  (SELECT jobstatus, attemptnr FROM doma_panda.jobsactive4 a WHERE a.jeditaskid = k.jeditaskid
                                         UNION  ALL
                                         SELECT jobstatus, attemptnr FROM doma_panda.jobsarchived4 a WHERE a.jeditaskid = k.jeditaskid) j) n
                              -- Doubles are rounded as callers know it: to the nearest of what they exactly are, which to_char does; whole
                              -- numbers half to even.
                              CROSS  JOIN LATERAL (
                                  SELECT to_char(n.nfailed / nullif(n.nfailed + n.nfinished, 0)::float8, 'FM0.0000')::numeric AS failed,
                                         to_char(n.nfinalfailed / nullif(n.nfinalfailed + n.nfinished, 0)::float8, 'FM0.0000')::numeric AS finalfailed,
                                         round(100 * (n.nfinished + n.nfailed) / nullif(n.nactive + n.nfinished + n.nfailed, 0)::float8)::int AS progress) r
                              ORDER  BY k.place) item), '[]'),
    'count', ends.kept,
    'pagination', json_build_object(
        'before_id', :before_id,
        'has_more', ends.has_more,
        'next_before_id', CASE WHEN ends.has_more THEN ends.last_id END,
        'limit', ends.size),
    'filters', json_build_object(
        'days', :days,
        'status', :status,
        'username', :username,
        'taskname', :taskname,
        'reqid', :reqid,
        'workinggroup', :workinggroup,
        'taskid', :taskid))
FROM   ends
