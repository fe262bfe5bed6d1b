//! Starts the service with certificates of a development authority.

use std::{path::Path, sync::Arc, time::Duration};

use fedcost_proto::storage::v1::{
    PutCommit, PutHeader, PutRequest, put_request::Part, storage_service_client::StorageServiceClient,
};
use object_gateway::GatewayStore;
use prometheus_client::{encoding::text, registry::Registry};
use service_kit::client::Channel;
use service_kit::{
    Identity, TrustDomain,
    certs::DevelopmentCa,
    client::{Endpoint, EndpointConfig},
    config::CommonConfig,
    metrics::ServerMetrics,
    tls::{TlsFiles, TlsMaterial, install_crypto_provider},
};
use storage_svc::{Config, Limits, Policy, SERVICE_NAME, StorageMetrics, StorageServer, StorageSvcError, StoreConfig};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// The service that may do everything, in tests that are not about who may do what.
pub(super) const TESTER: &str = "tester";

pub(super) struct Gateway {
    /// Holds certificates and, for a local bucket, the bucket.
    pub(super) directory: tempfile::TempDir,
    pub(super) authority: DevelopmentCa,
    pub(super) address: String,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), StorageSvcError>>,
}

impl Gateway {
    /// A gateway to a fresh local folder.
    pub(super) async fn local() -> Self {
        let directory = directory();
        let store = StoreConfig::directory(directory.path().join("bucket"));
        Self::start(directory, store, Limits::default()).await
    }

    pub(super) async fn to(store: StoreConfig) -> Self {
        Self::start(directory(), store, Limits::default()).await
    }

    pub(super) async fn start(directory: tempfile::TempDir, store: StoreConfig, limits: Limits) -> Self {
        Self::start_with_list(directory, store, limits, |_| None).await
    }

    /// A gateway that refuses the certificates of a revocation list, which is made in the authority's folder.
    pub(super) async fn start_with_list(
        directory: tempfile::TempDir,
        store: StoreConfig,
        limits: Limits,
        revoke: impl FnOnce(&DevelopmentCa) -> Option<std::path::PathBuf>,
    ) -> Self {
        install_crypto_provider();
        let authority = DevelopmentCa::open_or_create(&directory.path().join("certs"), TrustDomain::default()).unwrap();
        let mut tls = authority.issue_service(SERVICE_NAME).unwrap();
        tls.crl = revoke(&authority);
        Self::start_with_files(directory, authority, tls, store, limits, |server| server).await
    }

    /// A gateway that counts, and what shows the counts.
    pub(super) async fn counting(store: StoreConfig) -> (Self, Registry) {
        install_crypto_provider();
        let directory = directory();
        let authority = DevelopmentCa::open_or_create(&directory.path().join("certs"), TrustDomain::default()).unwrap();
        let tls = authority.issue_service(SERVICE_NAME).unwrap();
        let mut registry = Registry::default();
        let (ours, servers) = (
            StorageMetrics::register(&mut registry),
            ServerMetrics::register(&mut registry),
        );
        let count = |server: StorageServer| server.with_metrics(ours, servers);
        let gateway = Self::start_with_files(directory, authority, tls, store, Limits::default(), count).await;
        (gateway, registry)
    }

    /// A gateway with these TLS files, and whatever else is set.
    pub(super) async fn start_with_files(
        directory: tempfile::TempDir,
        authority: DevelopmentCa,
        tls: TlsFiles,
        store: StoreConfig,
        limits: Limits,
        configure: impl FnOnce(StorageServer) -> StorageServer,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let server = CommonConfig::new(listen, tls);
        let tester = Identity::service(TrustDomain::default(), TESTER).unwrap();
        let service = StorageServer::new(Config { server, store, limits }).with_policy(Policy::allow_all_for(tester));
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(configure(service).serve(listener, shutdown.clone()));
        Self {
            directory,
            authority,
            address: format!("https://{listen}"),
            shutdown,
            served,
        }
    }

