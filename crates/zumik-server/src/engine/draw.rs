//! Which target of a release a request goes to.

use sha2::{Digest, Sha256};
use zumik_types::SessionId;

use super::models::Release;
use super::target::Target;

/// The drawn target, and the others, the heaviest first. Nothing for a release without targets.
///
/// `chance` is any number, all equally likely. The requests of a session draw the same target as long as the release
/// stays the same.
pub(crate) fn draw(release: Release, chance: u64) -> Option<(Target, Vec<Target>)> {
    let mut targets = release.targets;
    let total: u64 = targets.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut left = chance.checked_rem(total).unwrap_or(0);
    let drawn = targets
        .iter()
        .position(|(_, weight)| {
            let here = left < u64::from(*weight);
            left = left.saturating_sub(u64::from(*weight));
            here
        })
        .unwrap_or(0);
    if targets.is_empty() {
        return None;
    }
    let (first, _) = targets.remove(drawn);
    targets.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    Some((first, targets.into_iter().map(|(target, _)| target).collect()))
}

/// The number that a session draws with.
pub(crate) fn chance_of(session: &SessionId) -> u64 {
    let digest = Sha256::digest(session.as_str());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use zumik_types::ModelAliasReleaseId;

    use super::*;

    fn release(weights: &[u32]) -> Release {
        let target = |n: usize| Target { model: n.to_string().into(), ..Target::placeholder(None) };
        Release {
            id: ModelAliasReleaseId::with_suffix("1"),
            alias: "auto".into(),
            targets: weights.iter().enumerate().map(|(n, weight)| (target(n), *weight)).collect(),
        }
    }

    #[test]
    fn each_target_is_drawn_as_often_as_it_weighs() {
        let mut drawn = BTreeMap::new();
        for chance in 0..1_000 {
            let (first, _) = draw(release(&[60, 1, 39]), chance).unwrap();
            *drawn.entry(first.model.to_string()).or_insert(0) += 1;
        }
        assert_eq!(drawn.into_values().collect::<Vec<_>>(), [600, 10, 390]);
    }

    #[test]
    fn the_others_follow_the_heaviest_first() {
        let (first, others) = draw(release(&[10, 30, 60]), 0).unwrap();
        let others: Vec<_> = others.iter().map(|target| &*target.model).collect();
        assert_eq!((&*first.model, others), ("0", vec!["2", "1"]));
        assert_eq!(draw(release(&[]), 7), None);
    }

    #[test]
    fn sessions_spread_over_the_targets_and_each_stays_with_its_own() {
        let mut drawn = BTreeMap::new();
        for n in 0..1_000 {
            let session = SessionId::with_suffix(&n.to_string());
            let (first, _) = draw(release(&[60, 40]), chance_of(&session)).unwrap();
            assert_eq!(draw(release(&[60, 40]), chance_of(&session)).unwrap().0, first);
            *drawn.entry(first.model.to_string()).or_insert(0) += 1;
        }
        assert!((550..650).contains(&drawn["0"]), "{drawn:?}");
    }
}
