-- The search index. Read it freely while Lazaret runs (WAL); write to it never. It can be rebuilt from the
-- documents at any time.

-- One row per version of a document. A version is served (active) once all its parts are in; then every
-- older version is gone. `parts` tells apart two ways
-- of splitting the same version.
CREATE TABLE documents (
  id         INTEGER PRIMARY KEY,
  tenant     TEXT NOT NULL,
  document   TEXT NOT NULL,
  version    INTEGER NOT NULL,
  parts      INTEGER NOT NULL,
  active     INTEGER NOT NULL DEFAULT 0,
  title      TEXT,
  source     TEXT,
  media_type TEXT,
  UNIQUE (tenant, document, version, parts)
);
CREATE UNIQUE INDEX documents_active ON documents (tenant, document) WHERE active;

-- Which parts of a version are in.
CREATE TABLE parts (
  document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  part     INTEGER NOT NULL,
  passages INTEGER NOT NULL,
  PRIMARY KEY (document, part)
) WITHOUT ROWID;

CREATE TABLE passages (
  id       INTEGER PRIMARY KEY,
  document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
  part     INTEGER NOT NULL,
  ordinal  INTEGER NOT NULL,
  page     INTEGER,
  heading  TEXT,
  text     TEXT NOT NULL
);
CREATE INDEX passages_by_document ON passages (document, part);

-- Unit-length vectors: 32-bit floats, little endian. Apart from the text, because a search needs few of the
-- texts. `signs` has one bit per dimension, set where the number is positive, lowest bit first: a search looks
-- at the signs of all of a tenant's vectors, in the index, and at the numbers of the nearest only.
CREATE TABLE vectors (
  passage   INTEGER PRIMARY KEY REFERENCES passages (id) ON DELETE CASCADE,
  document  INTEGER NOT NULL,
  signs     BLOB NOT NULL,
  embedding BLOB NOT NULL
);
CREATE INDEX vectors_by_document ON vectors (document, passage, signs);

-- Words, as src/index/tokens.rs makes them, separated by spaces. rowid is passages.id. The first column
-- holds one token that stands for the tenant: a search asks for it together with the words, so that the
-- passages of other tenants are not even looked at.
CREATE VIRTUAL TABLE words USING fts5 (
  tenant, title, heading, body,
  content = '', contentless_delete = 1, tokenize = 'ascii'
);
CREATE TRIGGER passages_forget_words AFTER DELETE ON passages BEGIN
  DELETE FROM words WHERE rowid = old.id;
END;
