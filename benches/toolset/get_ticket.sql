/*+++
title = "Get ticket"
description = "One ticket by its number."
annotations = { read_only = true, idempotent = true, open_world = false }
shape = "row"
not_found = "No ticket {id}."

[params.id]
type = "integer"
description = "The ticket's number."
+++*/
SELECT id, project, status, title, assignee, created_at, price, meta
FROM   ticket
WHERE  id = :id
