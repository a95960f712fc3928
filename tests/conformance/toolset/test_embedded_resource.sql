/*+++
title = "Embedded resource"
description = "Yields one resource block."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }
+++*/
SELECT json_build_array(json_build_object('type', 'resource', 'resource', json_build_object(
         'uri', 'test://embedded-resource',
         'mimeType', 'text/plain',
         'text', 'This is an embedded resource content.'))) AS content
