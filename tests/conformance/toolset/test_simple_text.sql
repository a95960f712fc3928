/*+++
title = "Simple text"
description = "Yields one text block."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }
+++*/
SELECT conformance.text_block('This is a simple text response for testing.') AS content
