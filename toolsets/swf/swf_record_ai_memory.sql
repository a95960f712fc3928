/*+++
title = "Record a conversation turn"
order = 30
description = """Stores one turn of a conversation with an AI assistant, so that a later session can go on from it. Call it once for what the user said
and once for what the assistant answered. swf_get_ai_memory reads the turns back."""
annotations = { read_only = false, destructive = false, idempotent = false, open_world = false }
shape = "document"
expect_rows = 1
error = { success = false, error = "{message}" }

[params.username]
type = "text"
min_length = 1
max_length = 100
description = "Whose conversation it is"
[params.session_id]
type = "text"
min_length = 1
max_length = 255
description = "Id of the conversation, the same for all of its turns"
[params.role]
type = "text"
enum = ["user", "assistant"]
description = "Who spoke"
[params.content]
type = "text"
min_length = 1
description = "What was said"
[params.namespace]
type = "text"
optional = true
empty = "value"         # stored as it came
max_length = 100
description = "Namespace or thread that the conversation belongs to"
[params.project_path]
type = "text"
optional = true
empty = "value"
max_length = 500
description = "Project folder or root message that the conversation belongs to"

[[example]]
args = { username = "amara", session_id = "check", role = "user", content = "Läuft alles zu 100%? 'ja' \"nein\"" }
expect = { columns = ["success", "id", "username", "role", "content_length"] }
[[example]]
args = { username = "amara", session_id = "check", role = "system", content = "x" }
expect = { error = "role" }
[[example]]
args = { username = "", session_id = "check", role = "user", content = "" }
expect = { error = "content" }
+++*/
INSERT INTO swf_ai_memory (username, session_id, role, content, created_at, namespace, project_path)
VALUES (:username, :session_id, :role, :content, now(), :namespace, :project_path)
RETURNING json_build_object(
    'success', true,
    'id', id,
    'username', username,
    'role', role,
    'content_length', char_length(content))
