//! Usage events.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use tokio_postgres::Row;
use zumik_insight::ReuseTokens;
use zumik_types::{KeyId, UsageDimension, UsageEvent, UsageReport};

use super::PostgresStore;
use super::db::{Db, Param, count, key, optional_id, stored};
use super::sweep::STEP;
use crate::domain::{Measure, Summary, Times};
use crate::store::durable::times::seconds;
use crate::store::rules::{UNKNOWN_GROUP, usage_report, whole_seconds};
use crate::store::{LATEST_EVENTS, ProjectCtx, REPORT_TIME, Result, StoreError, UsageQuery, UsageStore};

#[async_trait]
impl UsageStore for PostgresStore {
    async fn record_usage(&self, events: Vec<UsageEvent>) -> Result<()> {
        let events = &events;
        self.write(|db| {
            Box::pin(async move {
                // All at once: they go to the server one behind the other, without waiting for answers.
                try_join_all(events.iter().map(|event| db.record_usage(event))).await.map(drop)
            })
        })
        .await
    }

    async fn usage(&self, ctx: &ProjectCtx, query: UsageQuery) -> Result<UsageReport> {
        let query = &query;
        self.report(REPORT_TIME, |db| Box::pin(db.usage(ctx, query))).await
    }

    async fn forget_usage(&self, before: DateTime<Utc>) -> Result<u64> {
        self.sweep_all(|db| Box::pin(db.forget_usage(before))).await
    }
}

/// The conditions of a selection, with its parameters $1 to $9. Project and time are compared as one: else the planner may
/// walk the events of all projects by their age.
pub(super) const SELECTION: &str =
    "FROM usage_events WHERE (project, created_at) >= ($1, $2) AND (project, created_at) <= ($1, $3)
    AND ($4::bytea IS NULL OR provider = $4) AND ($5::bytea IS NULL OR model = $5)
    AND ($6::bytea IS NULL OR profile = $6) AND ($7::bytea IS NULL OR region = $7)
    AND ($8::bytea IS NULL OR api_key = $8) AND ($9::bytea IS NULL OR qos_class = $9)";

/// The latest events of a selection.
pub(super) fn latest_sql() -> String {
    format!(
        "SELECT record FROM usage_records r JOIN
           (SELECT id, created_at {SELECTION}
            ORDER BY project DESC, created_at DESC, id DESC LIMIT {LATEST_EVENTS}) e
         ON r.id = e.id ORDER BY e.created_at DESC, e.id DESC"
    )
}

/// A query, as its parameters.
struct Selection<'q> {
    project: i64,
    start: i64,
    end: i64,
    provider: Option<&'q [u8]>,
    model: Option<&'q [u8]>,
    profile: Option<&'q [u8]>,
    region: Option<&'q [u8]>,
    /// Nothing when the query names no key; a key that this server could not have made fits no event.
    key: Option<Vec<u8>>,
    qos_class: Option<&'q [u8]>,
}

impl<'q> Selection<'q> {
    fn new(project: i64, query: &'q UsageQuery) -> Self {
        let text = |value: &'q Option<String>| value.as_deref().map(str::as_bytes);
        Self {
            project,
            start: seconds(query.start),
            end: seconds(query.end),
            provider: text(&query.provider),
            model: text(&query.model),
            profile: text(&query.profile),
            region: text(&query.region),
            key: query.key.as_ref().map(|id| key(id).unwrap_or_default()),
            qos_class: text(&query.qos_class),
        }
    }

    fn params(&self) -> [Param<'_>; 9] {
        let Self { project, start, end, provider, model, profile, region, key, qos_class } = self;
        [project, start, end, provider, model, profile, region, key, qos_class]
    }
}

