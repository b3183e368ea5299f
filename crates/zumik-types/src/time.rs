//! Times on the wire: RFC 3339 on `/v2`, Unix seconds on `/v1`. Both are `DateTime<Utc>` in Rust.

use serde_with::{As, TimestampSeconds};

/// For `#[serde(with = …)]`: a time as whole Unix seconds.
pub(crate) type UnixSeconds = As<TimestampSeconds<i64>>;

/// As [`UnixSeconds`], for a time that may be missing.
pub(crate) type OptionalUnixSeconds = As<Option<TimestampSeconds<i64>>>;
