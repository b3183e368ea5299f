CREATE TABLE conversations (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  created_at bigint NOT NULL,
  -- Sealed; nothing when it is empty.
  metadata bytea,
  -- The row stays for the responses that are tied to it.
  deleted boolean NOT NULL DEFAULT false
);

ALTER TABLE responses ADD COLUMN conversation bigint;
CREATE INDEX responses_by_conversation ON responses (conversation, id) WHERE conversation IS NOT NULL;

-- The keys under which summaries are sealed that clients carry, each sealed itself.
CREATE TABLE compaction_keys (
  project bigint PRIMARY KEY,
  sealed bytea NOT NULL
);

-- What is sealed does not compress.
ALTER TABLE conversations ALTER COLUMN metadata SET STORAGE EXTERNAL;
