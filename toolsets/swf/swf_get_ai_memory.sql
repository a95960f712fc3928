/*+++
title = "Get remembered conversation"
order = 31
description = """The latest turns of a user's conversations with AI assistants, oldest first, as swf_record_ai_memory stored them.
Call it at the start of a session to take up where the last one ended. One turn is a question with its answer: two items."""
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "document"

[params.username]
type = "text"
min_length = 1
description = "Whose conversations"
[params.turns]
type = "integer"
default = 20
min = 0
max = 1000000
description = "How many turns; twice as many items come back at most"
[params.namespace]
type = "text"
optional = true
description = "Only turns of this namespace or thread"

[[example]]
args = { username = "amara", turns = 2 }
expect = { columns = ["items", "count", "username", "turns_requested", "namespace"] }
[[example]]
args = { username = "amara", turns = -1 }
expect = { error = "turns" }
+++*/
WITH latest AS (
    SELECT m.*
    FROM   swf_ai_memory m
    WHERE  m.username = :username
      AND  m.namespace = :namespace                                             --? namespace
    ORDER  BY m.created_at DESC, m.id DESC
    LIMIT  2 * :turns)
SELECT json_build_object(
    'items', coalesce((SELECT json_agg(item)
                       FROM  (SELECT role,
                                     content,
                                     replace(to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), '.000000', '') AS created_at,
                                     session_id,
                                     coalesce(namespace, '') AS post_id,
                                     coalesce(project_path, '') AS root_id
                              FROM   latest
                              ORDER  BY latest.created_at, id) item), '[]'),
    'count', (SELECT count(*) FROM latest),
    'username', :username,
    'turns_requested', :turns,
    'namespace', :namespace)
