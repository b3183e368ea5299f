//! Query strings.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
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

    /// One of the `allowed` values of an enum, if there is one.
    pub(crate) fn one_of<T>(&self, name: &'static str, allowed: &[T]) -> Result<Option<T>, ApiError>
    where
        T: for<'a> From<&'a str> + PartialEq + Display,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = T::from(text);
        if allowed.contains(&value) {
            return Ok(Some(value));
        }
        let allowed: Vec<_> = allowed.iter().map(|value| format!("'{value}'")).collect();
        Err(invalid(name, format_args!("must be one of {}, not '{}'", allowed.join(", "), excerpt(text))))
    }

    /// The period from `start` to `end`, both inclusive; without a `start` the `window` before its end, which is `now`
    /// unless it is given.
    pub(crate) fn period(&self, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), ApiError> {
        let (start, end) = (self.time("start")?, self.time("end")?.unwrap_or(now));
        let Some(start) = start else {
            let window = self.window()?;
            let before = || invalid("window", format_args!("reaches back further than there is time"));
            return Ok((end.checked_sub_signed(window).ok_or_else(before)?, end));
        };
        if start < end { Ok((start, end)) } else { Err(invalid("start", "must be before 'end'")) }
    }

    /// `window`: a number and a unit, 30 days when there is none.
    fn window(&self) -> Result<TimeDelta, ApiError> {
        let Some(text) = self.text("window") else { return Ok(TimeDelta::days(30)) };
        let (number, seconds) = match text.char_indices().next_back() {
            Some((at, 's')) => (&text[..at], 1),
            Some((at, 'm')) => (&text[..at], 60),
            Some((at, 'h')) => (&text[..at], 60 * 60),
            Some((at, 'd')) => (&text[..at], 24 * 60 * 60),
            Some((at, 'w')) => (&text[..at], 7 * 24 * 60 * 60),
            _ => (text, 1),
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let window = number.parse::<i64>().ok().filter(|number| digits && *number > 0);
        window.and_then(|number| number.checked_mul(seconds)).and_then(TimeDelta::try_seconds).ok_or_else(
            || {
                let problem = "must be a number and a unit of s, m, h, d or w, such as '30d'";
                invalid("window", format_args!("{problem}, not '{}'", excerpt(text)))
            },
        )
    }

    /// A moment in RFC 3339, if there is one.
    fn time(&self, name: &'static str) -> Result<Option<DateTime<Utc>>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Ok(Some(time.to_utc())),
            Err(_) => Err(invalid(
                name,
                format_args!("must be a time such as 2026-06-15T16:04:10Z, not '{}'", excerpt(text)),
            )),
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

    #[test]
    fn a_period_is_a_window_or_begins_at_its_start() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = time("2026-06-15T16:04:10Z");
        let period = |raw| Query::of(Some(raw)).period(now);
        for (raw, start, end) in [
            ("", "2026-05-16T16:04:10Z", "2026-06-15T16:04:10Z"),
            ("window=90", "2026-06-15T16:02:40Z", "2026-06-15T16:04:10Z"),
            ("window=2w&end=2026-06-15T02:00:00%2B02:00", "2026-06-01T00:00:00Z", "2026-06-15T00:00:00Z"),
            ("window=1h&start=2026-06-15T16:00:00Z", "2026-06-15T16:00:00Z", "2026-06-15T16:04:10Z"),
            ("window=foo&start=2026-06-15T16:00:00Z", "2026-06-15T16:00:00Z", "2026-06-15T16:04:10Z"),
        ] {
            assert_eq!(period(raw).unwrap(), (time(start), time(end)), "{raw}");
        }
        for (raw, param) in [
            ("window=", None),
            ("window=0", Some("window")),
            ("window=-1d", Some("window")),
            ("window=%2B1d", Some("window")),
            ("window=d", Some("window")),
            ("window=1y", Some("window")),
            ("window=1%C3%A4", Some("window")),
            ("window=9223372036854775807w", Some("window")),
            ("window=9000000000d", Some("window")),
            ("start=yesterday", Some("start")),
            ("start=2026-06-15T16:04:10Z", Some("start")),
            ("start=2026-06-16T00:00:00Z&end=2026-06-15T00:00:00Z", Some("start")),
            ("end=2026", Some("end")),
        ] {
            let found = period(raw).err();
            assert_eq!(found.as_ref().and_then(ApiError::param), param, "{raw}");
        }
    }
}
