//! The storage gateway: lists, reads and writes the objects of one bucket, over gRPC with mutual TLS. It is the only
//! service that holds the bucket's credentials, and lets each caller do what its certificate's identity may do.

mod attributes;
pub mod config;
mod error;
mod grpc;
mod limiter;
mod metrics;
mod path;
pub mod policy;
mod secret;
pub mod store;
mod turns;

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use fedcost_proto::storage::v1::storage_service_server::StorageServiceServer;
use object_gateway::wire::PIECE_BYTES;
use prometheus_client::registry::Registry;
use service_kit::{
    Identity, MAX_MESSAGE_BYTES,
    admin::{self, AdminError},
    metrics::{self as kit_metrics, ServerMetrics},
    server::{self, GrpcServer, Health, ServeError},
    shutdown::NamedTasks,
    tls::{TlsError, TlsMaterial},
};
use tokio::{net::TcpListener, sync::oneshot};
use tokio_util::sync::CancellationToken;

pub use self::{
    config::{Config, Limits},
    metrics::StorageMetrics,
    path::{FolderPath, ObjectPath, PathError},
    policy::Policy,
    secret::Secret,
    store::{
        OpenError, ProbeError,
        config::{ConditionalWrites, StoreConfig},
    },
};
use self::{grpc::StorageHandlers, store::Store};

/// What logs and metrics call the service, and the name in its certificate.
pub const SERVICE_NAME: &str = "storage-svc";

/// Largest message taken, in bytes: a piece of content and what is around it. What a caller can make us hold follows
/// from it.
const MAX_REQUEST_BYTES: usize = PIECE_BYTES + 64 * 1024;

/// How often renewed TLS files are looked for.
const TLS_RELOAD: Duration = Duration::from_secs(60);

/// Between two attempts to reach the bucket at the start, at first and at most.
const PROBE_DELAYS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How long the background tasks may take to end.
const TASKS_DEADLINE: Duration = Duration::from_secs(2);

/// Serves the bucket until `shutdown`.
///
/// # Errors
/// When the TLS files or the bucket's configuration cannot be used, or the server fails. A bucket that does not
/// answer is no error: it is asked again, and health answers NOT_SERVING meanwhile.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), StorageSvcError> {
    let (registry, (metrics, server_metrics)) =
        kit_metrics::registry(|registry| (StorageMetrics::register(registry), ServerMetrics::register(registry)));
    let mut server = StorageServer::new(config).with_metrics(metrics, server_metrics);
    server.registry = Some(registry);
    server.serve(listener, shutdown).await
}

/// The service, with what a file cannot say.
#[derive(Debug)]
pub struct StorageServer {
    config: Config,
    policy: Policy,
    metrics: StorageMetrics,
    server_metrics: ServerMetrics,
    server_limits: server::Limits,
    tls_reload: Duration,
    /// What `server.admin` shows, if that is to be served.
    registry: Option<Registry>,
}

impl StorageServer {
    /// The service as its file says, with the product's policy.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            policy: Policy::default(),
            metrics: StorageMetrics::default(),
            server_metrics: ServerMetrics::default(),
            server_limits: server::Limits::default(),
            tls_reload: TLS_RELOAD,
            registry: None,
        }
    }

    /// Replaces the policy, for tests.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Counts into these handles.
    #[must_use]
    pub fn with_metrics(mut self, metrics: StorageMetrics, server_metrics: ServerMetrics) -> Self {
        self.metrics = metrics;
        self.server_metrics = server_metrics;
        self
    }

    /// Replaces what the server allows each peer, for tests.
    #[must_use]
    pub fn with_server_limits(mut self, limits: server::Limits) -> Self {
        self.server_limits = limits;
        self
    }

    /// Replaces how often renewed TLS files are looked for, for tests.
    #[must_use]
    pub fn with_tls_reload(mut self, interval: Duration) -> Self {
        self.tls_reload = interval;
        self
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// As [`serve`].
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), StorageSvcError> {
        let Self {
            config,
            policy,
            metrics,
            server_metrics,
            server_limits,
            tls_reload,
            registry,
        } = self;
        for warning in &config.store.warnings {
            tracing::warn!("federated store: {warning}");
        }
        if config.store.conditional_writes == ConditionalWrites::Gateway {
            tracing::warn!(
                "conditional writes are kept by this process: whoever else writes below derived/ of the bucket, another \
                 storage-svc included, can overwrite commits"
            );
        }
        let tls = TlsMaterial::load(config.server.tls)?;
        let store = Store::open(&config.store, metrics.clone()).await?;
        let handlers = StorageHandlers::new(store.clone(), policy, metrics, config.limits);
        let service = StorageServiceServer::new(handlers)
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let server = GrpcServer::new(SERVICE_NAME, tls.clone(), config.server.trust_domain.clone())
            // Clusters call as well as services. What each may do depends on paths, so the handlers decide.
            .with_authorizer(|_: &Identity, _: &str| true)
            .with_limits(server_limits)
            .with_metrics(server_metrics)
            .add_service(service);

        let readiness = Arc::new(server.health());
        let _admin = admin::serve_if_asked(config.server.admin.as_ref(), SERVICE_NAME, registry, readiness).await?;
        let mut tasks = NamedTasks::new();
        tasks.add("tls_reload", tls.spawn_reload(tls_reload, shutdown.clone()));
        let (health, description, stop) = (server.health(), config.store.to_string(), shutdown.clone());
        // A store that cannot be used ends the service too.
        let serving = shutdown.child_token();
        let end = serving.clone();
        let (refuse, refused) = oneshot::channel();
        tasks.spawn("probe", async move {
            // Nothing to report when the shutdown comes first.
            let probed = stop
                .run_until_cancelled(announce_when_reached(store, health, description))
                .await;
            if let Some(Err(error)) = probed {
                // Whoever would listen is gone only when the service has ended already.
                let _gone = refuse.send(error);
                end.cancel();
            }
        });
        let served = server.serve(listener, serving).await;
        tasks.join_within(TASKS_DEADLINE).await;
        match refused.await {
            Ok(error) => Err(StorageSvcError::Unusable(error)),
            // The usual end: the probe was over long before.
            Err(_) => Ok(served?),
        }
    }
}

/// Lets health answer SERVING once the bucket was listed, and has shown that it keeps conditions.
///
/// # Errors
/// When it lacks what the lake rests on.
async fn announce_when_reached(store: Store, health: Health, description: String) -> Result<(), ProbeError> {
    let (first, most) = PROBE_DELAYS;
    let mut delays = ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(most)
        .with_jitter()
        .without_max_times()
        .build();
    while let Err(error) = store.probe().await {
        if let ProbeError::Lacking(_) = error {
            return Err(error);
        }
        let delay = delays.next().unwrap_or(most);
        health.set_not_serving_because(format!("the bucket is not reached: {error}"));
        tracing::warn!(%error, store = description, retry_ms = delay.as_millis(), "the bucket is not reached yet");
        tokio::time::sleep(delay).await;
    }
    tracing::info!(store = description, "the bucket is reached");
    health.set_serving();
    Ok(())
}

/// Why the service could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum StorageSvcError {
    /// Our certificate, or whom we trust.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The bucket.
    #[error("store: {0}")]
    Store(#[from] OpenError),
    /// The bucket is there, but must not be used.
    #[error("store: {0}")]
    Unusable(ProbeError),
    /// The port for those who run the service.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The server.
    #[error(transparent)]
    Serve(#[from] ServeError),
}
