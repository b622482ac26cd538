-- The search index. Read it freely while Lazaret runs; write to it never. It can be rebuilt from the documents at any
-- time.

CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;

CREATE SEQUENCE passage_ids;

-- One row per version of a document. A version is served (active) once all its parts are in; then every older version
-- is gone. `parts` tells apart two ways of splitting the same version.
CREATE TABLE documents (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant     text COLLATE "C" NOT NULL,
  document   text COLLATE "C" NOT NULL,
  version    bigint NOT NULL,
  parts      bigint NOT NULL,
  active     boolean NOT NULL DEFAULT false,
  title      text,
  source     text,
  media_type text,
  UNIQUE (tenant, document, version, parts)
);
CREATE UNIQUE INDEX documents_active ON documents (tenant, document) WHERE active;

-- Which parts of a version are in.
CREATE TABLE parts (
  document bigint NOT NULL,
  part     bigint NOT NULL,
  passages bigint NOT NULL,
  PRIMARY KEY (document, part)
);

CREATE TABLE passages (
  id       bigint PRIMARY KEY,
  document bigint NOT NULL,
  part     bigint NOT NULL,
  ordinal  bigint NOT NULL,
  page     bigint,
  heading  text,
  text     text NOT NULL
);
CREATE INDEX passages_by_document ON passages (document, part);

-- Words, as src/index/tokens.rs makes them, with their places: those of title (A), heading (B) and text (D). One
-- more (C), with a colon in it, stands for the tenant: a search asks for it together with the words, so that the
-- passages of other tenants are not even looked at. `head` has those of title and heading alone. Apart from the text,
-- because a search needs few of the texts.
CREATE TABLE words (
  passage  bigint PRIMARY KEY,
  document bigint NOT NULL,
  terms    bigint NOT NULL,
  head     tsvector NOT NULL,
  words    tsvector NOT NULL
);
CREATE INDEX words_by_document ON words (document);
-- What is put waits in a list until it is indexed, which every search reads from end to end: so it is a short one.
CREATE INDEX words_by_word ON words USING gin (words) WITH (gin_pending_list_limit = 512);
CREATE INDEX words_by_head ON words USING gin (head) WITH (gin_pending_list_limit = 512);

-- Unit-length vectors. Every search is one tenant's, and compares with all of that tenant's, which is exact.
CREATE TABLE vectors (
  passage    bigint PRIMARY KEY,
  document   bigint NOT NULL,
  dimensions integer NOT NULL,
  embedding  vector NOT NULL
);
CREATE INDEX vectors_by_document ON vectors (document);
