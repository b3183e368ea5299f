//! Models: aliases, and what the upstreams have (contract `v1.md`, "Models").

use chrono::{DateTime, Utc};
use zumik_types::{Extra, List, Model, ObjectType};

use crate::http::call::Call;
use crate::http::{ApiError, Reply};

/// When every model was made: the documentation fixes the value.
const CREATED: i64 = 1_750_000_000;

/// `GET /v1/models`
pub(crate) async fn list(call: &mut Call) -> Result<Reply, ApiError> {
    let data: Vec<Model> = call.app.engine.names().await.into_iter().map(model).collect();
    call.reply(&List::complete(data))
}

/// `GET /v1/models/{model_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.ids.get(0);
    let names = call.app.engine.names().await;
    match names.into_iter().find(|name| name == id) {
        Some(name) => call.reply(&model(name)),
        None => Err(ApiError::no_such_model(id)),
    }
}

fn model(id: String) -> Model {
    Model {
        id,
        object: ObjectType::Model,
        created: DateTime::<Utc>::from_timestamp(CREATED, 0).unwrap_or_default(),
        owned_by: "zumik".to_owned(),
        extra: Extra::new(),
    }
}
