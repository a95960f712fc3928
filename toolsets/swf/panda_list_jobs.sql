/*+++
title = "List PanDA jobs"
order = 32
description = """PanDA jobs that changed in the last days, highest pandaid first, with counts by status for the whole selection (not only this page).
Further pages: pass pagination.next_before_id as before_id while pagination.has_more is true. With a taskid all jobs of the task come in one answer.
For counts alone panda_get_activity is much smaller."""
annotations = { read_only = true, idempotent = true, open_world = false }
database = "panda"
shape = "document"
result = { max_bytes = 16777216 }       # all jobs of a large task
custom_plan = true      # a pattern or an equality, a day or a year: each wants its own plan

[params.days]
type = "integer"
default = 7
min = -700000
max = 700000
description = "Only jobs modified in this many days"
[params.status]
type = "text"
optional = true
description = "Only jobs in this status: defined, assigned, activated, sent, starting, running, holding, transferring, merging, finished, failed, cancelled, closed"
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
[params.limit]
type = "integer"
default = 200
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
expect = { columns = ["summary", "total_in_window", "jobs", "count", "pagination", "filters"] }
[[example]]
args = { days = 30, status = "failed", site = "NORTHLAB%", username = "Amara Okafor", limit = 20 }
[[example]]
args = { limit = -2, days = 800000 }
expect = { error = "limit" }
+++*/
-- Read twice on purpose: the counts need every job of the window, the page only the end of the primary keys.
WITH job AS NOT MATERIALIZED (
    SELECT j.*
    FROM  (SELECT pandaid, jeditaskid, reqid, produsername, jobstatus, computingsite, transformation, processingtype,
                  creationtime, starttime, endtime, modificationtime, corecount, nevents, noutputdatafiles, outputfilebytes
           FROM   doma_panda.jobsactive4
           UNION  ALL
           SELECT pandaid, jeditaskid, reqid, produsername, jobstatus, computingsite, transformation, processingtype,
                  creationtime, starttime, endtime, modificationtime, corecount, nevents, noutputdatafiles, outputfilebytes
           FROM   doma_panda.jobsarchived4) j
    WHERE  j.modificationtime >= now() AT TIME ZONE 'UTC' - make_interval(days => :days)
      AND  j.jobstatus = :status                                                --? status
      AND  CASE WHEN strpos(:username, '%') > 0 THEN j.produsername LIKE :username ELSE j.produsername = :username END --? username
      AND  CASE WHEN strpos(:site, '%') > 0 THEN j.computingsite LIKE :site ELSE j.computingsite = :site END           --? site
      AND  j.jeditaskid = :taskid                                               --? taskid
      AND  j.reqid = :reqid                                                     --? reqid
), bound AS (
    SELECT CASE WHEN :taskid IS NULL THEN :limit ELSE 100000 END AS size
), summary AS (
    SELECT jobstatus, count(*) AS n FROM job GROUP BY jobstatus
), page AS (
    -- One more than asked for shows whether there are further ones.
    SELECT job.*, row_number() OVER (ORDER BY pandaid DESC) AS place
    FROM   job
    WHERE  pandaid < :before_id                                                 --? before_id
    ORDER  BY pandaid DESC
    LIMIT  (SELECT size + 1 FROM bound)
), kept AS (
    SELECT page.* FROM page, bound WHERE page.place <= bound.size
), ends AS (
    SELECT bound.size,
           (SELECT count(*) FROM page) > bound.size AS has_more,
           (SELECT count(*) FROM kept) AS kept,
           (SELECT min(pandaid) FROM kept) AS last_id
    FROM   bound
)
SELECT json_build_object(
    'summary', coalesce((SELECT json_object_agg(jobstatus, n ORDER BY n DESC, jobstatus) FROM summary), '{}'),
    'total_in_window', coalesce((SELECT sum(n) FROM summary), 0),
    'jobs', coalesce((SELECT json_agg(item)
                      FROM  (SELECT k.pandaid, k.jeditaskid, k.reqid, k.produsername, k.jobstatus, k.computingsite,
                                    k.transformation, k.processingtype,
                                    replace(to_char(k.creationtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS creationtime,
                                    replace(to_char(k.starttime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS starttime,
                                    replace(to_char(k.endtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS endtime,
                                    replace(to_char(k.modificationtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS modificationtime,
                                    k.corecount, k.nevents, k.noutputdatafiles, k.outputfilebytes,
                                    (SELECT min(f.destinationse)
                                     FROM   doma_panda.filestable4 f
                                     WHERE  f.pandaid = k.pandaid) AS destinationse
                             FROM   kept k
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
        'site', :site,
        'taskid', :taskid,
        'reqid', :reqid))
FROM   ends
