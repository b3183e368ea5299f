//! Which prompts began alike: the candidate part of the reuse metrics.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use zumik_types::ProjectId;

use crate::domain::{Message, Role};

/// How long an earlier prompt counts: `reuse_window_ms` (contract `concepts.md`, "Reuse metrics").
pub(crate) const WINDOW: chrono::TimeDelta = chrono::TimeDelta::milliseconds(300_000);

/// Most beginnings that are remembered; about 6 MB. Over it, the oldest are forgotten, and reuse is undercounted.
const CAPACITY: usize = 65_536;

/// The beginnings of recent prompts, as keyed fingerprints. Texts are not kept.
///
/// A prompt of n messages has n beginnings: its first message, its first two, and so on. A beginning is recognized
/// within one project, one target and one purge generation only, because all three go into its fingerprint.
pub(crate) struct ReuseWindow {
    secret: [u8; 64],
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    last: HashMap<Fingerprint, DateTime<Utc>>,
    /// Every sighting, oldest first; a later one of the same beginning makes an earlier one void.
    order: VecDeque<(DateTime<Utc>, Fingerprint)>,
    /// How often a project's past was forgotten.
    generations: HashMap<ProjectId, u64>,
}

type Fingerprint = [u8; 16];

/// The past of a project as of one moment. What is observed in it is lost when the past is forgotten meanwhile.
pub(crate) struct Past {
    project: ProjectId,
    generation: u64,
}

impl ReuseWindow {
    /// An empty window; `secret` keys its fingerprints.
    pub(crate) fn new(secret: [u8; 64]) -> Self {
        Self { secret, seen: Mutex::default() }
    }

    /// The past of a project. To be taken before the state of a prompt is read: a purge in between then keeps
    /// the prompt from being remembered.
    pub(crate) fn past(&self, project: &ProjectId) -> Past {
        let generation = self.seen.lock().generations.get(project).copied().unwrap_or(0);
        Past { project: project.clone(), generation }
    }

    /// Forgets all prompts of a project, those included that are being answered now.
    pub(crate) fn forget(&self, project: &ProjectId) {
        *self.seen.lock().generations.entry(project.clone()).or_default() += 1;
    }

    /// How many leading messages an earlier prompt for `target` within the window had in common with this one, which
    /// is remembered in turn.
    pub(crate) fn observe(
        &self,
        past: &Past,
        target: &str,
        messages: &[Message],
        now: DateTime<Utc>,
    ) -> usize {
        let beginnings = self.beginnings(past, target, messages);
        let mut seen = self.seen.lock();
        seen.expire(now);
        let common = beginnings
            .iter()
            .rposition(|beginning| seen.last.contains_key(beginning))
            .map_or(0, |last| last + 1);
        for beginning in beginnings {
            seen.last.insert(beginning, now);
            seen.order.push_back((now, beginning));
        }
        common
    }

    fn beginnings(&self, past: &Past, target: &str, messages: &[Message]) -> Vec<Fingerprint> {
        let mut chain = self.keyed();
        for part in [past.project.as_str().as_bytes(), &past.generation.to_be_bytes(), target.as_bytes()] {
            chain.update(&(part.len() as u64).to_be_bytes());
            chain.update(part);
        }
        messages
            .iter()
            .map(|message| {
                chain.update(&[match message.role {
                    Role::System => 0,
                    Role::User => 1,
                    Role::Assistant => 2,
                }]);
                chain.update(&(message.text.len() as u64).to_be_bytes());
                chain.update(message.text.as_bytes());
                let mut fingerprint = Fingerprint::default();
                fingerprint.copy_from_slice(&chain.clone().finalize().into_bytes()[..16]);
                fingerprint
            })
            .collect()
    }

    fn keyed(&self) -> Hmac<Sha256> {
        Hmac::new(&self.secret.into())
    }
}

impl Seen {
    /// Drops what is past the window, and the oldest when there is too much.
    fn expire(&mut self, now: DateTime<Utc>) {
        while let Some((at, beginning)) = self.order.front() {
            if now - *at <= WINDOW && self.order.len() <= CAPACITY {
                break;
            }
            if self.last.get(beginning) == Some(at) {
                self.last.remove(beginning);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn prompt(texts: &[&str]) -> Vec<Message> {
        texts.iter().map(|text| Message { role: Role::System, text: (*text).to_owned() }).collect()
    }

    fn observe(window: &ReuseWindow, project: &str, texts: &[&str], now: DateTime<Utc>) -> usize {
        let past = window.past(&ProjectId::with_suffix(project));
        window.observe(&past, "placeholder", &prompt(texts), now)
    }

    #[test]
    fn the_longest_common_beginning_counts() {
        let window = ReuseWindow::new([7; 64]);
        let now = Utc::now();
        assert_eq!(observe(&window, "1", &["a", "b", "c"], now), 0);
        assert_eq!(observe(&window, "1", &["a", "b", "d"], now), 2);
        assert_eq!(observe(&window, "1", &["a", "b", "d", "e"], now), 3);
        assert_eq!(observe(&window, "1", &["b", "c"], now), 0, "a later part is no beginning");
        assert_eq!(observe(&window, "1", &["ab", "d"], now), 0);
    }

    #[test]
    fn projects_and_targets_do_not_see_each_other() {
        let window = ReuseWindow::new([7; 64]);
        let now = Utc::now();
        observe(&window, "1", &["a"], now);
        assert_eq!(observe(&window, "2", &["a"], now), 0);
        let past = window.past(&ProjectId::with_suffix("1"));
        assert_eq!(window.observe(&past, "other", &prompt(&["a"]), now), 0);
        assert_eq!(observe(&window, "1", &["a"], now), 1);
    }

    #[test]
    fn a_beginning_counts_until_the_window_has_passed_since_it_was_last_seen() {
        let window = ReuseWindow::new([7; 64]);
        let start = Utc::now();
        observe(&window, "1", &["a"], start);
        assert_eq!(observe(&window, "1", &["a"], start + WINDOW), 1);
        assert_eq!(observe(&window, "1", &["a"], start + WINDOW * 2), 1);
        assert_eq!(observe(&window, "1", &["a"], start + WINDOW * 3 + TimeDelta::milliseconds(1)), 0);
        let seen = window.seen.lock();
        assert_eq!((seen.last.len(), seen.order.len()), (1, 1));
    }

    #[test]
    fn a_purge_forgets_also_what_is_being_answered() {
        let window = ReuseWindow::new([7; 64]);
        let now = Utc::now();
        observe(&window, "1", &["a"], now);
        let project = ProjectId::with_suffix("1");
        let running = window.past(&project);
        window.forget(&project);
        assert_eq!(observe(&window, "1", &["a"], now), 0);
        window.forget(&project);
        window.observe(&running, "placeholder", &prompt(&["b"]), now);
        assert_eq!(observe(&window, "1", &["b"], now), 0);
    }

    #[test]
    fn the_window_is_bounded() {
        let window = ReuseWindow::new([7; 64]);
        let now = Utc::now();
        let texts: Vec<String> = (0..CAPACITY * 2).map(|n| n.to_string()).collect();
        for chunk in texts.chunks(1024) {
            let texts: Vec<&str> = chunk.iter().map(String::as_str).collect();
            observe(&window, "1", &texts, now);
        }
        observe(&window, "1", &["last"], now);
        assert!(window.seen.lock().order.len() <= CAPACITY + 1);
    }
}
