//! Query: answers allocation and asset questions over the newest release, and changes to a newer one without failing
//! a request. It reaches the lake only through the storage gateway.

mod allocate;
mod answer;
mod catalog;
mod columns;
pub mod config;
mod grpc;
mod metrics;
mod plan;
mod question;
mod release;
mod warm;

use std::{sync::Arc, time::Duration};

use datafusion::{
    error::DataFusionError,
    execution::{memory_pool::GreedyMemoryPool, runtime_env::RuntimeEnvBuilder},
};
use fedcost_proto::query::v1::query_service_server::QueryServiceServer;
use lake::Lake;
use object_gateway::{ConnectError, GatewayStore};
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

pub use self::{config::Config, metrics::QueryMetrics};
use self::{grpc::QueryHandlers, plan::Planner, release::Releases};

/// What logs and metrics call the service, and the name in its certificate.
pub const SERVICE_NAME: &str = "query-svc";

/// How often renewed TLS files are looked for.
const TLS_RELOAD: Duration = Duration::from_secs(60);

/// How long the background tasks may take to end.
const TASKS_DEADLINE: Duration = Duration::from_secs(2);

/// Answers until `shutdown`.
///
/// # Errors
/// When the TLS files or the storage gateway's address cannot be used, or the server fails. A storage gateway that
/// does not answer is no error: it is asked again, and health answers NOT_SERVING until the first release is loaded.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), QuerySvcError> {
    let (registry, (query_metrics, server_metrics)) = service_kit::metrics::registry(|registry| {
        (QueryMetrics::register(registry), ServerMetrics::register(registry))
    });
    run(
        config,
        query_metrics,
        server_metrics,
        Some(registry),
        listener,
        shutdown,
    )
    .await
}

/// As [`serve`], counting into these handles; `server.admin` is left to whoever shows their registry.
///
/// # Errors
/// As [`serve`].
pub async fn serve_with_metrics(
    config: Config,
    metrics: QueryMetrics,
    server_metrics: ServerMetrics,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), QuerySvcError> {
    run(config, metrics, server_metrics, None, listener, shutdown).await
}

async fn run(
    config: Config,
    metrics: QueryMetrics,
    server_metrics: ServerMetrics,
    registry: Option<Registry>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), QuerySvcError> {
    let trust_domain = config.server.trust_domain.clone();
    let tls = TlsMaterial::load(config.server.tls.clone())?;
    let bucket = GatewayStore::connect(&config.storage, trust_domain.clone(), &tls)?;
    let lake = Lake::new(Arc::new(bucket));

    let memory = usize::try_from(config.memory_mib << 20).unwrap_or(usize::MAX);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
        .build_arc()?;
    let releases = Releases::new(lake, config.warm_mib << 20);
    metrics.serve(releases.clone());
    let handlers = QueryHandlers::new(Planner::new(&runtime), releases.clone(), config.limits);
    let service = QueryServiceServer::new(handlers)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let server = GrpcServer::new(SERVICE_NAME, tls.clone(), trust_domain)
        .with_metrics(server_metrics)
        .add_service(service);

    server.health().set_not_serving_because("no release is loaded yet");
    let readiness = Arc::new(server.health());
    let _admin = admin::serve_if_asked(config.server.admin.as_ref(), SERVICE_NAME, registry, readiness).await?;
    let mut tasks = NamedTasks::new();
    tasks.add("tls_reload", tls.spawn_reload(TLS_RELOAD, shutdown.clone()));
    tasks.spawn(
        "releases",
        releases.follow(config.follow, server.health(), shutdown.clone()),
    );
    let served = server.serve(listener, shutdown).await;
    tasks.join_within(TASKS_DEADLINE).await;
    Ok(served?)
}

/// Why the service could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum QuerySvcError {
    /// Our certificate, or whom we trust.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The storage gateway.
    #[error("storage: {0}")]
    Storage(#[from] ConnectError),
    /// The query engine could not be set up.
    #[error("query engine: {0}")]
    Engine(#[from] DataFusionError),
    /// The port for those who run the service.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The server.
    #[error(transparent)]
    Serve(#[from] ServeError),
}
