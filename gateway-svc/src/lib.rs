//! The edge: answers the HTTP API that clients of OpenCost and Kubecost know, asking the other services over gRPC
//! with mutual TLS. It knows parameters and JSON; what costs are is query-svc's matter.

pub mod access;
mod api;
pub mod config;
mod error;
mod face;
mod http_server;
mod json_file;
mod metrics;
mod parameters;
mod upstream;
mod views;

use std::{error::Error, sync::Arc, time::Duration};

use cost_answer::RecordBatch;
use cost_model::Calendar;
use prometheus_client::registry::Registry;
use service_kit::{
    admin::{self, AdminError},
    metrics::CertificateMetrics,
    shutdown::NamedTasks,
    tls::{TlsError, TlsMaterial},
};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

pub use self::{
    access::AccessConfig,
    config::{Config, Limits},
    metrics::GatewayMetrics,
};
use self::{
    access::{Access, AccessError, Caller},
    upstream::Upstream,
    views::Views,
};

/// What logs and metrics call the service, and the name in its certificate.
pub const SERVICE_NAME: &str = "gateway-svc";

/// How often renewed TLS files are looked for.
const TLS_RELOAD: Duration = Duration::from_secs(60);

/// How long the background tasks may take to end.
const TASKS_DEADLINE: Duration = Duration::from_secs(2);

/// Serves HTTP until `shutdown`.
///
/// The other services need not be there: `/readyz` says so, and questions are answered as soon as they are.
///
/// # Errors
/// When the listener or the TLS files cannot be used.
pub async fn serve(config: Config, listener: TcpListener, shutdown: CancellationToken) -> Result<(), GatewaySvcError> {
    GatewayServer::new(config).serve(listener, shutdown).await
}

/// The service, with what a file cannot say.
#[derive(Debug)]
pub struct GatewayServer {
    config: Config,
    metrics: GatewayMetrics,
    registry: Arc<Registry>,
}

impl GatewayServer {
    /// The service as its file says, with a registry of its own.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (registry, metrics) = service_kit::metrics::registry(|registry| {
            GatewayMetrics::register(registry).with_certificates(CertificateMetrics::register(registry))
        });
        Self {
            config,
            metrics,
            registry: Arc::new(registry),
        }
    }

    /// Counts into these handles, and shows this registry under `/metrics`.
    #[must_use]
    pub fn with_metrics(mut self, metrics: GatewayMetrics, registry: Arc<Registry>) -> Self {
        self.metrics = metrics;
        self.registry = registry;
        self
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// As [`serve`].
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), GatewaySvcError> {
        let Self {
            config,
            metrics,
            registry,
        } = self;
        let address = listener.local_addr().map_err(GatewaySvcError::Listener)?;
        let tls = TlsMaterial::load(config.server.tls)?;
        let (shown, certificates) = (Arc::clone(&tls), metrics.certificates());
        let access = Access::new(config.access)?;
        let gateway = Gateway {
            upstream: Upstream::new(config.query.channel(&tls), config.ingest.channel(&tls)),
            calendar: config.calendar,
            currency: config.currency.into(),
            limits: Arc::new(config.limits),
            metrics,
            registry,
            views: Arc::new(Views::new(config.views)),
            access: Arc::new(access),
            caller: Arc::new(Caller::nobody()),
            shutdown: shutdown.clone(),
        };
        let readiness = Arc::new(api::status::WhetherReady(gateway.clone()));
        let registry = Some(Arc::clone(&gateway.registry));
        let _admin = admin::serve_if_asked(config.server.admin.as_ref(), SERVICE_NAME, registry, readiness).await?;
        let mut tasks = NamedTasks::new();
        let ended = shutdown.clone();
        tasks.spawn("certificate", async move {
            ended
                .run_until_cancelled(certificates.follow(SERVICE_NAME, &shown))
                .await;
        });
        tasks.add("tls_reload", tls.spawn_reload(TLS_RELOAD, shutdown.clone()));
        tracing::info!(server = SERVICE_NAME, %address, "listening");
        let limits = Arc::clone(&gateway.limits);
        http_server::serve(listener, http_server::router(gateway), &limits, &shutdown).await;
        tasks.join_within(TASKS_DEADLINE).await;
        Ok(())
    }
}

/// True when the web page was built before this program, and is served at `/`.
#[must_use]
pub fn has_web_page() -> bool {
    api::web_page::is_built()
}

/// Why the service ends other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum GatewaySvcError {
    /// The listener has no address, so it is no longer open.
    #[error("the listener cannot be used: {0}")]
    Listener(#[source] std::io::Error),
    /// The TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The port for those who run the service.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Who may see what cannot be told.
    #[error(transparent)]
    Access(#[from] AccessError),
}

/// Allocations as the JSON of one set, for whoever measures how fast they are written.
///
/// # Errors
/// When the columns are not those of allocations, all of set 0.
pub fn write_allocations(batch: &RecordBatch) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    Ok(api::write_allocations(batch)?)
}

/// What handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Gateway {
    upstream: Upstream,
    calendar: Calendar,
    /// What costs are in, such as `USD`.
    currency: Arc<str>,
    limits: Arc<Limits>,
    metrics: GatewayMetrics,
    registry: Arc<Registry>,
    views: Arc<Views>,
    access: Arc<Access>,
    /// Who asks; nobody until a request is let in.
    caller: Arc<Caller>,
    shutdown: CancellationToken,
}

impl Gateway {
    /// When a request that begins now must have been answered.
    fn deadline(&self) -> Instant {
        Instant::now() + self.limits.request_timeout
    }
}
