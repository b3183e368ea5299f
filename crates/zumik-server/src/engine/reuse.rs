//! Which prompts began alike: the candidate part of the reuse metrics.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use tokio::time::timeout;
use zumik_types::ProjectId;

use crate::domain::{Message, Role};
use crate::store::{Store, StoreError};

/// What is known of a prompt after it was observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// How many leading blocks an earlier prompt had in common with it.
    pub(crate) common: usize,
    /// How many of these have been counted before, and their tokens.
    counted: (usize, u64),
    /// What the common blocks are recognized by.
    mark: Option<Fingerprint>,
}

/// How long an earlier prompt counts: `reuse_window_ms` (contract `concepts.md`, "Reuse metrics").
pub(crate) const WINDOW: chrono::TimeDelta = chrono::TimeDelta::milliseconds(300_000);

/// Most beginnings that are remembered; about 6 MB. Over it, the oldest are forgotten, and reuse is undercounted.
const CAPACITY: usize = 65_536;

/// How long the store may take to tell a purge generation: an answer may be waiting for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The beginnings of recent prompts, as keyed fingerprints. Texts are not kept.
///
/// A prompt of n messages has n beginnings: its first message, its first two, and so on. A beginning is recognized
/// within one project, one target and one purge generation only, because all three go into its fingerprint.
///
/// The purge generation is the store's: a purge counts here at once, whoever asked for it and whichever server it went
/// through. It is asked for twice, before the state of a prompt is read and when the prompt is measured. The first need not
/// be the newest: if both are not the same, the prompt is neither compared nor remembered.
pub(crate) struct ReuseWindow {
    secret: [u8; 64],
    store: Arc<dyn Store>,
    /// Purge generations of projects as they were last told. Projects are never removed.
    generations: Mutex<HashMap<ProjectId, u64>>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    last: HashMap<Fingerprint, Sighting>,
    /// Every sighting, oldest first; a later one of the same beginning makes an earlier one void.
    order: VecDeque<(DateTime<Utc>, Fingerprint)>,
}

type Fingerprint = [u8; 16];

/// When a beginning was last seen, and how many tokens it has once they are counted.
#[derive(Clone, Copy)]
struct Sighting {
    at: DateTime<Utc>,
    tokens: Option<u64>,
}

/// The past of a project as of one moment.
#[derive(Clone)]
pub(crate) struct Past {
    project: ProjectId,
    /// Nothing once it is over, and while nobody can tell.
    generation: Option<u64>,
}

impl ReuseWindow {
    /// An empty window for the projects of a store; `secret` keys its fingerprints.
    pub(crate) fn new(secret: [u8; 64], store: Arc<dyn Store>) -> Self {
        Self { secret, store, generations: Mutex::default(), seen: Mutex::default() }
    }

    /// The past of a project. To be taken before the state of a prompt is read: a purge in between then keeps
    /// the prompt from being remembered.
    pub(crate) async fn past(&self, project: &ProjectId) -> Past {
        let known = self.generations.lock().get(project).copied();
        let generation = match known {
            Some(generation) => Some(generation),
            None => self.generation(project).await,
        };
        Past { project: project.clone(), generation }
    }

    /// The purge generation of a project now; nothing when the store cannot tell.
    pub(crate) async fn generation(&self, project: &ProjectId) -> Option<u64> {
        let asked = timeout(PATIENCE, self.store.purge_generation(project)).await;
        match asked.unwrap_or_else(|late| Err(StoreError::unavailable(late))) {
            Ok(generation) => {
                let mut generations = self.generations.lock();
                let known = generations.entry(project.clone()).or_default();
                *known = generation.max(*known);
                Some(generation)
            }
            Err(error) => {
                tracing::warn!(%error, "a prompt is not compared with earlier ones");
                None
            }
        }
    }

    /// The generation of a project is asked for anew before its next prompt.
    pub(crate) fn purged(&self, project: &ProjectId) {
        self.generations.lock().remove(project);
    }

