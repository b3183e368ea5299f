//! Setting up a client.

use std::env::{self, VarError};
use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::ambient::{Ambient, World};
use crate::base_url::{self, BaseUrl};
use crate::client::{Shared, Zumik};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::pipeline::Budget;
use crate::transport::{ReqwestTransport, Transport};

/// Environment variable of the API key.
const API_KEY_VARIABLE: &str = "ZUMIK_API_KEY";
/// Environment variable of the base URL.
const BASE_URL_VARIABLE: &str = "ZUMIK_BASE_URL";

/// A client that is being set up; see [`Zumik::builder`].
#[must_use = "a builder does nothing until `build`"]
#[derive(Default)]
pub struct Builder {
    api_key: Option<SecretString>,
    base_url: Option<String>,
    options: Options,
    transport: Option<Box<dyn Transport>>,
    ambient: Option<Box<dyn Ambient>>,
}

impl Builder {
    /// Sets the API key. Default: the variable `ZUMIK_API_KEY`.
    pub fn api_key(mut self, key: impl Into<SecretString>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Sets the server, without `/v1` or `/v2`. Default: the variable `ZUMIK_BASE_URL`, or else the hosted service
    /// `https://api.zumik.ai`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Sets the deadline of a call; see [`Options::timeout`].
    pub fn timeout(self, timeout: Duration) -> Self {
        self.options(|o| o.timeout(timeout))
    }

    /// Sets the limit of one attempt; see [`Options::attempt_timeout`].
    pub fn attempt_timeout(self, timeout: Duration) -> Self {
        self.options(|o| o.attempt_timeout(timeout))
    }

    /// Sets the limit of one attempt to open a stream; see [`Options::first_event_timeout`].
    pub fn first_event_timeout(self, timeout: Duration) -> Self {
        self.options(|o| o.first_event_timeout(timeout))
    }

    /// Sets how long a stream may be silent; see [`Options::idle_timeout`].
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.options(|o| o.idle_timeout(timeout))
    }

    /// Sets how large an answer may be that is taken whole, in bytes; see [`Options::max_body_bytes`].
    pub fn max_body_bytes(self, bytes: usize) -> Self {
        self.options(|o| o.max_body_bytes(bytes))
    }

    /// Sets how large an event of a stream may be, in bytes; see [`Options::max_event_bytes`].
    pub fn max_event_bytes(self, bytes: usize) -> Self {
        self.options(|o| o.max_event_bytes(bytes))
    }

    /// Sets how many more attempts follow a failed one; see [`Options::max_retries`].
    pub fn max_retries(self, retries: u32) -> Self {
        self.options(|o| o.max_retries(retries))
    }

    /// Adds a header to every request; see [`Options::header`].
    pub fn header(self, name: &str, value: &str) -> Self {
        self.options(|o| o.header(name, value))
    }

    /// Whether an answer that no model made is an error; see [`Options::reject_placeholder`].
    pub fn reject_placeholder(self, reject: bool) -> Self {
        self.options(|o| o.reject_placeholder(reject))
    }

    /// Whether an answer of the last-resort bridge is an error; see [`Options::reject_openrouter_fallback`].
    pub fn reject_openrouter_fallback(self, reject: bool) -> Self {
        self.options(|o| o.reject_openrouter_fallback(reject))
    }

    /// Sends requests with another transport. Default: [`ReqwestTransport`].
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Box::new(transport));
        self
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn ambient(mut self, ambient: impl Ambient + 'static) -> Self {
        self.ambient = Some(Box::new(ambient));
        self
    }

    fn options(mut self, change: impl FnOnce(Options) -> Options) -> Self {
        self.options = change(self.options);
        self
    }

    /// Makes the client. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when there is no key, when key, base URL or a header cannot be
    /// used, or when TLS cannot be set up.
    pub fn build(self) -> Result<Zumik> {
        let base_url = match self.base_url {
            Some(url) => url,
            None => variable(BASE_URL_VARIABLE)?.unwrap_or_else(|| base_url::HOSTED.to_owned()),
        };
        let base_url = BaseUrl::parse(&base_url)?;
        let api_key = match self.api_key {
            Some(key) => Some(key),
            None => variable(API_KEY_VARIABLE)?.map(SecretString::from),
        };
        let api_key = api_key.filter(|key| !key.expose_secret().trim().is_empty()).ok_or_else(|| {
            Error::config(format!(
                "no API key: set the variable {API_KEY_VARIABLE}, or give one to the builder"
            ))
        })?;
        if let Some(error) = self.options.invalid {
            return Err(Error::config(error.to_string()).with_cause(error));
        }
        let transport = match self.transport {
            Some(transport) => transport,
            None => Box::new(ReqwestTransport::new(&base_url)?),
        };
        let shared = Shared {
            base_url,
            authorization: authorization(&api_key)?,
            transport,
            ambient: self.ambient.unwrap_or_else(|| Box::new(World)),
            budget: Budget::default(),
        };
        Ok(Zumik::from_parts(shared, self.options))
    }
}

impl fmt::Debug for Builder {
    /// Neither the key nor a base URL that cannot be used, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("api_key", &self.api_key)
            .field("base_url", &self.base_url.as_deref().and_then(|url| BaseUrl::parse(url).ok()))
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The value of the `Authorization` header. White space around the key, as a file or variable may have, is dropped.
fn authorization(key: &SecretString) -> Result<HeaderValue> {
    let key = key.expose_secret().trim();
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::config("the API key has characters that no key has: white space or non-ASCII"));
    }
    let mut value = HeaderValue::try_from(format!("Bearer {key}"))
        .map_err(|_| Error::config("the API key has characters that no key has"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn variable(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(value) if value.trim().is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::config(format!("the variable {name} is not Unicode"))),
    }
}
