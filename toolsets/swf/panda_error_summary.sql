/*+++
title = "PanDA error summary"
order = 35
description = """Which errors made jobs fail in the last days, the most frequent first: component, code, diagnosis, how many jobs and tasks, whose, at which sites
and with which destinations. Jobs that failed or were cancelled or closed count, once for each of their errors and destinations.
Start here for "why do jobs fail"; panda_diagnose_jobs shows the single jobs."""
annotations = { read_only = true, idempotent = true, open_world = false }
database = "panda"
shape = "document"
result = { max_bytes = 16777216 }       # 10000 errors with long diagnoses
custom_plan = true      # a pattern or an equality, a day or a year: each wants its own plan

[params.days]
type = "integer"
default = 10
min = -700000
max = 700000
description = "Only jobs modified in this many days"
[params.username]
type = "text"
optional = true
description = "Only jobs of this user (exact name; with % as a pattern, e.g. %Smith%)"
[params.site]
type = "text"
optional = true
description = "Only jobs at this computing site (exact name; with % as a pattern, e.g. NORTH%)"
[params.destinationse]
type = "text"
optional = true
description = "Only jobs with a file bound for this storage (exact name; with % as a pattern)"
[params.taskid]
type = "integer"
optional = true
zero = "absent"
description = "Only jobs of this task (jeditaskid); up to 10000 errors are then shown"
[params.error_source]
type = "text"
optional = true
enum = ["brokerage", "ddm", "executor", "dispatcher", "pilot", "supervisor", "taskbuffer"]
description = "Only errors of this component"
[params.limit]
type = "integer"
default = 20
min = 0
max = 10000
description = "How many errors to show at most"

[[example]]
args = {}
expect = { columns = ["total_errors", "errors", "count", "filters"] }
[[example]]
args = { days = 60, username = "%a%", site = "NORTHLAB%", destinationse = "%DISK", error_source = "pilot", limit = 3 }
[[example]]
args = { error_source = "cosmic rays" }
expect = { error = "error_source: must be one of brokerage" }
+++*/
WITH job AS (
    SELECT j.*
    FROM  (SELECT pandaid, jeditaskid, produsername, computingsite, jobstatus, modificationtime, brokerageerrorcode, brokerageerrordiag,
                  ddmerrorcode, ddmerrordiag, exeerrorcode, exeerrordiag, jobdispatchererrorcode, jobdispatchererrordiag,
                  piloterrorcode, piloterrordiag, superrorcode, superrordiag, taskbuffererrorcode, taskbuffererrordiag
           FROM   doma_panda.jobsactive4
           UNION  ALL
           SELECT pandaid, jeditaskid, produsername, computingsite, jobstatus, modificationtime, brokerageerrorcode, brokerageerrordiag,
                  ddmerrorcode, ddmerrordiag, exeerrorcode, exeerrordiag, jobdispatchererrorcode, jobdispatchererrordiag,
                  piloterrorcode, piloterrordiag, superrorcode, superrordiag, taskbuffererrorcode, taskbuffererrordiag
           FROM   doma_panda.jobsarchived4) j
    WHERE  j.modificationtime >= now() AT TIME ZONE 'UTC' - make_interval(days => :days)
      AND  j.jobstatus IN ('failed', 'cancelled', 'closed')
      AND  CASE WHEN strpos(:username, '%') > 0 THEN j.produsername LIKE :username ELSE j.produsername = :username END --? username
      AND  CASE WHEN strpos(:site, '%') > 0 THEN j.computingsite LIKE :site ELSE j.computingsite = :site END           --? site
      AND  j.jeditaskid = :taskid                                               --? taskid
), error AS (
    SELECT e.rank, e.component, e.code, left(e.diag, 256) AS diag,
           job.jeditaskid AS task, job.produsername AS "user", job.computingsite AS site, f.destinationse AS destination
    FROM   job
    CROSS  JOIN LATERAL (VALUES
               (1, 'brokerage', job.brokerageerrorcode, job.brokerageerrordiag),
               (2, 'ddm', job.ddmerrorcode, job.ddmerrordiag),
               (3, 'executor', job.exeerrorcode, job.exeerrordiag),
               (4, 'dispatcher', job.jobdispatchererrorcode, job.jobdispatchererrordiag),
               (5, 'pilot', job.piloterrorcode, job.piloterrordiag),
               (6, 'supervisor', job.superrorcode, job.superrordiag),
               (7, 'taskbuffer', job.taskbuffererrorcode, job.taskbuffererrordiag)) e(rank, component, code, diag)
    LEFT   JOIN LATERAL (SELECT DISTINCT s.destinationse
                         FROM   doma_panda.filestable4 s
                         WHERE  s.pandaid = job.pandaid
                           AND  s.destinationse IS NOT NULL) f ON true
    WHERE  e.code <> 0
      AND  e.component = :error_source                                          --? error_source
      AND  CASE WHEN strpos(:destinationse, '%') > 0 THEN f.destinationse LIKE :destinationse ELSE f.destinationse = :destinationse END --? destinationse
), cell AS (
    -- Each error's names in one pass and without sorting all rows: 15 is the error itself, 7 has its users, 11 its sites,
    -- 13 its destinations, 14 its tasks.
    SELECT rank, component, code, diag, "user", site, destination, task, count(*) AS n, grouping("user", site, destination, task) AS kind
    FROM   error
    GROUP  BY GROUPING SETS ((rank, component, code, diag), (rank, component, code, diag, "user"), (rank, component, code, diag, site),
                             (rank, component, code, diag, destination), (rank, component, code, diag, task))
), listed AS (
    SELECT rank, component, code, diag,
           max(n) FILTER (WHERE kind = 15) AS n,
           count(task) FILTER (WHERE kind = 14) AS tasks,
           array_agg("user" ORDER BY "user") FILTER (WHERE kind = 7) AS users,
           array_agg(site ORDER BY site) FILTER (WHERE kind = 11) AS sites,
           array_agg(destination ORDER BY destination) FILTER (WHERE kind = 13) AS destinations
    FROM   cell
    GROUP  BY rank, component, code, diag
    ORDER  BY n DESC, rank, code, diag
    LIMIT  CASE WHEN :taskid IS NULL THEN :limit ELSE 10000 END)
SELECT json_build_object(
    'total_errors', coalesce((SELECT sum(n) FROM listed), 0),
    'errors', coalesce((SELECT json_agg(json_build_object(
                                    'error_source', component,
                                    'error_code', code,
                                    'error_diag', coalesce(diag, ''),
                                    'count', n,
                                    'task_count', tasks,
                                    'users', users,
                                    'sites', sites,
                                    'destination_sites', destinations) ORDER BY n DESC, rank, code, diag)
                        FROM   listed), '[]'),
    'count', (SELECT count(*) FROM listed),
    'filters', json_build_object(
        'days', :days,
        'username', :username,
        'site', :site,
        'taskid', :taskid,
        'error_source', :error_source))
