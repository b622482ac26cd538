-- One more column of a letter: `kept` counts the places of src/quarantine/parcel.rs where it can be read. Of several copies of a
-- letter that which stands last counts from now on. What is known is read again from Kafka.
TRUNCATE run_letters, acts_on_runs, runs, acts, acts_on_letters, acts_on_groups, letters, letter_stripes, letter_messages,
  letter_names, letter_positions;
ALTER TABLE letters ADD COLUMN kept bigint NOT NULL DEFAULT 0;

-- What was said of an object of the archive.
CREATE TABLE acts_on_objects (
  object text COLLATE "C" NOT NULL,
  act    bigint NOT NULL,
  PRIMARY KEY (object, act)
);
