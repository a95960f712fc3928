/*+++
title = "List PanDA queues"
order = 37
description = """Computing queues that PanDA knows, by name, with the most useful settings of each (status, state, VO, resources, limits, country ...; what a queue
doesn't set is left out). Not paged: narrow it with the filters. One queue's whole configuration: panda_get_queue."""
annotations = { read_only = true, idempotent = true, open_world = false }
database = "panda"
shape = "document"
result = { max_bytes = 16777216 }

[params.vo]
type = "text"
optional = true
description = "Only queues of this virtual organisation, e.g. eic"
[params.status]
type = "text"
optional = true
description = "Only queues in this status, e.g. online, offline, test, brokeroff"
[params.state]
type = "text"
optional = true
description = "Only queues in this state, e.g. ACTIVE"
[params.search]
type = "text"
optional = true
description = "Only queues whose name contains this, in any case; % and _ stand for any text and any character"

[[example]]
args = {}
expect = { columns = ["queues", "count", "filters"] }
[[example]]
args = { vo = "eic", status = "online", state = "ACTIVE", search = "north%1" }
[[example]]
args = { vo = ["eic"] }
expect = { error = "vo" }
+++*/
WITH queue AS (
    SELECT q.*
    FROM   doma_panda.schedconfig_json q
    WHERE  true
      AND  q.data ->> 'vo_name' = :vo                                           --? vo
      AND  q.data ->> 'status' = :status                                        --? status
      AND  q.data ->> 'state' = :state                                          --? state
      AND  q.panda_queue ILIKE '%' || :search || '%'                            --? search
)
SELECT json_build_object(
    'queues', coalesce((SELECT json_agg(settings.list ORDER BY q.panda_queue)
                        FROM   queue q
                        CROSS  JOIN LATERAL (
                            SELECT json_object_agg(key, value ORDER BY place) AS list
                            FROM  (VALUES
                                       (0, 'panda_queue', to_json(q.panda_queue)),
                                       (1, 'status', q.data -> 'status'),
                                       (2, 'state', q.data -> 'state'),
                                       (3, 'vo_name', q.data -> 'vo_name'),
                                       (4, 'resource_type', q.data -> 'resource_type'),
                                       (5, 'type', q.data -> 'type'),
                                       (6, 'capability', q.data -> 'capability'),
                                       (7, 'corepower', q.data -> 'corepower'),
                                       (8, 'atlas_site', q.data -> 'atlas_site'),
                                       (9, 'region', q.data -> 'region'),
                                       (10, 'country', q.data -> 'country'),
                                       (11, 'tier', q.data -> 'tier'),
                                       (12, 'cloud', q.data -> 'cloud'),
                                       (13, 'container_type', q.data -> 'container_type'),
                                       (14, 'pilot_version', q.data -> 'pilot_version'),
                                       (15, 'maxrss', q.data -> 'maxrss'),
                                       (16, 'maxtime', q.data -> 'maxtime'),
                                       (17, 'maxwdir', q.data -> 'maxwdir'),
                                       (99, 'last_update', to_json(replace(to_char(q.last_update, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '')))) setting(place, key, value)
                            WHERE  place IN (0, 99) OR json_typeof(value) <> 'null') settings), '[]'),
    'count', (SELECT count(*) FROM queue),
    'filters', json_build_object(
        'vo', :vo,
        'status', :status,
        'state', :state,
        'search', :search))
