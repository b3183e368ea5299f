//! Where the row of an idempotency key is.
//!
//! Keys are random, so an index over them would change a page of its own with nearly every request: more
//! work than all the rest of an append. So new keys wait in memory, and when many have gathered, a slice of
//! them that lies together in the order of the index is written at once. The rows of the keys that wait are
//! read again at the next start. The index is cut by the day on which keys expire: a day goes as a whole.
//!
//! Both parts only say where to look: whoever looks compares the row, which may be gone or another's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

use super::db::Sql;
use super::{Db, Env};
use crate::store::Result;

/// Keys that wait, when nothing else is asked for, before they are written to the index.
pub(super) const WAITING: usize = 16_384;

/// The part of the keys that wait which is written at once.
const SLICES: usize = 32;

const DAY: i64 = 86_400_000;

/// What a key is looked up by.
pub(super) type Lookup = [u8; 16];

/// The row of a key, and the day on which it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    row: i64,
    day: i64,
}

/// The keys that the index does not hold yet.
#[derive(Debug)]
pub(super) struct Lookups {
    /// So many keys wait before they are written to the index.
    limit: usize,
    waiting: BTreeMap<Lookup, Place>,
    /// What the open transaction replaced.
    undo: Vec<(Lookup, Option<Place>)>,
    /// The last key written to the index; the next slice begins behind it.
    cursor: Option<Lookup>,
    /// The newest row that there was. The next one comes after it, also when it is gone by then: the rows up to
    /// `answers_indexed` are not read at a start, so none of them may be given again.
    newest: i64,
    /// The newest row when the cursor began at the first key.
    newest_at_begin: i64,
    /// The days that the index has keys of, and perhaps some that it had.
    days: BTreeSet<i64>,
}

/// Keys to be written to the index.
struct Slice {
    keys: Vec<(Lookup, Place)>,
    /// Every row up to this one is in the index then.
    complete_to: Option<i64>,
}

fn day(millis: i64) -> i64 {
    millis.div_euclid(DAY)
}

impl Lookups {
    fn new(limit: usize, newest: i64) -> Self {
        Self {
            limit,
            waiting: BTreeMap::new(),
            undo: Vec::new(),
            cursor: None,
            newest,
            newest_at_begin: newest,
            days: BTreeSet::new(),
        }
    }

    /// The keys of a database that its index does not hold; `limit` of them wait at most.
    pub(super) fn load(conn: &Connection, limit: usize) -> Result<Self> {
        let sql = Sql::new(conn);
        let indexed: i64 = sql.value("SELECT answers_indexed FROM server", [])?;
        let mut lookups = Self::new(limit, indexed);
        // From one day to the next, not through all of its keys.
        let days = sql.all(
            "WITH RECURSIVE days (day) AS (
               SELECT min(day) FROM answer_index
               UNION ALL SELECT (SELECT min(day) FROM answer_index a WHERE a.day > days.day) FROM days
                         WHERE days.day IS NOT NULL)
             SELECT day FROM days WHERE day IS NOT NULL",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        lookups.days.extend(days);
        let rows = sql.all(
            "SELECT id, lookup, expires_at FROM answers WHERE id > ?1 ORDER BY id",
            [indexed],
            |row| Ok((row.get::<_, Lookup>(1)?, Place { row: row.get(0)?, day: day(row.get(2)?) })),
        )?;
        lookups.newest = rows.last().map_or(indexed, |(_, place)| place.row);
        lookups.newest_at_begin = lookups.newest;
        lookups.waiting.extend(rows);
        Ok(lookups)
    }

    /// Gives a key a row that none had before, in the open transaction.
    pub(super) fn file(&mut self, lookup: Lookup, expires_at: i64) -> i64 {
        self.newest += 1;
        let place = Place { row: self.newest, day: day(expires_at) };
        let before = self.waiting.insert(lookup, place);
        self.undo.push((lookup, before));
        place.row
    }

    /// Keeps what the transaction noted.
    pub(super) fn commit(&mut self) {
        self.undo.clear();
    }

    /// Forgets what the transaction noted. Its rows are not given again.
    pub(super) fn rollback(&mut self) {
        while let Some((lookup, before)) = self.undo.pop() {
            match before {
                Some(place) => self.waiting.insert(lookup, place),
                None => self.waiting.remove(&lookup),
            };
        }
    }

