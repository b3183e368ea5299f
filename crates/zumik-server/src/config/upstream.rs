//! Settings of the upstreams: the providers whose models answer, and what the aliases mean among them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

use indexmap::IndexMap;
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

/// Most targets of an alias.
pub(crate) const MOST_TARGETS: usize = 16;

/// A provider that speaks OpenAI's API.
///
/// ```toml
/// [upstreams.openai]
/// url = "https://api.openai.com/v1"
/// key_env = "OPENAI_API_KEY"
/// models = ["gpt-4o", "gpt-4o-mini"]
/// region = "us"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with the url of a provider, such as { url = \"http://host/v1\" }"
)]
#[non_exhaustive]
pub struct UpstreamSettings {
    /// Base URL in OpenAI's convention, with the version: `http://host:port/v1`.
    pub url: String,
    /// Name of the environment variable that holds the API key. Without one, and without [`key`](Self::key), no key is
    /// sent.
    #[serde(default)]
    pub key_env: Option<String>,
    /// The API key itself; for programs that embed the server. No file can hold it.
    #[serde(skip)]
    pub key: Option<Secret>,
    /// Its models. Without any they are asked for at `GET {url}/models`, when they are first needed.
    #[serde(default)]
    pub models: Vec<String>,
    /// Where it runs, for example `us`: `Agent-Region`. `unknown` when nothing is said.
    #[serde(default)]
    pub region: Option<String>,
    /// Longest silence before the first byte and between any two, in seconds, a year at most; 300 when nothing is said.
    #[serde(default)]
    pub idle_seconds: Option<NonZeroU64>,
    /// Longest time for a whole answer, in seconds, a year at most; 3,600 when nothing is said.
    #[serde(default)]
    pub total_seconds: Option<NonZeroU64>,
    /// How long it may keep a prompt that it no longer uses, in seconds, a year at most: what receipts of purges say of it. A
    /// day when nothing is said; 0 for one that keeps nothing, which no receipt names then.
    #[serde(default)]
    pub cache_seconds: Option<u64>,
    /// Whether it takes `stream_options`, by which a stream tells its usage; it is taken for granted.
    #[serde(default)]
    pub stream_usage: Option<bool>,
    /// Whether it speaks the Responses API; the first call finds it out when nothing is said. One that does not is asked
    /// for chat completions.
    #[serde(default)]
    pub responses: Option<bool>,
}

/// What an alias means.
///
/// ```toml
/// [aliases."code.fast"]
/// targets = [
///     { upstream = "openai", model = "gpt-4o", weight = 60 },
///     { upstream = "local", model = "qwen3-coder", weight = 40 },
/// ]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with targets, such as { targets = [{ upstream = \"a\", model = \"b\" }] }"
)]
#[non_exhaustive]
pub struct AliasSettings {
    /// The targets, 1 to 16. Their weights add up to 100.
    pub targets: Vec<TargetSettings>,
}

/// A target of an alias.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a target, such as { upstream = \"a\", model = \"b\", weight = 100 }"
)]
#[non_exhaustive]
pub struct TargetSettings {
    /// Name of an upstream.
    pub upstream: String,
    /// The model as that upstream calls it.
    pub model: String,
    /// Share of the requests, in percent; may be left out when there is one target.
    #[serde(default)]
    pub weight: Option<u8>,
}

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Upstreams or aliases that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The base URL is none.
    #[error("the URL of the upstream '{upstream}' is not valid: {problem}")]
    Url {
        /// Name of the upstream.
        upstream: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A limit of time is beyond all measure.
    #[error("{setting} of the upstream '{upstream}' must be at most {most}")]
    Limit {
        /// Name of the upstream.
        upstream: String,
        /// The setting.
        setting: &'static str,
        /// The most that it can be.
        most: u64,
    },
    /// The variable with the key is not set.
    #[error(
        "the upstream '{upstream}' takes its key from the environment variable {variable}, which is not set"
    )]
    NoKey {
        /// Name of the upstream.
        upstream: String,
        /// Name of the variable.
        variable: String,
    },
    /// The variable with the key is not set, and what was given for its name may be the key: it is in no message.
    #[error(
        "the environment variable with the key of the upstream '{upstream}' is not set: give the name of the variable, \
         such as OPENAI_API_KEY, and not the key itself"
    )]
    NoKeyName {
        /// Name of the upstream.
        upstream: String,
    },
    /// The key holds characters that no header can.
    #[error(
        "the key of the upstream '{upstream}' has characters that an API key cannot have, such as a line break"
    )]
    Key {
        /// Name of the upstream.
        upstream: String,
    },
    /// A name is not one.
    #[error("'{name}' cannot be the name of {what}: it must be 1 to 64 of the characters a-z 0-9 . _ -")]
    Name {
        /// The name.
        name: String,
        /// What it was to name.
        what: &'static str,
    },
    /// A model of an upstream has no name.
    #[error("a model of the upstream '{upstream}' has an empty name")]
    Model {
        /// Name of the upstream.
        upstream: String,
    },
    /// A target names an upstream that does not exist.
    #[error("the alias '{alias}' has a target on the upstream '{upstream}', which is not configured")]
    UnknownUpstream {
        /// The alias.
        alias: String,
        /// The upstream that it names.
        upstream: String,
    },
    /// The targets of an alias are too few, too many, or their weights do not add up.
    #[error("the alias '{alias}' is not valid: {problem}")]
    Alias {
        /// The alias.
        alias: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A key or models without an upstream they belong to.
    #[error("{setting} without its URL: set --upstream or ZUMIK_UPSTREAM")]
    NoUpstream {
        /// The setting.
        setting: &'static str,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS for the upstream '{upstream}'")]
    Tls {
        /// Name of the upstream.
        upstream: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl UpstreamSettings {
    /// An upstream at this base URL, without a key.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key_env: None,
            key: None,
            models: Vec::new(),
            region: None,
            idle_seconds: None,
            total_seconds: None,
            cache_seconds: None,
            stream_usage: None,
            responses: None,
        }
    }

    /// The name of an upstream that was given without one: that of a known provider, or `upstream`.
    pub fn name_of(url: &str) -> &'static str {
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = host.split(['/', ':', '?']).next().unwrap_or_default();
        match host {
            "api.openai.com" => "openai",
            "api.anthropic.com" => "anthropic",
            "api.x.ai" => "xai",
            "generativelanguage.googleapis.com" => "google_gemini",
            "api.fireworks.ai" => "fireworks_ai",
            "openrouter.ai" => "openrouter",
            _ => "upstream",
        }
    }
}

