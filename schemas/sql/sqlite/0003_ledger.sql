-- Who has a stage's input partition: each process that takes it over begins a new term, and claims of an earlier
-- one do not count. A partition that nobody ever took over has no row.
CREATE TABLE terms (
  pipeline  TEXT NOT NULL,
  stage     TEXT NOT NULL,
  topic     TEXT NOT NULL,
  partition INTEGER NOT NULL,
  term      INTEGER NOT NULL,
  PRIMARY KEY (pipeline, stage, topic, partition)
) WITHOUT ROWID;

-- The partition of the last claim's family: until what came of it is known there, only that family may go on with
-- a job whose result is stored or whose verdict is spoken. `origin_*` now name the record that has the job.
-- `result` stays the last column, as before.
ALTER TABLE jobs RENAME COLUMN result TO moved;
ALTER TABLE jobs ADD COLUMN family INTEGER;
ALTER TABLE jobs ADD COLUMN result BLOB;
UPDATE jobs SET result = moved WHERE moved IS NOT NULL;
ALTER TABLE jobs DROP COLUMN moved;
