use std::collections::BTreeSet;
use std::iter::repeat;

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use zumik_types::BatchStatus;

use super::batches::{advance, answered, claim, lines, names, read, settle, start};
use super::world::{World, fresh};
use crate::clock::Clock as _;
use crate::store::{ClaimedLine, LineOutcome, MOST_WAITING, SOON, StoreError};

async fn lost(world: &World, line: &ClaimedLine) {
    let settled = world.store.settle_batch_line(line, answered(200), world.clock.now()).await;
    assert!(matches!(settled, Err(StoreError::LeaseLost)), "{settled:?}");
}

pub(super) async fn a_line_is_held_by_one_until_its_lease_ends(world: World) {
    let batch = start(&world, &["a"]).await;
    let first = claim(&world, 1).await.remove(0);
    assert!(claim(&world, 1).await.is_empty());
    let next = world.store.next_batch_work(world.clock.now()).await.unwrap();
    assert_eq!(next, Some(world.clock.now() + TimeDelta::seconds(60)));
    world.advance(TimeDelta::seconds(60));
    let second = claim(&world, 1).await.remove(0);
    assert_eq!((second.attempt, &second.body), (2, &first.body));
    lost(&world, &first).await;
    settle(&world, &second, answered(200)).await;
    lost(&world, &second).await;
    advance(&world).await;
    assert_eq!(read(&world, &batch.id).await.request_counts.completed, 1);
}

pub(super) async fn a_renewed_line_stays_with_its_holder(world: World) {
    start(&world, &["a", "b"]).await;
    let mut claimed = claim(&world, 2).await;
    let (kept, dropped) = (claimed.remove(0), claimed.remove(0));
    world.advance(TimeDelta::seconds(50));
    let renew = async |line: &ClaimedLine| {
        world.store.renew_batch_lines(vec![line.lease.clone()], world.clock.now()).await.unwrap()
    };
    assert_eq!(renew(&kept).await, []);
    world.advance(TimeDelta::seconds(50));
    let taken = claim(&world, 9).await;
    assert_eq!((taken.len(), &taken[0].body), (1, &dropped.body));
    assert_eq!(renew(&dropped).await, std::slice::from_ref(&dropped.lease));
    settle(&world, &kept, answered(200)).await;
    assert_eq!(renew(&kept).await, std::slice::from_ref(&kept.lease), "nobody holds what is settled");
    lost(&world, &dropped).await;
}

pub(super) async fn a_released_line_is_due_again_and_its_attempt_does_not_count(world: World) {
    start(&world, &["a"]).await;
    let first = claim(&world, 1).await.remove(0);
    world.store.release_batch_lines(vec![first.lease.clone()]).await.unwrap();
    lost(&world, &first).await;
    let second = claim(&world, 1).await.remove(0);
    assert_eq!(second.attempt, 1);
    // The lease of the first holder gives nothing back any more.
    world.store.release_batch_lines(vec![first.lease]).await.unwrap();
    settle(&world, &second, answered(200)).await;
}

pub(super) async fn a_lease_of_a_line_that_is_gone_holds_no_other_line(world: World) {
    let batch = start(&world, &["a"]).await;
    let gone = claim(&world, 1).await.remove(0);
    world.advance(TimeDelta::seconds(60));
    fresh(world.store.cancel_batch(&world.ctx(), &batch.id, None).await);
    assert_eq!(advance(&world).await, 1);
    world.store.sweep(world.clock.now()).await.unwrap();

    let batch = start(&world, &["b"]).await;
    let line = claim(&world, 1).await.remove(0);
    let leases = vec![gone.lease.clone()];
    assert_eq!(world.store.renew_batch_lines(leases.clone(), world.clock.now()).await.unwrap(), leases);
    world.store.release_batch_lines(leases).await.unwrap();
    lost(&world, &gone).await;
    settle(&world, &line, answered(200)).await;
    advance(&world).await;
    assert_eq!(read(&world, &batch.id).await.request_counts.completed, 1);
}

pub(super) async fn a_line_that_waits_is_due_at_its_time(world: World) {
    start(&world, &["a"]).await;
    let line = claim(&world, 1).await.remove(0);
    let at = world.clock.now() + TimeDelta::milliseconds(1_500);
    assert!(!settle(&world, &line, LineOutcome::Again(at)).await);
    assert_eq!(world.store.next_batch_work(world.clock.now()).await.unwrap(), Some(at));
    world.advance(TimeDelta::milliseconds(1_499));
    assert!(claim(&world, 1).await.is_empty());
    world.advance(TimeDelta::milliseconds(1));
    assert_eq!(claim(&world, 1).await[0].attempt, 2);
}

pub(super) async fn a_line_that_rests_is_due_at_its_time_and_its_attempt_does_not_count(world: World) {
    let batch = start(&world, &["a", "b"]).await;
    let mut claimed = claim(&world, 2).await;
    let at = world.clock.now() + TimeDelta::seconds(15);
    let first = claimed.remove(0);
    assert!(!settle(&world, &first, LineOutcome::Rests(at)).await);
    lost(&world, &first).await;
    assert_eq!(world.store.next_batch_work(world.clock.now()).await.unwrap(), Some(at));
    assert!(claim(&world, 1).await.is_empty());
    world.advance(TimeDelta::seconds(15));
    let second = claim(&world, 1).await.remove(0);
    assert_eq!((second.attempt, &second.body), (1, &first.body));
    settle(&world, &second, LineOutcome::Rests(world.clock.now() + TimeDelta::seconds(60))).await;
    // Nobody holds what rests, so nothing of the batch runs once the other line has ended.
    fresh(world.store.cancel_batch(&world.ctx(), &batch.id, None).await);
    assert!(settle(&world, &claimed[0], answered(200)).await);
    assert_eq!(advance(&world).await, 1);
}

