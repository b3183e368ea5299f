//! Members that have one of several forms: told apart by a tag inside ([`tagged`]) or by their JSON kind ([`shape`]).

mod raw;
pub(crate) mod shape;
pub(crate) mod tagged;

pub use raw::RawMember;
