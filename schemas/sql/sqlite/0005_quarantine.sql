-- Two more columns of a letter: `looked` is 1 when a person has done something with it, `logged` is the time that Kafka counts
-- its retention from. Columns of stripes have room for 32 (`place` is stripe * 32 + the column's number). What is known is
-- read again from Kafka.
DELETE FROM acts_on_letters;
DELETE FROM acts_on_groups;
DELETE FROM acts;
DELETE FROM letters;
DELETE FROM letter_stripes;
DELETE FROM letter_messages;
DELETE FROM letter_names;
DELETE FROM letter_positions;
ALTER TABLE letters ADD COLUMN looked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE letters ADD COLUMN logged INTEGER NOT NULL DEFAULT 0;