    fn slice(&self) -> Option<Slice> {
        if self.waiting.len() < self.limit {
            return None;
        }
        let most = (self.limit / SLICES).max(1);
        let begin = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.waiting.range((begin, Bound::Unbounded));
        let keys: Vec<_> = behind.take(most).map(|(lookup, place)| (*lookup, *place)).collect();
        let complete_to = (keys.len() < most).then_some(self.newest_at_begin);
        Some(Slice { keys, complete_to })
    }

    fn written(&mut self, slice: &Slice) {
        for (lookup, place) in &slice.keys {
            self.waiting.remove(lookup);
            self.days.insert(place.day);
        }
        match slice.complete_to {
            None => self.cursor = slice.keys.last().map(|(lookup, _)| *lookup),
            Some(_) => {
                self.cursor = None;
                self.newest_at_begin = self.newest;
            }
        }
    }
}

impl Db<'_> {
    /// The rows that may be a key's, the likeliest first.
    pub(super) fn rows_of_key(&self, lookup: &Lookup) -> Result<Vec<i64>> {
        // A key that is live expires tomorrow or today. It may be filed under yesterday: an answer is kept
        // from when it is given, its key was filed when it was reserved.
        let today = day(self.env.clock.now().timestamp_millis());
        let days: Vec<_> = {
            let lookups = self.env.lookups.lock();
            if let Some(place) = lookups.waiting.get(lookup) {
                return Ok(vec![place.row]);
            }
            lookups.days.range(today - 1..=today + 1).rev().copied().collect()
        };
        let mut rows = Vec::new();
        for day in days {
            let sql = "SELECT answer FROM answer_index WHERE day = ?1 AND lookup = ?2";
            rows.extend(self.one(sql, params![day, lookup], |row| row.get::<_, i64>(0))?);
        }
        Ok(rows)
    }

    /// Removes a part of the index of days that are over for good.
    pub(super) fn sweep_index(&self, now: DateTime<Utc>, step: u64) -> Result<u64> {
        let removed = self.run(
            "DELETE FROM answer_index WHERE (day, lookup) IN
               (SELECT day, lookup FROM answer_index WHERE day < ?1 LIMIT ?2)",
            params![day(now.timestamp_millis()) - 1, step],
        )?;
        Ok(removed as u64)
    }
}

/// Called between transactions: writes a slice of the keys that wait, when there are many.
pub(super) fn index_waiting_keys(conn: &Connection, env: &Env) -> rusqlite::Result<()> {
    let Some(mut slice) = env.lookups.lock().slice() else { return Ok(()) };
    slice.keys.sort_unstable_by_key(|(lookup, place)| (place.day, *lookup));
    let transaction = conn.unchecked_transaction()?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO answer_index (day, lookup, answer) VALUES (?1, ?2, ?3)",
        )?;
        for (lookup, place) in &slice.keys {
            insert.execute(params![place.day, lookup, place.row])?;
        }
        if let Some(row) = slice.complete_to {
            transaction.prepare_cached("UPDATE server SET answers_indexed = ?1")?.execute([row])?;
        }
    }
    transaction.commit()?;
    env.lookups.lock().written(&slice);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(at: u64) -> Lookup {
        let mut lookup = [0; 16];
        lookup[..8].copy_from_slice(&at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        lookup
    }

    #[test]
    fn a_rollback_brings_back_what_was_there() {
        let mut lookups = Lookups::new(WAITING, 0);
        lookups.file(key(1), DAY);
        lookups.commit();
        let before = format!("{:?}", lookups.waiting);
        for _ in 0..2 {
            lookups.file(key(1), DAY);
            lookups.file(key(2), DAY);
        }
        lookups.rollback();
        assert_eq!(format!("{:?}", lookups.waiting), before);
    }

    #[test]
    fn every_row_is_written_before_it_counts_as_complete() {
        let mut lookups = Lookups::new(WAITING, 0);
        let (mut written, mut complete, mut passes) = (std::collections::HashSet::new(), 0, 0);
        for row in 1..200_000 {
            assert_eq!(lookups.file(key(row), DAY), row as i64);
            lookups.commit();
            if row % 256 == 0
                && let Some(slice) = lookups.slice()
            {
                assert!(slice.keys.is_sorted_by_key(|(lookup, _)| *lookup));
                lookups.written(&slice);
                written.extend(slice.keys.iter().map(|(_, place)| place.row));
                if let Some(to) = slice.complete_to {
                    assert!((1..=to).all(|row| written.contains(&row)), "{to}");
                    assert!(to >= complete);
                    (complete, passes) = (to, passes + 1);
                }
            }
        }
        assert!(passes > 3 && complete > 100_000, "{passes} {complete}");
        assert!(lookups.waiting.len() <= WAITING + 256);
    }
}
