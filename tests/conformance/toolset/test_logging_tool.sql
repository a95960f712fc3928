/*+++
title = "No log messages"
description = "Answers without log messages to the client."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }
+++*/
SELECT conformance.text_block('Nothing was logged to the client.') AS content
