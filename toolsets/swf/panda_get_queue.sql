/*+++
title = "Get a PanDA queue"
order = 38
description = """The whole configuration of one computing queue, as PanDA holds it; settings that are null are left out. panda_list_queues shows the names."""
annotations = { read_only = true, idempotent = true, open_world = false }
database = "panda"
shape = "document"
not_found = "There is no queue '{panda_queue}'. Use panda_list_queues to see the queues and their exact names."
result = { max_bytes = 16777216 }

[params.panda_queue]
type = "text"
description = "Exact name of the queue"

[[example]]
args = { panda_queue = "NORTHLAB_PanDA_1" }
expect = { columns = ["queue"] }
[[example]]
args = { panda_queue = "no such queue" }
expect = { error = "no queue 'no such queue'" }
[[example]]
args = { panda_queue = 3 }
expect = { error = "panda_queue" }
+++*/
SELECT json_build_object('queue', (
           SELECT json_object_agg(key, value ORDER BY place)
           FROM  (-- Of a key that comes twice, the first place and the last value hold, as every JSON reader has it.
                  SELECT key, min(place) AS place, (array_agg(value ORDER BY place DESC))[1] AS value
                  FROM  (SELECT e.key, e.value, e.place
                         FROM   json_each(q.data) WITH ORDINALITY e(key, value, place)
                         UNION  ALL
                         -- The table's own columns hold over what the configuration says of itself.
                         VALUES ('panda_queue', to_json(q.panda_queue), 1000000::bigint),
                                ('last_update', coalesce(to_json(replace(to_char(q.last_update, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '')), 'null'), 1000001)) setting
                  GROUP  BY key) merged
           WHERE  key IN ('panda_queue', 'last_update') OR json_typeof(value) <> 'null'))
FROM   doma_panda.schedconfig_json q
WHERE  q.panda_queue = :panda_queue
