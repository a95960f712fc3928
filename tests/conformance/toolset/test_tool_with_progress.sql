/*+++
title = "Progress"
description = "Reports progress three times."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }
progress = true
+++*/
SELECT conformance.with_progress() AS content
