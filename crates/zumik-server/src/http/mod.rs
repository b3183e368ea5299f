//! HTTP: the way of one request in the order of the contract's checks (`service`), the table of what answers it
//! (`routes`), the reading of what callers send (`input`), and one handler an operation (`handlers`).

mod auth;
mod body;
mod call;
mod error;
pub(crate) mod handlers;
mod idempotency;
mod input;
mod limits;
mod metrics;
mod probes;
mod reply;
mod routes;
mod service;

#[cfg(feature = "fuzzing")]
pub(crate) use auth::bearer;
pub(crate) use body::Room;
pub(crate) use error::ApiError;
#[cfg(feature = "fuzzing")]
pub(crate) use handlers::hints_of_header;
#[cfg(feature = "fuzzing")]
pub(crate) use input::{Form, Part};
pub(crate) use limits::{Limits, OpenStream};
pub(crate) use metrics::{Inference, Metrics};
pub(crate) use reply::Reply;
pub(crate) use routes::Routes;
pub use service::Api;
