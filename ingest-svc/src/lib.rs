//! Ingest: finds the agents' ETL files in the bucket, decodes them into the lake's base tables, derives the fast
//! tables, and publishes releases. It reaches the bucket only through the storage gateway.

pub mod config;
mod coverage;
pub mod cycle;
mod derive;
mod grpc;
mod ingest;
mod metrics;
mod orders;
mod partition;
mod reconcile;
mod runner;
mod settings;
pub mod status;
pub mod steps;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use fedcost_proto::ingest::v1::ingest_service_server::IngestServiceServer;
use lake::Lake;
use object_gateway::{ConnectError, GatewayStore};
use object_store::ObjectStore;
use prometheus_client::registry::Registry;
use service_kit::{
    MAX_MESSAGE_BYTES,
    admin::{self, AdminError},
    metrics::ServerMetrics,
    server::{GrpcServer, ServeError},
    shutdown::NamedTasks,
    tls::{TlsError, TlsMaterial},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::config::Config;
use self::{
    cycle::{Ingest, Settings},
    grpc::IngestHandlers,
    orders::Orders,
    runner::Runner,
    status::StatusBoard,
};

/// What logs and metrics call the service, and the name in its certificate.
pub const SERVICE_NAME: &str = "ingest-svc";

/// How often renewed TLS files are looked for.
const TLS_RELOAD: Duration = Duration::from_secs(60);

/// How long the background tasks may take to end.
const TASKS_DEADLINE: Duration = Duration::from_secs(2);

/// Ingests until `shutdown`.
///
/// # Errors
/// When the TLS files, the storage gateway's address or the ports cannot be used, or the server fails. A storage
/// gateway that does not answer is no error: it is asked again.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), IngestSvcError> {
    let board = StatusBoard::new();
    let (registry, server_metrics) = service_kit::metrics::registry(|registry| {
        metrics::register(registry, board.clone(), &config.settings);
        ServerMetrics::register(registry)
    });
    run(config, board, server_metrics, Some(registry), listener, shutdown).await
}

/// What ingest tells others in its process: a board for its status, and metrics of it.
#[derive(Clone, Debug)]
pub struct IngestMetrics(StatusBoard);

impl IngestMetrics {
    /// Registers what ingest tells, of a service with these settings. Call it once per registry.
    pub fn register(registry: &mut Registry, settings: &Settings) -> Self {
        let board = StatusBoard::new();
        metrics::register(registry, board.clone(), settings);
        Self(board)
    }
}

/// As [`serve`], counting into these handles; `server.admin` is left to whoever shows their registry.
///
/// # Errors
/// As [`serve`].
pub async fn serve_with_metrics(
    config: Config,
    metrics: IngestMetrics,
    server_metrics: ServerMetrics,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), IngestSvcError> {
    run(config, metrics.0, server_metrics, None, listener, shutdown).await
}

async fn run(
    config: Config,
    status: StatusBoard,
    metrics: ServerMetrics,
    registry: Option<Registry>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), IngestSvcError> {
    let trust_domain = config.server.trust_domain.clone();
    let tls = TlsMaterial::load(config.server.tls.clone())?;
    let bucket = GatewayStore::connect(&config.storage, trust_domain.clone(), &tls)?;
    let bucket: Arc<dyn ObjectStore> = Arc::new(bucket);

    let (refresh, retention) = (config.settings.refresh, config.settings.retention);
    let orders = Orders::default();
    let ingest = Ingest::new(Arc::clone(&bucket), config.settings, status.clone(), orders.clone());
    let (runner, requests) = Runner::new(ingest, refresh, status, orders);
    let handlers = IngestHandlers {
        requests,
        lake: Lake::new(bucket),
        refresh,
        retention,
        shutdown: shutdown.clone(),
    };
    let service = IngestServiceServer::new(handlers)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let server = GrpcServer::new(SERVICE_NAME, tls.clone(), trust_domain)
        .with_metrics(metrics)
        .add_service(service);
    // Ingest depends on nobody to answer calls: what it cannot reach shows in its status.
    server.health().set_serving();

    let readiness = Arc::new(server.health());
    let _admin = admin::serve_if_asked(config.server.admin.as_ref(), SERVICE_NAME, registry, readiness).await?;
    let mut tasks = NamedTasks::new();
    tasks.add("tls_reload", tls.spawn_reload(TLS_RELOAD, shutdown.clone()));
    tasks.spawn("cycles", runner.run(shutdown.clone()));
    let served = server.serve(listener, shutdown).await;
    tasks.join_within(TASKS_DEADLINE).await;
    Ok(served?)
}

/// Why the service could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum IngestSvcError {
    /// Our certificate, or whom we trust.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The storage gateway.
    #[error("storage: {0}")]
    Storage(#[from] ConnectError),
    /// The port for those who run the service.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The server.
    #[error(transparent)]
    Serve(#[from] ServeError),
}
