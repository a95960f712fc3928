/*+++
title = "Search configuration tags"
order = 44
description = """Tags of the production configuration whose label, description or parameter values contain a text, in any case: physics, event generation,
simulation and reconstruction tags in this order, highest number first. An empty query finds every tag. pcs_get_tag shows one in full."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"
result = { max_bytes = 16777216 }

[params.query]
type = "text"
empty = "value"         # finds all
description = "The text to look for, e.g. pythia8 or 10x275"
[params.tag_type]
type = "text"
optional = true
description = "Only tags of this type: p for physics, e for event generation, s for simulation, r for reconstruction"

[[example]]
args = { query = "PYTHIA8" }
expect = { columns = ["query", "count", "tags"], contains = ["pythia8"] }
[[example]]
args = { query = "", tag_type = "r" }
expect = { contains = ["\"tag_label\":\"r1\""] }
[[example]]
args = { query = "100%", tag_type = "z" }
expect = { contains = ["\"count\":0"] }
[[example]]
args = {}
expect = { error = "query" }
+++*/
WITH tag AS (
    SELECT 1 AS rank, 'p' AS type, t.tag_number, t.tag_label, t.status, t.description, t.parameters, t.created_by, t.created_at, t.category_id AS category_id
    FROM   pcs_physics_tag t
    UNION  ALL
    SELECT 2, 'e', t.tag_number, t.tag_label, t.status, t.description, t.parameters, t.created_by, t.created_at, NULL
    FROM   pcs_evgen_tag t
    UNION  ALL
    SELECT 3, 's', t.tag_number, t.tag_label, t.status, t.description, t.parameters, t.created_by, t.created_at, NULL
    FROM   pcs_simu_tag t
    UNION  ALL
    SELECT 4, 'r', t.tag_number, t.tag_label, t.status, t.description, t.parameters, t.created_by, t.created_at, NULL
    FROM   pcs_reco_tag t
), chosen AS (
    SELECT tag.*, c.name AS category
    FROM   tag
    LEFT   JOIN pcs_physics_category c ON c.digit = tag.category_id
    WHERE  true
      AND  tag.type = :tag_type                                                 --? tag_type
      AND  (:query = ''
            OR strpos(lower(tag.tag_label || ' ' || tag.description || ' '
                            || (SELECT coalesce(string_agg(CASE jsonb_typeof(e.value) WHEN 'null' THEN 'none' ELSE e.value #>> '{}' END,
                                                           ' ' ORDER BY e.place), '')
                                FROM   jsonb_each(tag.parameters) WITH ORDINALITY e(key, value, place))),
                      lower(:query)) > 0)
)
SELECT json_build_object(
    'query', :query,
    'count', (SELECT count(*) FROM chosen),
    'tags', coalesce((SELECT json_agg(CASE type
                                      WHEN 'p' THEN json_build_object(
                                               'tag_label', tag_label, 'status', status, 'description', description,
                                               'parameters', parameters, 'category', category)
                                      ELSE json_build_object(
                                               'tag_label', tag_label, 'status', status, 'description', description,
                                               'parameters', parameters)
                                      END ORDER BY rank, tag_number DESC)
                      FROM   chosen), '[]'))
