/*+++
title = "Diagnose PanDA jobs"
order = 33
description = """Jobs that failed or were cancelled or closed in the last days, highest pandaid first, each with all its error codes and diagnoses, and a summary of
the errors of this page: counts by component and the most frequent codes with an example. Use it to find out why jobs fail; for counts over all
jobs panda_error_summary is much smaller, for one job panda_study_job says more.
Further pages: pass pagination.next_before_id as before_id while pagination.has_more is true. With a taskid all faulty jobs of the task come at once."""
annotations = { read_only = true, idempotent = true, open_world = false }
database = "panda"
shape = "document"
result = { max_bytes = 67108864 }       # all faulty jobs of a large task
custom_plan = true      # a pattern or an equality, a day or a year: each wants its own plan

[params.days]
type = "integer"
default = 7
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
[params.taskid]
type = "integer"
optional = true
zero = "absent"
description = "Only jobs of this task (jeditaskid); limit is then ignored"
[params.reqid]
type = "integer"
optional = true
zero = "absent"
description = "Only jobs of this request"
[params.error_component]
type = "text"
optional = true
description = "Only jobs with an error code of this component: brokerage, ddm, executor, dispatcher, pilot, supervisor or taskbuffer; any other word is no filter"
[params.limit]
type = "integer"
default = 500
min = -1                # -1 is 0, as callers know it
max = 100000
description = "Jobs on one page"
[params.before_id]
type = "integer"
optional = true
zero = "absent"
description = "Only jobs with a pandaid below this: next_before_id of the page before"

[[example]]
args = { limit = 5 }
expect = { columns = ["error_summary", "jobs", "count", "pagination", "filters"] }
[[example]]
args = { days = 30, error_component = "pilot", site = "NORTHLAB%", username = "Amara Okafor", limit = 20 }
[[example]]
args = { limit = -2, days = 800000 }
expect = { error = "limit" }
+++*/
WITH bound AS (
    SELECT CASE WHEN :taskid IS NULL THEN :limit ELSE 100000 END AS size
), page AS MATERIALIZED (
    -- One more than asked for shows whether there are further ones.
    SELECT j.*, row_number() OVER (ORDER BY j.pandaid DESC) AS place
    FROM  (SELECT pandaid, jeditaskid, reqid, produsername, jobstatus, computingsite, transformation, processingtype, creationtime,
                  starttime, endtime, modificationtime, corecount, nevents, noutputdatafiles, outputfilebytes, brokerageerrorcode,
                  brokerageerrordiag, ddmerrorcode, ddmerrordiag, exeerrorcode, exeerrordiag, jobdispatchererrorcode,
                  jobdispatchererrordiag, piloterrorcode, piloterrordiag, superrorcode, superrordiag, taskbuffererrorcode,
                  taskbuffererrordiag, transexitcode, jobname, pilotid, computingelement, jobmetrics, specialhandling, commandtopilot,
                  maxrss, maxpss
           FROM   doma_panda.jobsactive4
           UNION  ALL
           SELECT pandaid, jeditaskid, reqid, produsername, jobstatus, computingsite, transformation, processingtype, creationtime,
                  starttime, endtime, modificationtime, corecount, nevents, noutputdatafiles, outputfilebytes, brokerageerrorcode,
                  brokerageerrordiag, ddmerrorcode, ddmerrordiag, exeerrorcode, exeerrordiag, jobdispatchererrorcode,
                  jobdispatchererrordiag, piloterrorcode, piloterrordiag, superrorcode, superrordiag, taskbuffererrorcode,
                  taskbuffererrordiag, transexitcode, jobname, pilotid, computingelement, jobmetrics, specialhandling, commandtopilot,
                  maxrss, maxpss
           FROM   doma_panda.jobsarchived4) j
    WHERE  j.modificationtime >= now() AT TIME ZONE 'UTC' - make_interval(days => :days)
      AND  j.jobstatus IN ('failed', 'cancelled', 'closed')
      AND  CASE WHEN strpos(:username, '%') > 0 THEN j.produsername LIKE :username ELSE j.produsername = :username END --? username
      AND  CASE WHEN strpos(:site, '%') > 0 THEN j.computingsite LIKE :site ELSE j.computingsite = :site END           --? site
      AND  j.jeditaskid = :taskid                                               --? taskid
      AND  j.reqid = :reqid                                                     --? reqid
      AND  CASE :error_component WHEN 'brokerage' THEN j.brokerageerrorcode <> 0 WHEN 'ddm' THEN j.ddmerrorcode <> 0 WHEN 'executor' THEN j.exeerrorcode <> 0 WHEN 'dispatcher' THEN j.jobdispatchererrorcode <> 0 WHEN 'pilot' THEN j.piloterrorcode <> 0 WHEN 'supervisor' THEN j.superrorcode <> 0 WHEN 'taskbuffer' THEN j.taskbuffererrorcode <> 0 ELSE true END --? error_component
      AND  j.pandaid < :before_id                                               --? before_id
    ORDER  BY j.pandaid DESC
    LIMIT  (SELECT size + 1 FROM bound)
), kept AS (
    SELECT page.* FROM page, bound WHERE page.place <= bound.size
), error AS MATERIALIZED (
    -- Every error of every job, in the order in which a reader meets them.
    SELECT k.place, e.rank, e.component, e.code, e.diag
    FROM   kept k
    CROSS  JOIN LATERAL (VALUES
               (1, 'brokerage', to_json(nullif(k.brokerageerrorcode, 0)), k.brokerageerrordiag),
               (2, 'ddm', to_json(nullif(k.ddmerrorcode, 0)), k.ddmerrordiag),
               (3, 'executor', to_json(nullif(k.exeerrorcode, 0)), k.exeerrordiag),
               (4, 'dispatcher', to_json(nullif(k.jobdispatchererrorcode, 0)), k.jobdispatchererrordiag),
               (5, 'pilot', to_json(nullif(k.piloterrorcode, 0)), k.piloterrordiag),
               (6, 'supervisor', to_json(nullif(k.superrorcode, 0)), k.superrordiag),
               (7, 'taskbuffer', to_json(nullif(k.taskbuffererrorcode, 0)), k.taskbuffererrordiag),
               (8, 'transformation', CASE WHEN k.transexitcode !~ '^\s*0?\s*$' THEN to_json(k.transexitcode) END, '')) e(rank, component, code, diag)
    WHERE  e.code IS NOT NULL
), job_errors AS (
    SELECT place, json_agg(json_build_object('component', component, 'code', code, 'diag', diag) ORDER BY rank) AS list
    FROM   error
    GROUP  BY place
), top AS (
    SELECT component, (array_agg(code))[1] AS code, count(*) AS n,
           (array_agg(diag ORDER BY place, rank))[1] AS sample,
           min(place * 10 + rank) AS met
    FROM   error
    GROUP  BY component, code::text
    ORDER  BY n DESC, met
    LIMIT  20
), ends AS (
    SELECT bound.size,
           (SELECT count(*) FROM page) > bound.size AS has_more,
           (SELECT count(*) FROM kept) AS kept,
           (SELECT min(pandaid) FROM kept) AS last_id
    FROM   bound
)
SELECT json_build_object(
    'error_summary', json_build_object(
        'total_faulty_jobs', ends.kept,
        'by_component', coalesce((SELECT json_object_agg(component, n ORDER BY met)
                                  FROM  (SELECT component, count(*) AS n, min(place * 10 + rank) AS met
                                         FROM   error GROUP BY component) c), '{}'),
        'top_error_codes', coalesce((SELECT json_agg(json_build_object('component', component, 'code', code, 'count', n, 'sample_diag', sample)
                                                     ORDER BY n DESC, met)
                                     FROM   top), '[]')),
    'jobs', coalesce((SELECT json_agg(item)
                      FROM  (SELECT k.pandaid, k.jeditaskid, k.reqid, k.produsername, k.jobstatus, k.computingsite, k.transformation,
                                    k.processingtype,
                                    replace(to_char(k.creationtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS creationtime,
                                    replace(to_char(k.starttime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS starttime,
                                    replace(to_char(k.endtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS endtime,
                                    replace(to_char(k.modificationtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS modificationtime,
                                    k.corecount, k.nevents, k.noutputdatafiles, k.outputfilebytes, k.brokerageerrorcode,
                                    k.brokerageerrordiag, k.ddmerrorcode, k.ddmerrordiag, k.exeerrorcode, k.exeerrordiag,
                                    k.jobdispatchererrorcode, k.jobdispatchererrordiag, k.piloterrorcode, k.piloterrordiag,
                                    k.superrorcode, k.superrordiag, k.taskbuffererrorcode, k.taskbuffererrordiag, k.transexitcode,
                                    k.jobname, k.pilotid, k.computingelement, k.jobmetrics, k.specialhandling, k.commandtopilot,
                                    k.maxrss, k.maxpss,
                                    coalesce(e.list, '[]') AS errors,
                                    (SELECT min(f.destinationse)
                                     FROM   doma_panda.filestable4 f
                                     WHERE  f.pandaid = k.pandaid) AS destinationse
                             FROM   kept k
                             LEFT   JOIN job_errors e ON e.place = k.place
                             ORDER  BY k.place) item), '[]'),
    'count', ends.kept,
    'pagination', json_build_object(
        'before_id', :before_id,
        'has_more', ends.has_more,
        'next_before_id', CASE WHEN ends.has_more THEN ends.last_id END,
        'limit', ends.size),
    'filters', json_build_object(
        'days', :days,
        'username', :username,
        'site', :site,
        'taskid', :taskid,
        'reqid', :reqid,
        'error_component', :error_component))
FROM   ends
