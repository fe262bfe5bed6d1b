//! Calling another service: a lazily connected, reconnecting gRPC channel over mutual TLS.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Uri};

use crate::{
    config,
    identity::{Identity, IdentityError},
    tls::TlsMaterial,
};

const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
// As the server's: what may be under way in one stream and in one connection before the reader has taken it.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Where a service is, as it stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// `https://host:port`.
    pub address: String,
    /// The DNS name or IP that the server's certificate must carry, when it is not the address's host.
    #[serde(default)]
    pub server_name: Option<String>,
    /// How long TCP and TLS together may take to connect.
    #[serde(default = "default_connect_timeout", with = "config::duration")]
    pub connect_timeout: Duration,
}

fn default_connect_timeout() -> Duration {
    DEFAULT_CONNECT_TIMEOUT
}

impl EndpointConfig {
    /// The given address and defaults for the rest.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), server_name: None, connect_timeout: DEFAULT_CONNECT_TIMEOUT }
    }
}

/// A service to call: where it is, and who must answer there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    host: String,
    port: u16,
    uri: Uri,
    server_name: ServerName<'static>,
    expected: Identity,
    connect_timeout: Duration,
}

impl Endpoint {
    /// Checks the configuration. A server that answers with another identity than `expected` is refused.
    ///
    /// # Errors
    /// An [`EndpointError`] that says what was found and what is allowed.
    pub fn new(config: &EndpointConfig, expected: Identity) -> Result<Self, EndpointError> {
        let bad_address = || EndpointError::Address(config.address.clone());
        let uri: Uri = config.address.parse().map_err(|_| bad_address())?;
        let has_path = uri.path_and_query().is_some_and(|path| path.as_str() != "/");
        let (Some("https"), Some(host), Some(port), false) =
            (uri.scheme_str(), uri.host(), uri.port_u16(), has_path)
        else {
            return Err(bad_address());
        };
        // An IPv6 address stands in brackets in an address, and without them everywhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = config.server_name.clone().unwrap_or_else(|| host.clone());
        let server_name = ServerName::try_from(name.clone()).map_err(|_| EndpointError::ServerName(name))?;
        Ok(Self { host, port, server_name, uri, expected, connect_timeout: config.connect_timeout })
    }

    /// A channel to the service. It connects with the first call, and again whenever the connection was lost, each
    /// time with the TLS files as they then are.
    ///
    /// A call that cannot connect fails with UNAVAILABLE and the reason.
    ///
    /// # Panics
    /// When called outside a tokio runtime.
    pub fn channel(&self, tls: &Arc<TlsMaterial>) -> Channel {
        todo!()
    }
}

/// Why an endpoint's configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not an address of ours.
    #[error("found {0:?} as an address, allowed is https://host:port")]
    Address(String),
    /// Neither a DNS name nor an IP.
    #[error("found {0:?} as a server name, allowed is a DNS name or an IP address")]
    ServerName(String),
}
