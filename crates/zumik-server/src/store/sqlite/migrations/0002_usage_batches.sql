-- Usage events, releases of model aliases, stored hints, and batches. As in 0001: public ids are the 16 bytes behind
-- the prefix (of files 12), times are Unix seconds, those of leases milliseconds.

-- What selections filter, group and sum. The event itself is in `usage_records`, so that a sum reads little.
CREATE TABLE usage_events (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  created_at INTEGER NOT NULL,
  provider TEXT,
  model TEXT,
  profile TEXT NOT NULL,
  region TEXT,
  api_key BLOB,
  qos_class TEXT NOT NULL,
  cache_tier TEXT NOT NULL,
  -- 1 for any other end than `completed`.
  failed INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  eligible_tokens INTEGER NOT NULL,
  candidate_tokens INTEGER NOT NULL,
  realized_tokens INTEGER NOT NULL,
  missed_tokens INTEGER NOT NULL,
  charged_micros INTEGER NOT NULL,
  ttft_ms INTEGER,
  latency_ms INTEGER,
  -- Nothing when none was asked for.
  target_met INTEGER,
  deadline_met INTEGER
) STRICT;
CREATE INDEX usage_events_by_time ON usage_events (project, created_at);
CREATE INDEX usage_events_by_age ON usage_events (created_at);

-- The events as they are answered, JSON; `id` is that of `usage_events`.
CREATE TABLE usage_records (
  id INTEGER PRIMARY KEY,
  record TEXT NOT NULL
) STRICT;

CREATE TABLE alias_releases (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  alias TEXT NOT NULL,
  -- 1 until a newer release of the alias retires it.
  active INTEGER NOT NULL DEFAULT 1,
  policy_revision TEXT NOT NULL,
  capability_manifest_revision TEXT NOT NULL,
  -- A JSON array.
  targets TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX alias_releases_active ON alias_releases (project, alias) WHERE active = 1;

CREATE TABLE agent_hints (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  created_at INTEGER NOT NULL,
  -- The sections, JSON.
  hints TEXT NOT NULL
) STRICT;

CREATE TABLE batches (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL UNIQUE,
  project INTEGER NOT NULL REFERENCES projects (id),
  -- The key that created it; its lines run in that key's name.
  api_key INTEGER NOT NULL REFERENCES api_keys (id),
  -- 0 validating, 1 in progress, 2 finalizing, 3 cancelling; ended: 4 completed, 5 failed, 6 cancelled, 7 expired.
  status INTEGER NOT NULL DEFAULT 0,
  endpoint TEXT NOT NULL,
  completion_window TEXT NOT NULL,
  -- Public id: the file itself may be gone.
  input_file BLOB NOT NULL,
  -- Sealed JSON: the metadata, and what is wrong with the input.
  metadata BLOB,
  errors BLOB,
  total INTEGER NOT NULL,
  completed INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  -- Bytes of the results so far.
  result_bytes INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  in_progress_at INTEGER,
  finalizing_at INTEGER,
  cancelling_at INTEGER,
  -- When it completed, failed, was cancelled or expired: `status` says which.
  ended_at INTEGER,
  output_file BLOB,
  error_file BLOB,
  -- When a line of it was claimed last, in milliseconds: batches take turns.
  served_at INTEGER NOT NULL DEFAULT 0,
  -- 1 while it has lines.
  has_lines INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX batches_by_project ON batches (project);
CREATE INDEX batches_open ON batches (project, input_file) WHERE status < 4;
CREATE INDEX batches_by_turn ON batches (served_at) WHERE status = 1;
CREATE INDEX batches_by_status ON batches (status, expires_at) WHERE status < 4;
CREATE INDEX batches_to_clear ON batches (id) WHERE status >= 4 AND has_lines = 1;
CREATE INDEX batches_ended ON batches (ended_at) WHERE ended_at IS NOT NULL;

-- The input of a batch in sealed pieces of many lines: one piece a line would cost a page or two each.
CREATE TABLE batch_inputs (
  id INTEGER PRIMARY KEY,
  batch INTEGER NOT NULL REFERENCES batches (id),
  piece INTEGER NOT NULL,
  sealed BLOB NOT NULL
) STRICT;
CREATE INDEX batch_inputs_by_batch ON batch_inputs (batch);

CREATE TABLE batch_lines (
  id INTEGER PRIMARY KEY,
  public_id BLOB NOT NULL,
  batch INTEGER NOT NULL REFERENCES batches (id),
  -- Where its text is: a row of `batch_inputs`, and a part of it.
  input INTEGER NOT NULL,
  start INTEGER NOT NULL,
  length INTEGER NOT NULL,
  -- 0 waiting, 1 running, 2 answered with a 2xx, 3 with an error.
  state INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  -- Raised by each claim.
  epoch INTEGER NOT NULL DEFAULT 0,
  -- In milliseconds: from when it may run; of a running one, when its lease ends.
  due INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX batch_lines_by_batch ON batch_lines (batch);
CREATE INDEX batch_lines_due ON batch_lines (batch, due) WHERE state < 2;
CREATE INDEX batch_lines_running ON batch_lines (batch, due) WHERE state = 1;

-- The sealed output or error line; `id` is that of `batch_lines`.
CREATE TABLE batch_results (
  id INTEGER PRIMARY KEY,
  sealed BLOB NOT NULL
) STRICT;