pub(super) async fn a_batch_of_which_many_lines_wait_is_held_up_and_holds_up_no_other(world: World) {
    let names: Vec<_> = (0..MOST_WAITING + 1).map(|n| n.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let blocked = start(&world, &names).await;
    let after = |seconds| world.clock.now() + TimeDelta::seconds(seconds);
    let (soon, late) = (after(20), after(40));
    for (line, at) in claim(&world, MOST_WAITING).await.iter().zip([soon].into_iter().chain(repeat(late))) {
        settle(&world, line, LineOutcome::Rests(at)).await;
    }
    assert!(claim(&world, 9).await.is_empty());
    assert_eq!(world.store.next_batch_work(world.clock.now()).await.unwrap(), Some(soon));

    start(&world, &["x"]).await;
    let other = claim(&world, 9).await;
    assert_eq!(other.len(), 1);
    settle(&world, &other[0], answered(200)).await;
    advance(&world).await;

    world.advance(TimeDelta::seconds(20));
    let next = claim(&world, 9).await;
    assert_eq!(
        next.iter().map(|line| (&line.batch, line.attempt)).collect::<Vec<_>>(),
        [(&blocked.id, 1); 2]
    );
}

pub(super) async fn lines_that_wait_for_long_hold_no_other_up(world: World) {
    let names: Vec<_> = (0..MOST_WAITING + 1).map(|n| n.to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    start(&world, &names).await;
    let late = world.clock.now() + SOON + TimeDelta::milliseconds(1);
    for line in claim(&world, MOST_WAITING).await {
        settle(&world, &line, LineOutcome::Again(late)).await;
    }
    let next = world.store.next_batch_work(world.clock.now()).await.unwrap();
    assert!(next.is_some_and(|next| next <= world.clock.now()), "{next:?}");
    assert_eq!(claim(&world, 9).await.len(), 1);
}

pub(super) async fn batches_take_turns(world: World) {
    let large = start(&world, &["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    let small = start(&world, &["x", "y"]).await;
    let of = |lines: &[ClaimedLine], batch| lines.iter().filter(|line| line.batch == batch).count();
    let first = claim(&world, 2).await;
    assert_eq!((of(&first, large.id.clone()), of(&first, small.id.clone())), (1, 1));
    world.advance(TimeDelta::seconds(1));
    let second = claim(&world, 1).await;
    world.advance(TimeDelta::seconds(1));
    let third = claim(&world, 1).await;
    assert_ne!(second[0].batch, third[0].batch);
    world.advance(TimeDelta::seconds(1));
    assert_eq!(of(&claim(&world, 9).await, large.id), 6, "what is left is claimed at once");
}

fn is_ended(status: &BatchStatus) -> bool {
    use BatchStatus::{Cancelled, Completed, Expired};
    matches!(status, Completed | Cancelled | Expired)
}

/// Whatever workers, clocks and callers do, each line is in one file once.
pub(super) async fn every_line_comes_to_exactly_one_end(world: World) {
    let all: Vec<_> = (0..23).map(|n| n.to_string()).collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    for seed in 0..30 {
        let mut rng = StdRng::seed_from_u64(seed);
        let batch = start(&world, &all).await;
        let mut held = Vec::<ClaimedLine>::new();
        for step in 0.. {
            let now = world.clock.now();
            match rng.random_range(0..12) {
                0..4 => held.extend(claim(&world, rng.random_range(1..6)).await),
                4..8 if !held.is_empty() => {
                    let line = held.swap_remove(rng.random_range(0..held.len()));
                    let outcome = match rng.random_range(0..7) {
                        0 => LineOutcome::Again(now + TimeDelta::seconds(rng.random_range(0..90))),
                        1 => LineOutcome::Rests(now + TimeDelta::seconds(rng.random_range(0..90))),
                        2 => LineOutcome::Failed { message: "failed".to_owned() },
                        3 => answered(400),
                        _ => answered(200),
                    };
                    let settled = world.store.settle_batch_line(&line, outcome, now).await;
                    assert!(matches!(settled, Ok(_) | Err(StoreError::LeaseLost)), "{settled:?}");
                    if rng.random_bool(0.2) {
                        held.push(line);
                    }
                }
                8 => world.advance(TimeDelta::seconds(rng.random_range(0..70))),
                9 => drop(advance(&world).await),
                10 if rng.random_bool(0.1) && step > 10 => {
                    let cancelled = world.store.cancel_batch(&world.ctx(), &batch.id, None).await;
                    assert!(matches!(cancelled, Ok(_) | Err(StoreError::BatchEnded { .. })));
                }
                11 if rng.random_bool(0.02) => world.advance(TimeDelta::hours(25)),
                _ => {}
            }
            if is_ended(&read(&world, &batch.id).await.status) {
                break;
            }
        }
        let ended = read(&world, &batch.id).await;
        let output = lines(&world, ended.output_file_id.as_ref()).await;
        let errors = lines(&world, ended.error_file_id.as_ref()).await;
        let counts = &ended.request_counts;
        assert_eq!(output.len() as u64, counts.completed, "seed {seed}");
        let answered = errors.iter().filter(|line| {
            !matches!(line["error"]["code"].as_str(), Some("batch_cancelled" | "batch_expired"))
        });
        assert_eq!(answered.count() as u64, counts.failed, "seed {seed}");
        let both = [names(&output), names(&errors)].concat();
        assert_eq!(both.len(), all.len(), "seed {seed}");
        assert_eq!(BTreeSet::from_iter(both), BTreeSet::from_iter(all.clone()), "seed {seed}");
    }
}
