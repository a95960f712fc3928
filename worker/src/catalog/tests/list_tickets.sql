/*+++
title = "List tickets"
description = """Newest tickets of one project.
Pass next_cursor back as cursor for the following page."""
annotations = { read_only = true, idempotent = true, open_world = false }
timeout = "2s"
page = { key = ["created_at desc", "id desc"], size = 20, max = 100 }
result = { format = "json", max_bytes = 32768, empty = "No tickets match in {project}." }

[params.project]
type = "text"
description = "Project key, e.g. p3"
pattern = "^[a-z][a-z0-9]{0,15}$"
examples = ["p3"]
[params.status]
type = "text"
enum = ["open", "wip", "closed"]
optional = true
[params.since]
type = "timestamptz"
default = "now-7d"
[params.tags]
type = "text[]"
enum = ["a", "b"]
max_length = 3
optional = true
[params.region]
type = "text"
header = "Region"
optional = true
[params.owner]
from = "token.user"

[[example]]
args = { project = "p3", status = "open" }
expect = { min_rows = 1, columns = ["id", "title", "status", "created_at"] }
[[example]]
args = { project = "p3", status = "opne" }
expect = { error = "status: must be one of open, wip, closed" }
+++*/
SELECT t.id, t.title, t.status, t.created_at
FROM   ticket t
WHERE  t.project = :project
  AND  t.status = :status                                        --? status
  AND  t.created_at >= :since
  AND  t.tags && :tags                                           --? tags
  AND  t.region = :region                                        --? region
  AND  (t.created_at, t.id) < (:cursor.created_at, :cursor.id)   --? cursor
  AND  t.owner = :owner
ORDER  BY t.created_at DESC, t.id DESC
LIMIT  :limit;
