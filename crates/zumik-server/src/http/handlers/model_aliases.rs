//! Model aliases (contract `v2.md`, "Model aliases"): the releases of the server, and over them those of the project.

use std::collections::BTreeMap;
use std::sync::Arc;

use zumik_types::{
    ExecutionProfile, Extra, List, ModelAliasRelease, ModelAliasStatus, ModelTarget, ObjectType,
};

use crate::config::{MOST_TARGETS, is_name};
use crate::engine::{Release, Target};
use crate::http::call::Call;
use crate::http::error::excerpt;
use crate::http::input::{Fields, Item};
use crate::http::{ApiError, Reply};
use crate::store::{Kind, NewAliasRelease};

/// Most bytes of what a release names beside its alias.
const LONGEST_NAME: usize = 256;

/// The policy revision of the server's releases, and of the first one of a new alias.
const FIRST_POLICY: &str = "policy_1";

/// The server's present capability manifest.
const CAPABILITY_MANIFEST: &str = "cap_2026_06_09";

/// `GET /v2/model-aliases`
pub(crate) async fn list(call: &mut Call) -> Result<Reply, ApiError> {
    let servers = call.app.engine.releases().await;
    let mut releases: BTreeMap<String, ModelAliasRelease> =
        servers.into_iter().map(|release| (release.alias.to_string(), shown(release))).collect();
    for release in call.app.aliases.releases(&call.ctx).await?.iter() {
        releases.insert(release.alias.clone(), ModelAliasRelease::clone(release));
    }
    call.reply(&List::complete(releases.into_values().collect()))
}

/// `GET /v2/model-aliases/{alias}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let alias = call.ids.get(0);
    if let Some(release) = call.app.aliases.release(&call.ctx, alias).await? {
        return call.reply(&*release);
    }
    match call.app.engine.release(alias).await? {
        Some(release) => call.reply(&shown(release)),
        None => Err(ApiError::missing(Kind::ModelAlias, alias)),
    }
}

/// `POST /v2/model-aliases`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let body = call.json()?;
    let release = read(&Fields::of(&body), |provider| call.app.engine.has_provider(provider))?;
    let (app, ctx, key) = (Arc::clone(&call.app), call.ctx.clone(), call.key.take());
    // A client that goes away must not leave the old release in use.
    let installed = call.app.running.see_through(async move {
        let written = app.store.create_alias_release(&ctx, release, key).await?;
        app.aliases.forget(&ctx.project);
        Ok(written.into())
    });
    installed.await
}

fn read(body: &Fields<'_, '_>, is_provider: impl Fn(&str) -> bool) -> Result<NewAliasRelease, ApiError> {
    let alias = body.text("alias")?;
    if !is_name(alias) {
        return Err(body.invalid("alias", "must be 1 to 64 of the characters a-z 0-9 . _ -"));
    }
    let policy_revision = revision(body, "policy_revision")?;
    let capability = revision(body, "capability_manifest_revision")?;
    let items = body.filled_items("targets", MOST_TARGETS)?;
    let targets = items.map(|item| target(&item, &is_provider))?;
    let alone = targets.len() == 1;
    let mut shares = Vec::with_capacity(targets.len());
    for (at, (target, weight)) in targets.into_iter().enumerate() {
        let Some(weight) = weight.or_else(|| alone.then_some(100)) else {
            let param = format!("targets[{at}].weight");
            let message = format!("'{param}' is required: there are several targets.");
            return Err(ApiError::invalid(param, message));
        };
        shares.push(ModelTarget { weight, ..target });
    }
    let sum: u64 = shares.iter().map(|target| target.weight).sum();
    if sum != 100 {
        return Err(body.invalid("targets", format_args!("must have weights that add up to 100, not {sum}")));
    }
    Ok(NewAliasRelease {
        alias: alias.to_owned(),
        policy_revision,
        first_policy_revision: FIRST_POLICY.to_owned(),
        capability_manifest_revision: capability.unwrap_or_else(|| CAPABILITY_MANIFEST.to_owned()),
        targets: shares,
    })
}

/// A target, and its weight if it says one.
fn target(
    item: &Item<'_, '_>,
    is_provider: impl Fn(&str) -> bool,
) -> Result<(ModelTarget, Option<u64>), ApiError> {
    // A profile that this server cannot run would be dropped in silence.
    const PROFILES: &[ExecutionProfile] = &[ExecutionProfile::ManagedProvider];
    let fields = item.object()?;
    let profile = fields.optional_one_of("execution_profile", PROFILES)?;
    let provider = name(&fields, "provider")?;
    if !is_provider(&provider) {
        let problem =
            format_args!("must be the name of an upstream of this server, not '{}'", excerpt(&provider));
        return Err(fields.invalid("provider", problem));
    }
    let target = ModelTarget {
        execution_profile: profile.unwrap_or(ExecutionProfile::ManagedProvider),
        provider,
        model: name(&fields, "model")?,
        model_revision: revision(&fields, "model_revision")?,
        weight: 0,
        extra: Extra::new(),
    };
    Ok((target, fields.optional_count("weight", 1..=100)?))
}

fn name(fields: &Fields<'_, '_>, member: &str) -> Result<String, ApiError> {
    let text = fields.filled_text(member)?;
    short(fields, member, text)
}

fn revision(fields: &Fields<'_, '_>, member: &str) -> Result<Option<String>, ApiError> {
    match fields.optional_text(member)? {
        Some("") => Err(fields.invalid(member, "must not be empty")),
        Some(text) => short(fields, member, text).map(Some),
        None => Ok(None),
    }
}

fn short(fields: &Fields<'_, '_>, member: &str, text: &str) -> Result<String, ApiError> {
    if text.len() > LONGEST_NAME {
        return Err(fields.invalid(member, format_args!("must have at most {LONGEST_NAME} bytes")));
    }
    Ok(text.to_owned())
}

/// A release of the server, as the API shows it.
fn shown(release: Release) -> ModelAliasRelease {
    let target = |(target, weight): (Target, u32)| ModelTarget {
        execution_profile: target.profile,
        provider: target.provider.to_string(),
        model: target.model.to_string(),
        model_revision: target.revision.as_deref().map(str::to_owned),
        weight: weight.into(),
        extra: Extra::new(),
    };
    ModelAliasRelease {
        id: release.id,
        object: ObjectType::ModelAliasRelease,
        alias: release.alias.to_string(),
        status: ModelAliasStatus::Active,
        policy_revision: FIRST_POLICY.to_owned(),
        capability_manifest_revision: CAPABILITY_MANIFEST.to_owned(),
        targets: release.targets.into_iter().map(target).collect(),
        extra: Extra::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures;

    #[tokio::test]
    async fn a_release_counts_at_once_although_the_client_goes_away_while_it_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let (app, ctx) = fixtures::app(fixtures::sqlite(folder.path()).await).await;
        for polls in 1..4 {
            let alias = format!("own.{polls}");
            assert!(app.aliases.release(&ctx, &alias).await.unwrap().is_none());
            let body = json!({ "alias": alias, "targets": [{ "provider": "a", "model": "m" }] });
            let mut call = Call::posted(&app, &ctx, "/v2/model-aliases", &body);
            fixtures::leave(create(&mut call), polls).await;
            app.running.end().await;
            let release = app.aliases.release(&ctx, &alias).await.unwrap();
            assert!(release.is_some(), "gone after {polls} polls");
        }
    }
}
