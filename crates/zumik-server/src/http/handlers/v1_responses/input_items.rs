//! The list of input items that were kept with a response.

use serde_json::Value;
use zumik_types::{List, SortOrder};

use crate::http::call::Call;
use crate::http::error::excerpt;
use crate::http::{ApiError, Reply};
use crate::store::Kind;

const LARGEST_LIMIT: u32 = 100;

/// `GET /v1/responses/{response_id}/input_items`
pub(crate) async fn input_items(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Response)?;
    let query = call.query();
    let order = query.order()?.unwrap_or(SortOrder::Desc);
    let limit = query.count("limit", 1..=LARGEST_LIMIT)?;
    let items = call.app.store.retrieve_input_items(&call.ctx, &id).await?.unwrap_or_default();
    let (items, has_more) = page(items, query.text("after"), limit, &order)?;
    call.reply(&List::page(items, has_more, id_of))
}

/// The part of a list that was asked for, and whether more remain behind it.
fn page(
    mut items: Vec<Value>,
    after: Option<&str>,
    limit: Option<u32>,
    order: &SortOrder,
) -> Result<(Vec<Value>, bool), ApiError> {
    if *order != SortOrder::Asc {
        items.reverse();
    }
    if let Some(after) = after {
        let Some(at) = items.iter().position(|item| id_of(item) == after) else {
            let message = format!("'after' names nothing in this list: '{}'.", excerpt(after));
            return Err(ApiError::invalid("after", message));
        };
        items.drain(..=at);
    }
    let limit = limit.map_or(usize::MAX, |limit| limit as usize);
    let has_more = items.len() > limit;
    items.truncate(limit);
    Ok((items, has_more))
}

fn id_of(item: &Value) -> &str {
    item["id"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_go_through_the_list_in_both_orders() {
        let items = || ["a", "b", "c"].map(|id| json!({ "id": id })).to_vec();
        let ids = |after, limit, order: SortOrder| {
            let (items, has_more) = page(items(), after, limit, &order).unwrap();
            (items.iter().map(id_of).collect::<String>(), has_more)
        };
        for (after, limit, order, expected) in [
            (None, None, SortOrder::Asc, ("abc", false)),
            (None, None, SortOrder::Desc, ("cba", false)),
            (None, Some(2), SortOrder::Desc, ("cb", true)),
            (Some("b"), Some(2), SortOrder::Desc, ("a", false)),
            (Some("a"), Some(1), SortOrder::Asc, ("b", true)),
            (Some("c"), None, SortOrder::Asc, ("", false)),
        ] {
            assert_eq!(ids(after, limit, order), (expected.0.to_owned(), expected.1));
        }
        let refused = page(items(), Some("d"), None, &SortOrder::Asc).unwrap_err();
        assert_eq!(refused.param(), Some("after"));
    }
}
