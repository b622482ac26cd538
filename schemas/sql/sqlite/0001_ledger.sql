-- The job ledger. Read it freely while Lazaret runs (WAL); write to it never.
-- Times are milliseconds since the Unix epoch, UTC.

-- Who has opened this ledger. Each opening raises the epoch, which voids the leases of the earlier ones.
CREATE TABLE instances (
  name      TEXT PRIMARY KEY,
  epoch     INTEGER NOT NULL,
  opened_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The last fencing token given out; one row.
CREATE TABLE tokens (
  last INTEGER NOT NULL
);
INSERT INTO tokens VALUES (0);

-- One row per (pipeline, stage, job).
CREATE TABLE jobs (
  id          INTEGER PRIMARY KEY,
  job         TEXT NOT NULL,
  stage       TEXT NOT NULL,
  pipeline    TEXT NOT NULL,
  -- running | stored | condemned | done | waiting | dead | released
  state       TEXT NOT NULL,
  -- Failed attempts so far, and how often the record was redriven.
  attempt     INTEGER NOT NULL,
  redrives    INTEGER NOT NULL,
  -- How often the stage finished this job. More than 1 is a broken promise: there is no such row.
  finishes    INTEGER NOT NULL DEFAULT 0,
  -- The lease: who holds it, in which epoch, until when. It counts in the states running, stored and
  -- condemned.
  token       INTEGER NOT NULL,
  holder      TEXT NOT NULL,
  epoch       INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  tenant      TEXT,
  resource    TEXT,
  traceparent TEXT NOT NULL,
  -- The last failure, as JSON.
  fault       TEXT,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  -- What the stage made, from before it is produced until it is acknowledged.
  result      BLOB,
  UNIQUE (job, stage, pipeline)
);
CREATE INDEX jobs_by_state ON jobs (pipeline, stage, state);
CREATE INDEX jobs_done ON jobs (updated_at) WHERE state = 'done';

-- The life of each job, append only; it goes when the job's row goes.
CREATE TABLE events (
  seq      INTEGER PRIMARY KEY,
  row      INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  at       INTEGER NOT NULL,
  -- started | stored | condemned | done | waiting | dead | released | replayed | buried | duplicate
  kind     TEXT NOT NULL,
  attempt  INTEGER NOT NULL,
  redrives INTEGER NOT NULL,
  -- topic-partition@offset of the record that caused it.
  record   TEXT,
  fault    TEXT,
  -- Rung topic or dead letter id.
  went_to  TEXT,
  due      INTEGER
);
CREATE INDEX events_by_row ON events (row);
