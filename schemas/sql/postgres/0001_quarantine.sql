-- What is known of dead letters. Read it freely while Lazaret runs; write to it never. Kafka is the truth: it can be
-- rebuilt from the dead letter topics and the topic of operations at any time.

-- Names that many letters share, each with a number that counts from 1 for its kind (`what`). 0 stands for none.
CREATE TABLE letter_names (
  what   text COLLATE "C" NOT NULL,
  number integer NOT NULL,
  name   text COLLATE "C" NOT NULL,
  PRIMARY KEY (what, number)
);
CREATE UNIQUE INDEX letter_names_by_name ON letter_names (what, name);

-- Messages, found by hash. `folded` is the same in lower case, where it is another text.
CREATE TABLE letter_messages (
  number integer PRIMARY KEY,
  hash   bytea NOT NULL UNIQUE,
  text   text NOT NULL,
  folded text
);

-- One row per dead letter: of several copies, that which stands first. Keys count from 0 without gaps. Topic, and the
-- columns from pipeline to message, are numbers of names; `state` counts the states of src/quarantine/state.rs from 0.
-- Times are milliseconds since 1970. `again`: the job died again after it; `gone`: Kafka has it no longer; `trace_hash`: 63
-- bits of the BLAKE3 hash of the trace, by which it is looked for among all.
CREATE TABLE letters (
  key         bigint PRIMARY KEY,
  died        bigint NOT NULL,
  size        bigint NOT NULL,
  trace_hash  bigint NOT NULL,
  at_offset   bigint NOT NULL,
  redrives    bigint NOT NULL,
  topic       integer NOT NULL,
  part        integer NOT NULL,
  state       integer NOT NULL,
  pipeline    integer NOT NULL,
  stage       integer NOT NULL,
  code        integer NOT NULL,
  class       integer NOT NULL,
  fingerprint integer NOT NULL,
  tenant      integer NOT NULL,
  resource    integer NOT NULL,
  feature     integer NOT NULL,
  model       integer NOT NULL,
  producer    integer NOT NULL,
  version     integer NOT NULL,
  message     integer NOT NULL,
  again       boolean NOT NULL,
  gone        boolean NOT NULL,
  id          text COLLATE "C" NOT NULL UNIQUE,
  job         text COLLATE "C" NOT NULL,
  trace       text COLLATE "C",
  rest        text NOT NULL
);
CREATE INDEX letters_by_job ON letters (job, stage, pipeline, redrives);
CREATE INDEX letters_standing ON letters (topic, part, at_offset) WHERE NOT gone;

-- The columns state, pipeline, … to message, died, size and trace_hash once more, by stripes of 4,096 keys: what is above the least of
-- them, each in 0, 1, 2, 4 or 8 bytes, little endian. `place` is stripe * 16 + the column's number. Only full stripes are
-- here.
CREATE TABLE letter_stripes (
  place bigint PRIMARY KEY,
  low   bigint NOT NULL,
  high  bigint NOT NULL,
  bytes bytea NOT NULL
);
-- They are small already.
ALTER TABLE letter_stripes ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- What people and rules did, in the order of the topic of operations. `act` is without the letters, which are in `letters`.
CREATE TABLE acts (
  key       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id        text COLLATE "C" NOT NULL UNIQUE,
  at_offset bigint NOT NULL,
  act       text NOT NULL,
  letters   text NOT NULL
);
CREATE TABLE acts_on_letters (
  letter text COLLATE "C" NOT NULL,
  act    bigint NOT NULL,
  PRIMARY KEY (letter, act)
);
CREATE TABLE acts_on_groups (
  fingerprint text COLLATE "C" NOT NULL,
  act         bigint NOT NULL,
  PRIMARY KEY (fingerprint, act)
);

-- The next offset to read.
CREATE TABLE letter_positions (
  topic text COLLATE "C" NOT NULL,
  part  integer NOT NULL,
  next  bigint NOT NULL,
  PRIMARY KEY (topic, part)
);
