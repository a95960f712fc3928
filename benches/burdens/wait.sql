/*+++
description = "Holds a database connection for 50 ms."
shape = "row"
+++*/
SELECT pg_sleep(0.05)::text = '' AS waited
