//! Every law over its corpus, and over small changes of each entry: the short form of fuzzing.

use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs};

use zumik_laws::LAWS;

/// Changed copies of each entry, if `ZUMIK_CHANGES` does not ask for more.
const CHANGED: usize = 40;

/// The changes are the same in each run, if `ZUMIK_SEED` does not ask for others: a run that finds something new shall be
/// one that looks for it.
const SEED: u64 = 12_442_194_833_356_388_829;

fn corpus(law: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(law);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<_> = entries
        .map(|entry| entry.expect("an entry of a folder"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .map(|(name, path)| (name, fs::read(path).expect("a file that can be read")))
        .collect();
    entries.sort();
    entries
}

/// A copy with a byte changed, inserted or removed, or with a piece of it repeated or left out.
fn changed(entry: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut copy = entry.to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(0..=copy.len());
        let piece = at..random.usize(at..=copy.len().min(at + 40));
        match random.u8(0..5) {
            0 if at < copy.len() => copy[at] ^= 1 << random.u8(0..8),
            1 => copy.insert(at, random.u8(..)),
            2 if at < copy.len() => drop(copy.remove(at)),
            3 => {
                let again = copy[piece].to_vec();
                copy.splice(at..at, again);
            }
            _ => drop(copy.drain(piece)),
        }
    }
    copy
}

#[test]
fn every_law_holds_for_its_corpus_and_for_what_is_near_to_it() {
    let folders = fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus"));
    assert_eq!(folders.expect("the corpora").count(), LAWS.len(), "each law has a corpus, each corpus a law");
    let seed = env::var("ZUMIK_SEED").map_or(SEED, |text| text.parse().expect("a number"));
    let changes = env::var("ZUMIK_CHANGES").map_or(CHANGED, |text| text.parse().expect("a number"));
    let only = env::var("ZUMIK_LAW").ok();
    for (name, law) in LAWS {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let (mut inputs, started) = (0, Instant::now());
        let entries = corpus(name);
        assert!(!entries.is_empty(), "{name} has no corpus");
        for (entry, bytes) in entries {
            eprintln!("{name}/{entry}");
            law(&bytes);
            let mut random = fastrand::Rng::with_seed(seed);
            (0..changes).for_each(|_| law(&changed(&bytes, &mut random)));
            inputs += 1 + changes;
        }
        eprintln!("{name}: {inputs} inputs in {:.1} s", started.elapsed().as_secs_f64());
    }
}
