/*+++
title = "List tickets"
description = "The newest tickets of one project."
annotations = { read_only = true, idempotent = true, open_world = false }

[params.project]
type = "text"
description = "Project key, e.g. p3."
[params.status]
type = "text"
description = "Only tickets with this status."
enum = ["open", "wip", "closed"]
optional = true
[params.limit]
type = "integer"
description = "How many at most."
default = 20
min = 1
max = 100
+++*/
SELECT id, project, status, title, assignee, created_at, price, meta
FROM   ticket
WHERE  project = :project
  AND  status = :status                     --? status
ORDER  BY created_at DESC, id DESC
LIMIT  :limit
