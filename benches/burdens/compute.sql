/*+++
description = "Keeps a processor busy for some milliseconds."
shape = "row"
+++*/
SELECT sum(hashint4(n)) AS sum FROM generate_series(1, 30000) AS n
