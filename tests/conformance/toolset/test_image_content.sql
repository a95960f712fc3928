/*+++
title = "Image"
description = "Yields one image block."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }
+++*/
SELECT json_build_array(json_build_object('type', 'image', 'data', conformance.image(), 'mimeType', 'image/png')) AS content
