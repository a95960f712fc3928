/*+++
title = "Count pilots by Harvester"
order = 46
description = """How many pilots (Harvester workers) there are, by status, site and resource type, as the PanDA monitor counts them over the last hours.
For what jobs do, ask panda_get_activity; this one tells whether there are slots that could run them."""
annotations = { read_only = true, idempotent = true, open_world = true }
shape = "document"
error_key = "error"

[params.site]
type = "text"
optional = true
description = "Only this computing site, by its exact name"
[params.hours]
type = "integer"
default = 1
min = 1
max = 8760
description = "How far to look back, in hours"

[effects.count]
kind = "http"
url_setting = "panda_url"
path = ["harvester", "getworkerstats", ""]
query = { lastupdate_from = ":from", lastupdate_to = ":to", computingsite = ":site" }
max_bytes = 8388608
# The window ends with the last half minute, so that all who ask within it ask the same.
cache = "30s"

[[example]]
args = { site = "BNL_PanDA_1" }
outcome = [{ status = 200, json = [{ computingsite = "BNL_PanDA_1", status = "running", resourcetype = "SCORE", nworkers = 7 }] }]
expect = { columns = ["summary", "by_status", "by_site", "by_resourcetype", "time_window"], contains = ["7 pilots total at BNL_PanDA_1", "{\"running\":7}"] }
[[example]]
args = {}
outcome = [{ error = "no answer" }]
expect = { error = "no answer" }
+++*/
SELECT json_build_object(
    'from', window_from, 'to', window_to,
    'effects', json_build_array(json_build_object('effect', 'count', 'values', json_build_object(
        'from', window_from, 'to', window_to, 'site', :site))))
FROM  (SELECT to_char((t.moment - make_interval(hours => :hours)) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS window_from,
              to_char(t.moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS window_to
       FROM  (SELECT to_timestamp(floor(extract(epoch FROM now()) / 30) * 30) AS moment) t) w;

WITH item AS (
    SELECT coalesce(nullif(row ->> 'status', ''), 'unknown') AS status,
           coalesce(nullif(row ->> 'computingsite', ''), 'unknown') AS site,
           coalesce(nullif(row ->> 'resourcetype', ''), 'unknown') AS resourcetype,
           trunc((row ->> 'nworkers')::numeric)::bigint AS n
    FROM   json_array_elements(CASE WHEN json_typeof(:outcome -> 0 -> 'json') = 'array' THEN :outcome -> 0 -> 'json' ELSE '[]'::json END) AS row
    WHERE  json_typeof(row) = 'object'
      AND  row ->> 'nworkers' ~ '^-?[0-9]{1,15}(\.[0-9]{1,15})?$'
)
SELECT CASE
    WHEN NOT (:outcome -> 0 ->> 'ok')::boolean
        THEN json_build_object('error', 'The PanDA monitor can''t be asked: ' || (:outcome -> 0 ->> 'error'))
    WHEN json_typeof(:outcome -> 0 -> 'json') IS DISTINCT FROM 'array'
        THEN json_build_object('error', 'The PanDA monitor answered no list (content type ' || coalesce(:outcome -> 0 ->> 'content_type', 'none') || ').')
    ELSE json_build_object(
        'summary', (SELECT coalesce(sum(n), 0) FROM item) || ' pilots total' || coalesce(' at ' || :site, ' across all EIC sites') || ' (last ' || :hours || 'h)',
        'by_status', coalesce((SELECT json_object_agg(status, n ORDER BY n DESC, status) FROM (SELECT status, sum(n) AS n FROM item GROUP BY status) s), '{}'),
        'by_site', coalesce((SELECT json_object_agg(site, n ORDER BY n DESC, site) FROM (SELECT site, sum(n) AS n FROM item GROUP BY site) s), '{}'),
        'by_resourcetype', coalesce((SELECT json_object_agg(resourcetype, n ORDER BY n DESC, resourcetype) FROM (SELECT resourcetype, sum(n) AS n FROM item GROUP BY resourcetype) s), '{}'),
        'time_window', json_build_object('from', :plan ->> 'from', 'to', :plan ->> 'to'))
    END
