use chrono::TimeDelta;
use serde_json::{Value, json};
use zumik_types::{
    Conversation, ConversationId, CreateConversationRequest, JsonObject, V1ResponseId, V1ResponseStatus,
};

use super::responses::v1;
use super::world::{World, fresh, key, not_found, reference};
use crate::store::{Answer, Continued, Generation, StoreError, StoredResponse};

/// More than any history of these laws.
const MOST: usize = 1 << 20;

pub(in crate::store) async fn open(world: &World, metadata: JsonObject) -> Conversation {
    let request = CreateConversationRequest::new().metadata(metadata);
    fresh(world.store.create_conversation(&world.ctx(), request, None).await)
}

/// Keeps a response that was given the item `name` and made the item `re: name`.
pub(in crate::store) async fn say(
    world: &World,
    name: &str,
    after: Option<&Continued>,
    retained: bool,
) -> V1ResponseId {
    say_as(world, name, after, retained, V1ResponseStatus::Completed).await
}

async fn say_as(
    world: &World,
    name: &str,
    after: Option<&Continued>,
    retained: bool,
    status: V1ResponseStatus,
) -> V1ResponseId {
    let ctx = world.ctx();
    let mut response = v1(&ctx, status);
    match after {
        Some(Continued::Response(id)) => response.set("previous_response_id", json!(id)),
        Some(Continued::Conversation(id)) => response.set("conversation", json!({ "id": id })),
        None => {}
    }
    response.set("output", json!([format!("re: {name}")]));
    let id = response.id().clone();
    let generation = Generation {
        response: Some(StoredResponse::V1(Box::new(response))),
        begun: false,
        input_items: retained.then(|| vec![json!(name)]),
        expires_at: ctx.now + TimeDelta::days(30),
        materialized: Vec::new(),
        answer: Answer::json(&ctx.trace, &()).unwrap(),
    };
    world.store.commit_generation(&ctx, generation, None).await.unwrap();
    id
}

async fn history(world: &World, of: &Continued) -> Result<Vec<Value>, StoreError> {
    world.store.read_history(&world.ctx(), of.clone(), MOST).await
}

pub(super) async fn a_conversation_is_kept_until_it_is_deleted(world: World) {
    let metadata = JsonObject::from_iter([("topic".to_owned(), json!("patch-review"))]);
    let conversation = open(&world, metadata.clone()).await;
    assert_eq!((&conversation.metadata, conversation.created_at), (&metadata, world.ctx().now));
    let empty = open(&world, JsonObject::default()).await;
    for conversation in [&conversation, &empty] {
        let found = world.store.retrieve_conversation(&world.ctx(), &conversation.id).await;
        assert_eq!(&found.unwrap(), conversation);
    }
    not_found(world.store.retrieve_conversation(&world.foreign(), &conversation.id).await);
    not_found(world.store.delete_conversation(&world.foreign(), &conversation.id).await);
    world.store.delete_conversation(&world.ctx(), &conversation.id).await.unwrap();
    for id in [&conversation.id, &ConversationId::with_suffix("none")] {
        not_found(world.store.retrieve_conversation(&world.ctx(), id).await);
        not_found(world.store.delete_conversation(&world.ctx(), id).await);
    }
}

pub(super) async fn a_repeated_creation_of_a_conversation_is_replayed(world: World) {
    let create = async || {
        let request = CreateConversationRequest::new();
        world.store.create_conversation(&world.ctx(), request, key("/v1/conversations", "k", "")).await
    };
    let first = create().await.unwrap();
    let second = create().await.unwrap();
    assert!(second.is_replay());
    assert_eq!(first.answer(), second.answer());
}

pub(super) async fn a_conversation_reads_the_items_of_its_responses_in_order(world: World) {
    let of = Continued::Conversation(open(&world, JsonObject::default()).await.id);
    let other = Continued::Conversation(open(&world, JsonObject::default()).await.id);
    assert_eq!(history(&world, &of).await.unwrap(), Vec::<Value>::new());
    say(&world, "one", Some(&of), true).await;
    say(&world, "elsewhere", Some(&other), true).await;
    let deleted = say(&world, "deleted", Some(&of), true).await;
    for status in [V1ResponseStatus::Queued, V1ResponseStatus::Failed, V1ResponseStatus::Cancelled] {
        say_as(&world, "without output", Some(&of), true, status).await;
    }
    let second = say(&world, "two", Some(&of), true).await;
    say(&world, "three", Some(&of), true).await;
    world.store.delete_v1_response(&world.ctx(), &deleted).await.unwrap();
    let expected = json!(["one", "re: one", "two", "re: two", "three", "re: three"]);
    assert_eq!(json!(history(&world, &of).await.unwrap()), expected);

    let up_to = history(&world, &Continued::Response(second)).await.unwrap();
    assert_eq!(json!(up_to), json!(["one", "re: one", "two", "re: two"]), "what came later is not of it");
    world.advance(TimeDelta::days(30));
    assert_eq!(history(&world, &of).await.unwrap(), Vec::<Value>::new(), "expired responses are gone");
}

pub(super) async fn a_chain_of_responses_reads_the_items_of_each(world: World) {
    let first = Continued::Response(say(&world, "one", None, true).await);
    let second = say(&world, "two", Some(&first), true).await;
    let third =
        Continued::Response(say(&world, "three", Some(&Continued::Response(second.clone())), true).await);
    let expected = json!(["one", "re: one", "two", "re: two", "three", "re: three"]);
    assert_eq!(json!(history(&world, &third).await.unwrap()), expected);
    world.store.delete_v1_response(&world.ctx(), &second).await.unwrap();
    reference(history(&world, &third).await, "previous_response_id");
    assert_eq!(json!(history(&world, &first).await.unwrap()), json!(["one", "re: one"]));
}

pub(super) async fn what_cannot_be_continued_names_the_member(world: World) {
    let conversation = open(&world, JsonObject::default()).await.id;
    let of = Continued::Conversation(conversation.clone());
    let retained = say(&world, "retained", Some(&of), true).await;
    for (of, param) in [
        (Continued::Response(V1ResponseId::with_suffix("none")), "previous_response_id"),
        (Continued::Response(say(&world, "one", None, false).await), "previous_response_id"),
        (Continued::Conversation(ConversationId::with_suffix("none")), "conversation"),
        (
            Continued::Response(say_as(&world, "one", None, true, V1ResponseStatus::InProgress).await),
            "previous_response_id",
        ),
    ] {
        reference(history(&world, &of).await, param);
    }
    for of in [of.clone(), Continued::Response(retained.clone())] {
        reference(world.store.read_history(&world.foreign(), of.clone(), MOST).await, of.param());
        let size = json!(["retained", "re: retained"]).to_string().len();
        assert!(world.store.read_history(&world.ctx(), of.clone(), size).await.is_ok());
        reference(world.store.read_history(&world.ctx(), of.clone(), size - 1).await, of.param());
    }
    say(&world, "not retained", Some(&of), false).await;
    reference(history(&world, &of).await, "conversation");
    world.store.delete_conversation(&world.ctx(), &conversation).await.unwrap();
    reference(history(&world, &of).await, "conversation");
    assert!(history(&world, &Continued::Response(retained)).await.is_ok(), "its responses stay");
}

pub(super) async fn a_project_has_one_compaction_key_of_its_own(world: World) {
    let made = world.store.compaction_key(&world.ctx()).await.unwrap();
    assert_eq!(world.store.compaction_key(&world.ctx()).await.unwrap(), made);
    assert_ne!(world.store.compaction_key(&world.foreign()).await.unwrap(), made);
}