    /// How many leading blocks an earlier prompt for `target` within the window had in common with this one, which is
    /// remembered in turn; none when the past is over. Each block is of a kind, and equal when both are.
    pub(crate) fn observe<'b>(
        &self,
        past: &Past,
        target: &str,
        blocks: impl Iterator<Item = (u8, &'b [u8])>,
        now: DateTime<Utc>,
    ) -> Observed {
        let Some(generation) = past.generation else { return Observed::default() };
        let beginnings = self.beginnings(&past.project, generation, target, blocks);
        let mut seen = self.seen.lock();
        seen.expire(now);
        let observed = seen.longest(&beginnings);
        for beginning in beginnings {
            let tokens = seen.last.get(&beginning).and_then(|sighting| sighting.tokens);
            seen.last.insert(beginning, Sighting { at: now, tokens });
            seen.order.push_back((now, beginning));
        }
        observed
    }

    /// The tokens of the common blocks of an observed prompt. `count` counts those behind the longest beginning that was
    /// counted before, so that a conversation has each of its blocks counted once.
    pub(crate) fn tokens(&self, observed: &Observed, count: impl FnOnce(Range<usize>) -> u64) -> u64 {
        let (counted, tokens) = observed.counted;
        let Some(mark) = observed.mark.filter(|_| counted < observed.common) else { return tokens };
        let tokens = tokens + count(counted..observed.common);
        if let Some(sighting) = self.seen.lock().last.get_mut(&mark) {
            sighting.tokens = Some(tokens);
        }
        tokens
    }

