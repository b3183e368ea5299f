CREATE TABLE conversations (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  created_at INTEGER NOT NULL,
  -- Sealed; nothing when it is empty.
  metadata INTEGER,
  -- 1 once it is deleted. The row stays for the responses that are tied to it.
  deleted INTEGER NOT NULL DEFAULT 0
) STRICT;

ALTER TABLE responses ADD COLUMN conversation INTEGER REFERENCES conversations (id);
CREATE INDEX responses_by_conversation ON responses (conversation, id) WHERE conversation IS NOT NULL;

-- The keys under which summaries are sealed that clients carry, each sealed itself, in `contents`.
CREATE TABLE compaction_keys (
  project INTEGER PRIMARY KEY REFERENCES projects (id),
  content INTEGER NOT NULL
) STRICT;
