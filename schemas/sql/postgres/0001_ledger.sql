-- The job ledger. Read it freely while Lazaret runs; write to it never. All instances share it.
-- Times are milliseconds since the Unix epoch, UTC.

-- Fencing tokens, terms and ids of rows.
CREATE SEQUENCE tokens;

-- Who has opened this ledger. Each opening raises the epoch, which ends what earlier ones may claim. Leases of epochs
-- up to `voided` do not count: that process is known to be gone.
CREATE TABLE instances (
  name      text COLLATE "C" PRIMARY KEY,
  epoch     bigint NOT NULL,
  voided    bigint NOT NULL,
  opened_at bigint NOT NULL
);

-- Who has which name. A process holds its name by an advisory lock of its session; this row tells who that is, for when
-- the lock is free although the process may live.
CREATE TABLE names (
  name       text COLLATE "C" PRIMARY KEY,
  -- Of this taking of the name.
  holder     text NOT NULL,
  -- Machine, process and its start, to see whether it lives.
  machine    text NOT NULL,
  process    bigint NOT NULL,
  started    bigint NOT NULL,
  -- It has said goodbye.
  gone       boolean NOT NULL,
  -- How often it said that it lives while somebody else had the lock.
  objections bigint NOT NULL
);

-- Who has a stage's input partition: each process that takes it over begins a new term, and claims of an earlier one do
-- not count. A partition that nobody ever took over has no row.
CREATE TABLE terms (
  pipeline  text COLLATE "C" NOT NULL,
  stage     text COLLATE "C" NOT NULL,
  topic     text COLLATE "C" NOT NULL,
  partition integer NOT NULL,
  term      bigint NOT NULL,
  PRIMARY KEY (pipeline, stage, topic, partition)
);

-- One row per (pipeline, stage, job).
CREATE TABLE jobs (
  id               bigint PRIMARY KEY,
  job              text COLLATE "C" NOT NULL,
  stage            text COLLATE "C" NOT NULL,
  pipeline         text COLLATE "C" NOT NULL,
  -- running | stored | condemned | done | waiting | dead | released | parked | discarded
  state            text NOT NULL,
  -- Failed attempts so far, and how often the record was redriven.
  attempt          bigint NOT NULL,
  redrives         bigint NOT NULL,
  -- How often the stage finished this job. More than 1 is a broken promise: there is no such row.
  finishes         bigint NOT NULL,
  -- The lease: who holds it, in which epoch, until when. It counts in the states running, stored and condemned.
  token            bigint NOT NULL,
  holder           text NOT NULL,
  epoch            bigint NOT NULL,
  lease_until      bigint NOT NULL,
  -- The partition of the last claim's family.
  family           integer NOT NULL,
  -- The last record that claimed the job, and where the record that has the job stood on the stage's input topic.
  at_topic         text NOT NULL,
  at_partition     integer NOT NULL,
  at_offset        bigint NOT NULL,
  origin_topic     text COLLATE "C" NOT NULL,
  origin_partition integer NOT NULL,
  origin_offset    bigint NOT NULL,
  -- The hash of the key whose records are kept in order, its 64 bits as a signed number; NULL without order.
  order_key        bigint,
  tenant           text,
  resource         text,
  traceparent      text NOT NULL,
  -- The last failure, as JSON.
  fault            text,
  created_at       bigint NOT NULL,
  updated_at       bigint NOT NULL,
  -- A result is stored, in the table of results.
  result           boolean NOT NULL,
  -- What the indexes below ask for, so that they need not be changed with every state: running, stored, condemned or
  -- released; and when it was done or discarded.
  in_hand          boolean NOT NULL,
  over_at          bigint,
  UNIQUE (job, stage, pipeline)
) WITH (fillfactor = 70);
CREATE INDEX jobs_in_hand ON jobs (pipeline, stage) WHERE in_hand;
CREATE INDEX jobs_over ON jobs (over_at) WHERE over_at IS NOT NULL;
-- What later records of a key have to wait for.
CREATE INDEX jobs_outstanding ON jobs (pipeline, stage, origin_topic, origin_partition, origin_offset)
  WHERE order_key IS NOT NULL AND over_at IS NULL;

-- What a stage made, from before it is produced until it is acknowledged. `row` is jobs.id.
CREATE TABLE results (
  row    bigint PRIMARY KEY,
  result bytea NOT NULL
);
ALTER TABLE results ALTER COLUMN result SET STORAGE EXTERNAL;

-- The life of each job, append only; it goes when the job's row goes. `row` is jobs.id.
CREATE TABLE events (
  row      bigint NOT NULL,
  seq      bigint GENERATED ALWAYS AS IDENTITY,
  at       bigint NOT NULL,
  -- started | stored | condemned | done | waiting | dead | released | replayed | buried | duplicate | parked | discarded
  kind     text NOT NULL,
  attempt  bigint NOT NULL,
  redrives bigint NOT NULL,
  -- topic-partition@offset of the record that caused it.
  record   text,
  fault    text,
  -- Rung topic, parking topic or dead letter id.
  went_to  text,
  due      bigint,
  -- Who gave the job up and why, or how its end came to be known.
  remark   text,
  PRIMARY KEY (row, seq)
);