    /// `prefix_family_id`: what prompts share that begin with the same stable blocks; nothing without any.
    pub(crate) fn family<'b>(
        &self,
        project: &'b ProjectId,
        stable: impl Iterator<Item = &'b [u8]>,
    ) -> Option<String> {
        let mut stable = stable.peekable();
        stable.peek()?;
        let mut chain = self.keyed();
        chain.update(b"family");
        for part in std::iter::once(project.as_str().as_bytes()).chain(stable) {
            chain.update(&(part.len() as u64).to_be_bytes());
            chain.update(part);
        }
        let digest = chain.finalize().into_bytes();
        Some(digest.iter().take(8).fold("pf_".to_owned(), |id, byte| format!("{id}{byte:02x}")))
    }

    fn beginnings<'b>(
        &self,
        project: &ProjectId,
        generation: u64,
        target: &str,
        blocks: impl Iterator<Item = (u8, &'b [u8])>,
    ) -> Vec<Fingerprint> {
        let mut chain = self.keyed();
        for part in [project.as_str().as_bytes(), &generation.to_be_bytes(), target.as_bytes()] {
            chain.update(&(part.len() as u64).to_be_bytes());
            chain.update(part);
        }
        blocks
            .map(|(kind, text)| {
                chain.update(&[kind]);
                chain.update(&(text.len() as u64).to_be_bytes());
                chain.update(text);
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

impl Past {
    /// What is left of it at a later generation of its project: nothing after a purge.
    pub(crate) fn at(&self, generation: Option<u64>) -> Self {
        let generation = self.generation.filter(|own| generation == Some(*own));
        Self { project: self.project.clone(), generation }
    }
}

impl Seen {
    /// The longest of these beginnings that was seen, and the longest that was counted.
    fn longest(&self, beginnings: &[Fingerprint]) -> Observed {
        let mut observed = Observed::default();
        for (n, beginning) in beginnings.iter().enumerate().rev() {
            let Some(sighting) = self.last.get(beginning) else { continue };
            if observed.mark.is_none() {
                (observed.common, observed.mark) = (n + 1, Some(*beginning));
            }
            if let Some(tokens) = sighting.tokens {
                observed.counted = (n + 1, tokens);
                break;
            }
        }
        observed
    }

    /// Drops what is past the window, and the oldest when there is too much.
    fn expire(&mut self, now: DateTime<Utc>) {
        while let Some((at, beginning)) = self.order.front() {
            if now - *at <= WINDOW && self.order.len() <= CAPACITY {
                break;
            }
            if self.last.get(beginning).is_some_and(|sighting| sighting.at == *at) {
                self.last.remove(beginning);
            }
            self.order.pop_front();
        }
    }
}

/// The messages of a compiled prompt as blocks.
pub(crate) fn of_messages(messages: &[Message]) -> impl Iterator<Item = (u8, &[u8])> {
    messages.iter().map(|message| {
        let kind = match message.role {
            Role::System => 0,
            Role::User => 1,
            Role::Assistant => 2,
        };
        (kind, message.text.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use zumik_types::{ArtifactType, CreateArtifactRequest, CreatePurgeJobRequest, KeyId, TraceId};

    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::Scopes;
    use crate::mint::RandomMint;
    use crate::store::memory::MemoryStore;
    use crate::store::{ProjectCtx, Written};

    fn window() -> ReuseWindow {
        ReuseWindow::new([7; 64], store())
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(MemoryStore::new(Arc::new(SystemClock), Arc::new(RandomMint::default())))
    }

    fn past(project: &str) -> Past {
        Past { project: ProjectId::with_suffix(project), generation: Some(0) }
    }

    fn prompt(texts: &[&str]) -> Vec<Message> {
        texts.iter().map(|text| Message { role: Role::System, text: (*text).to_owned() }).collect()
    }

    fn observe(window: &ReuseWindow, project: &str, texts: &[&str], now: DateTime<Utc>) -> usize {
        window.observe(&past(project), "placeholder", of_messages(&prompt(texts)), now).common
    }

    #[test]
    fn the_longest_common_beginning_counts() {
        let window = window();
        let now = Utc::now();
        assert_eq!(observe(&window, "1", &["a", "b", "c"], now), 0);
        assert_eq!(observe(&window, "1", &["a", "b", "d"], now), 2);
        assert_eq!(observe(&window, "1", &["a", "b", "d", "e"], now), 3);
        assert_eq!(observe(&window, "1", &["b", "c"], now), 0, "a later part is no beginning");
        assert_eq!(observe(&window, "1", &["ab", "d"], now), 0);
    }

    #[test]
    fn projects_and_targets_do_not_see_each_other() {
        let window = window();
        let now = Utc::now();
        observe(&window, "1", &["a"], now);
        assert_eq!(observe(&window, "2", &["a"], now), 0);
        assert_eq!(window.observe(&past("1"), "other", of_messages(&prompt(&["a"])), now).common, 0);
        assert_eq!(observe(&window, "1", &["a"], now), 1);
    }

    #[test]
    fn a_beginning_counts_until_the_window_has_passed_since_it_was_last_seen() {
        let window = window();
        let start = Utc::now();
        observe(&window, "1", &["a"], start);
        assert_eq!(observe(&window, "1", &["a"], start + WINDOW), 1);
        assert_eq!(observe(&window, "1", &["a"], start + WINDOW * 2), 1);
        assert_eq!(observe(&window, "1", &["a"], start + WINDOW * 3 + TimeDelta::milliseconds(1)), 0);
        let seen = window.seen.lock();
        assert_eq!((seen.last.len(), seen.order.len()), (1, 1));
    }

    /// A purge that nobody here is told of.
    async fn purge(store: &dyn Store, project: &ProjectId) {
        let (key, trace) = (KeyId::with_suffix("1"), TraceId::with_suffix("1"));
        let scopes = Scopes::INFERENCE_ONLY;
        let ctx = ProjectCtx { project: project.clone(), key, scopes, trace, now: Utc::now() };
        let request = CreateArtifactRequest::new(ArtifactType::Document, "x");
        let Ok(Written::Fresh { value: artifact, .. }) = store.create_artifact(&ctx, request, None).await
        else {
            panic!("no artifact")
        };
        let request = CreatePurgeJobRequest::new([artifact.id]);
        store.create_purge_job(&ctx, request, None).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_from_before_a_purge_is_recognized_or_remembered() {
        let (store, now) = (store(), Utc::now());
        let project = store.ensure_project("test", now).await.unwrap().id;
        let window = ReuseWindow::new([7; 64], Arc::clone(&store));
        // A prompt that is measured now, of a request that came in when its past was taken.
        let measure = async |past: Past, text: &str| {
            let past = past.at(window.generation(&project).await);
            window.observe(&past, "placeholder", of_messages(&prompt(&[text])), now).common
        };
        assert_eq!(measure(window.past(&project).await, "a").await, 0);
        assert_eq!(measure(window.past(&project).await, "a").await, 1);
        let running = window.past(&project).await;
        purge(&*store, &project).await;
        assert_eq!(measure(running, "a").await, 0, "recognized in a request that ran");
        assert_eq!(measure(window.past(&project).await, "a").await, 0, "remembered of a request that ran");
        assert_eq!(measure(window.past(&project).await, "a").await, 1);

        purge(&*store, &project).await;
        assert_eq!(measure(window.past(&project).await, "a").await, 0, "before the purge is known here");
        assert_eq!(measure(window.past(&project).await, "a").await, 0, "after it is");
        store.close().await;
        let past = window.past(&project).await;
        assert_eq!(measure(past, "a").await, 0, "nobody can tell");
    }

    /// Tokens of the common blocks, one for each byte, and which blocks were counted for that.
    fn tokens(window: &ReuseWindow, texts: &[&str]) -> (u64, Range<usize>) {
        let observed = window.observe(&past("1"), "a", of_messages(&prompt(texts)), Utc::now());
        let mut counted = 0..0;
        let tokens = window.tokens(&observed, |range| {
            counted = range.clone();
            texts[range].iter().map(|text| text.len() as u64).sum()
        });
        (tokens, counted)
    }

    #[test]
    fn common_blocks_are_counted_once() {
        let window = window();
        assert_eq!(tokens(&window, &["aa", "bbb", "c"]), (0, 0..0));
        assert_eq!(tokens(&window, &["aa", "bbb", "d"]), (5, 0..2));
        assert_eq!(tokens(&window, &["aa", "bbb", "e"]), (5, 0..0));
        assert_eq!(tokens(&window, &["aa", "f"]), (2, 0..1), "a shorter one has a count of its own");
        assert_eq!(tokens(&window, &["aa", "bbb", "e", "g"]), (6, 2..3), "only what is new is counted");
    }

    #[test]
    fn a_conversation_has_each_of_its_blocks_counted_once() {
        let window = window();
        let blocks: Vec<String> = (0..200).map(|n| format!("block {n}")).collect();
        let blocks: Vec<&str> = blocks.iter().map(String::as_str).collect();
        let mut all = Vec::new();
        for turn in (2..=blocks.len()).step_by(2) {
            let (sum, counted) = tokens(&window, &blocks[..turn]);
            assert_eq!(sum, blocks[..turn - 2].iter().map(|block| block.len() as u64).sum::<u64>());
            all.extend(counted);
        }
        assert_eq!(all, (0..blocks.len() - 2).collect::<Vec<_>>());
    }

    #[test]
    fn a_family_is_the_stable_beginning_of_a_project() {
        let window = window();
        let family = |project: &str, texts: &[&'static str]| {
            window.family(&ProjectId::with_suffix(project), texts.iter().map(|text| text.as_bytes()))
        };
        let one = family("1", &["a", "b"]).unwrap();
        assert_eq!((one.len(), &one[..3]), (19, "pf_"));
        assert_eq!(family("1", &["a", "b"]), Some(one.clone()));
        assert_ne!(family("1", &["ab"]), Some(one.clone()));
        assert_ne!(family("2", &["a", "b"]), Some(one));
        assert_eq!(family("1", &[]), None);
    }

    #[test]
    fn the_window_is_bounded() {
        let window = window();
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
