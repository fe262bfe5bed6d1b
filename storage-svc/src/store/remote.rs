//! What stores at the other end of HTTP have in common.

use std::{env, path::PathBuf, sync::Arc, time::Duration};

use http::uri::Authority;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    client::{HttpClient, HttpConnector},
};

use super::connector::{ConnectError, StoreClient};
use crate::secret::Scrubber;

/// Why a store could not be set up. Each text is one line, and holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The HTTP client.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A file that the configuration names.
    #[error("{key}: {}: {reason}", path.display())]
    File {
        /// The key, or the variable, that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The library refused the configuration.
    #[error("cannot set up the bucket: {0}")]
    Library(String),
}

impl RemoteError {
    pub(super) fn library(error: &object_store::Error, scrubber: &Scrubber) -> Self {
        Self::Library(scrubber.scrub(&error.to_string()))
    }
}

/// A store, and what must not show up in what it says.
pub(super) struct Opened {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) scrubber: Scrubber,
}

/// How failed requests are tried again. The caller waits: rather answer that the bucket is away than hold on for the
/// library's three minutes.
pub(super) fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 5,
        retry_timeout: Duration::from_secs(30),
    }
}

/// Host and port of a URL.
pub(super) fn authority_of(url: &str) -> Option<Authority> {
    let uri: http::Uri = url.parse().ok()?;
    uri.into_parts().authority
}

/// The values of the variables that are set and not empty, with what each is to the library.
pub(super) fn from_environment<K: Copy>(variables: &[(&str, K)]) -> impl Iterator<Item = (K, String)> {
    variables
        .iter()
        .filter_map(|(variable, key)| Some((*key, env::var(variable).ok().filter(|value| !value.is_empty())?)))
}

impl HttpConnector for StoreClient {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}
