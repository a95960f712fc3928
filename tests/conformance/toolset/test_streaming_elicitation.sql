/*+++
title = "No questions asked"
description = "Answers without asking the client anything."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }
+++*/
SELECT conformance.text_block('Nothing had to be asked.') AS content
