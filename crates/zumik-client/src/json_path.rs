//! Where in a JSON text reading stopped: from a line and a column to `data[3].created_at`.
//!
//! A deserializer that keeps the path would be compiled for every type a second time, which was a third of what this
//! crate took to build. Walking over the text knows no types.

use std::fmt::Write as _;
use std::ops::Range;

use memchr::{memchr_iter, memchr2};

/// An object or a list that is open at the place.
enum Open {
    /// Where the name of the present member stands, once it was read.
    Object(Option<Range<usize>>),
    /// The index of the present item.
    List(usize),
}

/// The path to the value at the place of an error, `.` for the whole text.
pub(crate) fn of(text: &[u8], error: &serde_json::Error) -> String {
    at(&text[..offset(text, error.line(), error.column())])
}

/// The path to the value that a text which ends here ends in.
pub(crate) fn at(read: &[u8]) -> String {
    let path = written(read, &open(read));
    if path.is_empty() { ".".to_owned() } else { path }
}

/// How many bytes were read. Lines count from one, columns are the bytes read of the line.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let start = line.checked_sub(2).and_then(|before| memchr_iter(b'\n', text).nth(before));
    (start.map_or(0, |end| end + 1) + column).min(text.len())
}

/// What is open at the end of the beginning of a JSON text.
fn open(read: &[u8]) -> Vec<Open> {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(&byte) = read.get(at) {
        at += 1;
        match byte {
            b'{' => open.push(Open::Object(None)),
            b'[' => open.push(Open::List(0)),
            b'}' | b']' => drop(open.pop()),
            b',' => match open.last_mut() {
                Some(Open::Object(name)) => *name = None,
                Some(Open::List(index)) => *index += 1,
                None => {}
            },
            b'"' => {
                let Some(end) = end_of_string(read, at) else { break };
                if let Some(Open::Object(name @ None)) = open.last_mut() {
                    *name = Some(at..end);
                }
                at = end + 1;
            }
            _ => {}
        }
    }
    open
}

/// Where the quote stands that ends the string whose text begins here.
fn end_of_string(read: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', read.get(at..)?)?;
        if read[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

fn written(read: &[u8], open: &[Open]) -> String {
    let mut path = String::new();
    for step in open {
        let _ = match step {
            Open::Object(None) => Ok(()),
            Open::Object(Some(name)) => {
                let dot = if path.is_empty() { "" } else { "." };
                write!(path, "{dot}{}", String::from_utf8_lossy(&read[name.clone()]))
            }
            Open::List(index) => write!(path, "[{index}]"),
        };
    }
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use zumik_types::{ChatCompletion, Event, Session, V1OutputItem};

    /// The paths of our walk and of a deserializer that keeps the path, when `T` does not read this.
    fn paths<T: DeserializeOwned>(text: &str) -> Option<(String, String)> {
        let error = serde_json::from_str::<T>(text).err()?;
        let json = &mut serde_json::Deserializer::from_str(text);
        let tracked = serde_path_to_error::deserialize::<_, T>(json).err()?;
        Some((super::of(text.as_bytes(), &error), tracked.path().to_string()))
    }

    /// The value with each of its parts in turn replaced by something else, or left out.
    fn spoiled(value: &Value) -> Vec<Value> {
        let others =
            [json!(null), json!(true), json!(-7), json!(0.5), json!("x"), json!([]), json!({ "a": [1] })];
        let mut all = others.to_vec();
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let with = |other| {
                        let mut members = members.clone();
                        members.insert(name.clone(), other);
                        Value::Object(members)
                    };
                    all.extend(spoiled(member).into_iter().map(with));
                    let mut without = members.clone();
                    without.shift_remove(name);
                    all.push(Value::Object(without));
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    let with = |other| {
                        let mut items = items.clone();
                        items[at] = other;
                        Value::Array(items)
                    };
                    all.extend(spoiled(item).into_iter().map(with));
                }
            }
            _ => {}
        }
        all
    }

    /// Compares both for some of what a value of `T` can be spoiled to; gives how often.
    fn compare<T: DeserializeOwned + Serialize>(value: &T) -> usize {
        let all = spoiled(&serde_json::to_value(value).unwrap());
        let mut compared = 0;
        for value in all.iter().step_by(all.len() / 50 + 1) {
            for text in [value.to_string(), format!("{value:#}")] {
                let Some((ours, tracked)) = paths::<T>(&text) else { continue };
                assert_eq!(ours, tracked, "{text}");
                compared += 1;
            }
        }
        compared
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4))]

        #[test]
        fn it_is_the_path_that_a_deserializer_keeps(
            completion in any::<ChatCompletion>(),
            event in any::<Event>(),
            session in any::<Session>(),
            output in any::<Vec<V1OutputItem>>(),
        ) {
            let compared = [compare(&completion), compare(&event), compare(&session), compare(&output)];
            assert!(compared.iter().all(|&times| times > 0), "{compared:?}");
        }
    }

    #[test]
    fn what_breaks_off_or_goes_on_has_a_place_too() {
        for (text, path) in [
            ("", "."),
            ("{", "."),
            ("{} {}", "."),
            ("{\"id\"", "id"),
            ("{\"id\": \"a\\\"b\", \"metadata\":\n {\"x\": ", "metadata.x"),
            ("{\"id\": [1, {\"a", "id"),
        ] {
            let error = serde_json::from_str::<Session>(text).unwrap_err();
            assert_eq!(super::of(text.as_bytes(), &error), path, "{text}: {error}");
        }
    }
}
