-- Public ids are the 16 bytes of the ULID behind the prefix (of files: 12 bytes), unique beside the integer keys that
-- tables refer to each other by. Times are Unix seconds, in `answers` milliseconds. Texts of customers may hold the
-- character U+0000, which `text` refuses, so they are `bytea` in UTF-8. Contents are sealed.
--
-- References that are written often have no foreign key: each would lock the row it points to. What depends on the
-- state of another row locks that row itself; db.rs has the order of locks.

CREATE TABLE server (
  id integer PRIMARY KEY CHECK (id = 1),
  -- What the master key is recognized by.
  master_proof bytea NOT NULL
);

-- Numbers of the replicas; presence.rs says what for.
CREATE SEQUENCE replica_numbers;

CREATE TABLE projects (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  name text NOT NULL UNIQUE,
  -- Purge generation of the project's cache namespace.
  generation bigint NOT NULL DEFAULT 0,
  created_at bigint NOT NULL
);

CREATE TABLE api_keys (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL REFERENCES projects (id),
  -- SHA-256 of the secret, of a revoked key too.
  hash bytea UNIQUE,
  name bytea NOT NULL,
  masked text NOT NULL,
  scopes bigint NOT NULL,
  created_at bigint NOT NULL,
  revoked_at bigint
);

CREATE TABLE artifacts (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  artifact_type bytea NOT NULL,
  media_type bytea NOT NULL,
  retention_class bytea NOT NULL,
  created_at bigint NOT NULL,
  -- Sealed; nothing once it is removed.
  content bytea,
  metadata bytea,
  -- 0 live, 1 handle revoked, 2 purged.
  state bigint NOT NULL DEFAULT 0,
  expires_at bigint
);
CREATE INDEX artifacts_by_project ON artifacts (project, id) WHERE state = 0;
CREATE INDEX artifacts_by_expiry ON artifacts (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE bundles (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  bundle_type bytea NOT NULL,
  created_at bigint NOT NULL,
  -- 0 live, 1 deleted, 2 tombstoned by a purge.
  state bigint NOT NULL DEFAULT 0
);

CREATE TABLE bundle_items (
  bundle bigint NOT NULL REFERENCES bundles (id),
  position bigint NOT NULL,
  artifact bigint NOT NULL,
  role bytea NOT NULL,
  PRIMARY KEY (bundle, position)
);
CREATE INDEX bundle_items_by_artifact ON bundle_items (artifact);

CREATE TABLE sessions (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  -- 0 active, 1 archived, 2 tombstoned, 3 deleted: its rows wait for the sweep.
  status bigint NOT NULL DEFAULT 0,
  -- Public id of the root branch.
  root bytea NOT NULL,
  created_at bigint NOT NULL
);
CREATE INDEX sessions_deleted ON sessions (id) WHERE status = 3;

CREATE TABLE session_bundles (
  session bigint NOT NULL REFERENCES sessions (id),
  position bigint NOT NULL,
  bundle bigint NOT NULL,
  PRIMARY KEY (session, position)
);
CREATE INDEX session_bundles_by_bundle ON session_bundles (bundle);

CREATE TABLE branches (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  session bigint NOT NULL REFERENCES sessions (id),
  -- That of the session, so that an append looks at this row alone.
  status bigint NOT NULL DEFAULT 0,
  parent bigint,
  forked_from bigint,
  head bigint,
  -- Events that can be reached from the head, inherited ones included.
  version bigint NOT NULL DEFAULT 0,
  label bytea
) WITH (fillfactor = 50);
CREATE INDEX branches_by_session ON branches (session);

-- A tree of events: `parent` is the event before, `jump` one further back; history.rs says how far.
CREATE SEQUENCE event_rows;
CREATE TABLE events (
  id bigint PRIMARY KEY,
  public_id bytea NOT NULL UNIQUE,
  branch bigint NOT NULL,
  sequence bigint NOT NULL,
  parent bigint,
  jump bigint,
  jump_sequence bigint NOT NULL,
  event_type bytea NOT NULL,
  payload_ref bytea,
  -- The artifact that `payload_ref` names, if it names one.
  artifact bigint,
  created_at bigint NOT NULL,
  merged_branch bigint,
  merged_event bigint,
  -- The events of a branch, for reading, and the net under the compare-and-swap of its version.
  UNIQUE (branch, sequence)
);
CREATE INDEX events_by_artifact ON events (artifact) WHERE artifact IS NOT NULL;

CREATE TABLE snapshots (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  branch bigint NOT NULL REFERENCES branches (id),
  branch_version bigint NOT NULL,
  prompt_compiler_revision bytea NOT NULL,
  -- A JSON array of texts.
  manifest text NOT NULL,
  created_at bigint NOT NULL,
  -- Once a purge took something that the manifest names.
  invalid boolean NOT NULL DEFAULT false
);
CREATE INDEX snapshots_by_branch ON snapshots (branch);

-- The artifacts that a manifest names, directly or through an event.
CREATE TABLE snapshot_artifacts (
  artifact bigint NOT NULL,
  snapshot bigint NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
  PRIMARY KEY (artifact, snapshot)
);
CREATE INDEX snapshot_artifacts_by_snapshot ON snapshot_artifacts (snapshot);

CREATE TABLE responses (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  -- 0 native, 1 of `/v1`.
  surface bigint NOT NULL,
  public_id bytea NOT NULL,
  project bigint NOT NULL,
  -- The replica that works on it; nothing once it has ended.
  worker bigint,
  -- The whole record as JSON, sealed.
  content bytea NOT NULL,
  -- The input items as JSON, sealed, when they were kept.
  input_items bytea,
  expires_at bigint NOT NULL,
  UNIQUE (public_id, surface)
);
CREATE INDEX responses_by_expiry ON responses (expires_at);
CREATE INDEX responses_open ON responses (worker) WHERE worker IS NOT NULL;

CREATE TABLE files (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  filename bytea NOT NULL,
  purpose bytea NOT NULL,
  bytes bigint NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint,
  content bytea NOT NULL
);
CREATE INDEX files_by_project ON files (project, id);
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE diagnostics (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  -- The record as it was answered.
  record text NOT NULL
);

CREATE TABLE purge_jobs (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  -- Job and receipt as they are answered.
  job text NOT NULL,
  receipt text NOT NULL
);

CREATE TABLE receipt_keys (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  -- Entry of the public key set, as JSON.
  public_key text NOT NULL,
  -- Sealed seed; nothing once the key is retired.
  seed bytea
);

-- Idempotency keys: reserved while `sealed` is missing, answered after.
CREATE TABLE answers (
  -- Digest of project, path and key.
  lookup bytea PRIMARY KEY,
  fingerprint bytea NOT NULL,
  expires_at bigint NOT NULL,
  -- Raised by each holder; the lease ends at this time.
  epoch bigint NOT NULL,
  lease_until bigint,
  -- The sealed answer.
  sealed bytea
);
CREATE INDEX answers_by_expiry ON answers (expires_at);

-- Answers that a purge of an artifact drops.
CREATE TABLE answer_artifacts (
  artifact bigint NOT NULL,
  lookup bytea NOT NULL REFERENCES answers (lookup) ON DELETE CASCADE,
  PRIMARY KEY (artifact, lookup)
);
CREATE INDEX answer_artifacts_by_answer ON answer_artifacts (lookup);

-- What is sealed does not compress.
ALTER TABLE artifacts ALTER COLUMN content SET STORAGE EXTERNAL, ALTER COLUMN metadata SET STORAGE EXTERNAL;
ALTER TABLE responses ALTER COLUMN content SET STORAGE EXTERNAL, ALTER COLUMN input_items SET STORAGE EXTERNAL;
ALTER TABLE files ALTER COLUMN content SET STORAGE EXTERNAL;
ALTER TABLE answers ALTER COLUMN sealed SET STORAGE EXTERNAL;
