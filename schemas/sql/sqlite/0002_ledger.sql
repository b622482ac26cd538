-- Where the record of a job stood and what order it keeps; two more states of a job:
--   parked      on the parking topic, because an earlier record of its key has not ended
--   discarded   given up by a person or a rule; final like done

-- A result can be large. What stands behind it in a row is slow to read, so it stays the last column.
ALTER TABLE jobs RENAME COLUMN result TO moved;

-- The last record that claimed the job: what became of it in Kafka says what became of the job. NULL in rows
-- of a version before this one that were not claimed since.
ALTER TABLE jobs ADD COLUMN at_topic TEXT;
ALTER TABLE jobs ADD COLUMN at_partition INTEGER;
ALTER TABLE jobs ADD COLUMN at_offset INTEGER;
-- Where the record stood on the stage's input topic. It never changes.
ALTER TABLE jobs ADD COLUMN origin_topic TEXT;
ALTER TABLE jobs ADD COLUMN origin_partition INTEGER;
ALTER TABLE jobs ADD COLUMN origin_offset INTEGER;
-- The hash of the key whose records are kept in order, its 64 bits as a signed number; NULL without order.
ALTER TABLE jobs ADD COLUMN order_key INTEGER;

ALTER TABLE jobs ADD COLUMN result BLOB;
UPDATE jobs SET result = moved WHERE moved IS NOT NULL;
ALTER TABLE jobs DROP COLUMN moved;

-- What later records of a key have to wait for. It has all columns of the question, and no row that is over.
CREATE INDEX jobs_outstanding
  ON jobs (pipeline, stage, origin_topic, origin_partition, state, order_key, origin_offset)
  WHERE order_key IS NOT NULL AND state NOT IN ('done', 'discarded');

DROP INDEX jobs_done;
CREATE INDEX jobs_over ON jobs (updated_at) WHERE state IN ('done', 'discarded');

-- What an event says beside its kind: who gave the job up and why, or how its end came to be known. Two more
-- kinds of event: parked, discarded.
ALTER TABLE events ADD COLUMN remark TEXT;
