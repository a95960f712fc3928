-- 200,000 tickets of ten projects, always the same ones.
CREATE TABLE ticket (
  id         int PRIMARY KEY,
  project    text NOT NULL,
  status     text NOT NULL,
  title      text NOT NULL,
  assignee   text,
  created_at timestamptz NOT NULL,
  price      numeric(10,2) NOT NULL,
  meta       jsonb NOT NULL
);

INSERT INTO ticket
SELECT n,
       'p' || n % 10,
       (ARRAY['open', 'wip', 'closed'])[1 + n % 3],
       'Ticket ' || n || ': ' || repeat('something to do ', 1 + n % 4),
       CASE WHEN n % 5 > 0 THEN 'user' || n % 40 END,
       timestamptz '2026-01-01 00:00:00+00' + n * interval '1 minute',
       (n % 10000)::numeric / 100,
       jsonb_build_object('tags', jsonb_build_array('t' || n % 7, 't' || n % 11), 'votes', n % 50)
FROM generate_series(1, 200000) AS n;

CREATE INDEX ticket_list ON ticket (project, created_at DESC, id DESC);
VACUUM ANALYZE ticket;
CHECKPOINT;
