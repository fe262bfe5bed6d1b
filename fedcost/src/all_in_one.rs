//! The four services in one process: started, wired with the ports they were given, and stopped in order.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use fedcost_proto::{
    ingest::v1::ingest_service_client::IngestServiceClient,
    query::v1::{GetReleaseRequest, query_service_client::QueryServiceClient},
};
use futures::future::select_all;
use gateway_svc::{AccessConfig, GatewayMetrics, GatewayServer, GatewaySvcError};
use ingest_svc::{IngestMetrics, IngestSvcError, cycle::Settings};
use query_svc::{QueryMetrics, QuerySvcError};
use service_kit::client::Channel;
use service_kit::{
    Identity, MAX_MESSAGE_BYTES, TrustDomain,
    certs::CertificateError,
    client::{Endpoint, EndpointConfig, EndpointError},
    config::{CommonConfig, ConfigError},
    identity::IdentityError,
    metrics::ServerMetrics,
    tls::{TlsError, TlsFiles, TlsMaterial},
};
use storage_svc::{StorageMetrics, StorageServer, StorageSvcError, StoreConfig};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::AbortOnDropHandle,
};
use tracing::warn;

use crate::certificates::Certificates;

/// The internal services take a free port of the loopback interface.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How often renewed TLS files are looked for by our own clients.
const TLS_RELOAD: Duration = Duration::from_secs(60);

/// How often query is asked for its release by who waits for it.
const RELEASE_POLL: Duration = Duration::from_millis(50);

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the development authority; created when it is missing.
    pub certificates: PathBuf,
    /// The bucket.
    pub store: StoreConfig,
    /// How ingest behaves.
    pub ingest: Settings,
    /// How often query looks for a newer release.
    pub follow: Duration,
    /// MiB of memory that queries may use together.
    pub query_memory_mib: u64,
    /// MiB of tables that query keeps in memory.
    pub query_warm_mib: u64,
    /// What questions may use up.
    pub query_limits: query_svc::config::LimitsConfig,
    /// Folder for views of the web page that people save; without it none are kept.
    pub views: Option<PathBuf>,
    /// Who may see what; without it everybody everything, if nobody but this machine can ask.
    pub access: Option<AccessConfig>,
    /// How long all services together may take to stop.
    pub stop_within: Duration,
}

impl Options {
    /// A bucket, the folder of its authority, and defaults for the rest.
    pub fn new(certificates: PathBuf, store: StoreConfig) -> Self {
        Self {
            certificates,
            store,
            ingest: Settings {
                refresh: ingest_svc::config::DEFAULT_REFRESH,
                retention: ingest_svc::cycle::Retention::of(
                    ingest_svc::config::DEFAULT_RETENTION_DAYS,
                    ingest_svc::config::DEFAULT_RETENTION_HOURS,
                ),
                memory_bytes: ingest_svc::config::DEFAULT_MEMORY_MIB << 20,
                keep_releases: ingest_svc::config::DEFAULT_KEEP_RELEASES,
                lease: ingest_svc::config::DEFAULT_LEASE,
                steps: ingest_svc::steps::Steps::default(),
            },
            // On loopback a look costs nothing, and a person waits for the first release.
            follow: Duration::from_millis(250),
            query_memory_mib: query_svc::config::DEFAULT_MEMORY_MIB,
            query_warm_mib: query_svc::config::DEFAULT_WARM_MIB,
            query_limits: query_svc::config::LimitsConfig::default(),
            views: None,
            access: None,
            stop_within: Duration::from_secs(1),
        }
    }
}

/// Where the services listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// `storage-svc`, gRPC.
    pub storage: SocketAddr,
    /// `ingest-svc`, gRPC.
    pub ingest: SocketAddr,
    /// `query-svc`, gRPC.
    pub query: SocketAddr,
    /// `gateway-svc`, HTTP.
    pub gateway: SocketAddr,
}