impl AliasSettings {
    /// An alias of these targets: name of the upstream, model, weight.
    pub fn new<'a>(targets: impl IntoIterator<Item = (&'a str, &'a str, u8)>) -> Self {
        let target = |(upstream, model, weight): (&str, &str, u8)| TargetSettings {
            upstream: upstream.to_owned(),
            model: model.to_owned(),
            weight: Some(weight),
        };
        Self { targets: targets.into_iter().map(target).collect() }
    }
}

/// Checks the names and weights of aliases against the upstreams that there are.
pub(crate) fn check_aliases(
    aliases: &BTreeMap<String, AliasSettings>,
    upstreams: &IndexMap<String, UpstreamSettings>,
) -> Result<(), UpstreamError> {
    for (alias, settings) in aliases {
        check_name(alias, "an alias")?;
        let invalid = |problem| UpstreamError::Alias { alias: alias.clone(), problem };
        let targets = &settings.targets;
        if !(1..=MOST_TARGETS).contains(&targets.len()) {
            return Err(invalid("it must have 1 to 16 targets"));
        }
        for target in targets {
            if !upstreams.contains_key(&target.upstream) {
                let upstream = target.upstream.clone();
                return Err(UpstreamError::UnknownUpstream { alias: alias.clone(), upstream });
            }
            if target.model.is_empty() {
                return Err(invalid("a target has an empty model"));
            }
        }
        let weights: Option<Vec<u32>> = targets.iter().map(|target| target.weight.map(u32::from)).collect();
        match weights {
            None if targets.len() == 1 => {}
            None => return Err(invalid("each of several targets must have a weight")),
            Some(weights) if weights.contains(&0) => return Err(invalid("a weight must be at least 1")),
            Some(weights) if weights.iter().sum::<u32>() != 100 => {
                return Err(invalid("the weights must add up to 100"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Checks the name of an upstream or alias.
pub(crate) fn check_name(name: &str, what: &'static str) -> Result<(), UpstreamError> {
    if is_name(name) { Ok(()) } else { Err(UpstreamError::Name { name: name.to_owned(), what }) }
}

/// Whether an upstream or alias may have this name: 1 to 64 of the characters a-z 0-9 . _ -
pub(crate) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_shown_to_nobody() {
        let settings =
            UpstreamSettings { key: Some(Secret::new("sk-canary")), ..UpstreamSettings::new("http://a/v1") };
        assert!(!format!("{settings:?}").contains("canary"));
    }

    #[test]
    fn a_known_provider_has_its_name() {
        assert_eq!(UpstreamSettings::name_of("https://api.openai.com/v1"), "openai");
        assert_eq!(UpstreamSettings::name_of("http://127.0.0.1:8000/v1"), "upstream");
        assert_eq!(UpstreamSettings::name_of("https://api.openai.com.evil.example/v1"), "upstream");
    }

    #[test]
    fn mistakes_in_aliases_are_told() {
        let upstreams = IndexMap::from([("a".to_owned(), UpstreamSettings::new("http://a/v1"))]);
        let check = |name: &str, targets: &[(&'static str, &'static str, u8)]| {
            let aliases = BTreeMap::from([(name.to_owned(), AliasSettings::new(targets.iter().copied()))]);
            check_aliases(&aliases, &upstreams).map_err(|error| error.to_string())
        };
        assert_eq!(check("code.fast", &[("a", "m", 60), ("a", "n", 40)]), Ok(()));
        for (name, targets, part) in [
            ("x", &[][..], "1 to 16 targets"),
            ("x", &[("b", "m", 100)], "'b', which is not configured"),
            ("x", &[("a", "", 100)], "empty model"),
            ("x", &[("a", "m", 60), ("a", "n", 30)], "add up to 100"),
            ("x", &[("a", "m", 100), ("a", "n", 0)], "at least 1"),
            ("Big Name", &[("a", "m", 100)], "a-z 0-9"),
        ] {
            let error = check(name, targets).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
