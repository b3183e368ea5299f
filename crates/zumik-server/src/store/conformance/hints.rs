use zumik_types::{AgentHints, AgentHintsId, HintReuse, Qos, QosClass, ReusePreference};

use super::world::{World, fresh, not_found};

pub(super) async fn hints_are_stored_as_they_are_until_they_are_deleted(world: World) {
    let hints = AgentHints::new()
        .version("2026-06-01")
        .reuse(HintReuse::new().preference(ReusePreference::Prefer))
        .qos(Qos::new().class(QosClass::Interactive).target_ttft_ms(500_u64));
    let (store, ctx) = (&world.store, world.ctx());
    let stored = fresh(store.create_agent_hints(&ctx, hints.clone(), None).await);
    assert_eq!((&stored.qos, &stored.reuse, &stored.state), (&hints.qos, &hints.reuse, &None));
    assert_eq!((&stored.project_id, stored.created_at), (&ctx.project, ctx.now));
    assert_eq!(store.retrieve_agent_hints(&ctx, &stored.id).await.unwrap(), stored);
    for id in [&stored.id, &AgentHintsId::with_suffix("none")] {
        not_found(store.retrieve_agent_hints(&world.foreign(), id).await);
        not_found(store.delete_agent_hints(&world.foreign(), id).await);
    }
    store.delete_agent_hints(&ctx, &stored.id).await.unwrap();
    not_found(store.retrieve_agent_hints(&ctx, &stored.id).await);
    not_found(store.delete_agent_hints(&ctx, &stored.id).await);
}
