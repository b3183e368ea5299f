//! The client itself.

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Method};

use crate::ambient::Ambient;
use crate::base_url::BaseUrl;
use crate::builder::Builder;
use crate::call::Call;
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::options::Options;
use crate::pipeline::Budget;
use crate::request::RawCall;
use crate::transport::Transport;

/// A client of one server and one project.
///
/// Cloning is cheap, and all clones share connections and retry budget. It is `Send + Sync + 'static`: keep one in the
/// state of your service, pass it around by reference or by clone.
#[derive(Clone)]
pub struct Zumik(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    options: Options,
}

/// What all variants of a client have in common.
pub(crate) struct Shared {
    pub(crate) base_url: BaseUrl,
    /// `Bearer …`, marked as sensitive.
    pub(crate) authorization: HeaderValue,
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) ambient: Box<dyn Ambient>,
    pub(crate) budget: Budget,
}

impl Zumik {
    /// A client from the environment: the key from `ZUMIK_API_KEY`, the server from `ZUMIK_BASE_URL`, or else the
    /// hosted service.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when there is no key, or when one of the two cannot be used.
    pub fn from_env() -> Result<Self> {
        Self::builder().build()
    }

    /// Sets up a client. What is not set comes from the environment, as in [`from_env`](Self::from_env).
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A variant of this client with other options. It shares connections and retry budget with this one.
    ///
    /// ```
    /// # fn example(zk: &zumik_client::Zumik) {
    /// use std::time::Duration;
    ///
    /// let impatient = zk.with(|o| o.timeout(Duration::from_secs(2)).max_retries(0));
    /// # }
    /// ```
    #[must_use]
    pub fn with(&self, change: impl FnOnce(Options) -> Options) -> Self {
        let options = change(self.0.options.clone());
        Self(Arc::new(Inner { shared: self.0.shared.clone(), options }))
    }

    /// Puts an endpoint, a plain value, on its way: one that was built before, or one of your own.
    pub fn call<E: Endpoint>(&self, endpoint: E) -> Call<'_, E> {
        Call::new(self, endpoint)
    }

    /// A call of an endpoint that this version does not know: `path` with its version, for example `/v2/new-thing`.
    ///
    /// It gets the same key, retries and errors as every other call.
    ///
    /// ```
    /// # async fn example(zk: &zumik_client::Zumik) -> zumik_client::Result<()> {
    /// use zumik_client::Method;
    ///
    /// let body = serde_json::json!({ "name": "first" });
    /// let made = zk.request(Method::POST, "/v2/new-thing").json(&body).send_as::<serde_json::Value>().await?;
    /// println!("{}", made["id"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn request(&self, method: Method, path: impl Into<String>) -> RawCall<'_> {
        RawCall::new(self, method, path.into())
    }

    /// The base URL, without a slash at its end.
    pub fn base_url(&self) -> &str {
        self.0.shared.base_url.as_str()
    }

    pub(crate) fn from_parts(shared: Shared, options: Options) -> Self {
        Self(Arc::new(Inner { shared: Arc::new(shared), options }))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    pub(crate) fn options(&self) -> &Options {
        &self.0.options
    }
}

impl fmt::Debug for Zumik {
    /// The server and the options; never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zumik")
            .field("base_url", &self.shared().base_url)
            .field("options", self.options())
            .finish()
    }
}
