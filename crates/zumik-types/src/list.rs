//! The envelope of every list.

use serde::{Deserialize, Serialize};

use crate::{Extra, ObjectType};

/// A list, or one page of it.
///
/// Most lists come complete in one page. Where [`Operation::paginated`](crate::Operation) says so, the next page is
/// asked for with `after` set to the id of the last item.
///
/// Source: `common.md`, "Lists".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub struct List<T> {
    /// Always [`ObjectType::List`].
    #[serde(default = "list_object")]
    pub object: ObjectType,
    /// The items.
    pub data: Vec<T>,
    /// Id of the first item of a page. Only on lists that come in pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_id: Option<String>,
    /// Id of the last item of a page. Only on lists that come in pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_id: Option<String>,
    /// Whether more items follow. `false` when the service does not say.
    #[serde(default)]
    pub has_more: bool,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

fn list_object() -> ObjectType {
    ObjectType::List
}

impl<T> List<T> {
    /// A complete list: one page, and no more.
    pub fn complete(data: Vec<T>) -> Self {
        Self {
            object: ObjectType::List,
            data,
            first_id: None,
            last_id: None,
            has_more: false,
            extra: Extra::new(),
        }
    }

    /// One page of a list that comes in pages. `id` names the id of an item.
    pub fn page(data: Vec<T>, has_more: bool, id: impl Fn(&T) -> &str) -> Self {
        let first_id = data.first().map(|item| id(item).to_owned());
        let last_id = data.last().map(|item| id(item).to_owned());
        Self { first_id, last_id, has_more, ..Self::complete(data) }
    }

    /// The items by reference.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.data.iter()
    }
}

impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.data.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.data.iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_names_its_first_and_last_item() {
        let page = List::page(vec!["a".to_owned(), "b".to_owned()], true, |item| item);
        assert_eq!((page.first_id.as_deref(), page.last_id.as_deref()), (Some("a"), Some("b")));
        let empty = List::page(Vec::<String>::new(), false, |item| item);
        assert_eq!(
            serde_json::to_value(empty).unwrap(),
            json!({"object": "list", "data": [], "has_more": false})
        );
    }

    #[test]
    fn a_list_without_has_more_is_complete() {
        let list: List<u8> = serde_json::from_value(json!({"data": [1], "next": "x"})).unwrap();
        assert!(!list.has_more);
        assert_eq!(list.object, ObjectType::List);
        assert_eq!(list.extra["next"], "x");
        assert_eq!(list.iter().sum::<u8>() + list.into_iter().sum::<u8>(), 2);
    }
}
