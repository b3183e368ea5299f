//! Times as the database keeps them: Unix seconds.

use chrono::{DateTime, Utc};

pub(in crate::store) fn seconds(time: DateTime<Utc>) -> i64 {
    time.timestamp()
}

pub(in crate::store) fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}
