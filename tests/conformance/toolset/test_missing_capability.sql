/*+++
title = "Needs sampling"
description = "Runs only for a client that declares sampling."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }
client_capabilities = ["sampling"]
+++*/
SELECT conformance.text_block('The client declared sampling.') AS content
