-- Usage events, releases of model aliases, stored hints, and batches. As in 0001: public ids are the 16 bytes behind
-- the prefix (of files 12), times are Unix seconds, those of leases milliseconds, texts of customers `bytea`.

-- What selections filter, group and sum. The event itself is in `usage_records`, so that a sum reads little.
CREATE TABLE usage_events (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  created_at bigint NOT NULL,
  provider bytea,
  model bytea,
  profile bytea NOT NULL,
  region bytea,
  api_key bytea,
  qos_class bytea NOT NULL,
  cache_tier bytea NOT NULL,
  -- Any other end than `completed`.
  failed boolean NOT NULL,
  input_tokens bigint NOT NULL,
  output_tokens bigint NOT NULL,
  eligible_tokens bigint NOT NULL,
  candidate_tokens bigint NOT NULL,
  realized_tokens bigint NOT NULL,
  missed_tokens bigint NOT NULL,
  charged_micros bigint NOT NULL,
  ttft_ms bigint,
  latency_ms bigint,
  -- Nothing when none was asked for.
  target_met boolean,
  deadline_met boolean
);
CREATE INDEX usage_events_by_time ON usage_events (project, created_at);
CREATE INDEX usage_events_by_age ON usage_events (created_at);

-- The events as they are answered, JSON; `id` is that of `usage_events`.
CREATE TABLE usage_records (
  id bigint PRIMARY KEY,
  record text NOT NULL
);

CREATE TABLE alias_releases (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  alias bytea NOT NULL,
  -- Until a newer release of the alias retires it.
  active boolean NOT NULL DEFAULT true,
  policy_revision bytea NOT NULL,
  capability_manifest_revision bytea NOT NULL,
  -- A JSON array.
  targets text NOT NULL,
  created_at bigint NOT NULL
);
CREATE UNIQUE INDEX alias_releases_active ON alias_releases (project, alias) WHERE active;

CREATE TABLE agent_hints (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  created_at bigint NOT NULL,
  -- The sections, JSON.
  hints text NOT NULL
);

CREATE TABLE batches (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL UNIQUE,
  project bigint NOT NULL,
  -- The key that created it; its lines run in that key's name.
  api_key bigint NOT NULL REFERENCES api_keys (id),
  -- 0 validating, 1 in progress, 2 finalizing, 3 cancelling; ended: 4 completed, 5 failed, 6 cancelled, 7 expired.
  status bigint NOT NULL DEFAULT 0,
  endpoint bytea NOT NULL,
  completion_window bytea NOT NULL,
  -- Public id: the file itself may be gone.
  input_file bytea NOT NULL,
  -- Sealed JSON: the metadata, and what is wrong with the input.
  metadata bytea,
  errors bytea,
  total bigint NOT NULL,
  completed bigint NOT NULL DEFAULT 0,
  failed bigint NOT NULL DEFAULT 0,
  -- Bytes of the results so far.
  result_bytes bigint NOT NULL DEFAULT 0,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  in_progress_at bigint,
  finalizing_at bigint,
  cancelling_at bigint,
  -- When it completed, failed, was cancelled or expired: `status` says which.
  ended_at bigint,
  output_file bytea,
  error_file bytea,
  -- When a line of it was claimed last, in milliseconds: batches take turns.
  served_at bigint NOT NULL DEFAULT 0,
  -- While it has lines.
  has_lines boolean NOT NULL
);
CREATE INDEX batches_by_project ON batches (project);
CREATE INDEX batches_open ON batches (project, input_file) WHERE status < 4;
CREATE INDEX batches_by_turn ON batches (served_at) WHERE status = 1;
CREATE INDEX batches_by_status ON batches (status, expires_at) WHERE status < 4;
CREATE INDEX batches_to_clear ON batches (id) WHERE status >= 4 AND has_lines;
CREATE INDEX batches_ended ON batches (ended_at) WHERE ended_at IS NOT NULL;

-- The input of a batch in sealed pieces of many lines: one piece a line would cost a page or two each.
CREATE TABLE batch_inputs (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  batch bigint NOT NULL REFERENCES batches (id),
  piece bigint NOT NULL,
  sealed bytea NOT NULL
);
CREATE INDEX batch_inputs_by_batch ON batch_inputs (batch);

CREATE TABLE batch_lines (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  public_id bytea NOT NULL,
  batch bigint NOT NULL REFERENCES batches (id),
  -- Where its text is: a row of `batch_inputs`, and a part of it.
  input bigint NOT NULL,
  start bigint NOT NULL,
  length bigint NOT NULL,
  -- 0 waiting, 1 running, 2 answered with a 2xx, 3 with an error.
  state bigint NOT NULL DEFAULT 0,
  attempts bigint NOT NULL DEFAULT 0,
  -- Raised by each claim.
  epoch bigint NOT NULL DEFAULT 0,
  -- In milliseconds: from when it may run; of a running one, when its lease ends.
  due bigint NOT NULL DEFAULT 0
);
CREATE INDEX batch_lines_by_batch ON batch_lines (batch);
CREATE INDEX batch_lines_due ON batch_lines (batch, due) WHERE state < 2;
CREATE INDEX batch_lines_running ON batch_lines (batch, due) WHERE state = 1;

-- The sealed output or error line; `id` is that of `batch_lines`.
CREATE TABLE batch_results (
  id bigint PRIMARY KEY,
  sealed bytea NOT NULL
);

-- What is sealed does not compress.
ALTER TABLE batches ALTER COLUMN metadata SET STORAGE EXTERNAL, ALTER COLUMN errors SET STORAGE EXTERNAL;
ALTER TABLE batch_inputs ALTER COLUMN sealed SET STORAGE EXTERNAL;
ALTER TABLE batch_results ALTER COLUMN sealed SET STORAGE EXTERNAL;
