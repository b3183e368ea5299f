//! Usage events: written in groups, read as the latest ones and their sums.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use zumik_types::{KeyId, UsageDimension, UsageEvent, UsageReport};

use super::{ProjectCtx, Result};

/// Events that a report lists, the latest ones.
pub const LATEST_EVENTS: usize = 100;

/// How long a report may take, with its wait for other reports.
pub const REPORT_TIME: Duration = Duration::from_secs(10);

/// The state of usage.
#[async_trait]
pub trait UsageStore: Send + Sync + 'static {
    /// Keeps events of any projects. One that is kept already is left as it is, so a group can be sent again.
    async fn record_usage(&self, events: Vec<UsageEvent>) -> Result<()>;

    /// The latest events of a selection, and the sums over all of it. It costs time by the length of the period, and
    /// memory by neither that nor the number of events. It holds up no other read, and ends when nobody waits for it.
    ///
    /// # Errors
    /// [`StoreError::TooLong`](super::StoreError::TooLong) when it takes longer than [`REPORT_TIME`].
    async fn usage(&self, ctx: &ProjectCtx, query: UsageQuery) -> Result<UsageReport>;

    /// Forgets events from before a time. Gives how many.
    async fn forget_usage(&self, before: DateTime<Utc>) -> Result<u64>;
}

/// A selection of usage events.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// From this second on.
    pub start: DateTime<Utc>,
    /// Up to this second, inclusive.
    pub end: DateTime<Utc>,
    /// Only what this provider ran.
    pub provider: Option<String>,
    /// Only what this concrete model answered: `resolved_model`.
    pub model: Option<String>,
    /// Only this execution profile.
    pub profile: Option<String>,
    /// Only this region.
    pub region: Option<String>,
    /// Only what this API key asked for.
    pub key: Option<KeyId>,
    /// Only this QoS class.
    pub qos_class: Option<String>,
    /// Sums by the values of this, too.
    pub group_by: Option<UsageDimension>,
}

impl UsageQuery {
    /// Everything in a period.
    pub fn between(start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        Self {
            start,
            end,
            provider: None,
            model: None,
            profile: None,
            region: None,
            key: None,
            qos_class: None,
            group_by: None,
        }
    }
}
