//! Lines for which no model could be asked.

use super::*;
use crate::store::MOST_WAITING;

/// No model could be asked.
const UNASKED: Says = Says { status: 502, retry_after: None, asked: false };

#[tokio::test(start_paused = true)]
async fn attempts_that_asked_no_model_do_not_count() {
    let failed = Says::from(500);
    let says = [&[UNASKED; 40][..], &[failed; 4], &[UNASKED; 40], &[200.into()]].concat();
    let never = [&[UNASKED; 3][..], &[failed]].concat();
    let world = World::saying(Duration::ZERO, [("late", says), ("never", never)].into()).await;
    let (_worker, _closing) = world.work(4);
    let batch = world.create(&["late", "never"]).await;
    let (_, output, errors) = world.ended(&batch).await;
    assert_eq!((output, errors.len()), (vec!["late".to_owned()], 1));
    assert_eq!((world.calls("late").len(), world.calls("never").len()), (85, 3 + retry::ATTEMPTS as usize));
}

#[tokio::test(start_paused = true)]
async fn lines_that_no_model_can_be_asked_for_leave_the_slots_to_others() {
    let says = ["a", "b", "c", "d"].map(|name| (name, [&[UNASKED; 9][..], &[200.into()]].concat()));
    let world = World::saying(Duration::from_secs(5), says.into()).await;
    let (_worker, _closing) = world.work(2);
    let batch = world.create(&["a", "b", "c", "d", "e", "f"]).await;
    let (_, output, _) = world.ended(&batch).await;
    assert_eq!(output, ["a", "b", "c", "d", "e", "f"]);
    let calls = world.script.calls.lock().unwrap();
    let began = |name: &str| calls.iter().find(|(called, _)| called == name).unwrap().1;
    let first = calls[0].1;
    assert!(["e", "f"].map(began).iter().all(|at| *at - first < Duration::from_secs(5)), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_rests_is_held_by_nobody() {
    let world = World::saying(Duration::ZERO, [("a", vec![UNASKED])].into()).await;
    let (worker, _closing) = world.work(1);
    world.create(&["a"]).await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    let calls = world.calls("a");
    assert!((10..20).contains(&calls.len()), "{calls:?}");
    // As if its server had been killed: nothing is given back.
    worker.abort();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let claimed = world.store.claim_batch_lines(world.clock.now(), 8).await.unwrap();
    assert_eq!(claimed.iter().map(|line| line.attempt).collect::<Vec<_>>(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_rests_ends_as_soon_as_it_is_cancelled() {
    let world = World::saying(Duration::ZERO, [("a", vec![UNASKED])].into()).await;
    let (_worker, _closing) = world.work(1);
    let batch = world.create(&["a", "b"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.store.cancel_batch(&world.ctx(), &batch, None).await.unwrap();
    world.bell.ring();
    let cancelled = Instant::now();
    let (_, output, errors) = world.ended(&batch).await;
    assert_eq!((output, &errors[0]["error"]["code"]), (vec!["b".to_owned()], &json!("batch_cancelled")));
    assert!(cancelled.elapsed() < Duration::from_secs(1), "{:?}", cancelled.elapsed());
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_that_rests_only_some_lines_are_tried_and_none_of_another_waits() {
    let names: Vec<&'static str> = (0..MOST_WAITING + 50).map(|n| &*n.to_string().leak()).collect();
    let says = names.iter().map(|name| (*name, vec![UNASKED])).collect();
    let world = World::saying(Duration::ZERO, says).await;
    let (_worker, _closing) = world.work(4);
    world.create(&names).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let tried = world.script.calls.lock().unwrap().len();
    assert!((MOST_WAITING as usize..MOST_WAITING as usize + 4).contains(&tried), "{tried}");
    let began = Instant::now();
    let other = world.create(&["x", "y"]).await;
    let (_, output, _) = world.ended(&other).await;
    assert_eq!(output, ["x", "y"]);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}
