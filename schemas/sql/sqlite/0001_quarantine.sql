-- What is known of dead letters. Read it freely while Lazaret runs (WAL); write to it never. Kafka is the truth: it can be
-- rebuilt from the dead letter topics and the topic of operations at any time.

-- Names that many letters share, each with a number that counts from 1 for its kind (`what`). 0 stands for none.
CREATE TABLE letter_names (
  what   TEXT NOT NULL,
  number INTEGER NOT NULL,
  name   TEXT NOT NULL,
  PRIMARY KEY (what, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX letter_names_by_name ON letter_names (what, name);

-- Messages, found by hash. `folded` is the same in lower case, where it is another text.
CREATE TABLE letter_messages (
  number INTEGER PRIMARY KEY,
  hash   BLOB NOT NULL UNIQUE,
  text   TEXT NOT NULL,
  folded TEXT
);

-- One row per dead letter: of several copies, that which stands first. Keys count from 0 without gaps. Topic, and the
-- columns from pipeline to message, are numbers of names; `state` counts the states of src/quarantine/state.rs from 0.
-- Times are milliseconds since 1970. `again`: the job died again after it; `gone`: Kafka has it no longer; `trace_hash`: 63
-- bits of the BLAKE3 hash of the trace, by which it is looked for among all.
CREATE TABLE letters (
  key         INTEGER PRIMARY KEY,
  id          TEXT NOT NULL UNIQUE,
  job         TEXT NOT NULL,
  trace       TEXT,
  topic       INTEGER NOT NULL,
  part        INTEGER NOT NULL,
  at_offset   INTEGER NOT NULL,
  redrives    INTEGER NOT NULL,
  again       INTEGER NOT NULL,
  gone        INTEGER NOT NULL,
  state       INTEGER NOT NULL,
  pipeline    INTEGER NOT NULL,
  stage       INTEGER NOT NULL,
  code        INTEGER NOT NULL,
  class       INTEGER NOT NULL,
  fingerprint INTEGER NOT NULL,
  tenant      INTEGER NOT NULL,
  resource    INTEGER NOT NULL,
  feature     INTEGER NOT NULL,
  model       INTEGER NOT NULL,
  producer    INTEGER NOT NULL,
  version     INTEGER NOT NULL,
  message     INTEGER NOT NULL,
  died        INTEGER NOT NULL,
  size        INTEGER NOT NULL,
  trace_hash  INTEGER NOT NULL,
  rest        TEXT NOT NULL
);
CREATE INDEX letters_by_job ON letters (job, stage, pipeline, redrives);
CREATE INDEX letters_standing ON letters (topic, part, at_offset) WHERE NOT gone;

-- The columns from state to trace_hash once more, by stripes of 4,096 keys: what is above the least of them, each in 0, 1, 2, 4
-- or 8 bytes, little endian. `place` is stripe * 16 + the column's number. Only full stripes are here.
CREATE TABLE letter_stripes (
  place INTEGER PRIMARY KEY,
  low   INTEGER NOT NULL,
  high  INTEGER NOT NULL,
  bytes BLOB NOT NULL
);

-- What people and rules did, in the order of the topic of operations. `act` is without the letters, which are in `letters`.
CREATE TABLE acts (
  key       INTEGER PRIMARY KEY,
  id        TEXT NOT NULL UNIQUE,
  at_offset INTEGER NOT NULL,
  act       TEXT NOT NULL,
  letters   TEXT NOT NULL
);
CREATE TABLE acts_on_letters (
  letter TEXT NOT NULL,
  act    INTEGER NOT NULL,
  PRIMARY KEY (letter, act)
) WITHOUT ROWID;
CREATE TABLE acts_on_groups (
  fingerprint TEXT NOT NULL,
  act         INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, act)
) WITHOUT ROWID;

-- The next offset to read.
CREATE TABLE letter_positions (
  topic TEXT NOT NULL,
  part  INTEGER NOT NULL,
  next  INTEGER NOT NULL,
  PRIMARY KEY (topic, part)
) WITHOUT ROWID;
