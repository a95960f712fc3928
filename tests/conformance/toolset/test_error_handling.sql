/*+++
title = "Error"
description = "Always fails."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }
+++*/
SELECT conformance.fail() AS content
