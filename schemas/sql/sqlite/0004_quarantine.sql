-- Runs of redrive. Their ids are of version 7, so that later plans have greater ones.
CREATE TABLE runs (
  run TEXT PRIMARY KEY
) WITHOUT ROWID;

-- What was said of a run as a whole.
CREATE TABLE acts_on_runs (
  run TEXT NOT NULL,
  act INTEGER NOT NULL,
  PRIMARY KEY (run, act)
) WITHOUT ROWID;

-- The letters of its plan, in order.
CREATE TABLE run_letters (
  run    TEXT NOT NULL,
  place  INTEGER NOT NULL,
  letter TEXT NOT NULL,
  PRIMARY KEY (run, place)
) WITHOUT ROWID;
