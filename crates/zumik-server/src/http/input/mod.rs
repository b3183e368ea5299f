//! Reading what a caller sent: bodies, query strings and headers, into typed values or into the contract's 400
//! with the exact `param`.

mod fields;
mod json;
mod multipart;
mod query;
mod value;

pub(crate) use fields::{Fields, Item};
pub(crate) use json::{object, object_of};
#[cfg(feature = "fuzzing")]
pub(crate) use multipart::Part;
pub(crate) use multipart::{Form, is_multipart};
pub(crate) use query::Query;
