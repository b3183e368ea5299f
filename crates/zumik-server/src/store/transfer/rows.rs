//! Rows on their way from one store to the other, and what tells whether all of them arrived as they were.

use sha2::{Digest as _, Sha256};

use super::tables::{Kind, Table};

/// Rows and bytes that are handed over at a time.
const ROWS: usize = 1000;
const BYTES: usize = 1 << 20;

/// A value of a column.
#[derive(Clone, PartialEq)]
pub(in crate::store) enum Value {
    Null,
    Int(i64),
    Flag(bool),
    Text(String),
    Bytes(Vec<u8>),
}

/// The values of a table's columns, in their order.
pub(in crate::store) type Row = Vec<Value>;

impl Value {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// A kind, a length and the bytes, so that no two different rows read alike.
    fn digest(&self, hash: &mut Sha256) {
        let (kind, number) = match self {
            Self::Null => (0, 0),
            Self::Int(value) => (1, *value),
            Self::Flag(value) => (2, i64::from(*value)),
            Self::Text(text) => (3, text.len() as i64),
            Self::Bytes(bytes) => (4, bytes.len() as i64),
        };
        hash.update([kind]);
        hash.update(number.to_le_bytes());
        hash.update(self.bytes());
    }
}

/// Rows that are gathered until they are worth handing over.
#[derive(Default)]
pub(in crate::store) struct Parcel {
    rows: Vec<Row>,
    bytes: usize,
}

impl Parcel {
    /// Adds a row; gives all of them when they are enough.
    pub(in crate::store) fn add(&mut self, row: Row) -> Option<Vec<Row>> {
        self.bytes += row.iter().map(|value| value.bytes().len()).sum::<usize>();
        self.rows.push(row);
        (self.rows.len() >= ROWS || self.bytes >= BYTES).then(|| self.take())
    }

    /// What is left.
    pub(in crate::store) fn take(&mut self) -> Vec<Row> {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }
}

/// The number of rows of a table and a digest over them. Stores hand rows over in different orders, so the digests of
/// rows are joined by exclusive or; none cancels another, because the primary key makes every row a different one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct Tally {
    pub(in crate::store) rows: u64,
    digest: [u8; 32],
}

impl Tally {
    pub(in crate::store) fn add(&mut self, table: &Table, row: &Row) {
        let mut hash = Sha256::new();
        for (column, value) in table.columns.iter().zip(row) {
            if column.kind != Kind::Erasable {
                value.digest(&mut hash);
            }
        }
        self.rows += 1;
        self.digest.iter_mut().zip(hash.finalize()).for_each(|(sum, byte)| *sum ^= byte);
    }

    /// The digest, in hexadecimal digits.
    pub(in crate::store) fn hex(&self) -> String {
        use std::fmt::Write as _;
        self.digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::TABLES;
    use super::*;

    fn tally(rows: &[Row]) -> Tally {
        let mut tally = Tally::default();
        rows.iter().for_each(|row| tally.add(&TABLES[0], row));
        tally
    }

    #[test]
    fn a_tally_knows_every_change_and_no_order() {
        let row = |id, text: &str| vec![Value::Int(id), Value::Bytes(vec![7]), Value::Text(text.to_owned())];
        let whole = tally(&[row(1, "a"), row(2, "b")]);
        assert_eq!(whole, tally(&[row(2, "b"), row(1, "a")]));
        for other in [
            vec![row(1, "a")],
            vec![row(1, "b"), row(2, "a")],
            vec![row(1, "a"), row(2, "")],
            vec![row(1, "a"), row(2, "b"), row(3, "b")],
            vec![row(1, "a"), vec![Value::Int(2), Value::Null, Value::Bytes(b"b".to_vec())]],
        ] {
            assert_ne!(whole, tally(&other));
        }
    }
}
