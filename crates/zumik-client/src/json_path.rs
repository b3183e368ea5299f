//! Where in a JSON text reading stopped: from a line and a column to `data[3].created_at`.
//!
//! A deserializer that keeps the path would be compiled for every type a second time, which was a third of what this
//! crate took to build. Walking over the text knows no types.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use memchr::{memchr_iter, memchr2};

/// How many objects and lists of a path are written. `serde_json` reads no value that is deeper, but a text that is not
/// UTF-8 it has not read.
const DEEPEST: usize = 128;

/// How many characters of a member's name are written.
const LONGEST_NAME: usize = 128;

/// What is open at the place, from the outside in.
#[derive(Default)]
struct Path {
    open: Vec<Open>,
    /// How many more are open inside of the last one of those.
    deeper: usize,
}

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
    let path = Path::to(read).written(read);
    if path.is_empty() { ".".to_owned() } else { path }
}

/// How many bytes were read. Lines count from one, columns are the bytes read of the line.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let start = line.checked_sub(2).and_then(|before| memchr_iter(b'\n', text).nth(before));
    (start.map_or(0, |end| end + 1) + column).min(text.len())
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

impl Path {
    /// What is open at the end of the beginning of a JSON text.
    fn to(read: &[u8]) -> Self {
        let mut path = Self::default();
        let mut at = 0;
        while let Some(&byte) = read.get(at) {
            at += 1;
            match byte {
                b'{' => path.enter(Open::Object(None)),
                b'[' => path.enter(Open::List(0)),
                b'}' | b']' => path.leave(),
                b',' => match path.innermost() {
                    Some(Open::Object(name)) => *name = None,
                    Some(Open::List(index)) => *index += 1,
                    None => {}
                },
                b'"' => {
                    let Some(end) = end_of_string(read, at) else { break };
                    if let Some(Open::Object(name @ None)) = path.innermost() {
                        *name = Some(at..end);
                    }
                    at = end + 1;
                }
                _ => {}
            }
        }
        path
    }

    fn enter(&mut self, open: Open) {
        if self.open.len() < DEEPEST {
            self.open.push(open);
        } else {
            self.deeper += 1;
        }
    }

    fn leave(&mut self) {
        match self.deeper.checked_sub(1) {
            Some(deeper) => self.deeper = deeper,
            None => drop(self.open.pop()),
        }
    }

    /// The innermost object or list, if it is one that is written.
    fn innermost(&mut self) -> Option<&mut Open> {
        if self.deeper == 0 { self.open.last_mut() } else { None }
    }

    fn written(&self, read: &[u8]) -> String {
        let mut path = String::new();
        for step in &self.open {
            let _ = match step {
                Open::Object(None) => Ok(()),
                Open::Object(Some(name)) => {
                    let dot = if path.is_empty() { "" } else { "." };
                    write!(path, "{dot}{}", shortened(&String::from_utf8_lossy(&read[name.clone()])))
                }
                Open::List(index) => write!(path, "[{index}]"),
            };
        }
        if self.deeper > 0 {
            path.push('…');
        }
        path
    }
}

fn shortened(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]).into(),
        None => name.into(),
    }
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
    fn a_path_ends_at_its_greatest_depth() {
        let deep = "{\"a\":[".repeat(super::DEEPEST / 2);
        let whole = super::at(deep.as_bytes());
        assert!(whole.starts_with("a[0].a[0].") && whole.ends_with(".a[0]"), "{whole}");
        for inside in ["[", "{\"b\":[1,{\"c\"", "[[],[1],"] {
            assert_eq!(super::at(format!("{deep}{inside}").as_bytes()), format!("{whole}…"), "{inside}");
        }
        let left = format!("{deep}[[1,2],{{\"b\":[]}}],7");
        assert_eq!(super::at(left.as_bytes()), whole.strip_suffix("[0]").unwrap().to_owned() + "[1]");
        assert!(super::at("[".repeat(1 << 20).as_bytes()).len() < 1000);
    }

    #[test]
    fn a_long_name_of_a_member_is_cut() {
        let name = "é".repeat(super::LONGEST_NAME);
        assert_eq!(super::at(format!("{{\"{name}\":").as_bytes()), name);
        assert_eq!(super::at(format!("{{\"{name}é\": [").as_bytes()), format!("{name}…[0]"));
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
