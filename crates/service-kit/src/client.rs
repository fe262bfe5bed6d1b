//! Calling another service: a lazily connected, reconnecting gRPC channel over mutual TLS.

use std::{
    error::Error,
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;

use http::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Code, Status,
    body::Body,
    transport::{self, Uri},
};
use tower::Service;
use tracing::{Instrument, field, info_span};

use crate::{
    config,
    identity::{Identity, IdentityError},
    telemetry,
    tls::{self, TlsMaterial, Transport},
};

const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
// As the server's: what may be under way in one stream and in one connection before the reader has taken it.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
const MAX_FRAME_BYTES: u32 = 256 * 1024;

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
    dialled: Uri,
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
        // tonic refuses an https address once any crate of the build enables its own TLS, as ours is not known to it.
        let authority = uri.authority().ok_or_else(bad_address)?;
        let dialled = Uri::builder()
            .scheme("http")
            .authority(authority.clone())
            .path_and_query("/")
            .build()
            .map_err(|_| bad_address())?;
        let connect_timeout = config.connect_timeout;
        Ok(Self {
            host,
            port,
            dialled,
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
        let connector = tower::service_fn(move |_: Uri| {
            let (endpoint, tls) = (endpoint.clone(), Arc::clone(&tls));
            async move { endpoint.connect(&tls).await.map(TokioIo::new) }
        });
        transport::Endpoint::from(self.dialled.clone())
            .origin(self.origin.clone())
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            // A dead peer is then noticed before the next call, not by it.
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(MAX_FRAME_BYTES)
            .connect_with_connector_lazy(connector)
            .into()
    }

    async fn connect(&self, material: &TlsMaterial) -> Result<TlsStream<Transport>, ConnectError> {
        let address = format!("{}:{}", self.host, self.port);
        let handshake = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            stream.set_nodelay(true)?;
            TlsConnector::from(material.client_config())
                .connect(self.server_name.clone(), tls::buffered(stream))
                .await
        };
        let mut stream = match timeout(self.connect_timeout, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(ConnectError::Handshake { address, source }),
            Err(_) => {
                return Err(ConnectError::TimedOut {
                    address,
                    limit: self.connect_timeout,
                });
            }
        };
        tls::encrypt_ahead(stream.get_mut().1);
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let found = shown.map_or(Err(IdentityError::NoCertificate), Identity::from_certificate);
        match found {
            Ok(found) if found == self.expected => Ok(stream),
            Ok(found) => Err(ConnectError::WrongIdentity {
                address,
                found,
                expected: self.expected.clone(),
            }),
            Err(source) => Err(ConnectError::NoIdentity { address, source }),
        }
    }
}

/// A connection to a service, over which calls carry the context of the trace that they belong to. Clones share it.
#[derive(Clone, Debug)]
pub struct Channel(transport::Channel);

impl From<transport::Channel> for Channel {
    fn from(channel: transport::Channel) -> Self {
        Self(channel)
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = transport::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, transport::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), transport::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if !telemetry::is_recording() {
            return Box::pin(self.0.call(request));
        }
        let path = request.uri().path().trim_start_matches('/');
        let (service, method) = path.split_once('/').unwrap_or_default();
        let span = info_span!(
            "call",
            otel.name = path,
            otel.kind = "client",
            otel.status_code = field::Empty,
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = method,
            rpc.grpc.status_code = field::Empty,
            server.address = request.uri().host(),
        );
        telemetry::inject(&span, request.headers_mut());
        let answer = self.0.call(request);
        let outer = span.clone();
        // It ends with the head of the answer: what streams in later belongs to whoever reads it.
        let call = async move {
            let answer = answer.await;
            match &answer {
                // Of an answer that streams in, the head does not say how it will end.
                Ok(answer) => {
                    if let Some(status) = Status::from_header_map(answer.headers()) {
                        telemetry::note_rpc_end(&outer, status.code());
                    }
                }
                Err(_) => telemetry::note_rpc_end(&outer, Code::Unavailable),
            }
            answer
        };
        Box::pin(call.instrument(span))
    }
}

/// True when a call failed because the connection could not be made, or ended under it, so that another try may help.
///
/// To look for UNAVAILABLE is not enough: tonic reports it when it cannot connect, but UNKNOWN or CANCELLED when a
/// connection breaks, when it comes of age as the call is handed over, or when the server refuses our certificate,
/// which in TLS 1.3 it does after the client thinks itself connected. Whether the server has seen the call is not known,
/// so only a call that may be made twice may be tried again.
pub fn is_connection_failure(status: &Status) -> bool {
    // A status that came from a server has no source, whatever its code. When the connection breaks while an answer
    // streams in, the source is hyper's.
    let broke = status
        .source()
        .is_some_and(|source| source.is::<transport::Error>() || source.is::<hyper::Error>());
    broke || status.code() == Code::Unavailable
}

/// True when the server has not begun with a call, because the connection ended before its turn, as it does when it
/// comes of age. Any such call may be tried again.
pub fn was_not_begun(status: &Status) -> bool {
    let mut next = status.source();
    while let Some(error) = next {
        // In HTTP/2 it means that the call was not sent, and nothing else: what was sent fails in other ways.
        let unsent = error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled);
        // The server has said goodbye, which concerns only calls that it has not taken and will not take.
        let refused = error.downcast_ref::<h2::Error>().is_some_and(|error| {
            error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
        });
        if unsent || refused {
            return true;
        }
        next = error.source();
    }
    false
}

/// What a person should read about a failed call: the message, and what lies behind it if it was the connection.
pub fn reason(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let message = error.to_string();
        // Some errors repeat the text of what lies behind them.
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = error.source();
    }
    text
}

/// Why a connection was not made. tonic puts the text into the UNAVAILABLE status of the call that wanted it.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("{address}: {source}")]
    Handshake { address: String, source: io::Error },
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
