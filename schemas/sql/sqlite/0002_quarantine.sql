-- Acts are asked for by operation, by person and by time, too. Those that were known are read again from Kafka: no position
-- is kept, and letters that are there already change nothing.
DELETE FROM letter_positions;
DELETE FROM acts_on_letters;
DELETE FROM acts_on_groups;
DROP TABLE acts;
CREATE TABLE acts (
  key       INTEGER PRIMARY KEY,
  id        TEXT NOT NULL UNIQUE,
  at_offset INTEGER NOT NULL,
  act       TEXT NOT NULL,
  letters   TEXT NOT NULL,
  operation TEXT NOT NULL,
  who       TEXT NOT NULL,
  happened  INTEGER NOT NULL
);
CREATE INDEX acts_in_order ON acts (at_offset, id);
CREATE INDEX acts_by_operation ON acts (operation, at_offset, id);
CREATE INDEX acts_by_who ON acts (who, at_offset, id);
