//! Models: aliases, and what the upstreams have (contract `v1.md`, "Models").

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use zumik_types::{Extra, List, Model, ObjectType};

use crate::http::call::Call;
use crate::http::{ApiError, Reply};

/// When every model was made: the documentation fixes the value.
const CREATED: i64 = 1_750_000_000;

/// `GET /v1/models`
pub(crate) async fn list(call: &mut Call) -> Result<Reply, ApiError> {
    let data: Vec<Model> = names(call).await?.into_iter().map(model).collect();
    call.reply(&List::complete(data))
}

/// `GET /v1/models/{model_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.ids.get(0);
    let names = names(call).await?;
    match names.into_iter().find(|name| name == id) {
        Some(name) => call.reply(&model(name)),
        None => Err(ApiError::no_such_model(id)),
    }
}

/// The names of the server, and the aliases of the project, sorted byte by byte.
async fn names(call: &Call) -> Result<BTreeSet<String>, ApiError> {
    let mut names = BTreeSet::from_iter(call.app.engine.names().await);
    let own = call.app.aliases.releases(&call.ctx).await?;
    names.extend(own.iter().map(|release| release.alias.clone()));
    Ok(names)
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
