//! Calling another service: a lazily connected, reconnecting gRPC channel over mutual TLS.

mod channel;
mod failure;

use std::{io, sync::Arc, time::Duration};

use http::Uri;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::{io::AsyncBufReadExt, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub use self::{
    channel::{Channel, ChannelError},
    failure::{is_connection_failure, reason, was_not_begun},
};
use crate::{
    config,
    identity::{Identity, IdentityError},
    tls::{self, TlsMaterial, Transport},
};

const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a service is, as it stands in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// `https://host:port`.
    pub address: String,
    /// The DNS name or IP that the server's certificate must carry, when it is not the address's host.
    #[serde(default)]
    pub server_name: Option<String>,
    /// How long TCP and TLS together may take to connect, until the server has let us in.
    #[serde(default = "default_connect_timeout", with = "config::duration")]
    pub connect_timeout: Duration,
}

fn default_connect_timeout() -> Duration {
    DEFAULT_CONNECT_TIMEOUT
}

impl EndpointConfig {
    /// The given address and defaults for the rest.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            server_name: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
        }
    }
}

/// A service to call: where it is, and who must answer there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    host: String,
    port: u16,
    origin: Uri,
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
        let (Some("https"), Some(host), Some(port), false) = (uri.scheme_str(), uri.host(), uri.port_u16(), has_path)
        else {
            return Err(bad_address());
        };
        // An IPv6 address stands in brackets in an address, and without them everywhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = config.server_name.clone().unwrap_or_else(|| host.clone());
        let server_name = ServerName::try_from(name.clone()).map_err(|_| EndpointError::ServerName(name))?;
        let connect_timeout = config.connect_timeout;
        Ok(Self {
            host,
            port,
            origin: uri,
            server_name,
            expected,
            connect_timeout,
        })
    }

    /// A channel to the service. It connects with the first call, and again whenever the connection was lost, each
    /// time with the TLS files as they then are.
    ///
    /// [`is_connection_failure`] tells the calls that failed by their connection, and [`reason`] why.
    ///
    /// # Panics
    /// When called outside a tokio runtime.
    pub fn channel(&self, tls: &Arc<TlsMaterial>) -> Channel {
        let (endpoint, tls) = (self.clone(), Arc::clone(tls));
        let connect = move || {
            let (endpoint, tls) = (endpoint.clone(), Arc::clone(&tls));
            async move { endpoint.connect(&tls).await }
        };
        Channel::new(self.origin.clone(), connect)
    }

    async fn connect(&self, material: &TlsMaterial) -> Result<TlsStream<Transport>, ConnectError> {
        match timeout(self.connect_timeout, self.shake_hands(material)).await {
            Ok(connected) => connected,
            Err(_) => Err(ConnectError::TimedOut {
                address: self.address(),
                limit: self.connect_timeout,
            }),
        }
    }

    async fn shake_hands(&self, material: &TlsMaterial) -> Result<TlsStream<Transport>, ConnectError> {
        let broken = |source| ConnectError::Handshake {
            address: self.address(),
            source,
        };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        let connecting = TlsConnector::from(material.client_config());
        let connecting = connecting.connect(self.server_name.clone(), tls::buffered(stream));
        let mut stream = connecting.await.map_err(broken)?;
        tls::encrypt_ahead(stream.get_mut().1);
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let found = shown.map_or(Err(IdentityError::NoCertificate), Identity::from_certificate);
        let found = found.map_err(|source| ConnectError::NoIdentity {
            address: self.address(),
            source,
        })?;
        if found != self.expected {
            return Err(ConnectError::WrongIdentity {
                address: self.address(),
                found,
                expected: self.expected.clone(),
            });
        }
        // In TLS 1.3 the server judges our certificate when we are through. It speaks first in HTTP/2, and what it says
        // instead could be lost if we spoke before we have heard it.
        match stream.fill_buf().await.map(<[u8]>::len) {
            Ok(1..) => Ok(stream),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(broken(error)),
            _ => Err(ConnectError::Refused {
                address: self.address(),
            }),
        }
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Why a connection was not made. tonic puts the text into the UNAVAILABLE status of the call that wanted it.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("{address}: {source}")]
    Handshake { address: String, source: io::Error },
    #[error("{address}: the server ended the connection as soon as it was made")]
    Refused { address: String },
    #[error("{address}: no connection within {}", humantime::format_duration(*limit))]
    TimedOut { address: String, limit: Duration },
    #[error("{address}: the server is {found}, expected {expected}")]
    WrongIdentity {
        address: String,
        found: Identity,
        expected: Identity,
    },
    #[error("{address}: the server proved no identity: {source}")]
    NoIdentity { address: String, source: IdentityError },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrustDomain;

    fn endpoint(address: &str, server_name: Option<&str>) -> Result<Endpoint, EndpointError> {
        let expected = Identity::service(TrustDomain::default(), "storage-svc").unwrap();
        let config = EndpointConfig {
            server_name: server_name.map(str::to_owned),
            ..EndpointConfig::new(address)
        };
        Endpoint::new(&config, expected)
    }

    #[test]
    fn takes_hosts_and_addresses() {
        let named = endpoint("https://storage-svc:7001", None).unwrap();
        assert_eq!((named.host.as_str(), named.port), ("storage-svc", 7001));
        let numbered = endpoint("https://[::1]:7001/", Some("storage-svc")).unwrap();
        assert_eq!(numbered.host, "::1");
        assert_eq!(numbered.server_name, ServerName::try_from("storage-svc").unwrap());
    }

    #[test]
    fn says_what_is_allowed() {
        for address in [
            "",
            "storage-svc:7001",
            "http://a:1",
            "https://a",
            "https://a:1/path",
            "https://a:1?b",
        ] {
            assert_eq!(
                endpoint(address, None).unwrap_err(),
                EndpointError::Address(address.to_owned())
            );
        }
        assert!(matches!(
            endpoint("https://a:1", Some("a b")),
            Err(EndpointError::ServerName(_))
        ));
    }
}
