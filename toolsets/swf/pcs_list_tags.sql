/*+++
title = "List configuration tags"
order = 42
description = """The tags of one type in the production configuration, highest number first, with their parameters. A tag is a numbered, named set of
parameters for one step of a simulation, such as p1001 or e3. Not paged: narrow it with the filters. pcs_search_tags looks through all types."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"
result = { max_bytes = 16777216 }

[params.tag_type]
type = "text"
enum = ["p", "e", "s", "r"]
description = "p for physics, e for event generation, s for simulation, r for reconstruction"
[params.category]
type = "text"
optional = true
description = "Only physics tags of this category, in any case, e.g. DIS; of no meaning for other types"
[params.status]
type = "text"
optional = true
description = "Only tags in this status, in any case: draft or locked"
[params.creator]
type = "text"
optional = true
description = "Only tags that this user made"
[params.search]
type = "text"
optional = true
description = "Only tags whose label or description contains this, in any case"

[[example]]
args = { tag_type = "p" }
expect = { columns = ["tag_type", "label", "count", "tags"] }
[[example]]
args = { tag_type = "e", category = "DIS", status = "LOCKED", creator = "amara", search = "100%" }
[[example]]
args = { tag_type = "physics" }
expect = { error = "tag_type: must be one of p, e, s, r" }
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
    WHERE  tag.type = :tag_type
      AND  (tag.type <> 'p' OR upper(c.name) = upper(:category))                --? category
      AND  tag.status = lower(:status)                                          --? status
      AND  tag.created_by = :creator                                            --? creator
      AND  (strpos(upper(tag.description), upper(:search)) > 0 OR strpos(upper(tag.tag_label), upper(:search)) > 0) --? search
)
SELECT json_build_object(
    'tag_type', :tag_type,
    'label', CASE :tag_type WHEN 'p' THEN 'Physics' WHEN 'e' THEN 'EvGen' WHEN 's' THEN 'Simulation' ELSE 'Reconstruction' END,
    'count', (SELECT count(*) FROM chosen),
    'tags', coalesce((SELECT json_agg(CASE type
                                      WHEN 'p' THEN json_build_object(
                                               'tag_label', tag_label, 'status', status, 'description', description,
                                               'created_by', created_by, 'parameters', parameters, 'category', category)
                                      ELSE json_build_object(
                                               'tag_label', tag_label, 'status', status, 'description', description,
                                               'created_by', created_by, 'parameters', parameters)
                                      END ORDER BY tag_number DESC)
                      FROM   chosen), '[]'))
