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
