use zumik_types::{ExecutionProfile, Extra, ModelAliasRelease, ModelAliasStatus, ModelTarget};

use super::world::{World, fresh, key};
use crate::store::NewAliasRelease;

fn target(model: &str, weight: u64) -> ModelTarget {
    ModelTarget {
        execution_profile: ExecutionProfile::ManagedProvider,
        provider: "openai".to_owned(),
        model: model.to_owned(),
        model_revision: (weight < 100).then(|| "2025-01-01".to_owned()),
        weight,
        extra: Extra::new(),
    }
}

fn release(alias: &str, policy_revision: Option<&str>) -> NewAliasRelease {
    NewAliasRelease {
        alias: alias.to_owned(),
        policy_revision: policy_revision.map(str::to_owned),
        first_policy_revision: "policy_1".to_owned(),
        capability_manifest_revision: "cap_1".to_owned(),
        targets: vec![target("a", 60), target("b", 40)],
    }
}

async fn install(world: &World, release: NewAliasRelease) -> ModelAliasRelease {
    fresh(world.store.create_alias_release(&world.ctx(), release, None).await)
}

pub(super) async fn a_release_retires_the_one_before(world: World) {
    let first = install(&world, release("code.fast", None)).await;
    assert_eq!(
        (first.status.clone(), first.policy_revision.as_str()),
        (ModelAliasStatus::Active, "policy_1")
    );
    assert_eq!(first.targets, [target("a", 60), target("b", 40)]);
    let second = install(&world, release("code.fast", Some("policy_8"))).await;
    let third = NewAliasRelease { targets: vec![target("c", 100)], ..release("code.fast", None) };
    let third = install(&world, third).await;
    assert_eq!(third.policy_revision, "policy_8", "that of the release before");
    assert!(first.id != second.id && second.id != third.id);
    assert_eq!(world.store.list_alias_releases(&world.ctx()).await.unwrap(), [third]);
}

pub(super) async fn releases_are_listed_by_alias_and_belong_to_their_project(world: World) {
    for alias in ["b", "a.b", "a-b", "a", "a_b", "a0"] {
        install(&world, release(alias, None)).await;
    }
    let listed = world.store.list_alias_releases(&world.ctx()).await.unwrap();
    let aliases: Vec<_> = listed.iter().map(|release| release.alias.as_str()).collect();
    assert_eq!(aliases, ["a", "a-b", "a.b", "a0", "a_b", "b"]);
    assert_eq!(world.store.list_alias_releases(&world.foreign()).await.unwrap(), []);
    let theirs = world.store.create_alias_release(&world.foreign(), release("a", Some("p")), None).await;
    assert_eq!(world.store.list_alias_releases(&world.foreign()).await.unwrap(), [fresh(theirs)]);
    assert_eq!(world.store.list_alias_releases(&world.ctx()).await.unwrap(), listed);
}

pub(super) async fn a_repeated_release_is_replayed_and_retires_nothing(world: World) {
    let named = || key("/v2/model-aliases", "k", "body");
    let ctx = world.ctx();
    let first = world.store.create_alias_release(&ctx, release("a", None), named()).await.unwrap();
    let again = world.store.create_alias_release(&world.ctx(), release("a", None), named()).await.unwrap();
    assert!(again.is_replay());
    assert_eq!(again.answer(), first.answer());
    assert_eq!(world.store.list_alias_releases(&ctx).await.unwrap(), [first.fresh().unwrap()]);
}
