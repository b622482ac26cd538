-- One more column of a letter: `kept` counts the places of src/quarantine/parcel.rs where it can be read. Of several copies of a
-- letter that which stands last counts from now on. What is known is read again from Kafka.
DELETE FROM run_letters;
DELETE FROM acts_on_runs;
DELETE FROM runs;
DELETE FROM acts_on_letters;
DELETE FROM acts_on_groups;
DELETE FROM acts;
DELETE FROM letters;
DELETE FROM letter_stripes;
DELETE FROM letter_messages;
DELETE FROM letter_names;
DELETE FROM letter_positions;
ALTER TABLE letters ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;

-- What was said of an object of the archive.
CREATE TABLE acts_on_objects (
  object TEXT NOT NULL,
  act    INTEGER NOT NULL,
  PRIMARY KEY (object, act)
) WITHOUT ROWID;
