-- Whether a run has not begun, or is over: 1 then. Of those that are there nobody knows until something is heard of them.
ALTER TABLE runs ADD COLUMN rests INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_active ON runs (run) WHERE rests = 0;
