//! What to do after a target has failed and nothing has been delivered: again, another target, or no more.

use std::time::Duration;

use super::error::ProviderError;

/// How long to wait before the same target is asked once more.
const PAUSE: Duration = Duration::from_millis(200);

/// Most calls for one request. The caller has retries of its own, and each of its attempts may cost this many.
pub(super) const MOST: u32 = 4;

/// The attempts of one request.
///
/// Another target of the release is preferred to the same one: it answers at once, if it does. Without one, or when the
/// caller forbids it, the first choice gets a second attempt, and only if its failure may be gone in a moment.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    made: u32,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same target, after a pause.
    Again(Duration),
    /// The next target.
    Other,
    /// The request has failed.
    GiveUp,
}

impl Attempts {
    /// What to do after a failure, when so many alternatives are left that the caller allows.
    pub(crate) fn after(&mut self, error: &ProviderError, others: usize) -> Next {
        self.made += 1;
        if self.made >= MOST || !error.may_pass_elsewhere() {
            return Next::GiveUp;
        }
        if others > 0 {
            return Next::Other;
        }
        if self.made == 1 && error.may_pass_soon() { Next::Again(PAUSE) } else { Next::GiveUp }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trouble::Trouble;
    use super::*;

    fn play(mut others: usize, error: fn() -> ProviderError) -> Vec<Next> {
        let mut attempts = Attempts::default();
        let mut steps = Vec::new();
        while steps.last() != Some(&Next::GiveUp) {
            let next = attempts.after(&error(), others);
            others -= usize::from(next == Next::Other);
            steps.push(next);
        }
        steps
    }

    #[test]
    fn what_follows_each_failure() {
        use Next::{Again, GiveUp, Other};
        let failed = || ProviderError::Failed(503);
        let refused = || ProviderError::refused(400, b"");
        let limited = || ProviderError::Limited { retry_after: 1 };
        let open = || ProviderError::LeftAlone(Trouble::BrokeOff);
        assert_eq!(play(0, failed), [Again(PAUSE), GiveUp]);
        assert_eq!(play(1, failed), [Other, GiveUp]);
        assert_eq!(play(16, failed), [Other, Other, Other, GiveUp]);
        assert_eq!(play(3, refused), [GiveUp], "the request is to blame, wherever it goes");
        assert_eq!(play(0, limited), [GiveUp], "the caller is told how long to wait");
        assert_eq!(play(1, limited), [Other, GiveUp]);
        assert_eq!(play(0, open), [GiveUp]);
        assert_eq!(play(1, open), [Other, GiveUp]);
        assert_eq!(play(0, || ProviderError::Silent(Duration::ZERO)), [GiveUp], "it had its time");
    }
}
