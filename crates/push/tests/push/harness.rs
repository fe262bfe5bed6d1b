//! A gateway that can be stopped and started again, an agent's folder, and pushers between them.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use bingen::{Allocation, AllocationSet};
use object_gateway::GatewayStore;
use push::{Options, PushError, Pusher};
use service_kit::{
    TrustDomain,
    certs::DevelopmentCa,
    client::EndpointConfig,
    config::CommonConfig,
    tls::{TlsFiles, TlsMaterial, install_crypto_provider},
};
use storage_svc::{Config, Limits, SERVICE_NAME, StorageServer, StorageSvcError, StoreConfig};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// How long files must be left alone in these tests.
pub(super) const SETTLE: Duration = Duration::from_millis(100);

/// A file of one allocation, told apart by its name.
pub(super) fn set(name: &str) -> Vec<u8> {
    let mut set = AllocationSet::default();
    set.allocations.insert(name.to_owned(), Allocation::default());
    set.encode().unwrap()
}

/// The file of the `day`-th day since 1970.
pub(super) fn day(day: u64) -> String {
    format!("allocations/1d/{}-{}", day * 86_400, (day + 1) * 86_400)
}

pub(super) struct World {
    /// Certificates, the bucket, the agent's folder and its state.
    pub(super) directory: TempDir,
    pub(super) authority: DevelopmentCa,
    pub(super) address: SocketAddr,
    store: StoreConfig,
    running: Option<Running>,
}

struct Running {
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), StorageSvcError>>,
}

impl World {
    pub(super) async fn new() -> Self {
        // Below the build's folder, because a file system in memory, as /tmp may be, may store no attributes.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = StoreConfig::directory(bucket_in(&directory));
        Self::start(directory, store).await
    }

    /// With another bucket than a local folder.
    pub(super) async fn over(store: StoreConfig) -> Self {
        Self::start(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(), store).await
    }

    async fn start(directory: TempDir, store: StoreConfig) -> Self {
        install_crypto_provider();
        let authority = DevelopmentCa::open_or_create(&directory.path().join("certs"), TrustDomain::default()).unwrap();
        fs::create_dir(directory.path().join("etl")).unwrap();
        let mut world = Self {
            directory,
            authority,
            address: "127.0.0.1:0".parse().unwrap(),
            store,
            running: None,
        };
        world.start_gateway().await;
        world
    }

    pub(super) async fn start_gateway(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let config = Config {
            server: CommonConfig::new(self.address, self.authority.issue_service(SERVICE_NAME).unwrap()),
            store: self.store.clone(),
            limits: Limits::default(),
        };
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(StorageServer::new(config).serve(listener, shutdown.clone()));
        self.running = Some(Running { shutdown, served });
    }

    pub(super) async fn stop_gateway(&mut self) {
        let Running { shutdown, served } = self.running.take().unwrap();
        shutdown.cancel();
        served.await.unwrap().unwrap();
    }

    /// A local bucket.
    pub(super) fn bucket(&self) -> PathBuf {
        bucket_in(&self.directory)
    }

    /// Any bucket, as ingest reads it.
    pub(super) fn read(&self) -> GatewayStore {
        let files = self.authority.issue_service("ingest-svc").unwrap();
        let gateway = EndpointConfig::new(format!("https://{}", self.address));
        GatewayStore::connect(&gateway, TrustDomain::default(), &TlsMaterial::load(files).unwrap()).unwrap()
    }

    /// Where the agent puts the file.
    pub(super) fn local(&self, key: &str) -> PathBuf {
        self.directory.path().join("etl").join(key)
    }

    /// As the agent writes: in place.
    pub(super) fn write(&self, key: &str, content: impl AsRef<[u8]>) {
        let path = self.local(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(super) fn options(&self, tls: TlsFiles) -> Options {
        let gateway = EndpointConfig::new(format!("https://{}", self.address));
        Options {
            state: Some(self.directory.path().join("state.json")),
            settle: SETTLE,
            interval: Duration::from_millis(200),
            ..Options::new(self.directory.path().join("etl"), gateway, tls)
        }
    }

    pub(super) fn of_cluster(&self, id: &str) -> Options {
        self.options(self.authority.issue_cluster(id).unwrap())
    }

    pub(super) async fn once(&self, options: Options) -> Result<push::CycleReport, PushError> {
        pusher(options, "host").once(CancellationToken::new()).await
    }

    /// Content by path below a cluster's `etl/bingen/`.
    pub(super) fn pushed(&self, cluster: &str) -> BTreeMap<String, Vec<u8>> {
        let root = self.bucket().join("federated").join(cluster).join("etl/bingen");
        let mut files = BTreeMap::new();
        collect(&root, &root, &mut files);
        files
    }
}

fn bucket_in(directory: &TempDir) -> PathBuf {
    directory.path().join("bucket")
}

pub(super) fn pusher(options: Options, host: &str) -> Pusher {
    Pusher::new(options, host.to_owned()).unwrap()
}

/// A pusher that runs until it is told to stop.
pub(super) struct RunningPusher {
    shutdown: CancellationToken,
    ran: JoinHandle<()>,
}

impl RunningPusher {
    pub(super) fn start(options: Options) -> Self {
        let shutdown = CancellationToken::new();
        let ran = tokio::spawn(pusher(options, "running").run(shutdown.clone()));
        Self { shutdown, ran }
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(20), self.ran).await;
        ended.expect("a pusher ends when it is told to").unwrap();
    }

    /// As a machine does that loses its power.
    pub(super) async fn crash(self) {
        self.ran.abort();
        assert!(self.ran.await.unwrap_err().is_cancelled());
    }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if !path.to_string_lossy().contains("/.fedcost-pending-") {
            let key = path.strip_prefix(root).unwrap().display().to_string();
            // Files of writes under way come and go.
            if let Ok(content) = fs::read(&path) {
                files.insert(key, content);
            }
        }
    }
}

/// Waits for something that another task brings about.
pub(super) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("after twenty seconds it still does not hold that {what}");
}
