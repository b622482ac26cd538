-- Two more columns of a letter: tokens that a provider has counted, of what it was asked and of what it answered; -1 where nobody
-- said. What was taken in before was not asked for them, so nothing is read again: full stripes get columns of nothing but -1.
ALTER TABLE letters ADD COLUMN tokens_in INTEGER NOT NULL DEFAULT -1;
ALTER TABLE letters ADD COLUMN tokens_out INTEGER NOT NULL DEFAULT -1;
INSERT INTO letter_stripes (place, low, high, bytes)
  SELECT place + 19, -1, -1, x'' FROM letter_stripes WHERE place % 32 = 0;
INSERT INTO letter_stripes (place, low, high, bytes)
  SELECT place + 20, -1, -1, x'' FROM letter_stripes WHERE place % 32 = 0;
