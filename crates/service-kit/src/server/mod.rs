//! The gRPC server that every service runs: mutual TLS, identity, authorisation, health, reflection, draining.

mod accept;
mod authorize;
mod descriptors;
mod health;
mod observe;
mod panic;
mod peer;

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    body::Body,
    server::NamedService,
    service::{Routes, RoutesBuilder},
    transport::Server,
};
use tower::{Service, ServiceBuilder, layer::layer_fn};
use tracing::{info, warn};

use self::{
    accept::Acceptor,
    authorize::Authorize,
    health::HealthFeed,
    observe::{Observe, Observer},
    panic::CatchPanic,
};
pub use self::{
    authorize::{AnyService, Authorizer},
    health::Health,
    peer::{PeerInfo, peer_address, peer_identity},
};
use crate::{TrustDomain, metrics::ServerMetrics, tls::TlsMaterial};

/// Authenticated connections that may wait for the HTTP/2 server to take them.
const ACCEPTED_AHEAD: usize = 16;

/// What a server allows each peer, and how long it waits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// Handshakes under way at once; further connections wait in the system's queue.
    pub max_handshakes: usize,
    /// The age at which a connection is asked to end, so that a revoked or renewed certificate comes to be checked.
    /// Calls under way are finished first.
    pub max_connection_age: Duration,
    /// How often a quiet connection is asked whether it lives.
    pub keepalive_interval: Duration,
    /// How long the answer to that may take.
    pub keepalive_timeout: Duration,
    /// Calls under way at once in one connection.
    pub max_concurrent_streams: u32,
    /// Bytes that a peer may send in one call before the handler has taken them.
    pub stream_window_bytes: u32,
    /// The same for all calls of one connection together.
    pub connection_window_bytes: u32,
    /// The largest HTTP/2 frame taken, in bytes: 16 KiB to 16 MiB − 1.
    pub max_frame_bytes: u32,
    /// How long the server still takes calls after it has begun to say NOT_SERVING, so that balancers notice.
    pub drain_delay: Duration,
    /// How long calls under way may then take to end before their connections are cut.
    pub drain_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 256,
            max_connection_age: Duration::from_secs(60 * 60),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            max_concurrent_streams: 1024,
            stream_window_bytes: 4 * 1024 * 1024,
            connection_window_bytes: 16 * 1024 * 1024,
            max_frame_bytes: 256 * 1024,
            drain_delay: Duration::ZERO,
            drain_deadline: Duration::from_secs(10),
        }
    }
}

/// A gRPC server under construction.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use fedcost_proto::storage::v1::storage_service_server::{StorageService, StorageServiceServer};
/// # use service_kit::{Identity, TrustDomain, server::{GrpcServer, ServeError}, tls::TlsMaterial};
/// # async fn run<S: StorageService>(
/// #     handlers: S,
/// #     tls: Arc<TlsMaterial>,
/// #     listener: tokio::net::TcpListener,
/// #     shutdown: tokio_util::sync::CancellationToken,
/// # ) -> Result<(), ServeError> {
/// let server = GrpcServer::new("storage-svc", tls, TrustDomain::default())
///     .with_authorizer(|caller: &Identity, _method: &str| caller.service_name() == Some("ingest-svc"))
///     .add_service(StorageServiceServer::new(handlers));
/// // Once what the service depends on is ready:
/// server.health().set_serving();
/// server.serve(listener, shutdown).await
/// # }
/// ```
#[derive(Debug)]
pub struct GrpcServer {
    name: &'static str,
    tls: Arc<TlsMaterial>,
    trust_domain: TrustDomain,
    limits: Limits,
    authorizer: Arc<dyn Authorizer>,
    metrics: ServerMetrics,
    health: Health,
    routes: RoutesBuilder,
    service_names: Vec<&'static str>,
}

impl GrpcServer {
    /// A server without services yet. `name` is what logs and metrics call it, such as `storage-svc`.
    pub fn new(name: &'static str, tls: Arc<TlsMaterial>, trust_domain: TrustDomain) -> Self {
        Self {
            name,
            tls,
            trust_domain,
            limits: Limits::default(),
            authorizer: Arc::new(AnyService),
            metrics: ServerMetrics::default(),
            health: Health::new(),
            routes: Routes::builder(),
            service_names: Vec::new(),
        }
    }

