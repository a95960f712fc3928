/*+++
title = "PanDA activity"
order = 36
description = """How busy PanDA was in the last days, in counts only: jobs by status, by user and by site, and tasks by status and by user.
Start here for questions like "how many jobs failed today" or "who uses the system"; panda_list_jobs shows single jobs.
workinggroup restricts the tasks only, site the jobs only."""
annotations = { read_only = true, idempotent = true, open_world = false }
database = "panda"
shape = "document"
custom_plan = true      # a pattern or an equality, a day or a year: each wants its own plan

[params.days]
type = "integer"
default = 1
min = -700000
max = 700000
description = "Only what was modified in this many days"
[params.username]
type = "text"
optional = true
description = "Only this user's jobs and tasks (exact name; with % as a pattern, e.g. %Smith%)"
[params.site]
type = "text"
optional = true
description = "Only jobs at this computing site (exact name; with % as a pattern, e.g. NORTH%)"
[params.workinggroup]
type = "text"
optional = true
description = "Only tasks of this working group"

[[example]]
args = {}
expect = { columns = ["jobs", "tasks", "filters"] }
[[example]]
args = { days = 30, username = "%O%", site = "LAKESIDE_HPC", workinggroup = "EIC" }
[[example]]
args = { days = "a week" }
expect = { error = "days" }
+++*/
-- Jobs and tasks are read once each, into a few hundred counts that every breakdown adds up.
WITH job_cell AS MATERIALIZED (
    SELECT j.jobstatus AS status, j.produsername AS "user", j.computingsite AS site, count(*) AS n
    FROM  (SELECT jobstatus, produsername, computingsite, modificationtime FROM doma_panda.jobsactive4
           UNION  ALL
           SELECT jobstatus, produsername, computingsite, modificationtime FROM doma_panda.jobsarchived4) j
    WHERE  j.modificationtime >= now() AT TIME ZONE 'UTC' - make_interval(days => :days)
      AND  CASE WHEN strpos(:username, '%') > 0 THEN j.produsername LIKE :username ELSE j.produsername = :username END --? username
      AND  CASE WHEN strpos(:site, '%') > 0 THEN j.computingsite LIKE :site ELSE j.computingsite = :site END           --? site
    GROUP  BY 1, 2, 3
), task_cell AS MATERIALIZED (
    SELECT t.status, t.username AS "user", count(*) AS n
    FROM   doma_panda.jedi_tasks t
    WHERE  t.modificationtime >= now() AT TIME ZONE 'UTC' - make_interval(days => :days)
           -- Tasks that were given up without an end are no activity.
      AND  NOT (t.creationdate < now() AT TIME ZONE 'UTC' - interval '60 days'
                AND t.status NOT IN ('done', 'failed', 'aborted', 'broken', 'finished'))
      AND  CASE WHEN strpos(:username, '%') > 0 THEN t.username LIKE :username ELSE t.username = :username END         --? username
      AND  t.workinggroup = :workinggroup                                       --? workinggroup
    GROUP  BY 1, 2
), breakdown AS (
    -- One line a breakdown and name: its total, and `"status":n` pairs, the most frequent first.
    SELECT part, name, sum(n) AS total,
           string_agg(to_json(status) || ':' || n, ',' ORDER BY n DESC, status) AS statuses
    FROM  (SELECT 'job user' AS part, "user" AS name, status, sum(n) AS n FROM job_cell GROUP BY 2, 3
           UNION  ALL
           SELECT 'job site', site, status, sum(n) FROM job_cell GROUP BY 2, 3
           UNION  ALL
           SELECT 'task user', "user", status, sum(n) FROM task_cell GROUP BY 2, 3) line
    GROUP  BY part, name
), listed AS (
    SELECT part,
           ('[' || string_agg(format('{"%s":%s,"total":%s,%s}', split_part(part, ' ', 2), coalesce(to_json(name)::text, 'null'), total, statuses),
                              ',' ORDER BY total DESC, name) || ']')::json AS entries
    FROM   breakdown
    GROUP  BY part
)
SELECT json_build_object(
    'jobs', json_build_object(
        'total', coalesce((SELECT sum(n) FROM job_cell), 0),
        'by_status', coalesce((SELECT json_object_agg(status, n ORDER BY n DESC, status)
                               FROM  (SELECT status, sum(n) AS n FROM job_cell GROUP BY 1) s), '{}'),
        'by_user', coalesce((SELECT entries FROM listed WHERE part = 'job user'), '[]'),
        'by_site', coalesce((SELECT entries FROM listed WHERE part = 'job site'), '[]')),
    'tasks', json_build_object(
        'total', coalesce((SELECT sum(n) FROM task_cell), 0),
        'by_status', coalesce((SELECT json_object_agg(status, n ORDER BY n DESC, status)
                               FROM  (SELECT status, sum(n) AS n FROM task_cell GROUP BY 1) s), '{}'),
        'by_user', coalesce((SELECT entries FROM listed WHERE part = 'task user'), '[]')),
    'filters', json_build_object(
        'days', :days,
        'username', :username,
        'site', :site,
        'workinggroup', :workinggroup))
