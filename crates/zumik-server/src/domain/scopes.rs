//! What a key may do.

use std::fmt;

use zumik_types::Scope;

/// The scopes of a key: a small set. `inference` and `admin` include `read`; `admin` does not include
/// `inference` (contract `common.md`, "Scopes").
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    const READ: u8 = 1;
    const INFERENCE: u8 = 2;
    const ADMIN: u8 = 4;

    /// The default of a new key.
    pub const INFERENCE_ONLY: Self = Self(Self::INFERENCE);

    /// The scopes named, each `read`, `inference` or `admin`; `None` when a name is unknown or none is given.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut bits = 0;
        for name in names {
            bits |= match name {
                "read" => Self::READ,
                "inference" => Self::INFERENCE,
                "admin" => Self::ADMIN,
                _ => return None,
            };
        }
        (bits != 0).then_some(Self(bits))
    }

    /// The names, in the order `read`, `inference`, `admin`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [(Self::READ, "read"), (Self::INFERENCE, "inference"), (Self::ADMIN, "admin")]
            .into_iter()
            .filter_map(move |(bit, name)| (self.0 & bit != 0).then_some(name))
    }

    /// Whether a key with these scopes may run an operation that needs `scope`.
    pub const fn allow(self, scope: Scope) -> bool {
        match scope {
            Scope::None | Scope::Read => true,
            Scope::Inference => self.0 & Self::INFERENCE != 0,
            Scope::Admin => self.0 & Self::ADMIN != 0,
        }
    }

    /// Whether every scope of `other` is held or included.
    pub const fn cover(self, other: Self) -> bool {
        other.0 & !(self.0 | Self::READ) == 0
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits; unknown ones are left out.
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits & (Self::READ | Self::INFERENCE | Self::ADMIN))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
