-- Two more columns of a letter: `looked` is 1 when a person has done something with it, `logged` is the time that Kafka counts
-- its retention from. Columns of stripes have room for 32 (`place` is stripe * 32 + the column's number). What is known is
-- read again from Kafka.
TRUNCATE acts, acts_on_letters, acts_on_groups, letters, letter_stripes, letter_messages, letter_names, letter_positions;
ALTER TABLE letters ADD COLUMN looked bigint NOT NULL DEFAULT 0;
ALTER TABLE letters ADD COLUMN logged bigint NOT NULL DEFAULT 0;