impl Db<'_, '_> {
    async fn record_usage(&self, event: &UsageEvent) -> Result<()> {
        let Some(project) = key(&event.project_id) else {
            return Err(StoreError::internal("a usage event names no project"));
        };
        let Measure { failed, tokens, output_tokens, charged_micros, times, target_met, deadline_met } =
            Measure::of(event);
        let record = UsageEvent { created_at: whole_seconds(event.created_at), ..event.clone() };
        self.run(
            "WITH event AS (
               INSERT INTO usage_events (public_id, project, created_at, provider, model, profile, region, api_key,
                 qos_class, cache_tier, failed, input_tokens, output_tokens, eligible_tokens, candidate_tokens,
                 realized_tokens, missed_tokens, charged_micros, ttft_ms, latency_ms, target_met, deadline_met)
               SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                 $22
               FROM projects WHERE public_id = $2
               ON CONFLICT (public_id) DO NOTHING RETURNING id)
             INSERT INTO usage_records (id, record) SELECT id, $23 FROM event",
            &[
                &key(&event.id),
                &project,
                &seconds(event.created_at),
                &event.provider.as_deref().map(str::as_bytes),
                &event.resolved_model.as_deref().map(str::as_bytes),
                &event.execution_profile.as_str().as_bytes(),
                &event.region.as_bytes(),
                &event.api_key_id.as_ref().and_then(key),
                &event.qos_class.as_str().as_bytes(),
                &event.cache_tier.as_str().as_bytes(),
                &failed,
                &stored(tokens.input()),
                &stored(output_tokens),
                &stored(tokens.eligible()),
                &stored(tokens.candidate()),
                &stored(tokens.realized()),
                &stored(tokens.missed()),
                &charged_micros,
                &times.ttft.map(stored),
                &times.latency.map(stored),
                &target_met,
                &deadline_met,
                &serde_json::to_string(&record)?,
            ],
        )
        .await?;
        Ok(())
    }

    async fn usage(&self, ctx: &ProjectCtx, query: &UsageQuery) -> Result<UsageReport> {
        let selection = Selection::new(self.project(ctx).await?, query);
        let latest = self.latest_events(&selection).await?;
        let mut summary = Summary::default();
        let group = group_column(query.group_by.as_ref());
        self.for_each(
            &format!(
                "SELECT {group}, ttft_ms, latency_ms, failed, input_tokens, eligible_tokens, candidate_tokens,
                   realized_tokens, output_tokens, charged_micros, target_met, deadline_met {SELECTION}"
            ),
            &selection.params(),
            |row| {
                let measure = measure(row)?;
                with_group(row, query, |group| summary.add(group, &measure))
            },
        )
        .await?;
        summary.narrow();
        self.for_each(
            &format!("SELECT {group}, ttft_ms, latency_ms {SELECTION}"),
            &selection.params(),
            |row| {
                let times = times(row)?;
                with_group(row, query, |group| summary.refine(group, times))
            },
        )
        .await?;
        Ok(usage_report(latest, summary))
    }

    async fn latest_events(&self, selection: &Selection<'_>) -> Result<Vec<UsageEvent>> {
        self.all(&latest_sql(), &selection.params(), |row| Ok(serde_json::from_str(row.try_get(0)?)?)).await
    }

    async fn forget_usage(&self, before: DateTime<Utc>) -> Result<u64> {
        self.run(
            "WITH old AS MATERIALIZED (
               SELECT id FROM usage_events WHERE created_at < $1 ORDER BY created_at LIMIT $2
               FOR UPDATE SKIP LOCKED),
             records AS (DELETE FROM usage_records r USING old WHERE r.id = old.id)
             DELETE FROM usage_events e USING old WHERE e.id = old.id",
            &[&seconds(before), &stored(STEP)],
        )
        .await
    }
}

fn group_column(by: Option<&UsageDimension>) -> &'static str {
    match by {
        Some(UsageDimension::Provider) => "provider",
        Some(UsageDimension::Model) => "model",
        Some(UsageDimension::Profile) => "profile",
        Some(UsageDimension::Region) => "region",
        Some(UsageDimension::Key) => "api_key",
        Some(UsageDimension::QosClass) => "qos_class",
        Some(UsageDimension::CacheTier) => "cache_tier",
        _ => "NULL::bytea",
    }
}

/// Hands over the group of a row, its first column, if the query wants groups.
fn with_group(row: &Row, query: &UsageQuery, take: impl FnOnce(Option<&str>)) -> Result<()> {
    match &query.group_by {
        None => take(None),
        Some(UsageDimension::Key) => match optional_id::<KeyId>(row, 0)? {
            Some(key) => take(Some(key.as_str())),
            None => take(Some(UNKNOWN_GROUP)),
        },
        Some(_) => match row.try_get::<_, Option<&[u8]>>(0)? {
            Some(value) => take(Some(std::str::from_utf8(value).map_err(StoreError::internal)?)),
            None => take(Some(UNKNOWN_GROUP)),
        },
    }
    Ok(())
}

fn measure(row: &Row) -> Result<Measure> {
    Ok(Measure {
        failed: row.try_get(3)?,
        tokens: ReuseTokens::of_request(count(row, 4)?, count(row, 5)?, count(row, 6)?, count(row, 7)?),
        output_tokens: count(row, 8)?,
        charged_micros: row.try_get(9)?,
        times: times(row)?,
        target_met: row.try_get(10)?,
        deadline_met: row.try_get(11)?,
    })
}

fn times(row: &Row) -> Result<Times> {
    let time = |at| -> Result<Option<u64>> {
        let millis: Option<i64> = row.try_get(at)?;
        millis.map(|millis| u64::try_from(millis).map_err(StoreError::internal)).transpose()
    };
    Ok(Times { ttft: time(1)?, latency: time(2)? })
}
