-- Acts are asked for by operation, by person and by time, too. Those that were known are read again from Kafka: no position
-- is kept, and letters that are there already change nothing.
DELETE FROM letter_positions;
DELETE FROM acts_on_letters;
DELETE FROM acts_on_groups;
DROP TABLE acts;
CREATE TABLE acts (
  key       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id        text COLLATE "C" NOT NULL UNIQUE,
  at_offset bigint NOT NULL,
  act       text NOT NULL,
  letters   text NOT NULL,
  operation text COLLATE "C" NOT NULL,
  who       text COLLATE "C" NOT NULL,
  happened  bigint NOT NULL
);
CREATE INDEX acts_in_order ON acts (at_offset, id);
CREATE INDEX acts_by_operation ON acts (operation, at_offset, id);
CREATE INDEX acts_by_who ON acts (who, at_offset, id);
