/*+++
title = "Parameter in a header"
description = "Echoes a region that the client mirrors in the header Mcp-Param-Region."
shape = "content"
annotations = { read_only = true, idempotent = true, open_world = false }

[params.region]
type = "text"
description = "Any text."
header = "Region"
optional = true
+++*/
SELECT conformance.text_block('Region: ' || coalesce(:region, 'none')) AS content
