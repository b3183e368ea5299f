-- Public ids are the 16 bytes of the ULID behind the prefix (of files: 12 bytes), unique beside the integer
-- keys that tables refer to each other by. Times are Unix seconds, in `answers` milliseconds. Texts of customers
-- are in `contents`.

CREATE TABLE server (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  -- What the master key is recognized by.
  master_proof BLOB NOT NULL,
  -- The rows of `answers` up to this one are in `answer_index`.
  answers_indexed INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE projects (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  -- Purge generation of the project's cache namespace.
  generation INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  -- SHA-256 of the secret; nothing once it is revoked.
  hash BLOB UNIQUE,
  name TEXT NOT NULL,
  masked TEXT NOT NULL,
  scopes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

-- Sealed texts, each on pages of its own: contents.rs says why.
CREATE TABLE contents (
  id INTEGER PRIMARY KEY,
  record BLOB NOT NULL
) STRICT;

CREATE TABLE artifacts (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  artifact_type TEXT NOT NULL,
  media_type TEXT NOT NULL,
  retention_class TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  -- Sealed; nothing once it is removed.
  content INTEGER,
  metadata INTEGER,
  -- 0 live, 1 handle revoked, 2 purged.
  state INTEGER NOT NULL DEFAULT 0,
  expires_at INTEGER
) STRICT;
CREATE INDEX artifacts_by_project ON artifacts (project) WHERE state = 0;
CREATE INDEX artifacts_by_expiry ON artifacts (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE bundles (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  bundle_type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  -- 0 live, 1 deleted, 2 tombstoned by a purge.
  state INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE bundle_items (
  bundle INTEGER NOT NULL REFERENCES bundles (id),
  position INTEGER NOT NULL,
  artifact INTEGER NOT NULL REFERENCES artifacts (id),
  role TEXT NOT NULL,
  PRIMARY KEY (bundle, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX bundle_items_by_artifact ON bundle_items (artifact);

CREATE TABLE sessions (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  -- 0 active, 1 archived, 2 tombstoned, 3 deleted: its rows wait for the sweep.
  status INTEGER NOT NULL DEFAULT 0,
  -- Public id of the root branch.
  root BLOB NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_deleted ON sessions (id) WHERE status = 3;

CREATE TABLE session_bundles (
  session INTEGER NOT NULL REFERENCES sessions (id),
  position INTEGER NOT NULL,
  bundle INTEGER NOT NULL REFERENCES bundles (id),
  PRIMARY KEY (session, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_bundles_by_bundle ON session_bundles (bundle);

CREATE TABLE branches (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  session INTEGER NOT NULL REFERENCES sessions (id),
  parent INTEGER,
  forked_from INTEGER,
  head INTEGER,
  -- Events that can be reached from the head, inherited ones included.
  version INTEGER NOT NULL DEFAULT 0,
  label TEXT
) STRICT;
CREATE INDEX branches_by_session ON branches (session);

-- A tree of events: `parent` is the event before, `jump` one further back; history.rs says how far. There
-- are no foreign keys here: each would cost the append a look-up for what the code has just read.
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  branch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  parent INTEGER,
  jump INTEGER,
  event_type TEXT NOT NULL,
  payload_ref TEXT,
  -- The artifact that `payload_ref` names, if it names one.
  artifact INTEGER,
  created_at INTEGER NOT NULL,
  merged_branch INTEGER,
  merged_event INTEGER
) STRICT;
CREATE INDEX events_by_artifact ON events (artifact) WHERE artifact IS NOT NULL;

CREATE TABLE snapshots (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  branch INTEGER NOT NULL REFERENCES branches (id),
  branch_version INTEGER NOT NULL,
  prompt_compiler_revision TEXT NOT NULL,
  -- A JSON array of texts.
  manifest TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  -- 1 once a purge took something that the manifest names.
  invalid INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX snapshots_by_branch ON snapshots (branch);

-- The artifacts that a manifest names, directly or through an event.
CREATE TABLE snapshot_artifacts (
  artifact INTEGER NOT NULL REFERENCES artifacts (id),
  snapshot INTEGER NOT NULL REFERENCES snapshots (id),
  PRIMARY KEY (artifact, snapshot)
) STRICT, WITHOUT ROWID;
CREATE INDEX snapshot_artifacts_by_snapshot ON snapshot_artifacts (snapshot);

CREATE TABLE responses (
  id INTEGER PRIMARY KEY,
  -- 0 native, 1 of `/v1`.
  surface INTEGER NOT NULL,
  public_id BLOB NOT NULL,
  project INTEGER NOT NULL REFERENCES projects (id),
  -- 1 while it has not ended.
  open INTEGER NOT NULL,
  -- The whole record as JSON, sealed.
  content INTEGER NOT NULL,
  -- The input items as JSON, sealed, when they were kept.
  input_items INTEGER,
  expires_at INTEGER NOT NULL,
  UNIQUE (public_id, surface)
) STRICT;
CREATE INDEX responses_by_expiry ON responses (expires_at);
CREATE INDEX responses_open ON responses (id) WHERE open = 1;

CREATE TABLE files (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  filename TEXT NOT NULL,
  purpose TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  content INTEGER NOT NULL
) STRICT;
CREATE INDEX files_by_project ON files (project);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE diagnostics (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  -- The record as it was answered.
  record TEXT NOT NULL
) STRICT;

CREATE TABLE purge_jobs (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  -- A JSON array of artifact ids, as supplied.
  artifact_ids TEXT NOT NULL,
  requested_at INTEGER NOT NULL,
  -- Purge generation of the project after it.
  generation INTEGER NOT NULL,
  -- Contents are erased, but the log of the database may still hold them: 1 until the receipt is written.
  running INTEGER NOT NULL DEFAULT 1,
  receipt TEXT,
  -- The idempotency key that waits for the answer, with the trace id to answer with.
  answer INTEGER,
  trace TEXT NOT NULL
) STRICT;
CREATE INDEX purge_jobs_running ON purge_jobs (id) WHERE running = 1;

CREATE TABLE receipt_keys (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  -- Entry of the public key set, as JSON.
  public_key TEXT NOT NULL,
  -- Sealed seed; nothing once the key is retired.
  seed BLOB
) STRICT;

-- Idempotency keys: reserved while `status` is missing, answered after.
CREATE TABLE answers (
  id INTEGER PRIMARY KEY,
  -- Digest of project, path and key.
  lookup BLOB NOT NULL,
  fingerprint BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  -- Raised by each holder; the lease ends at this time.
  epoch INTEGER NOT NULL,
  lease_until INTEGER,
  status INTEGER,
  -- The sealed answer: here, or in `contents` when it must be erasable by a purge.
  sealed BLOB,
  content INTEGER
) STRICT;

-- The rows of keys, by the day on which they expire; lookups.rs says how it is filled.
CREATE TABLE answer_index (
  day INTEGER NOT NULL,
  lookup BLOB NOT NULL,
  answer INTEGER NOT NULL,
  PRIMARY KEY (day, lookup)
) STRICT, WITHOUT ROWID;

-- Answers that a purge of an artifact drops.
CREATE TABLE answer_artifacts (
  artifact INTEGER NOT NULL REFERENCES artifacts (id),
  answer INTEGER NOT NULL REFERENCES answers (id),
  PRIMARY KEY (artifact, answer)
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_artifacts_by_answer ON answer_artifacts (answer);
