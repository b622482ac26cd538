-- Whether a run has not begun, or is over. Of those that are there nobody knows until something is heard of them.
ALTER TABLE runs ADD COLUMN rests BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX runs_active ON runs (run) WHERE NOT rests;
