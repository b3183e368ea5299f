//! Usage events.

use std::time::Instant;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rusqlite::{Row, ToSql, params};
use zumik_insight::ReuseTokens;
use zumik_types::{KeyId, UsageDimension, UsageEvent, UsageReport};

use super::sweep::STEP;
use super::{Db, SqliteStore};
use crate::domain::{Measure, Summary, Times};
use crate::store::durable::ids::PublicId;
use crate::store::durable::times::seconds;
use crate::store::rules::{UNKNOWN_GROUP, usage_report, whole_seconds};
use crate::store::{LATEST_EVENTS, ProjectCtx, REPORT_TIME, Result, StoreError, UsageQuery, UsageStore};

#[async_trait]
impl UsageStore for SqliteStore {
    async fn record_usage(&self, events: Vec<UsageEvent>) -> Result<()> {
        self.writer.write(move |db| events.iter().try_for_each(|event| db.record_usage(event))).await
    }

    async fn usage(&self, ctx: &ProjectCtx, query: UsageQuery) -> Result<UsageReport> {
        let ctx = ctx.clone();
        self.readers.report(Instant::now() + REPORT_TIME, move |db| db.usage(&ctx, &query)).await
    }

    async fn forget_usage(&self, before: DateTime<Utc>) -> Result<u64> {
        self.sweep_all(move |db| db.forget_usage(before)).await
    }
}

/// The conditions of a selection, with its parameters ?1 to ?9.
const SELECTION: &str = "FROM usage_events WHERE project = ?1 AND created_at >= ?2 AND created_at <= ?3
    AND (?4 IS NULL OR provider = ?4) AND (?5 IS NULL OR model = ?5) AND (?6 IS NULL OR profile = ?6)
    AND (?7 IS NULL OR region = ?7) AND (?8 IS NULL OR api_key = ?8) AND (?9 IS NULL OR qos_class = ?9)";

/// A query, as its parameters.
struct Selection<'q> {
    project: i64,
    start: i64,
    end: i64,
    /// Nothing when the query names no key; a key that this server could not have made fits no event.
    key: Option<Vec<u8>>,
    query: &'q UsageQuery,
}

impl Selection<'_> {
    fn params(&self) -> [&dyn ToSql; 9] {
        let Self { project, start, end, key, query } = self;
        let UsageQuery { provider, model, profile, region, qos_class, .. } = query;
        [project, start, end, provider, model, profile, region, key, qos_class]
    }
}

