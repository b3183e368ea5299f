//! Open enums: a value that this version does not know is kept as text, never an error.

/// Gives a generated enum its text forms. The enum has one variant a known value, and `Unrecognized(String)`.
macro_rules! open_enum {
    ($name:ident, $($variant:ident = $wire:literal),+ $(,)?) => {
        impl $name {
            /// Every value that this version knows, in the order of the documentation.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $wire,)+
                    Self::Unrecognized(text) => text,
                }
            }

            /// Whether this version knows the value.
            pub const fn is_known(&self) -> bool {
                !matches!(self, Self::Unrecognized(_))
            }

            fn known(text: &str) -> Option<Self> {
                Some(match text {
                    $($wire => Self::$variant,)+
                    _ => return None,
                })
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::known(text).unwrap_or_else(|| Self::Unrecognized(text.to_owned()))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::known(&text).unwrap_or(Self::Unrecognized(text))
            }
        }

        impl From<&$name> for $name {
            fn from(value: &Self) -> Self {
                value.clone()
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(text.into())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let crate::text::Text(text) = serde::Deserialize::deserialize(deserializer)?;
                Ok(Self::known(&text).unwrap_or_else(|| Self::Unrecognized(text.into_owned())))
            }
        }

        impl crate::lenient::Absent for $name {
            fn absent() -> Self {
                Self::Unrecognized(String::new())
            }
        }

        #[cfg(any(test, feature = "proptest"))]
        impl proptest::arbitrary::Arbitrary for $name {
            type Parameters = ();
            type Strategy = proptest::strategy::BoxedStrategy<Self>;

            fn arbitrary_with((): ()) -> Self::Strategy {
                crate::arbitrary::open_enum(Self::KNOWN)
            }
        }
    };
}

pub(crate) use open_enum;
