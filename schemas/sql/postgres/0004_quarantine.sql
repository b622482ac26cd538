-- Runs of redrive. Their ids are of version 7, so that later plans have greater ones.
CREATE TABLE runs (
  run text COLLATE "C" PRIMARY KEY
);

-- What was said of a run as a whole.
CREATE TABLE acts_on_runs (
  run text COLLATE "C" NOT NULL,
  act bigint NOT NULL,
  PRIMARY KEY (run, act)
);

-- The letters of its plan, in order.
CREATE TABLE run_letters (
  run    text COLLATE "C" NOT NULL,
  place  bigint NOT NULL,
  letter text COLLATE "C" NOT NULL,
  PRIMARY KEY (run, place)
);
