//! Members that this version does not know, in pieces.

use serde_json::Value;
use serde_json::map::Entry;

use crate::Extra;

/// Names of members that a later piece repeats and does not continue.
const REPEATED: [&str; 3] = ["id", "index", "type"];

/// Adds the unknown members of a delta: text continues text, arrays and objects grow, everything else is replaced.
pub(super) fn join(whole: &mut Extra, delta: &Extra) {
    for (name, piece) in delta.iter() {
        join_member(whole.entry(name.clone()), piece);
    }
}

fn join_member(entry: Entry<'_>, piece: &Value) {
    let repeated = REPEATED.contains(&entry.key().as_str());
    match entry {
        Entry::Vacant(entry) => drop(entry.insert(piece.clone())),
        Entry::Occupied(mut entry) if repeated => replace(entry.get_mut(), piece),
        Entry::Occupied(mut entry) => join_value(entry.get_mut(), piece),
    }
}

fn join_value(whole: &mut Value, piece: &Value) {
    match (whole, piece) {
        (Value::String(whole), Value::String(piece)) => whole.push_str(piece),
        (Value::Array(whole), Value::Array(piece)) => whole.extend(piece.iter().cloned()),
        (Value::Object(whole), Value::Object(piece)) => {
            for (name, piece) in piece {
                join_member(whole.entry(name.clone()), piece);
            }
        }
        (whole, piece) => replace(whole, piece),
    }
}

/// Takes the unknown members of a later piece in place of those of an earlier one.
pub(super) fn overwrite(whole: &mut Extra, later: &Extra) {
    for (name, value) in later.iter() {
        replace(whole.entry(name.clone()).or_insert(Value::Null), value);
    }
}

/// A `null` says nothing about what was there.
fn replace(whole: &mut Value, value: &Value) {
    if !value.is_null() {
        *whole = value.clone();
    }
}
