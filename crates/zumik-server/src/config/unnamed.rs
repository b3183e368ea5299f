//! The upstream that options and environment name, without a name of its own.

use indexmap::IndexMap;

use super::{UpstreamError, UpstreamSettings};

/// An upstream that has no name yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnnamedUpstream {
    /// Base URL, `ZUMIK_UPSTREAM`.
    pub url: Option<String>,
    /// Name of the variable with its key, `ZUMIK_UPSTREAM_KEY_ENV`.
    pub key_env: Option<String>,
    /// Its models, `ZUMIK_UPSTREAM_MODELS`, with commas in between.
    pub models: Option<Vec<String>>,
    /// Its region, `ZUMIK_UPSTREAM_REGION`.
    pub region: Option<String>,
    /// How long it may keep a prompt, in seconds, `ZUMIK_UPSTREAM_CACHE_SECONDS`.
    pub cache_seconds: Option<u64>,
}

impl UnnamedUpstream {
    /// This, and what it leaves open as `other` has it. Of another provider nothing is taken: a key goes only to the one
    /// that it was set with.
    pub(crate) fn or(self, other: Self) -> Self {
        if self.url.is_some() && other.url.is_some() && self.url != other.url {
            return self;
        }
        Self {
            url: self.url.or(other.url),
            key_env: self.key_env.or(other.key_env),
            models: self.models.or(other.models),
            region: self.region.or(other.region),
            cache_seconds: self.cache_seconds.or(other.cache_seconds),
        }
    }

    /// Puts this before the others, under the name that [`UpstreamSettings::name_of`] gives it.
    pub(crate) fn lead(self, others: &mut IndexMap<String, UpstreamSettings>) -> Result<(), UpstreamError> {
        if let Some((name, settings)) = self.named()? {
            others.shift_insert(0, name, settings);
        }
        Ok(())
    }

    fn named(self) -> Result<Option<(String, UpstreamSettings)>, UpstreamError> {
        let Some(url) = self.url else {
            let setting = match (self.key_env, self.models, self.region, self.cache_seconds) {
                (Some(_), ..) => "the key of an upstream",
                (_, Some(_), ..) => "the models of an upstream",
                (_, _, Some(_), _) => "the region of an upstream",
                (.., Some(_)) => "the time that an upstream keeps prompts",
                _ => return Ok(None),
            };
            return Err(UpstreamError::NoUpstream { setting });
        };
        let mut settings = UpstreamSettings::new(url);
        settings.key_env = self.key_env;
        settings.models = self.models.unwrap_or_default();
        settings.region = self.region;
        settings.cache_seconds = self.cache_seconds;
        Ok(Some((UpstreamSettings::name_of(&settings.url).to_owned(), settings)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_set_with_one_provider_holds_for_another() {
        let upstream = |url: Option<&str>| UnnamedUpstream {
            url: url.map(str::to_owned),
            key_env: Some("KEY".to_owned()),
            models: Some(vec!["m".to_owned()]),
            region: Some("us".to_owned()),
            cache_seconds: Some(60),
        };
        let url = |url: &str| UnnamedUpstream { url: Some(url.to_owned()), ..UnnamedUpstream::default() };
        let (a, b) = ("http://a/v1", "http://b/v1");
        assert_eq!(url(b).or(upstream(Some(a))), url(b));
        assert_eq!(url(a).or(upstream(Some(a))), upstream(Some(a)));
        assert_eq!(
            url(a).or(upstream(None)),
            upstream(Some(a)),
            "a key without a URL is meant for whichever"
        );
        assert_eq!(UnnamedUpstream::default().or(upstream(Some(a))), upstream(Some(a)));
    }
}
