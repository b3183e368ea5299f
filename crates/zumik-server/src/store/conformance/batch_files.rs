use chrono::TimeDelta;
use zumik_types::CreateBatchRequest;

use super::batches::{ENDPOINT, advance, answered, claim, create, input, read, settle, start, upload};
use super::world::{World, not_found};
use crate::clock::Clock as _;
use crate::store::{Limit, MAX_FILES, StoreError};

async fn run(world: &World) {
    for line in claim(world, 1_000).await {
        settle(world, &line, answered(200)).await;
    }
    advance(world).await;
}

pub(super) async fn an_open_batch_keeps_room_for_its_files(world: World) {
    let file = upload(&world, input(&["a"])).await;
    let batch = create(&world, &file).await;
    for _ in 0..MAX_FILES - 3 {
        upload(&world, input(&["a"])).await;
    }
    let refused = world.store.upload_file(&world.ctx(), input(&["a"]), None).await;
    assert!(matches!(refused, Err(StoreError::Limit { limit: Limit::Files(MAX_FILES) })), "{refused:?}");
    let request = CreateBatchRequest::new(&file, ENDPOINT);
    let refused = world.store.create_batch(&world.ctx(), request, None).await;
    assert!(matches!(refused, Err(StoreError::Limit { limit: Limit::BatchFiles(MAX_FILES) })), "{refused:?}");
    advance(&world).await;
    run(&world).await;
    assert!(read(&world, &batch.id).await.output_file_id.is_some());
    // It wrote one file of two.
    upload(&world, input(&["a"])).await;
    assert!(world.store.upload_file(&world.ctx(), input(&["a"]), None).await.is_err());
}

pub(super) async fn the_files_of_a_batch_go_a_day_after_its_end(world: World) {
    let batch = start(&world, &["a"]).await;
    run(&world).await;
    let ended = read(&world, &batch.id).await;
    let (input, output) = (ended.input_file_id.clone(), ended.output_file_id.clone().unwrap());
    let shown = world.store.retrieve_file(&world.ctx(), &input).await.unwrap();
    assert_eq!(shown.expires_at, None, "it is told of outputs only");
    world.advance(TimeDelta::days(1) - TimeDelta::seconds(1));
    for file in [&input, &output] {
        world.store.retrieve_file(&world.ctx(), file).await.unwrap();
    }
    world.advance(TimeDelta::seconds(1));
    for file in [&input, &output] {
        not_found(world.store.retrieve_file(&world.ctx(), file).await);
        not_found(world.store.retrieve_file_content(&world.ctx(), file).await);
    }
    assert_eq!(world.store.sweep(world.clock.now()).await.unwrap().files, 2);
    assert_eq!(world.store.sweep(world.clock.now()).await.unwrap().files, 0);
    assert_eq!(read(&world, &batch.id).await, ended, "the batch itself stays");
}

pub(super) async fn an_input_stays_while_another_batch_needs_it(world: World) {
    let file = upload(&world, input(&["a"])).await;
    create(&world, &file).await;
    advance(&world).await;
    run(&world).await;
    world.advance(TimeDelta::hours(23));
    let second = create(&world, &file).await;
    world.advance(TimeDelta::hours(10));
    world.store.retrieve_file(&world.ctx(), &file).await.unwrap();
    advance(&world).await;
    run(&world).await;
    assert!(read(&world, &second.id).await.output_file_id.is_some());
    world.advance(TimeDelta::hours(23));
    world.store.retrieve_file(&world.ctx(), &file).await.unwrap();
    world.advance(TimeDelta::hours(1));
    not_found(world.store.retrieve_file(&world.ctx(), &file).await);
}

pub(super) async fn a_batch_is_forgotten_after_a_month(world: World) {
    let names: Vec<_> = (0..600).map(|n| n.to_string()).collect();
    let batch = start(&world, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    run(&world).await;
    world.advance(TimeDelta::days(30) - TimeDelta::seconds(1));
    let open = start(&world, &["a"]).await;
    assert_eq!(world.store.sweep(world.clock.now()).await.unwrap().batches, 0);
    read(&world, &batch.id).await;
    world.advance(TimeDelta::seconds(1));
    assert_eq!(world.store.sweep(world.clock.now()).await.unwrap().batches, 1);
    assert_eq!(world.store.sweep(world.clock.now()).await.unwrap().batches, 0);
    not_found(world.store.retrieve_batch(&world.ctx(), &batch.id).await);
    read(&world, &open.id).await;
}
