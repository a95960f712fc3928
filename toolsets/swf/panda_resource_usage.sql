/*+++
title = "PanDA resource usage"
order = 39
description = """Core hours and wall hours of the jobs that finished in the last days: in total, by site and by user, the largest first.
Allocated are the cores that a job held times its length; used is the CPU time that it consumed. Failed jobs don't count."""
annotations = { read_only = true, idempotent = true, open_world = false }
database = "panda"
shape = "document"
result = { max_bytes = 16777216 }
custom_plan = true      # a pattern or an equality, a day or a year: each wants its own plan

[params.days]
type = "integer"
default = 30
min = -700000
max = 700000
description = "Only jobs modified in this many days"
[params.site]
type = "text"
optional = true
description = "Only jobs at this computing site (exact name; with % as a pattern, e.g. NORTH%)"
[params.username]
type = "text"
optional = true
description = "Only jobs of this user (exact name; with % as a pattern, e.g. %Smith%)"
[params.taskid]
type = "integer"
optional = true
zero = "absent"
description = "Only jobs of this task (jeditaskid)"

[[example]]
args = {}
expect = { columns = ["totals", "by_site", "by_user", "filters"] }
[[example]]
args = { days = 60, site = "NORTH%", username = "Bjørn Dahl", taskid = 30001 }
[[example]]
args = { days = 800000 }
expect = { error = "days" }
+++*/
WITH job AS NOT MATERIALIZED (
    SELECT j.computingsite AS site, j.produsername AS "user",
           extract(epoch FROM j.endtime - j.starttime)::numeric AS wall,
           coalesce(j.actualcorecount, j.corecount, 1) AS cores,
           j.cpuconsumptiontime AS used
    FROM  (SELECT jeditaskid, produsername, computingsite, jobstatus, starttime, endtime, modificationtime, corecount, actualcorecount, cpuconsumptiontime
           FROM   doma_panda.jobsactive4
           UNION  ALL
           SELECT jeditaskid, produsername, computingsite, jobstatus, starttime, endtime, modificationtime, corecount, actualcorecount, cpuconsumptiontime
           FROM   doma_panda.jobsarchived4) j
    WHERE  j.modificationtime >= now() AT TIME ZONE 'UTC' - make_interval(days => :days)
      AND  j.jobstatus = 'finished'
      AND  j.starttime IS NOT NULL
      AND  j.endtime IS NOT NULL
      AND  CASE WHEN strpos(:site, '%') > 0 THEN j.computingsite LIKE :site ELSE j.computingsite = :site END           --? site
      AND  CASE WHEN strpos(:username, '%') > 0 THEN j.produsername LIKE :username ELSE j.produsername = :username END --? username
      AND  j.jeditaskid = :taskid                                               --? taskid
), used AS MATERIALIZED (
    -- Jobs are read once: 3 is the total, 1 is by site, 2 by user. Doubles are rounded as callers know it: to the nearest tenth of what
    -- they exactly are, which to_char does and round doesn't.
    SELECT grouping(site, "user") AS kind, site, "user",
           count(*) AS jobs,
           coalesce(sum(wall * cores), 0) AS allocated,
           to_char((coalesce(sum(wall * cores), 0) / 3600)::float8, 'FM9999999999990.0')::numeric AS allocated_core_hours,
           to_char((coalesce(sum(used), 0) / 3600)::float8, 'FM9999999999990.0')::numeric AS used_core_hours,
           to_char((coalesce(sum(wall), 0) / 3600)::float8, 'FM9999999999990.0')::numeric AS wall_hours
    FROM   job
    GROUP  BY GROUPING SETS ((), (site), ("user"))
)
SELECT json_build_object(
    'totals', (SELECT json_build_object(
                          'job_count', jobs,
                          'allocated_core_hours', allocated_core_hours,
                          'used_core_hours', used_core_hours,
                          'wall_hours', wall_hours)
               FROM   used WHERE kind = 3),
    'by_site', coalesce((SELECT json_agg(json_build_object(
                                    'job_count', jobs,
                                    'allocated_core_hours', allocated_core_hours,
                                    'used_core_hours', used_core_hours,
                                    'wall_hours', wall_hours,
                                    'site', site) ORDER BY allocated DESC, site)
                         FROM   used WHERE kind = 1), '[]'),
    'by_user', coalesce((SELECT json_agg(json_build_object(
                                    'job_count', jobs,
                                    'allocated_core_hours', allocated_core_hours,
                                    'used_core_hours', used_core_hours,
                                    'wall_hours', wall_hours,
                                    'user', "user") ORDER BY allocated DESC, "user")
                         FROM   used WHERE kind = 2), '[]'),
    'filters', json_build_object(
        'days', :days,
        'site', :site,
        'username', :username,
        'taskid', :taskid))