    pub(super) fn bucket(&self) -> std::path::PathBuf {
        self.directory.path().join("bucket")
    }

    /// Every file of a local bucket, hidden ones included.
    pub(super) fn files(&self) -> Vec<String> {
        files_below(&self.bucket(), &self.bucket())
    }

    fn channel(&self, files: TlsFiles) -> Channel {
        channel_to(&self.address, &TlsMaterial::load(files).unwrap())
    }

    pub(super) fn service(&self, name: &str) -> Channel {
        self.channel(self.authority.issue_service(name).unwrap())
    }

    pub(super) fn cluster(&self, id: &str) -> Channel {
        self.channel(self.authority.issue_cluster(id).unwrap())
    }

    pub(super) fn store(&self) -> GatewayStore {
        GatewayStore::new(self.service(TESTER))
    }

    /// As `store`, over a connection of its own to this address, which leads to the gateway.
    pub(super) fn store_through(&self, address: &str) -> GatewayStore {
        let files = self.authority.issue_service(TESTER).unwrap();
        GatewayStore::new(channel_to(address, &TlsMaterial::load(files).unwrap()))
    }

    pub(super) fn client(&self) -> StorageServiceClient<Channel> {
        StorageServiceClient::new(self.service(TESTER))
    }

    pub(super) async fn is_serving(&self) -> bool {
        let request = HealthCheckRequest {
            service: "fedcost.storage.v1.StorageService".to_owned(),
        };
        let answer = HealthClient::new(self.service(TESTER)).check(request).await.unwrap();
        answer.into_inner().status() == ServingStatus::Serving
    }

    pub(super) async fn wait_until_serving(&self) {
        eventually("the gateway serves", async || self.is_serving().await).await;
    }

    /// Why the service could not start.
    pub(super) async fn failure(self) -> String {
        self.served.await.unwrap().unwrap_err().to_string()
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        self.served.await.unwrap().unwrap();
    }
}

/// A channel to the gateway at this address.
pub(super) fn channel_to(address: &str, tls: &Arc<TlsMaterial>) -> Channel {
    let expected = Identity::service(TrustDomain::default(), SERVICE_NAME).unwrap();
    Endpoint::new(&EndpointConfig::new(address), expected)
        .unwrap()
        .channel(tls)
}

pub(super) fn directory() -> tempfile::TempDir {
    // Below the build's folder, because a file system in memory, as /tmp may be, may store no attributes.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn files_below(root: &Path, folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(root, &path));
        } else {
            files.push(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
    files.sort();
    files
}

/// The counts as a scraper reads them.
pub(super) fn counts(registry: &Registry) -> String {
    let mut shown = String::new();
    text::encode(&mut shown, registry).unwrap();
    shown
}

/// Waits for something that another task brings about.
pub(super) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("after ten seconds it still does not hold that {what}");
}

pub(super) fn header(path: &str) -> PutRequest {
    part(Part::Header(PutHeader {
        path: path.to_owned(),
        ..Default::default()
    }))
}

pub(super) fn data(bytes: impl Into<bytes::Bytes>) -> PutRequest {
    part(Part::Data(bytes.into()))
}

pub(super) fn commit(size: u64) -> PutRequest {
    part(Part::Commit(PutCommit { size }))
}

pub(super) fn part(part: Part) -> PutRequest {
    PutRequest { part: Some(part) }
}

/// The reason in an answer's ErrorInfo.
pub(super) fn reason(status: &Status) -> String {
    use tonic_types::StatusExt;
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// The field that an answer's BadRequest names.
pub(super) fn field(status: &Status) -> String {
    use tonic_types::StatusExt;
    let details = status
        .get_details_bad_request()
        .unwrap_or_else(|| panic!("no BadRequest in {status:?}"));
    details.field_violations[0].field.clone()
}