impl Db<'_> {
    fn record_usage(&self, event: &UsageEvent) -> Result<()> {
        let Some(project) = event.project_id.key() else {
            return Err(StoreError::internal("a usage event names no project"));
        };
        let Measure { failed, tokens, output_tokens, charged_micros, times, target_met, deadline_met } =
            Measure::of(event);
        let row = self.one(
            "INSERT INTO usage_events (public_id, project, created_at, provider, model, profile, region, api_key,
               qos_class, cache_tier, failed, input_tokens, output_tokens, eligible_tokens, candidate_tokens,
               realized_tokens, missed_tokens, charged_micros, ttft_ms, latency_ms, target_met, deadline_met)
             SELECT ?1, id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22
             FROM projects WHERE public_id = ?2
             ON CONFLICT (public_id) DO NOTHING RETURNING id",
            params![
                event.id.key(),
                project,
                seconds(event.created_at),
                event.provider,
                event.resolved_model,
                event.execution_profile.as_str(),
                event.region,
                event.api_key_id.as_ref().and_then(PublicId::key),
                event.qos_class.as_str(),
                event.cache_tier.as_str(),
                failed,
                stored(tokens.input()),
                stored(output_tokens),
                stored(tokens.eligible()),
                stored(tokens.candidate()),
                stored(tokens.realized()),
                stored(tokens.missed()),
                charged_micros,
                times.ttft.map(stored),
                times.latency.map(stored),
                target_met,
                deadline_met,
            ],
            |row| row.get::<_, i64>(0),
        )?;
        if let Some(row) = row {
            let record = UsageEvent { created_at: whole_seconds(event.created_at), ..event.clone() };
            let record = serde_json::to_string(&record)?;
            self.run("INSERT INTO usage_records (id, record) VALUES (?1, ?2)", params![row, record])?;
        }
        Ok(())
    }

    fn usage(&self, ctx: &ProjectCtx, query: &UsageQuery) -> Result<UsageReport> {
        let selection = Selection {
            project: self.project(ctx)?,
            start: seconds(query.start),
            end: seconds(query.end),
            key: query.key.as_ref().map(|key| key.key().map(Vec::from).unwrap_or_default()),
            query,
        };
        let latest = self.latest_events(&selection)?;
        let mut summary = Summary::default();
        let group = group_column(query.group_by.as_ref());
        self.for_each(
            &format!(
                "SELECT {group}, ttft_ms, latency_ms, failed, input_tokens, eligible_tokens, candidate_tokens,
                   realized_tokens, output_tokens, charged_micros, target_met, deadline_met {SELECTION}"
            ),
            &selection.params()[..],
            |row| {
                let measure = Measure {
                    failed: row.get(3)?,
                    tokens: ReuseTokens::of_request(row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?),
                    output_tokens: row.get(8)?,
                    charged_micros: row.get(9)?,
                    times: times(row)?,
                    target_met: row.get(10)?,
                    deadline_met: row.get(11)?,
                };
                with_group(row, query, |group| summary.add(group, &measure))
            },
        )?;
        summary.narrow();
        self.for_each(
            &format!("SELECT {group}, ttft_ms, latency_ms {SELECTION}"),
            &selection.params()[..],
            |row| {
                let times = times(row)?;
                with_group(row, query, |group| summary.refine(group, times))
            },
        )?;
        Ok(usage_report(latest, summary))
    }

    fn latest_events(&self, selection: &Selection<'_>) -> Result<Vec<UsageEvent>> {
        let sql = format!(
            "SELECT record FROM usage_records r JOIN
               (SELECT id, created_at {SELECTION} ORDER BY created_at DESC, id DESC LIMIT {LATEST_EVENTS}) e
             ON r.id = e.id ORDER BY e.created_at DESC, e.id DESC"
        );
        let records = self.all(&sql, &selection.params()[..], |row| row.get::<_, String>(0))?;
        records.iter().map(|record| Ok(serde_json::from_str(record)?)).collect()
    }

    fn forget_usage(&self, before: DateTime<Utc>) -> Result<u64> {
        let rows = self.all(
            "DELETE FROM usage_events WHERE id IN
               (SELECT id FROM usage_events WHERE created_at < ?1 ORDER BY created_at LIMIT ?2) RETURNING id",
            params![seconds(before), STEP],
            |row| row.get::<_, i64>(0),
        )?;
        for row in &rows {
            self.run("DELETE FROM usage_records WHERE id = ?1", [row])?;
        }
        Ok(rows.len() as u64)
    }
}

/// A count as the database can keep it.
fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
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
        _ => "NULL",
    }
}

/// Hands over the group of a row, its first column, if the query wants groups.
fn with_group(row: &Row<'_>, query: &UsageQuery, take: impl FnOnce(Option<&str>)) -> Result<()> {
    match &query.group_by {
        None => take(None),
        Some(UsageDimension::Key) => match row.get::<_, Option<[u8; 16]>>(0)? {
            Some(key) => take(Some(KeyId::from_key(key).as_str())),
            None => take(Some(UNKNOWN_GROUP)),
        },
        Some(_) => {
            let value = row.get_ref(0)?.as_str_or_null().map_err(StoreError::internal)?;
            take(Some(value.unwrap_or(UNKNOWN_GROUP)));
        }
    }
    Ok(())
}

fn times(row: &Row<'_>) -> Result<Times> {
    Ok(Times { ttft: row.get(1)?, latency: row.get(2)? })
}
