//! Sealed texts, stored so that erasing one leaves no copy behind.
//!
//! SQLite zeroes what is deleted (`secure_delete`), but when it balances a b-tree it moves rows between pages
//! and leaves old bytes in their gaps. What lies on overflow pages is never moved: such a page belongs to one
//! row until it is freed, and is zeroed then. So a record begins with zeros that fill the part of a row that
//! SQLite keeps in the b-tree, and the sealed text, its wrapped data key first, begins on an overflow page.

use std::ops::Range;

use super::connection::PAGE_SIZE;
use super::db::Sql;
use super::{Db, Env};
use crate::mint::Mint;
use crate::seal::SEAL_BYTES;
use crate::store::durable::Seal;
use crate::store::{Result, StoreError};

/// Bytes of a row that stay in the b-tree when the rest fills its overflow pages (SQLite's "M").
const LOCAL: usize = (PAGE_SIZE - 12) * 32 / 255 - 23;

/// Bytes of a row on one overflow page; the others point to the next page.
const OVERFLOW: usize = PAGE_SIZE - 4;

/// Bytes that say how long the sealed text is, at the begin of the first overflow page.
const LENGTH: usize = 8;

/// Records longer than this are written page by page. In a statement they would lie in memory three times.
const LARGE: usize = 1 << 20;

impl Seal for Env {
    fn mint(&self) -> &dyn Mint {
        &*self.mint
    }

    /// Seals a text within a record. It needs no database and may be done ahead.
    fn seal(&self, place: &[u8], text: &[u8]) -> Result<Vec<u8>> {
        let (mut record, within) = blank(text.len() + SEAL_BYTES);
        self.vault.seal_into(&*self.mint, place, text, &mut record[within])?;
        Ok(record)
    }
}

/// Lays a sealed text out as a record.
pub(super) fn record(sealed: &[u8]) -> Vec<u8> {
    let (mut record, within) = blank(sealed.len());
    record[within].copy_from_slice(sealed);
    record
}

/// The record of a sealed text of this length, and where in it the text belongs.
fn blank(sealed: usize) -> (Vec<u8>, Range<usize>) {
    let pages = (LENGTH + sealed).div_ceil(OVERFLOW);
    // The header of the row takes a few bytes, more when the record is longer.
    let header = |record: usize| 2 + varint_bytes(12 + 2 * record);
    let whole = LOCAL + pages * OVERFLOW;
    let length = whole - header(whole);
    let start = LOCAL - header(length);
    let mut record = vec![0; length];
    let text = start + LENGTH;
    record[start..text].copy_from_slice(&(sealed as u64).to_le_bytes());
    (record, text..text + sealed)
}

/// The sealed text in a record.
pub(super) fn sealed(record: &[u8]) -> Option<&[u8]> {
    let (length, text) = record.get(start(record.len())?..)?.split_first_chunk::<LENGTH>()?;
    text.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// Where in a record of this length the length of the sealed text stands.
fn start(record: usize) -> Option<usize> {
    LOCAL.checked_sub(2 + varint_bytes(12 + 2 * record))
}

/// Bytes of SQLite's variable-length integer.
fn varint_bytes(value: usize) -> usize {
    let bits = usize::BITS - value.leading_zeros();
    usize::try_from(bits.div_ceil(7).max(1)).unwrap_or(usize::MAX)
}

impl Sql<'_> {
    /// Stores a record.
    pub(super) fn insert_content(&self, record: &[u8]) -> Result<i64> {
        if record.len() <= LARGE {
            return self.insert("INSERT INTO contents (record) VALUES (?1)", [record]);
        }
        let content = self.insert("INSERT INTO contents (record) VALUES (zeroblob(?1))", [record.len()])?;
        let mut blob = self.conn.blob_open("main", "contents", "record", content, false)?;
        blob.write_at(record, 0)?;
        blob.close()?;
        Ok(content)
    }
}

impl Db<'_> {
    /// Seals and stores a text.
    pub(super) fn seal_content(&self, place: &[u8], text: &[u8]) -> Result<i64> {
        self.insert_content(&self.env.seal(place, text)?)
    }

    /// Bytes of a stored text. It is not read.
    pub(super) fn content_length(&self, id: i64) -> Result<usize> {
        let record = self.conn.blob_open("main", "contents", "record", id, true)?;
        let damaged = || StoreError::internal(format!("content {id} is damaged"));
        let mut length = [0; LENGTH];
        record.read_at_exact(&mut length, start(record.len()).ok_or_else(damaged)?)?;
        let sealed = usize::try_from(u64::from_le_bytes(length)).map_err(|_| damaged())?;
        sealed.checked_sub(SEAL_BYTES).ok_or_else(damaged)
    }

    /// Opens a stored text.
    pub(super) fn open_content(&self, id: i64, place: &[u8]) -> Result<Vec<u8>> {
        let text = self.one("SELECT record FROM contents WHERE id = ?1", [id], |row| {
            let record = row.get_ref(0)?.as_blob()?;
            Ok(sealed(record).map(|sealed| self.env.vault.open(place, sealed)))
        })?;
        match text {
            Some(Some(text)) => Ok(text?),
            _ => Err(StoreError::internal(format!("content {id} is missing or damaged"))),
        }
    }

    /// Erases a stored text and its key.
    pub(super) fn erase_content(&self, id: Option<i64>) -> Result<()> {
        if let Some(id) = id {
            self.run("DELETE FROM contents WHERE id = ?1", [id])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn a_record_gives_its_text_back() {
        for length in [0, 1, 100, 4083, 4084, 4085, 8176, 8177, 100_000, 2 << 20] {
            let text = vec![7; length];
            assert_eq!(sealed(&record(&text)), Some(&text[..]), "{length}");
        }
    }

    #[test]
    fn no_byte_of_a_text_lies_in_the_b_tree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("CREATE TABLE contents (id INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT")
            .unwrap();
        let lengths = [1, 100, 4083, 4084, 4085, 8176, 8177, 50_000, LARGE / 2, LARGE, 2 * LARGE + 1];
        for length in lengths {
            let text = record(&vec![7; length]);
            let content = Sql::new(&conn).insert_content(&text).unwrap();
            let stored: Vec<u8> =
                Sql::new(&conn).value("SELECT record FROM contents WHERE id = ?1", [content]).unwrap();
            assert_eq!(stored, text, "{length}");
        }
        drop(conn);
        let file = std::fs::read(&path).unwrap();
        let leaves = file.chunks(PAGE_SIZE).skip(1).filter(|page| page[0] == 0x0d);
        let texts: usize = leaves.clone().map(|page| page.iter().filter(|byte| **byte == 7).count()).sum();
        assert!(leaves.count() > 0);
        assert!(texts < lengths.len() * 4, "{texts} bytes of texts are in leaf pages");
        let stored = file.iter().filter(|byte| **byte == 7).count();
        assert!(stored >= lengths.iter().sum::<usize>());
    }
}
