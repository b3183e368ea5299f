//! Query strings.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use zumik_types::{InvalidId, SortOrder};

use crate::http::error::{ApiError, excerpt};

/// The parameters of a query string. Of one that is given twice, the first counts; unknown ones are ignored.
pub(crate) struct Query<'q>(Vec<(Cow<'q, str>, Cow<'q, str>)>);

impl<'q> Query<'q> {
    /// Splits the part of a URL behind the `?`.
    pub(crate) fn of(raw: Option<&'q str>) -> Self {
        Self(raw.map(|raw| form_urlencoded::parse(raw.as_bytes()).collect()).unwrap_or_default())
    }

    /// A parameter as text; an empty one counts as absent.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| &**value)
            .filter(|value| !value.is_empty())
    }

    /// An integer in `range`, if there is one.
    pub(crate) fn count(
        &self,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(count) if range.contains(&count) => Ok(Some(count)),
            _ => Err(invalid(
                name,
                format_args!(
                    "must be an integer from {} to {}, not '{}'",
                    range.start(),
                    range.end(),
                    excerpt(text)
                ),
            )),
        }
    }

    /// `order`: `asc` or `desc`, if there is one.
    pub(crate) fn order(&self) -> Result<Option<SortOrder>, ApiError> {
        match self.text("order").map(SortOrder::from) {
            Some(order) if !order.is_known() => Err(invalid(
                "order",
                format_args!("must be 'asc' or 'desc', not '{}'", excerpt(order.as_str())),
            )),
            order => Ok(order),
        }
    }

    /// `after`: an id, if there is one.
    pub(crate) fn after<T: FromStr<Err = InvalidId>>(&self) -> Result<Option<T>, ApiError> {
        self.text("after")
            .map(|text| {
                text.parse().map_err(|_| {
                    invalid("after", format_args!("names nothing in this list: '{}'", excerpt(text)))
                })
            })
            .transpose()
    }
}

fn invalid(name: &'static str, problem: impl Display) -> ApiError {
    ApiError::invalid(name, format!("'{name}' {problem}."))
}

#[cfg(test)]
mod tests {
    use zumik_types::EventId;

    use super::*;

    #[test]
    fn parameters_are_decoded_and_checked() {
        let query = Query::of(Some("limit=7&order=desc&after=evt_1%201&purpose=a+b&limit=9&x"));
        assert_eq!(query.count("limit", 1..=10).unwrap(), Some(7));
        assert_eq!(query.count("limit", 1..=5).unwrap_err().param(), Some("limit"));
        assert_eq!(query.order().unwrap(), Some(SortOrder::Desc));
        assert_eq!(query.after::<EventId>().unwrap_err().param(), Some("after"));
        assert_eq!(query.text("purpose"), Some("a b"));
        assert_eq!(query.text("x"), None);
        assert_eq!(query.text("y"), None);
    }

    #[test]
    fn hostile_parameters_are_refused_by_name() {
        for raw in
            ["limit=%00", "limit=-1", "limit=1e3", "limit=99999999999999999999", "limit=%ff", "limit=0"]
        {
            let error = Query::of(Some(raw)).count("limit", 1..=1_000).unwrap_err();
            assert_eq!(error.param(), Some("limit"), "{raw}");
        }
        assert_eq!(Query::of(Some("order=up")).order().unwrap_err().param(), Some("order"));
        assert!(Query::of(None).order().unwrap().is_none());
    }
}
