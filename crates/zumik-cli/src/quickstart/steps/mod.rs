//! The steps of the tour, in the order of their telling.

pub(crate) mod branches;
pub(crate) mod documents;
pub(crate) mod generation;
pub(crate) mod purge;
pub(crate) mod reuse;
pub(crate) mod turns;
