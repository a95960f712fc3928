/*+++
title = "Audio"
description = "Yields one audio block."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }
+++*/
SELECT json_build_array(json_build_object('type', 'audio', 'data', conformance.audio(), 'mimeType', 'audio/wav')) AS content