/// Why the services could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No port for an internal service.
    #[error("cannot listen on {LOOPBACK}: {0}")]
    Listen(#[source] io::Error),
    /// The development authority.
    #[error("certificates: {0}")]
    Certificates(#[from] CertificateError),
    /// Our own TLS files.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The name of a service.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The address of a service.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// What the gateway was to be told.
    #[error(transparent)]
    Gateway(#[from] ConfigError),
}

/// Why a service ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The storage gateway failed.
    #[error("storage-svc: {0}")]
    Storage(#[from] StorageSvcError),
    /// Ingest failed.
    #[error("ingest-svc: {0}")]
    Ingest(#[from] IngestSvcError),
    /// Query failed.
    #[error("query-svc: {0}")]
    Query(#[from] QuerySvcError),
    /// The gateway failed.
    #[error("gateway-svc: {0}")]
    Gateway(#[from] GatewaySvcError),
    /// A service panicked.
    #[error("{service}: {source}")]
    Panicked {
        /// The service.
        service: &'static str,
        /// What tokio knows of it.
        source: tokio::task::JoinError,
    },
    /// A service ended as if it had been told to.
    #[error("{service} ended without being told to")]
    Ended {
        /// The service.
        service: &'static str,
    },
}

/// A service under way. Dropping it ends it.
struct Running {
    service: &'static str,
    task: AbortOnDropHandle<Result<(), ServiceError>>,
    stop: CancellationToken,
    // The background tasks of a service end by its token alone.
    _stop_when_dropped: DropGuard,
}

impl Running {
    fn spawn<E>(
        service: &'static str,
        stop: CancellationToken,
        serve: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Self
    where
        ServiceError: From<E>,
    {
        let work = async move { serve.await.map_err(ServiceError::from) };
        Self {
            service,
            task: AbortOnDropHandle::new(tokio::spawn(work)),
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        }
    }
}

/// The services, under way until they are stopped or dropped.
pub struct AllInOne {
    // In the order in which they are stopped: who calls before who is called.
    running: Vec<Running>,
    addresses: Addresses,
    certificates: Certificates,
    operator: Arc<TlsMaterial>,
    storage: Endpoint,
    ingest: Endpoint,
    query: Endpoint,
    stop_within: Duration,
    _renewal: AbortOnDropHandle<()>,
    _stop_reload: DropGuard,
}

impl AllInOne {
    /// Starts the services. HTTP is served on `http`, the rest on free ports of the loopback interface.
    ///
    /// They need not be ready when this returns: see [`release`](Self::release).
    ///
    /// # Errors
    /// A [`StartError`]. What a service finds wrong later comes from [`failure`](Self::failure).
    pub async fn start(options: Options, http: TcpListener) -> Result<Self, StartError> {
        let trust_domain = TrustDomain::default();
        let certificates = Certificates::new(options.certificates, trust_domain.clone());
        let files = certificates.issue()?;
        let (storage_listener, ingest_listener, query_listener) = (listen().await?, listen().await?, listen().await?);
        let addresses = Addresses {
            storage: address(&storage_listener)?,
            ingest: address(&ingest_listener)?,
            query: address(&query_listener)?,
            gateway: address(&http)?,
        };
        let [storage, ingest, query] = [addresses.storage, addresses.ingest, addresses.query]
            .map(|address| EndpointConfig::new(format!("https://{address}")));
        let common = |listen, tls: &TlsFiles| CommonConfig::new(listen, tls.clone());
        let mut gateway_config = gateway_svc::Config::new(
            common(addresses.gateway, &files.gateway),
            &query,
            &ingest,
            options.access,
        )?;
        // The others need some of the time too, and nobody balances load over a laptop.
        gateway_config.limits.drain_deadline = options.stop_within / 2;
        gateway_config.views = options.views;
        let operator = TlsMaterial::load(files.operator.clone())?;
        let expect = |config: &EndpointConfig, service| -> Result<Endpoint, StartError> {
            Ok(Endpoint::new(
                config,
                Identity::service(trust_domain.clone(), service)?,
            )?)
        };
        let endpoints = [
            expect(&storage, storage_svc::SERVICE_NAME)?,
            expect(&ingest, ingest_svc::SERVICE_NAME)?,
            expect(&query, query_svc::SERVICE_NAME)?,
        ];

        // One registry shows the numbers of all services; a label tells them apart.
        let (registry, metrics) = service_kit::metrics::registry(|registry| {
            (
                ServerMetrics::register(registry),
                StorageMetrics::register(registry),
                IngestMetrics::register(registry, &options.ingest),
                QueryMetrics::register(registry),
                GatewayMetrics::register(registry),
            )
        });
        let (server_metrics, storage_metrics, ingest_metrics, query_metrics, gateway_metrics) = metrics;
        let gateway_metrics = gateway_metrics.with_certificates(server_metrics.certificates());

        let stop: [CancellationToken; 4] = std::array::from_fn(|_| CancellationToken::new());
        let [stop_gateway, stop_query, stop_ingest, stop_storage] = stop;
        let storage_server = StorageServer::new(storage_svc::Config {
            server: common(addresses.storage, &files.storage),
            store: options.store,
            limits: storage_svc::Limits::default(),
        })
        .with_metrics(storage_metrics, server_metrics.clone());
        let ingest_config = ingest_svc::Config {
            server: common(addresses.ingest, &files.ingest),
            storage: storage.clone(),
            settings: options.ingest,
        };
        let query_config = query_svc::Config {
            server: common(addresses.query, &files.query),
            storage,
            follow: options.follow,
            memory_mib: options.query_memory_mib,
            warm_mib: options.query_warm_mib,
            limits: options.query_limits,
        };
        let gateway_server = GatewayServer::new(gateway_config).with_metrics(gateway_metrics, Arc::new(registry));
        let running = vec![
            Running::spawn(
                gateway_svc::SERVICE_NAME,
                stop_gateway.clone(),
                gateway_server.serve(http, stop_gateway),
            ),
            Running::spawn(
                query_svc::SERVICE_NAME,
                stop_query.clone(),
                query_svc::serve_with_metrics(
                    query_config,
                    query_metrics,
                    server_metrics.clone(),
                    query_listener,
                    stop_query,
                ),
            ),
            Running::spawn(
                ingest_svc::SERVICE_NAME,
                stop_ingest.clone(),
                ingest_svc::serve_with_metrics(
                    ingest_config,
                    ingest_metrics,
                    server_metrics,
                    ingest_listener,
                    stop_ingest,
                ),
            ),
            Running::spawn(
                storage_svc::SERVICE_NAME,
                stop_storage.clone(),
                storage_server.serve(storage_listener, stop_storage),
            ),
        ];

        let stop_reload = CancellationToken::new();
        // The token ends it.
        let _reload = operator.spawn_reload(TLS_RELOAD, stop_reload.clone());
        let [storage, ingest, query] = endpoints;
        Ok(Self {
            running,
            addresses,
            _renewal: AbortOnDropHandle::new(tokio::spawn(certificates.clone().keep_renewed())),
            certificates,
            operator,
            storage,
            ingest,
            query,
            stop_within: options.stop_within,
            _stop_reload: stop_reload.drop_guard(),
        })
    }

    /// Where the services listen.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The authority that the services' certificates come from.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// A channel to `storage-svc` that shows the certificate of `caller`, which the policy must know.
    pub fn storage_channel(&self, caller: &Arc<TlsMaterial>) -> Channel {
        self.storage.channel(caller)
    }

    /// A client of ingest.
    pub fn ingest(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.ingest.channel(&self.operator)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// A client of query.
    pub fn query(&self) -> QueryServiceClient<Channel> {
        QueryServiceClient::new(self.query.channel(&self.operator)).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Waits until query serves a release of this number or a later one, and returns its number.
    ///
    /// It waits for as long as there is none, so run it beside [`failure`](Self::failure) or within a time limit.
    pub fn release(&self, number: u64) -> impl Future<Output = u64> + Send + use<> {
        let mut query = self.query();
        async move {
            loop {
                // Whatever keeps query from answering now may pass; what ends it for good is told by `failure`.
                if let Ok(release) = query.get_release(GetReleaseRequest {}).await
                    && release.get_ref().number >= number
                {
                    return release.get_ref().number;
                }
                sleep(RELEASE_POLL).await;
            }
        }
    }

    /// Waits until a service ends without being told to, and says why it did.
    pub async fn failure(&mut self) -> ServiceError {
        let (ended, index, _) = select_all(self.running.iter_mut().map(|running| &mut running.task)).await;
        // It must not be waited for again.
        let service = self.running.remove(index).service;
        match ended {
            Ok(Ok(())) => ServiceError::Ended { service },
            Ok(Err(error)) => error,
            Err(source) => ServiceError::Panicked { service, source },
        }
    }

    /// Stops the services, callers before called, and cuts those that take longer than allowed.
    pub async fn stop(mut self) {
        let end = Instant::now() + self.stop_within;
        for running in &mut self.running {
            running.stop.cancel();
            if timeout_at(end, &mut running.task).await.is_err() {
                warn!(service = running.service, "did not stop in time and is cut");
            }
        }
    }
}

async fn listen() -> Result<TcpListener, StartError> {
    TcpListener::bind(LOOPBACK).await.map_err(StartError::Listen)
}

fn address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(StartError::Listen)
}
