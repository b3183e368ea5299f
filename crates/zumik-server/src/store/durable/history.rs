//! The tree of events, and how to find one far back in it.
//!
//! An event points to its parent and to one `jump` ancestor, chosen by its sequence alone (the skew-binary
//! scheme of Myers, "An applicative random-access stack", 1983). From any event each ancestor is then at most
//! about 2·log2(n) steps away, and an append looks at one row at most to find its own jump. So a branch is
//! a pointer to its head: forks copy nothing, and neither history nor depth of forks costs anything.

/// The sequence of the event that the event with this sequence jumps to; 0 is before the first event.
pub(in crate::store) fn jump_sequence(sequence: u64) -> u64 {
    let mut rest = sequence;
    loop {
        // The greatest 2^k - 1 that fits.
        let step = match rest {
            0 => return 0,
            _ if (rest + 1).is_power_of_two() => rest,
            _ => (1 << (rest + 1).ilog2()) - 1,
        };
        if step == rest {
            return sequence - step;
        }
        rest -= step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_the_parent_or_where_the_parents_jump_jumps_to() {
        for sequence in 1..10_000 {
            let parent = sequence - 1;
            let jump = jump_sequence(parent);
            let beyond = jump_sequence(jump);
            let expected = if parent - jump == jump - beyond { beyond } else { parent };
            assert_eq!(jump_sequence(sequence), expected, "{sequence}");
        }
    }

    #[test]
    fn every_ancestor_is_a_few_steps_away() {
        let head: u64 = 1_000_000;
        for target in [1, 2, 3, 499_999, 500_000, 999_998, 999_999] {
            let (mut at, mut steps) = (head, 0);
            while at > target {
                at = if jump_sequence(at) >= target { jump_sequence(at) } else { at - 1 };
                steps += 1;
            }
            assert!(steps <= 60, "{target}: {steps}");
        }
    }
}
