//! Usage events of the model.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use zumik_types::{UsageDimension, UsageEvent, UsageReport};

use super::MemoryStore;
use super::state::State;
use crate::domain::{Measure, Summary};
use crate::store::rules::{UNKNOWN_GROUP, usage_report, whole_seconds};
use crate::store::{LATEST_EVENTS, ProjectCtx, Result, UsageQuery, UsageStore};

#[async_trait]
impl UsageStore for MemoryStore {
    async fn record_usage(&self, events: Vec<UsageEvent>) -> Result<()> {
        let mut state = self.state()?;
        for event in events {
            let created_at = whole_seconds(event.created_at);
            state.usage.entry(event.id.clone()).or_insert(UsageEvent { created_at, ..event });
        }
        Ok(())
    }

    async fn usage(&self, ctx: &ProjectCtx, query: UsageQuery) -> Result<UsageReport> {
        Ok(self.state()?.usage(ctx, &query))
    }

    async fn forget_usage(&self, before: DateTime<Utc>) -> Result<u64> {
        let mut state = self.state()?;
        let events = state.usage.len();
        state.usage.retain(|_, event| event.created_at >= whole_seconds(before));
        Ok((events - state.usage.len()) as u64)
    }
}

impl State {
    fn usage(&self, ctx: &ProjectCtx, query: &UsageQuery) -> UsageReport {
        let selection = || self.usage.values().filter(|event| is_selected(event, ctx, query));
        let group = |event| query.group_by.as_ref().map(|by| group_of(event, by));
        let mut summary = Summary::default();
        selection().for_each(|event| summary.add(group(event).as_deref(), &Measure::of(event)));
        summary.narrow();
        selection().for_each(|event| summary.refine(group(event).as_deref(), Measure::of(event).times));
        let mut latest: Vec<_> = selection().enumerate().collect();
        latest.sort_by_key(|(at, event)| std::cmp::Reverse((event.created_at, *at)));
        let latest = latest.into_iter().take(LATEST_EVENTS).map(|(_, event)| event.clone()).collect();
        usage_report(latest, summary)
    }
}

fn is_selected(event: &UsageEvent, ctx: &ProjectCtx, query: &UsageQuery) -> bool {
    let is = |wanted: &Option<String>, value: Option<&str>| {
        wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
    };
    event.project_id == ctx.project
        && (whole_seconds(query.start)..=query.end).contains(&event.created_at)
        && is(&query.provider, event.provider.as_deref())
        && is(&query.model, event.resolved_model.as_deref())
        && is(&query.profile, Some(event.execution_profile.as_str()))
        && is(&query.region, Some(&event.region))
        && is(&query.qos_class, Some(event.qos_class.as_str()))
        && query.key.as_ref().is_none_or(|key| event.api_key_id.as_ref() == Some(key))
}

fn group_of(event: &UsageEvent, by: &UsageDimension) -> String {
    let value = match by {
        UsageDimension::Provider => event.provider.as_deref(),
        UsageDimension::Model => event.resolved_model.as_deref(),
        UsageDimension::Profile => Some(event.execution_profile.as_str()),
        UsageDimension::Region => Some(event.region.as_str()),
        UsageDimension::Key => event.api_key_id.as_ref().map(|key| key.as_str()),
        UsageDimension::QosClass => Some(event.qos_class.as_str()),
        UsageDimension::CacheTier => Some(event.cache_tier.as_str()),
        _ => None,
    };
    value.unwrap_or(UNKNOWN_GROUP).to_owned()
}
