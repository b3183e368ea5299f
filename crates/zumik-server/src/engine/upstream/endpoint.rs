//! One upstream as it is called: its addresses, its credential, its limits of time.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::Full;

use super::super::call::Api;
use super::dialect::Dialect;
use crate::config::{Secret, UpstreamError, UpstreamSettings};

/// Longest silence when nothing is said. Some models think for minutes before they say anything.
const IDLE: Duration = Duration::from_secs(300);

/// Longest time for a whole answer when nothing is said.
const TOTAL: Duration = Duration::from_secs(3_600);

/// How long prompts are kept when nothing is said: the longest that providers document for their prompt caches.
const CACHE: Duration = Duration::from_secs(24 * 60 * 60);

/// Most seconds of a limit (a year); more would overflow the timer.
const MOST_SECONDS: u64 = 366 * 24 * 60 * 60;

/// Most characters of a variable's name that is told.
const LONGEST_VARIABLE: usize = 64;

/// Most characters of each word of it.
const LONGEST_WORD: usize = 12;

const AGENT: HeaderValue = HeaderValue::from_static(concat!("zumik/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// An upstream of this server.
pub(crate) struct Endpoint {
    /// Its name: the provider of its targets.
    pub(crate) name: Arc<str>,
    /// Where it runs.
    pub(crate) region: Arc<str>,
    /// The models that the settings list.
    pub(crate) models: Arc<[Arc<str>]>,
    /// Longest silence.
    pub(crate) idle: Duration,
    /// Longest time for a whole answer.
    pub(crate) total: Duration,
    /// How long it may keep a prompt that it no longer uses.
    pub(super) cache: Duration,
    /// Whether it takes `stream_options`.
    pub(crate) stream_usage: bool,
    /// Whether it speaks the Responses API.
    pub(crate) dialect: Dialect,
    /// Whether it is reached over TLS.
    pub(super) https: bool,
    chat: Uri,
    responses: Uri,
    embeddings: Uri,
    list: Uri,
    authorization: Option<HeaderValue>,
}

impl Endpoint {
    /// An upstream from its settings; `variable` reads the environment.
    pub(super) fn new(
        name: &str,
        settings: &UpstreamSettings,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, UpstreamError> {
        let base = base(name, &settings.url)?;
        let uri = |path: &str| {
            format!("{base}{path}")
                .parse::<Uri>()
                .map_err(|_| invalid(name, "it has characters that a URL cannot have"))
        };
        if settings.models.iter().any(String::is_empty) {
            return Err(UpstreamError::Model { upstream: name.to_owned() });
        }
        Ok(Self {
            name: name.into(),
            region: settings.region.as_deref().unwrap_or("unknown").into(),
            models: settings.models.iter().map(|model| model.as_str().into()).collect(),
            idle: limit(name, "idle_seconds", settings.idle_seconds.map(NonZeroU64::get), IDLE)?,
            total: limit(name, "total_seconds", settings.total_seconds.map(NonZeroU64::get), TOTAL)?,
            cache: limit(name, "cache_seconds", settings.cache_seconds, CACHE)?,
            stream_usage: settings.stream_usage.unwrap_or(true),
            dialect: Dialect::new(settings.responses),
            https: base.starts_with("https:"),
            chat: uri("/chat/completions")?,
            responses: uri("/responses")?,
            embeddings: uri("/embeddings")?,
            list: uri("/models")?,
            authorization: authorization(name, settings, variable)?,
        })
    }

    /// A POST of one of its APIs.
    pub(super) fn post(&self, api: Api, stream: bool, body: Bytes) -> Request<Full<Bytes>> {
        let uri = match api {
            Api::ChatCompletions => &self.chat,
            Api::Responses => &self.responses,
            Api::Embeddings => &self.embeddings,
        };
        let mut request = self.request(Method::POST, uri, if stream { EVENTS } else { JSON }, body);
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request
    }

    /// The request for its models.
    pub(super) fn list(&self) -> Request<Full<Bytes>> {
        self.request(Method::GET, &self.list, JSON, Bytes::new())
    }

    fn request(&self, method: Method, uri: &Uri, accept: HeaderValue, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, accept);
        headers.insert(USER_AGENT, AGENT);
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The base URL without a slash at its end.
fn base<'a>(name: &str, url: &'a str) -> Result<&'a str, UpstreamError> {
    let uri: Uri = url.parse().map_err(|_| invalid(name, "it must be like http://host:port/v1"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(invalid(name, "it must begin with http:// or https://"));
    }
    match uri.authority() {
        None => return Err(invalid(name, "it names no host")),
        Some(authority) if authority.as_str().contains('@') => {
            return Err(invalid(name, "it holds a user name; a key belongs into key_env"));
        }
        Some(_) => {}
    }
    // Paths are put behind it. What `Uri` makes of a fragment is nothing, so both are looked for in the text.
    if url.contains('?') {
        return Err(invalid(name, "it has a query"));
    }
    if url.contains('#') {
        return Err(invalid(name, "it has a fragment"));
    }
    Ok(url.trim_end_matches('/'))
}

/// A limit of time, or what it is when nothing is said.
fn limit(
    name: &str,
    setting: &'static str,
    seconds: Option<u64>,
    default: Duration,
) -> Result<Duration, UpstreamError> {
    match seconds {
        None => Ok(default),
        Some(seconds) if seconds <= MOST_SECONDS => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(UpstreamError::Limit { upstream: name.to_owned(), setting, most: MOST_SECONDS }),
    }
}

fn authorization(
    name: &str,
    settings: &UpstreamSettings,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<HeaderValue>, UpstreamError> {
    let key = match (&settings.key, &settings.key_env) {
        (Some(key), _) => key.clone(),
        (None, None) => return Ok(None),
        (None, Some(from)) => {
            let value = variable(from).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
            Secret::new(value.ok_or_else(|| no_key(name, from))?)
        }
    };
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.reveal()))
        .map_err(|_| UpstreamError::Key { upstream: name.to_owned() })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The variable is not set. Its name is told only where it cannot be a key that stands in its place.
fn no_key(name: &str, variable: &str) -> UpstreamError {
    let upstream = name.to_owned();
    match is_name_of_a_key(variable) {
        true => UpstreamError::NoKey { upstream, variable: variable.to_owned() },
        false => UpstreamError::NoKeyName { upstream },
    }
}

/// Whether this is the name of a variable for a key, and no key: words that say so at their end, none of them as long as what
/// is hard to guess.
fn is_name_of_a_key(text: &str) -> bool {
    let is_word = |word: &str| {
        (1..=LONGEST_WORD).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    ["_KEY", "_TOKEN", "_SECRET"].iter().any(|end| text.ends_with(end))
        && text.len() <= LONGEST_VARIABLE
        && text.split('_').all(is_word)
}

fn invalid(name: &str, problem: &'static str) -> UpstreamError {
    UpstreamError::Url { upstream: name.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(settings: &UpstreamSettings) -> Result<Endpoint, UpstreamError> {
        Endpoint::new("a", settings, &|name| (name == "KEY").then(|| "sk-canary".to_owned()))
    }

    #[test]
    fn addresses_stand_behind_the_base_url() {
        let slash = endpoint(&UpstreamSettings::new("https://host:1/base/v1/")).unwrap();
        let request = slash.post(Api::ChatCompletions, true, Bytes::new());
        assert_eq!(request.uri(), "https://host:1/base/v1/chat/completions");
        assert_eq!(request.headers()[ACCEPT], "text/event-stream");
        assert_eq!(slash.list().uri(), "https://host:1/base/v1/models");
        assert!(!request.headers().contains_key(AUTHORIZATION));
    }

    #[test]
    fn a_key_is_sent_and_never_shown() {
        let mut settings = UpstreamSettings::new("http://host/v1");
        settings.key_env = Some("KEY".to_owned());
        let endpoint = endpoint(&settings).unwrap();
        let request = endpoint.list();
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer sk-canary");
        assert!(!format!("{endpoint:?} {request:?}").contains("canary"));
    }

    #[test]
    fn mistakes_are_told_without_the_key() {
        for url in [
            "",
            "host/v1",
            "ftp://host/v1",
            "http:///v1",
            "http://u:p@host/v1",
            "http://h/v1?a=1",
            "http://h/v1?",
            "http://h/v1#x",
            "http://h#",
            "http://h o/",
        ] {
            let error = endpoint(&UpstreamSettings::new(url)).unwrap_err().to_string();
            assert!(error.starts_with("the URL of the upstream 'a' is not valid"), "{url}: {error}");
        }
        let set: [fn(&mut UpstreamSettings, NonZeroU64); 3] = [
            |of, seconds| of.idle_seconds = Some(seconds),
            |of, seconds| of.total_seconds = Some(seconds),
            |of, seconds| of.cache_seconds = Some(seconds.get()),
        ];
        for set in set {
            let mut settings = UpstreamSettings::new("http://host/v1");
            set(&mut settings, NonZeroU64::new(u64::MAX / 2).unwrap());
            let error = endpoint(&settings).unwrap_err().to_string();
            assert!(error.contains("_seconds of the upstream 'a' must be at most 31622400"), "{error}");
            set(&mut settings, NonZeroU64::new(MOST_SECONDS).unwrap());
            assert!(endpoint(&settings).is_ok());
        }
        let mut settings = UpstreamSettings::new("http://host/v1");
        for name in ["NOT_SET_KEY", "HF_TOKEN", "AZURE_2_CLIENT_SECRET", "HUGGINGFACE_KEY"] {
            settings.key_env = Some(name.to_owned());
            let error = endpoint(&settings).unwrap_err().to_string();
            assert!(error.contains(&format!("{name}, which is not set")), "{error}");
        }
        for key in [
            "sk-canary",
            "gsk_canary",
            "AIzaCANARYcanary",
            "CANARY7CANARY7CANARY7",
            "CANARY_1234",
            "CANARYCANARY7_KEY",
            "_KEY",
            "canary_KEY",
            "",
        ] {
            settings.key_env = Some(key.to_owned());
            let error = endpoint(&settings).unwrap_err();
            assert!(!format!("{error} {error:?}").to_lowercase().contains("canary"), "{error}");
            assert!(error.to_string().contains("give the name of the variable"), "{error}");
        }
        settings.key = Some(Secret::new("sk-\ncanary"));
        let error = endpoint(&settings).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
