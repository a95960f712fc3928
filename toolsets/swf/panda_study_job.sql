/*+++
title = "Study a PanDA job"
order = 40
description = """Everything that is known of one job: its settings, times, resources and errors, its files, where its logs are, the pilot that ran it and its task.
For a job that failed, hangs, or was cancelled or closed also the end of its log, where the log can be had, and what kind of failure it looks like.
For the errors of many jobs use panda_diagnose_jobs."""
annotations = { read_only = true, idempotent = true, open_world = true }
database = "panda"
shape = "document"
error_key = "error"
result = { max_bytes = 16777216 }

[params.pandaid]
type = "integer"
description = "The job's pandaid"

[effects.nersc]
kind = "http"
url = "https://portal.nersc.gov"
path = ["cfs", "m3763", "panda", "jobs", ":site", ":pandaid", ""]
optional = true
timeout = "2s"
max_bytes = 262144
too_large = "head"

[effects.filebrowser]
kind = "http"
url_setting = "panda_url"
path = ["filebrowser", ""]
query = { pandaid = ":pandaid", json = "", filename = ":filename" }
headers = { User-Agent = "AskPanDA/1.0" }
optional = true
timeout = "3s"
max_bytes = 4194304
too_large = "tail"
cache = "5m"

[effects.log]
kind = "http"
url = ":url"
hosts = ["portal.nersc.gov", "*.nersc.gov", "*.bnl.gov", "*.jlab.org"]
optional = true
timeout = "2s"
max_bytes = 4194304
too_large = "tail"

[[example]]
args = { pandaid = 4000001 }
outcome = [{ error = "no answer" }, { error = "no answer" }]
expect = { contains = ["\"job\":{\"pandaid\":4000001"] }
[[example]]
args = { pandaid = -1 }
expect = { error = "no job -1" }
+++*/
WITH job AS MATERIALIZED (
    SELECT *
    FROM  (SELECT 1 AS rank, pandaid, jeditaskid, reqid, jobname, produsername, jobstatus, computingsite, computingelement, transformation,
                  processingtype, creationtime, starttime, endtime, modificationtime, corecount, actualcorecount, nevents, maxrss,
                  maxpss, maxvmem, maxswap, maxwalltime, cpuconsumptiontime, cpuconsumptionunit, inputfilebytes, ninputfiles,
                  ninputdatafiles, outputfilebytes, noutputdatafiles, destinationdblock, destinationse, pilotid, pilottiming, batchid,
                  container_name, specialhandling, commandtopilot, brokerageerrorcode, brokerageerrordiag, ddmerrorcode, ddmerrordiag,
                  exeerrorcode, exeerrordiag, jobdispatchererrorcode, jobdispatchererrordiag, piloterrorcode, piloterrordiag,
                  superrorcode, superrordiag, taskbuffererrorcode, taskbuffererrordiag, transexitcode, jobmetrics, metadata,
                  jobsubstatus
           FROM   doma_panda.jobsactive4 WHERE pandaid = :pandaid
           UNION  ALL
           SELECT 2, pandaid, jeditaskid, reqid, jobname, produsername, jobstatus, computingsite, computingelement, transformation,
                  processingtype, creationtime, starttime, endtime, modificationtime, corecount, actualcorecount, nevents, maxrss,
                  maxpss, maxvmem, maxswap, maxwalltime, cpuconsumptiontime, cpuconsumptionunit, inputfilebytes, ninputfiles,
                  ninputdatafiles, outputfilebytes, noutputdatafiles, destinationdblock, destinationse, pilotid, pilottiming, batchid,
                  container_name, specialhandling, commandtopilot, brokerageerrorcode, brokerageerrordiag, ddmerrorcode, ddmerrordiag,
                  exeerrorcode, exeerrordiag, jobdispatchererrorcode, jobdispatchererrordiag, piloterrorcode, piloterrordiag,
                  superrorcode, superrordiag, taskbuffererrorcode, taskbuffererrordiag, transexitcode, jobmetrics, metadata,
                  jobsubstatus
           FROM   doma_panda.jobsarchived4 WHERE pandaid = :pandaid) both_tables
    ORDER  BY rank
    LIMIT  1
), pilot AS (
    SELECT string_to_array(pilotid, '|') AS part, CASE WHEN pilotid LIKE '%|%' THEN split_part(pilotid, '|', 1) END AS stdout FROM job
), errors AS (
    SELECT json_agg(json_build_object('component', e.component, 'code', e.code, 'diag', e.diag) ORDER BY e.rank) AS list
    FROM   job k
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
), file AS (
    SELECT row_number() OVER (ORDER BY f.type, f.lfn, f.row_id) AS place, f.type,
           json_strip_nulls(json_build_object(
               'lfn', f.lfn, 'type', f.type, 'guid', f.guid, 'scope', f.scope, 'fsize', f.fsize, 'status', f.status,
               'dataset', f.dataset, 'destinationdblock', f.destinationdblock, 'checksum', f.checksum)) AS item
    FROM   doma_panda.filestable4 f
    WHERE  f.pandaid = :pandaid
), worker AS MATERIALIZED (
    SELECT w.workerid, w.harvesterid, w.stdout, w.stderr, w.batchlog, w.errorcode, w.diagmessage, w.status
    FROM   doma_panda.harvester_rel_jobs_workers r
    JOIN   doma_panda.harvester_workers w ON w.harvesterid = r.harvesterid AND w.workerid = r.workerid
    WHERE  r.pandaid = :pandaid
    ORDER  BY w.lastupdate DESC, w.workerid DESC
    LIMIT  1
), shown AS (
    SELECT json_object_agg(e.key, e.value ORDER BY e.part, e.place) AS job
    FROM  (SELECT 1 AS part, f.*
           FROM  (SELECT j.pandaid, j.jeditaskid, j.reqid, j.jobname, j.produsername, j.jobstatus, j.computingsite,
                         j.computingelement, j.transformation, j.processingtype,
                         replace(to_char(j.creationtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS creationtime,
                         replace(to_char(j.starttime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS starttime,
                         replace(to_char(j.endtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS endtime,
                         replace(to_char(j.modificationtime, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') AS modificationtime,
                         j.corecount, j.actualcorecount, j.nevents, j.maxrss, j.maxpss, j.maxvmem, j.maxswap, j.maxwalltime,
                         j.cpuconsumptiontime::text, j.cpuconsumptionunit, j.inputfilebytes, j.ninputfiles,
                         j.ninputdatafiles, j.outputfilebytes, j.noutputdatafiles, j.destinationdblock, j.destinationse,
                         j.pilotid, j.pilottiming, j.batchid, j.container_name, j.specialhandling, j.commandtopilot,
                         j.brokerageerrorcode, j.brokerageerrordiag, j.ddmerrorcode, j.ddmerrordiag, j.exeerrorcode,
                         j.exeerrordiag, j.jobdispatchererrorcode, j.jobdispatchererrordiag, j.piloterrorcode,
                         j.piloterrordiag, j.superrorcode, j.superrordiag, j.taskbuffererrorcode, j.taskbuffererrordiag,
                         j.transexitcode, j.jobmetrics, j.metadata
                  FROM   job j) j
           CROSS  JOIN LATERAL json_each(row_to_json(j)) WITH ORDINALITY f(key, value, place)
           WHERE  json_typeof(f.value) <> 'null'
           UNION  ALL
           SELECT 2, 'errors', coalesce(errors.list, '[]'), 1 FROM errors
           UNION  ALL
           SELECT 3, f.*
           FROM   pilot p
           CROSS  JOIN LATERAL (VALUES ('pilot_type', to_json(p.part[2]), 1), ('pilot_version', to_json(p.part[4]), 2)) f
           WHERE  cardinality(p.part) >= 4) e
), known AS (
    -- What the logs are looked for with, and where.
    SELECT k.*, p.stdout AS pilot_stdout,
           (SELECT row_to_json(w) FROM worker w) AS harvester,
           k.jobstatus IN ('failed', 'holding', 'cancelled', 'closed') AS ended_badly,
           CASE WHEN k.piloterrorcode = 1305 THEN 'payload.stdout' ELSE 'pilotlog.txt' END AS log_filename,
           CASE WHEN k.computingsite LIKE 'NERSC\_Perlmutter%'
                THEN 'https://portal.nersc.gov/cfs/m3763/panda/jobs/' || k.computingsite || '/' || k.pandaid || '/' END AS nersc
    FROM   job k, pilot p
), source AS (
    SELECT known.*,
           CASE WHEN nullif(harvester ->> 'stdout', '') IS NOT NULL THEN harvester ->> 'stdout'
                WHEN nersc IS NOT NULL THEN nersc || 'pilotlog.txt'
                ELSE pilot_stdout END AS log_url,
           CASE WHEN nullif(harvester ->> 'stdout', '') IS NOT NULL THEN 'harvester' ELSE 'nersc_portal' END AS log_source
    FROM   known
)
SELECT coalesce((
    SELECT json_build_object(
        'parts', json_build_object(
            'pandaid', s.pandaid,
            'job', (SELECT job FROM shown),
            'files', coalesce((SELECT json_agg(item ORDER BY place) FROM file), '[]'),
            'log_urls', '{}'::json,
            'log_file', (SELECT item FROM file WHERE type = 'log' ORDER BY place DESC LIMIT 1),
            'harvester', json_strip_nulls(s.harvester),
            'task', (SELECT json_strip_nulls(json_build_object(
                                'jeditaskid', t.jeditaskid, 'taskname', t.taskname, 'status', t.status, 'username', t.username,
                                'errordialog', t.errordialog, 'failurerate', t.failurerate, 'workinggroup', t.workinggroup))
                     FROM   doma_panda.jedi_tasks t
                     WHERE  t.jeditaskid = s.jeditaskid),
            'monitor_url', 'https://epic-devcloud.org/panda/jobs/' || s.pandaid || '/'),
        'pilot_stdout', s.pilot_stdout,
        'harvester', s.harvester,
        'nersc', s.nersc,
        'ended_badly', s.ended_badly,
        'log_filename', s.log_filename,
        'log_source', s.log_source,
        'diagnoses', concat_ws(' ', s.taskbuffererrordiag, s.piloterrordiag, s.exeerrordiag, s.jobsubstatus, s.commandtopilot),
        -- The line of a pilot's log that tells most, as a pattern.
        'phrase', CASE s.piloterrorcode
                  WHEN 1099 THEN 'Failed to stage-in file'
                  WHEN 1104 THEN 'work directory .* is too large'
                  WHEN 1150 THEN 'pilot has decided to kill looping job'
                  WHEN 1151 THEN 'File transfer timed out'
                  WHEN 1201 THEN 'caught signal'
                  WHEN 1235 THEN 'job has exceeded the memory limit'
                  WHEN 1324 THEN 'Service not available'
                  ELSE regexp_replace(nullif(left(s.piloterrordiag, 40), ''), '([][\\.^$*+?(){}|])', '\\\1', 'g') END,
        -- The log of a job that may go on still grows.
        'effects', (SELECT coalesce(json_agg(json_build_object('effect', e.name, 'values', e.given, 'fresh', s.jobstatus = 'holding') ORDER BY e.place), '[]')
                    FROM  (VALUES
                               (1, 'nersc', json_build_object('site', s.computingsite, 'pandaid', s.pandaid), s.nersc IS NOT NULL),
                               (2, 'filebrowser', json_build_object('pandaid', s.pandaid, 'filename', s.log_filename), s.ended_badly),
                               (3, 'log', json_build_object('url', s.log_url),
                                s.ended_badly AND s.log_url ~* '^https?://(portal\.nersc\.gov|[a-z0-9.-]+\.(nersc\.gov|bnl\.gov|jlab\.org))(:[0-9]+)?/[!-~]*$')) e(place, name, given, wanted)
                    WHERE  e.wanted))
    FROM   source s),
    json_build_object('result', json_build_object('error', 'There is no job ' || :pandaid || '. Use panda_list_jobs to find jobs.')));

WITH done AS (
    SELECT o ->> 'effect' AS effect, coalesce((o ->> 'ok')::boolean, false) AS ok,
           coalesce(o ->> 'body', o ->> 'json') AS text
    FROM   json_array_elements(:outcome) o
), plan AS (
    SELECT :plan -> 'parts' AS parts, :plan ->> 'pilot_stdout' AS stdout, :plan -> 'harvester' AS worker, :plan ->> 'nersc' AS nersc,
           (SELECT text FROM done WHERE effect = 'nersc' AND ok) AS listing
), log_urls AS (
    -- The pilot's own, those of the portal if it has the job, and Harvester's over both.
    SELECT coalesce(json_object_agg(u.name, u.url ORDER BY u.place) FILTER (WHERE u.url IS NOT NULL), '{}') AS list
    FROM   plan p
    CROSS  JOIN LATERAL (VALUES
               (1, 'pilot_stdout', coalesce(nullif(p.worker ->> 'stdout', ''),
                                            CASE WHEN p.listing IS NOT NULL THEN p.nersc || 'pilotlog.txt' ELSE p.stdout END)),
               (2, 'pilot_stderr', coalesce(nullif(p.worker ->> 'stderr', ''), CASE WHEN p.listing IS NULL THEN replace(p.stdout, '.out', '.err') END)),
               (3, 'batch_log', coalesce(nullif(p.worker ->> 'batchlog', ''), CASE WHEN p.listing IS NULL THEN replace(p.stdout, '.out', '.log') END)),
               (4, 'nersc_log_dir', CASE WHEN p.listing IS NOT NULL THEN p.nersc END),
               (5, 'slurm_task_stdout', p.nersc || substring(p.listing FROM 'href="(slurm-[0-9]+-task[0-9]+-panda[0-9]+\.out)"'))) u(place, name, url)
), log AS (
    -- The PanDA monitor's copy first, else the one at its source.
    SELECT d.text, CASE d.effect WHEN 'filebrowser' THEN 'filebrowser' ELSE :plan ->> 'log_source' END AS source
    FROM   done d
    WHERE  d.effect IN ('filebrowser', 'log') AND d.ok AND d.text <> ''
    ORDER  BY d.effect
    LIMIT  1
), line AS (
    SELECT l.text, l.place, count(*) OVER () AS lines
    FROM   log
    CROSS  JOIN LATERAL regexp_split_to_table(rtrim(log.text, E'\n'), E'\r?\n') WITH ORDINALITY l(text, place)
), span AS (
    SELECT CASE WHEN :plan ->> 'log_filename' = 'payload.stdout' THEN 300 ELSE 40 END AS length,
           coalesce((SELECT min(place) FROM line
                     WHERE :plan ->> 'log_filename' <> 'payload.stdout' AND text ~* (:plan ->> 'phrase')),
                    (SELECT max(lines) FROM line)) AS last
), excerpt AS (
    SELECT left(string_agg(line.text, E'\n' ORDER BY line.place), 6000) AS text
    FROM   line, span
    WHERE  line.place <= span.last AND line.place > span.last - span.length
), sort AS (
    -- The first kind of failure that one of these words tells of.
    SELECT coalesce((SELECT k.kind
                     FROM  (VALUES
                                (1, 'reassigned_by_jedi', ARRAY['reassigned by jedi', 'toreassign']),
                                (2, 'stagein_timeout', ARRAY['stage-in timeout', 'stagein timeout', 'stage-in timed out', 'stagein timed out']),
                                (3, 'stageout_timeout', ARRAY['stage-out timeout', 'stageout timeout', 'stage-out timed out', 'stageout timed out']),
                                (4, 'timeout', ARRAY['timeout', 'timed out', 'looping job', 'walltime']),
                                (5, 'segfault', ARRAY['segmentation fault', 'segfault', 'sigsegv', 'signal 11']),
                                (6, 'disk_full', ARRAY['no space left', 'disk full', 'disk quota', 'is too large']),
                                (7, 'memory', ARRAY['out of memory', 'memory limit', 'oom-kill', 'bad_alloc', 'memoryerror']),
                                (8, 'network', ARRAY['connection refused', 'connection reset', 'network is unreachable', 'could not resolve', 'no route to host']),
                                (9, 'input_missing', ARRAY['no such file', 'file not found', 'does not exist', 'missing input']),
                                (10, 'stagein_failed', ARRAY['failed to stage-in', 'stage-in failed', 'stagein failed']),
                                (11, 'payload_error', ARRAY['payload execution failed', 'payload failed', 'traceback (most recent call last)', 'non-zero exit']),
                                (12, 'pilot_error', ARRAY['pilot'])) k(place, kind, words)
                     WHERE  EXISTS (SELECT FROM unnest(k.words) w
                                    WHERE strpos(lower(concat_ws(' ', :plan ->> 'diagnoses', (SELECT text FROM excerpt))), w) > 0)
                     ORDER  BY k.place
                     LIMIT  1), 'unknown') AS kind
), analysis AS (
    SELECT CASE WHEN NOT (:plan ->> 'ended_badly')::boolean THEN NULL
                WHEN (SELECT text FROM excerpt) IS NULL THEN json_build_object('log_available', false, 'log_filename', :plan ->> 'log_filename')
                ELSE json_build_object(
                         'failure_type', (SELECT kind FROM sort),
                         'log_filename', :plan ->> 'log_filename',
                         'log_source', (SELECT source FROM log),
                         'log_excerpt', (SELECT text FROM excerpt),
                         'log_available', true) END AS found
)
SELECT json_object_agg(e.key, e.value ORDER BY e.place)
FROM  (SELECT f.key, CASE f.key WHEN 'log_urls' THEN (SELECT list FROM log_urls) ELSE f.value END AS value, f.place
       FROM   plan p
       CROSS  JOIN LATERAL json_each(p.parts) WITH ORDINALITY f(key, value, place)
       UNION  ALL
       SELECT 'log_analysis', found, 100 FROM analysis) e
WHERE  json_typeof(e.value) <> 'null'
