/*+++
title = "List namespaces"
order = 5
description = """The namespaces that separate users' and groups' work in the testbed: name, owner and description, by name, at most 100.
Use it to find the exact namespace to filter agents, executions and logs by."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.monitor_url]
type = "text"
from = "setting.monitor_url"

[[example]]
args = {}
expect = { columns = ["items", "total_count", "has_more", "monitor_urls"] }
+++*/
WITH page AS (
    SELECT n.name, n.owner, n.description, count(*) OVER () AS total
    FROM   swf_namespace n
    ORDER  BY n.name
    LIMIT  100)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item) FROM (SELECT name, owner, description FROM page) item), '[]'),
    'total_count', coalesce((SELECT max(total) FROM page), 0),
    'has_more', coalesce((SELECT max(total) FROM page), 0) > 100,
    'monitor_urls', json_build_array(json_build_object(
        'title', 'Namespaces List',
        'url', rtrim(:monitor_url, '/') || '/namespaces/')))
