//! Times as the database keeps them: Unix seconds.

use chrono::{DateTime, Utc};

pub(super) fn seconds(time: DateTime<Utc>) -> i64 {
    time.timestamp()
}

pub(super) fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}
