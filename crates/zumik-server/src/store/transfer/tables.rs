//! What durable stores hold, in the form in which one hands it to another: the tables and columns of PostgreSQL. Each
//! store says beside its schema where it keeps a column otherwise; a test holds this list to the schemas of both.

/// A table.
#[derive(Debug)]
pub(in crate::store) struct Table {
    pub(in crate::store) name: &'static str,
    /// The first of them leads the primary key.
    pub(in crate::store) columns: &'static [Column],
}

/// A column of a table.
#[derive(Debug)]
pub(in crate::store) struct Column {
    pub(in crate::store) name: &'static str,
    pub(in crate::store) kind: Kind,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    /// `bigint`.
    Int,
    /// `boolean`; 0 or 1 in SQLite.
    Flag,
    /// `text`.
    Text,
    /// A text of customers: `bytea` in PostgreSQL, `TEXT` in SQLite.
    Words,
    /// `bytea`.
    Bytes,
    /// A sealed text: `bytea` in PostgreSQL, a row of `contents` in SQLite.
    Content,
    /// No column: whether a purge of an artifact drops the answer, which SQLite keeps in `contents` then.
    Erasable,
}

impl Table {
    /// The columns that are columns.
    pub(in crate::store) fn stored(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().filter(|column| column.kind != Kind::Erasable)
    }

    /// Where a column of this kind is.
    pub(in crate::store) fn position(&self, kind: Kind) -> Option<usize> {
        self.columns.iter().position(|column| column.kind == kind)
    }

    /// Where the column of this name is.
    pub(in crate::store) fn named(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

macro_rules! table {
    ($name:ident: $($kind:ident $column:ident),+ $(,)?) => {
        Table {
            name: stringify!($name),
            columns: &[$(Column { name: stringify!($column), kind: Kind::$kind }),+],
        }
    };
}

/// All tables but `server`, whose one row is made with the store. Whatever a row refers to comes before it.
pub(in crate::store) const TABLES: &[Table] = &[
    table!(projects: Int id, Bytes public_id, Text name, Int generation, Int created_at),
    table!(api_keys: Int id, Bytes public_id, Int project, Bytes hash, Words name, Text masked, Int scopes,
        Int created_at, Int revoked_at),
    table!(artifacts: Int id, Bytes public_id, Int project, Words artifact_type, Words media_type,
        Words retention_class, Int created_at, Content content, Content metadata, Int state, Int expires_at),
    table!(bundles: Int id, Bytes public_id, Int project, Words bundle_type, Int created_at, Int state),
    table!(bundle_items: Int bundle, Int position, Int artifact, Words role),
    table!(sessions: Int id, Bytes public_id, Int project, Int status, Bytes root, Int created_at),
    table!(session_bundles: Int session, Int position, Int bundle),
    table!(branches: Int id, Bytes public_id, Int session, Int status, Int parent, Int forked_from, Int head,
        Int version, Words label),
    table!(events: Int id, Bytes public_id, Int branch, Int sequence, Int parent, Int jump, Int jump_sequence,
        Words event_type, Words payload_ref, Int artifact, Int created_at, Int merged_branch, Int merged_event),
    table!(snapshots: Int id, Bytes public_id, Int branch, Int branch_version, Words prompt_compiler_revision,
        Text manifest, Int created_at, Flag invalid),
    table!(snapshot_artifacts: Int artifact, Int snapshot),
    table!(conversations: Int id, Bytes public_id, Int project, Int created_at, Content metadata, Flag deleted),
    table!(responses: Int id, Int surface, Bytes public_id, Int project, Int worker, Content content,
        Content input_items, Int expires_at, Int conversation),
    table!(files: Int id, Bytes public_id, Int project, Words filename, Words purpose, Int bytes, Int created_at,
        Int expires_at, Content content),
    table!(diagnostics: Int id, Bytes public_id, Int project, Text record),
    table!(purge_jobs: Int id, Bytes public_id, Int project, Text job, Text receipt),
    table!(receipt_keys: Int id, Bytes public_id, Text public_key, Bytes seed),
    table!(answers: Bytes lookup, Bytes fingerprint, Int expires_at, Int epoch, Int lease_until, Bytes sealed,
        Erasable erasable),
    table!(answer_artifacts: Int artifact, Bytes lookup),
    table!(usage_events: Int id, Bytes public_id, Int project, Int created_at, Words provider, Words model,
        Words profile, Words region, Bytes api_key, Words qos_class, Words cache_tier, Flag failed, Int input_tokens,
        Int output_tokens, Int eligible_tokens, Int candidate_tokens, Int realized_tokens, Int missed_tokens,
        Int charged_micros, Int ttft_ms, Int latency_ms, Flag target_met, Flag deadline_met),
    table!(usage_records: Int id, Text record),
    table!(alias_releases: Int id, Bytes public_id, Int project, Words alias, Flag active, Words policy_revision,
        Words capability_manifest_revision, Text targets, Int created_at),
    table!(agent_hints: Int id, Bytes public_id, Int project, Int created_at, Text hints),
    table!(batches: Int id, Bytes public_id, Int project, Int api_key, Int status, Words endpoint,
        Words completion_window, Bytes input_file, Bytes metadata, Bytes errors, Int total, Int completed,
        Int failed, Int result_bytes, Int created_at, Int expires_at, Int in_progress_at, Int finalizing_at,
        Int cancelling_at, Int ended_at, Bytes output_file, Bytes error_file, Int served_at, Flag has_lines),
    table!(batch_inputs: Int id, Int batch, Int piece, Bytes sealed),
    table!(batch_lines: Int id, Bytes public_id, Int batch, Int input, Int start, Int length, Int state,
        Int attempts, Int epoch, Int due),
    table!(batch_results: Int id, Bytes sealed),
    table!(compaction_keys: Int project, Content sealed),
];
