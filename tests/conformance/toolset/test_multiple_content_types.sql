/*+++
title = "Several kinds of content"
description = "Yields a text, an image and a resource block."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }
+++*/
SELECT json_build_array(
         json_build_object('type', 'text', 'text', 'Multiple content types test:'),
         json_build_object('type', 'image', 'data', conformance.image(), 'mimeType', 'image/png'),
         json_build_object('type', 'resource', 'resource', json_build_object(
           'uri', 'test://mixed-content-resource',
           'mimeType', 'application/json',
           'text', '{"test":"data","value":123}'))) AS content