    /// Adds a generated service, such as `StorageServiceServer::new(handlers)`.
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.service_names.push(S::NAME);
        self.routes.add_service(service);
        self
    }

    /// Replaces the default limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Replaces the default rule, by which any service of the trust domain may call anything.
    #[must_use]
    pub fn with_authorizer(mut self, authorizer: impl Authorizer) -> Self {
        self.authorizer = Arc::new(authorizer);
        self
    }

    /// Counts into these handles.
    #[must_use]
    pub fn with_metrics(mut self, metrics: ServerMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// The handle by which the service says that it is ready. Until then health answers NOT_SERVING.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves until `shutdown`; then health answers NOT_SERVING, calls under way are finished within the limits, and
    /// the future ends. Handlers whose streams have no end must watch a token of their own, or are cut at the deadline.
    ///
    /// # Errors
    /// A [`ServeError`] when the server cannot begin, or fails for good. One peer's failure is not one.
    pub async fn serve(mut self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
        let address = listener.local_addr().map_err(ServeError::Listener)?;
        descriptors::add_reflection(&mut self.routes, &self.service_names)?;
        let (reporter, health_service) = tonic_health::server::health_reporter();
        self.routes.add_service(health_service);
        let mut health = HealthFeed::begin(&self.health, reporter, &self.service_names).await;

        let drain = CancellationToken::new();
        let cut = CancellationToken::new();
        // Whoever drops this future wants no connection to live on.
        let _cut_when_dropped = cut.clone().drop_guard();
        let (accepted, incoming) = mpsc::channel(ACCEPTED_AHEAD);
        let (name, tls, certificates) = (self.name, Arc::clone(&self.tls), self.metrics.certificates());
        let readiness = self.health.clone();
        let acceptor = Acceptor {
            server: self.name,
            tls: self.tls,
            trust_domain: self.trust_domain,
            limits: self.limits.clone(),
            metrics: self.metrics.clone(),
            cut: cut.clone(),
        };

        let observer = Arc::new(Observer {
            server: self.name,
            metrics: self.metrics.clone(),
            methods: descriptors::known_methods()?,
        });
        let authorizer = self.authorizer;
        let layers = ServiceBuilder::new()
            // Outermost, so that calls that panic or are denied are seen as well.
            .layer(layer_fn(move |inner| Observe::new(inner, Arc::clone(&observer))))
            // Around the authorizer too, as it is the service's own code.
            .layer(layer_fn(CatchPanic::new))
            .layer(layer_fn(move |inner| Authorize::new(inner, Arc::clone(&authorizer))));
        let serving = Server::builder()
            .max_connection_age(self.limits.max_connection_age)
            .http2_keepalive_interval(Some(self.limits.keepalive_interval))
            .http2_keepalive_timeout(Some(self.limits.keepalive_timeout))
            .max_concurrent_streams(self.limits.max_concurrent_streams)
            // Fixed rather than adaptive: what a peer can make us hold is then known.
            .initial_stream_window_size(self.limits.stream_window_bytes)
            .initial_connection_window_size(self.limits.connection_window_bytes)
            .max_frame_size(self.limits.max_frame_bytes)
            .layer(layers.into_inner())
            .add_routes(self.routes.routes().prepare())
            .serve_with_incoming_shutdown(ReceiverStream::new(incoming), drain.cancelled());

        let life = async {
            let until_draining = async {
                health.follow(&shutdown).await;
                readiness.set_not_serving_because("shutting down");
                sleep(self.limits.drain_delay).await;
            };
            tokio::select! {
                () = acceptor.run(listener, accepted) => {}
                () = until_draining => {}
            }
            // The listener is closed now, so that a caller whose stream ends is not let in again.
            info!(
                server = self.name,
                calls = self.metrics.in_flight(self.name),
                "draining"
            );
            drain.cancel();
            health.end().await;
            sleep(self.limits.drain_deadline).await;
            let deadline_ms = self.limits.drain_deadline.as_millis();
            let calls = self.metrics.in_flight(self.name);
            warn!(
                server = self.name,
                calls, deadline_ms, "calls did not end in time and are cut"
            );
            cut.cancel();
            // What is cut ends `serving`.
            pending().await
        };

        info!(server = self.name, %address, "listening");
        tokio::select! {
            served = serving => served?,
            () = life => {}
            never = certificates.follow(name, &tls) => match never {},
        }
        info!(server = self.name, "stopped");
        Ok(())
    }
}

/// Why a server could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener has no address, so it is no longer open.
    #[error("the listener cannot be used: {0}")]
    Listener(#[source] std::io::Error),
    /// The compiled-in descriptors cannot be read.
    #[error("the descriptors of the services cannot be read: {0}")]
    Descriptors(#[from] prost::DecodeError),
    /// Reflection cannot be built from the descriptors.
    #[error("gRPC reflection cannot be set up: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The HTTP/2 server failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}
