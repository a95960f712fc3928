/*+++
title = "Get a configuration tag"
order = 43
description = """One tag of the production configuration: number, status, description, parameters, who made it and when; a physics tag also has its category.
pcs_list_tags shows the tags of a type, pcs_search_tags finds one by what it says."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"
not_found = "There is no tag '{tag_label}'. Labels are a letter (p, e, s or r) and a number, such as p1001, e3, s1 or r1; pcs_list_tags shows them."

[params.tag_label]
type = "text"
description = "The tag's label, e.g. p1001, e3, s1 or r1, in any case"

[[example]]
args = { tag_label = " P1001 " }
expect = { columns = ["tag_label", "tag_number", "status", "description", "parameters", "created_by", "created_at", "category", "category_digit"] }
[[example]]
args = { tag_label = "e0003" }
expect = { columns = ["tag_label", "tag_number", "status", "description", "parameters", "created_by", "created_at"] }
[[example]]
args = { tag_label = "x9" }
expect = { error = "no tag 'x9'" }
[[example]]
args = { tag_label = 1001 }
expect = { error = "tag_label" }
+++*/
WITH label AS (
    SELECT lower(regexp_replace(:tag_label, '^\s+|\s+$', '', 'g')) AS text
), asked AS (
    -- The number may have spaces, a sign, leading zeros and underscores before it or in it.
    SELECT left(text, 1) AS type,
           CASE WHEN substr(text, 2) ~ '^\s*[+-]?\d+(_\d+)*$' AND char_length(text) < 18 THEN regexp_replace(text, '[^\d+-]', '', 'g')::bigint END AS number
    FROM   label
), tag AS (
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
)
SELECT CASE tag.type
       WHEN 'p' THEN json_build_object(
                'tag_label', tag.tag_label, 'tag_number', tag.tag_number, 'status', tag.status, 'description', tag.description,
                'parameters', tag.parameters, 'created_by', tag.created_by,
                'created_at', replace(to_char(tag.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''),
                'category', c.name, 'category_digit', c.digit)
       ELSE json_build_object(
                'tag_label', tag.tag_label, 'tag_number', tag.tag_number, 'status', tag.status, 'description', tag.description,
                'parameters', tag.parameters, 'created_by', tag.created_by,
                'created_at', replace(to_char(tag.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', ''))
       END
FROM   asked
JOIN   tag ON tag.type = asked.type AND tag.tag_number = asked.number
LEFT   JOIN pcs_physics_category c ON c.digit = tag.category_id
