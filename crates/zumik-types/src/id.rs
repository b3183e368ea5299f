//! Typed ids: what they have in common, and the error of a text that is none.

/// A text that cannot be an id of the wanted type.
///
/// Only ids that a program makes up or reads from its own input are checked. An id that the API sends is taken as it
/// is, because ids are opaque.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {}: {problem}", words(type_name))]
pub struct InvalidId {
    type_name: &'static str,
    text: String,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("it must begin with {}", alternatives(.0))]
    Prefix(&'static [&'static str]),
    #[error("nothing follows the prefix")]
    NothingFollows,
    #[error("it contains {0:?}; an id has no control characters, no whitespace, and none of '/', '?', '#'")]
    Character(char),
}

fn alternatives(prefixes: &[&str]) -> String {
    let quoted: Vec<_> = prefixes.iter().map(|prefix| format!("\"{prefix}\"")).collect();
    quoted.join(" or ")
}

/// Checks what may be checked of an opaque id: its prefix, and that it fits into a URL and a header.
pub(crate) fn check(
    type_name: &'static str,
    prefixes: &'static [&'static str],
    text: &str,
) -> Result<(), InvalidId> {
    let suffix = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    let problem = match suffix {
        None => Problem::Prefix(prefixes),
        Some("") => Problem::NothingFollows,
        Some(suffix) => match suffix.chars().find(|&c| is_forbidden(c)) {
            None => return Ok(()),
            Some(forbidden) => Problem::Character(forbidden),
        },
    };
    Err(InvalidId { type_name, text: text.to_owned(), problem })
}

/// A type of ids in the words of the API: `ArtifactId` is an `artifact id`.
pub(crate) fn words(type_name: &str) -> String {
    let mut words = String::new();
    // What `/v1` calls a response is one, although `/v2` has another.
    for c in type_name.trim_start_matches("V1").chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

fn is_forbidden(c: char) -> bool {
    c.is_control() || c.is_whitespace() || matches!(c, '/' | '?' | '#')
}

/// Gives a generated newtype over `Arc<str>` what every id can do. There is no `Deref` and no `AsRef<str>`: they would
/// let one id pass for another through its text.
macro_rules! id {
    ($name:ident, $($prefix:literal),+ $(,)?) => {
        impl $name {
            /// The prefixes that such an id may have. New ids get the first.
            pub const PREFIXES: &'static [&'static str] = &[$($prefix),+];

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Joins the first prefix and a suffix, for whoever mints ids. The suffix is not checked.
            pub fn with_suffix(suffix: &str) -> Self {
                Self([Self::PREFIXES[0], suffix].concat().into())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::id::check(stringify!($name), Self::PREFIXES, text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<&str> for $name {
            type Error = crate::InvalidId;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = crate::InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<&$name> for $name {
            fn from(id: &Self) -> Self {
                id.clone()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl From<&$name> for String {
            fn from(id: &$name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            /// Takes any text that is not empty.
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let crate::text::Text(text) = serde::Deserialize::deserialize(deserializer)?;
                if text.is_empty() {
                    let expected = format!("a non-empty {}", crate::id::words(stringify!($name)));
                    let found = serde::de::Unexpected::Str("");
                    return Err(serde::de::Error::invalid_value(found, &expected.as_str()));
                }
                Ok(Self(text.into()))
            }
        }

        impl crate::lenient::Absent for $name {
            fn absent() -> Self {
                Self("".into())
            }

            /// An empty id is one that is missing.
            fn or_absent<'de, D>(deserializer: D) -> Result<Self, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                let text: Option<crate::text::Text<'_>> = serde::Deserialize::deserialize(deserializer)?;
                Ok(text.map_or_else(Self::absent, |crate::text::Text(text)| Self(text.into())))
            }
        }

        #[cfg(any(test, feature = "proptest"))]
        impl proptest::arbitrary::Arbitrary for $name {
            type Parameters = ();
            type Strategy = proptest::strategy::BoxedStrategy<Self>;

            fn arbitrary_with((): ()) -> Self::Strategy {
                crate::arbitrary::id(Self::with_suffix)
            }
        }
    };
}

pub(crate) use id;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{ArtifactId, BundleId, FileId, PurgeJobId, V1ResponseId};

    fn refusal(text: &str) -> String {
        text.parse::<ArtifactId>().unwrap_err().to_string()
    }

    #[test]
    fn a_text_is_an_id_when_it_has_the_prefix() {
        let id: ArtifactId = "art_01jy7n3q8v6kzr4w2m9bd5xpfh".parse().unwrap();
        assert_eq!(id.to_string(), "art_01jy7n3q8v6kzr4w2m9bd5xpfh");
        assert_eq!(format!("{id:?}"), "ArtifactId(art_01jy7n3q8v6kzr4w2m9bd5xpfh)");
        assert!(FileId::try_from("file-9f2a").is_ok());
        assert!(BundleId::try_from("bnd_1").is_ok() && BundleId::try_from(String::from("bun_1")).is_ok());
    }

    #[test]
    fn a_text_that_is_no_id_is_refused_with_the_reason() {
        assert_eq!(refusal("ses_1"), r#""ses_1" is not a valid artifact id: it must begin with "art_""#);
        assert_eq!(refusal("art_"), r#""art_" is not a valid artifact id: nothing follows the prefix"#);
        let words = |error: crate::InvalidId| error.to_string();
        assert!(
            words("x".parse::<PurgeJobId>().unwrap_err()).starts_with(r#""x" is not a valid purge job id: "#)
        );
        assert!(
            words("x".parse::<V1ResponseId>().unwrap_err())
                .starts_with(r#""x" is not a valid response id: "#)
        );
        let both = "x".parse::<BundleId>().unwrap_err().to_string();
        assert!(both.ends_with(r#"it must begin with "bnd_" or "bun_""#), "{both}");
        for text in ["art_a/b", "art_a?b", "art_a#b", "art_a b", "art_a\n", "art_\u{7f}"] {
            assert!(refusal(text).contains("it contains"), "{text:?}");
        }
    }

    #[test]
    fn an_id_of_an_answer_is_taken_as_it_is_unless_it_is_empty() {
        let odd: ArtifactId = serde_json::from_value(json!("legacy/7")).unwrap();
        assert_eq!(odd.as_str(), "legacy/7");
        let error = serde_json::from_value::<ArtifactId>(json!("")).unwrap_err();
        assert_eq!(error.to_string(), "invalid value: string \"\", expected a non-empty artifact id");
    }

    #[test]
    fn new_ids_get_the_first_prefix() {
        assert_eq!(BundleId::with_suffix("01jy").as_str(), "bnd_01jy");
    }
}
