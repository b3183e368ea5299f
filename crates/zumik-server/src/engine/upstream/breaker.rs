//! When a target is left alone for a while: after it has failed several times in a row.
//!
//! Only targets in trouble are remembered, so that a server whose targets answer remembers nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::trouble::Trouble;

/// So many failures in a row open the circuit.
const FAILURES: u32 = 5;

/// For how long it stays open the first time; each failed probe doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// For how long it stays open at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A probe that nobody reports on (its caller went away) is over after this.
const PROBE: Duration = Duration::from_secs(30);

/// Most targets that are remembered. Callers may name any model, and each could be in trouble.
const MOST: usize = 1_024;

/// What is known of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circuit {
    /// Calls go through; so many failed in a row.
    Closed { failures: u32 },
    /// No calls before this moment.
    Open { until: Instant, pause: Duration },
    /// One call is on its way to find out; until this moment no other goes.
    Probing { until: Instant, pause: Duration },
    /// The probe is a stream that has begun. All go, as it may take minutes to end, and the next failure of any opens the
    /// circuit again.
    Trial { pause: Duration },
}

impl Circuit {
    /// Whether a call may go now, and whether it goes as the probe.
    fn admit(&mut self, now: Instant) -> Option<Role> {
        match *self {
            Self::Closed { .. } | Self::Trial { .. } => Some(Role::Call),
            Self::Open { until, pause } | Self::Probing { until, pause } if until <= now => {
                *self = Self::Probing { until: now + PROBE, pause };
                Some(Role::Probe)
            }
            Self::Open { .. } | Self::Probing { .. } => None,
        }
    }

    fn fail(&mut self, role: Role, now: Instant) {
        *self = match *self {
            Self::Closed { failures } if failures + 1 < FAILURES => Self::Closed { failures: failures + 1 },
            Self::Closed { .. } => Self::Open { until: now + FIRST_PAUSE, pause: FIRST_PAUSE },
            // A call from before the circuit opened tells nothing new.
            unchanged @ Self::Open { .. } => unchanged,
            unchanged @ Self::Probing { .. } if role == Role::Call => unchanged,
            Self::Probing { pause, .. } | Self::Trial { pause } => {
                let pause = (pause * 2).min(LONGEST_PAUSE);
                Self::Open { until: now + pause, pause }
            }
        };
    }

    /// The probe began to answer, and goes on.
    fn begin(&mut self) {
        if let Self::Probing { pause, .. } = *self {
            *self = Self::Trial { pause };
        }
    }

    /// Whether a call that succeeds closes the circuit. One from before it opened tells nothing new.
    fn is_closed_by(&self, role: Role) -> bool {
        match self {
            Self::Closed { .. } | Self::Trial { .. } => true,
            Self::Open { .. } | Self::Probing { .. } => role == Role::Probe,
        }
    }

    /// The probe ended and told nothing of the target.
    fn abandon(&mut self, now: Instant) {
        if let Self::Probing { pause, .. } = *self {
            *self = Self::Open { until: now, pause };
        }
    }
}

/// A target that failed, and how it did the last time.
#[derive(Debug)]
struct Troubled {
    circuit: Circuit,
    last: Trouble,
}

/// What a call is for a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// One of those that go through.
    Call,
    /// The one that finds out.
    Probe,
}

/// The circuits of all targets.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    circuits: Mutex<HashMap<Arc<str>, Troubled>>,
    /// How many there are, to be read without the lock.
    count: AtomicUsize,
}

/// Leave to call a target. Dropped without a word, the call told nothing.
#[derive(Debug)]
pub(crate) struct Permit {
    shared: Arc<Shared>,
    target: Arc<str>,
    role: Role,
    reported: bool,
}

impl Breaker {
    /// Asks for leave to call a target.
    ///
    /// # Errors
    /// None while its circuit is open; how the target failed the last time.
    pub(crate) fn admit(&self, target: &Arc<str>, now: Instant) -> Result<Permit, Trouble> {
        let mut role = Role::Call;
        if self.0.count.load(Ordering::Acquire) > 0
            && let Some(Troubled { circuit, last }) = self.0.circuits.lock().get_mut(target)
        {
            role = circuit.admit(now).ok_or(*last)?;
        }
        Ok(Permit { shared: Arc::clone(&self.0), target: Arc::clone(target), role, reported: false })
    }
}

impl Shared {
    fn fault(&self, target: &Arc<str>, role: Role, trouble: Trouble, now: Instant) {
        let mut circuits = self.circuits.lock();
        if circuits.len() >= MOST && !circuits.contains_key(target) {
            let Some(least) = least(&circuits) else { return };
            circuits.remove(&least);
        }
        let new = || Troubled { circuit: Circuit::Closed { failures: 0 }, last: trouble };
        let Troubled { circuit, last } = circuits.entry(Arc::clone(target)).or_insert_with(new);
        *last = trouble;
        let was_open = matches!(circuit, Circuit::Open { .. });
        circuit.fail(role, now);
        if let (false, Circuit::Open { pause, .. }) = (was_open, *circuit) {
            tracing::warn!(
                provider = provider(target),
                pause_s = pause.as_secs(),
                cause = trouble.to_string(),
                "a model of a provider fails and is left alone for a while"
            );
        }
        self.count.store(circuits.len(), Ordering::Release);
    }
}

/// Who can be forgotten for another: a target whose circuit is closed, else the one whose pause is over first.
fn least(circuits: &HashMap<Arc<str>, Troubled>) -> Option<Arc<str>> {
    let pause = |troubled: &Troubled| match troubled.circuit {
        Circuit::Closed { .. } => Some(None),
        Circuit::Open { until, .. } => Some(Some(until)),
        Circuit::Probing { .. } | Circuit::Trial { .. } => None,
    };
    let candidates = circuits.iter().filter_map(|(target, troubled)| Some((pause(troubled)?, target)));
    candidates.min_by_key(|(pause, _)| *pause).map(|(_, target)| Arc::clone(target))
}

/// What the log may know of a target: callers can name any model.
fn provider(target: &str) -> &str {
    target.split('/').next().unwrap_or_default()
}

impl Permit {
    /// The target began to answer; whether it comes to an end is not known yet.
    pub(crate) fn begin(&self) {
        if self.role == Role::Probe
            && let Some(target) = self.shared.circuits.lock().get_mut(&self.target)
        {
            target.circuit.begin();
        }
    }

    /// The target answered, be it with a refusal.
    pub(crate) fn succeed(mut self) {
        self.reported = true;
        if self.shared.count.load(Ordering::Acquire) > 0 {
            let mut circuits = self.shared.circuits.lock();
            if !circuits.get(&self.target).is_some_and(|target| target.circuit.is_closed_by(self.role)) {
                return;
            }
            let removed = circuits.remove(&self.target);
            if removed.is_some_and(|target| !matches!(target.circuit, Circuit::Closed { .. })) {
                tracing::info!(provider = provider(&self.target), "a provider answers again");
            }
            self.shared.count.store(circuits.len(), Ordering::Release);
        }
    }

    /// The target failed.
    pub(crate) fn fail(mut self, trouble: Trouble, now: Instant) {
        self.reported = true;
        self.shared.fault(&self.target, self.role, trouble, now);
    }

    /// The call came to no answer that can be used, with what of that speaks against the target.
    pub(crate) fn end(self, trouble: Option<Trouble>) {
        match trouble {
            Some(trouble) => self.fail(trouble, Instant::now()),
            None => self.succeed(),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.reported
            && self.role == Role::Probe
            && let Some(target) = self.shared.circuits.lock().get_mut(&self.target)
        {
            target.circuit.abandon(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
