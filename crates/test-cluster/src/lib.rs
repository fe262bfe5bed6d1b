//! The real services on free ports, over mutual TLS with certificates of their own, for tests.
//!
//! ```no_run
//! # async fn run() -> Result<(), test_cluster::TestClusterError> {
//! let cluster = test_cluster::TestCluster::start(test_cluster::TestOptions::new("tests/golden/bucket")).await?;
//! cluster.refresh_and_wait().await?;
//! println!("{}/allocation?window=7d", cluster.base_url());
//! # Ok(())
//! # }
//! ```

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fedcost::{Addresses, AllInOne, Options, StartError, certificates::Certificates};
use fedcost_proto::{
    ingest::v1::{RefreshRequest, Status as IngestStatus, ingest_service_client::IngestServiceClient},
    query::v1::query_service_client::QueryServiceClient,
};
use gateway_svc::AccessConfig;
use ingest_svc::{cycle::Retention, steps::Steps};
use query_svc::config::LimitsConfig;
use service_kit::client::Channel;
use service_kit::{
    certs::CertificateError,
    client,
    tls::{self, TlsError, TlsFiles, TlsMaterial},
};
use storage_svc::StoreConfig;
use tempfile::TempDir;
use tokio::{net::TcpListener, time::timeout};

/// What a test wants of its services.
#[derive(Clone, Debug)]
pub struct TestOptions {
    /// The local folder that stands in for the bucket. The lake is written into it.
    pub bucket: PathBuf,
    /// Which windows are kept; all by default.
    pub retention: Retention,
    /// From the start of one cycle to the start of the next; an hour by default, so that cycles come on request.
    pub refresh: Duration,
    /// How often query looks for a newer release.
    pub follow: Duration,
    /// What questions may use up.
    pub query_limits: LimitsConfig,
    /// Who may see what; everybody everything by default.
    pub access: Option<AccessConfig>,
    /// How long a release may take to be ingested and served.
    pub patience: Duration,
    /// Who is told of each step of a cycle.
    pub steps: Steps,
}

impl TestOptions {
    /// A bucket, and defaults for the rest.
    pub fn new(bucket: impl Into<PathBuf>) -> Self {
        Self {
            bucket: bucket.into(),
            retention: Retention::of(0, 0),
            refresh: Duration::from_secs(60 * 60),
            follow: Duration::from_millis(20),
            query_limits: LimitsConfig::default(),
            access: None,
            patience: Duration::from_secs(120),
            steps: Steps::default(),
        }
    }
}

/// Why the services of a test did not do as told.
#[derive(Debug, thiserror::Error)]
pub enum TestClusterError {
    /// No temporary folder or no port.
    #[error("cannot prepare the test: {0}")]
    Prepare(#[from] io::Error),
    /// The services could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A certificate for a client could not be issued.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// A certificate for a client could not be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Ingest did not answer.
    #[error("ingest-svc: {}", client::reason(.0))]
    Call(Box<tonic::Status>),
    /// The cycle ended without a release.
    #[error("the cycle failed: {0}")]
    Cycle(String),
    /// Nothing came of it in time.
    #[error("{what} did not come within {patience:?}")]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        patience: Duration,
    },
}

/// The four services in this process. Dropping it ends them.
pub struct TestCluster {
    services: AllInOne,
    patience: Duration,
    folder: TempDir,
}

impl TestCluster {
    /// Starts the services. The first cycle begins at once; see [`refresh_and_wait`](Self::refresh_and_wait).
    ///
    /// # Errors
    /// A [`TestClusterError`].
    pub async fn start(options: TestOptions) -> Result<Self, TestClusterError> {
        tls::install_crypto_provider();
        let folder = tempfile::tempdir()?;
        let http = TcpListener::bind("127.0.0.1:0").await?;
        let mut wanted = Options::new(folder.path().join("certs"), StoreConfig::directory(options.bucket));
        wanted.ingest.retention = options.retention;
        wanted.ingest.refresh = options.refresh;
        wanted.ingest.steps = options.steps;
        wanted.follow = options.follow;
        wanted.query_limits = options.query_limits;
        wanted.access = options.access;
        wanted.views = Some(folder.path().join("views"));
        Ok(Self {
            services: AllInOne::start(wanted, http).await?,
            patience: options.patience,
            folder,
        })
    }

    /// Where HTTP is served, such as `http://127.0.0.1:40123`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addresses().gateway)
    }

    /// Where each service listens.
    pub fn addresses(&self) -> Addresses {
        self.services.addresses()
    }

    /// A folder for the test's own use, removed with the cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The authority of the services' certificates.
    pub fn certificates(&self) -> &Certificates {
        self.services.certificates()
    }

    /// TLS files of the service `name`, which need not exist.
    ///
    /// # Errors
    /// When `name` cannot be a service's, or the files cannot be written.
    pub fn service_files(&self, name: &str) -> Result<TlsFiles, TestClusterError> {
        Ok(self.certificates().authority()?.issue_service(name)?)
    }

    /// TLS files of the federated cluster `id`.
    ///
    /// # Errors
    /// When `id` cannot be a cluster's, or the files cannot be written.
    pub fn cluster_files(&self, id: &str) -> Result<TlsFiles, TestClusterError> {
        Ok(self.certificates().authority()?.issue_cluster(id)?)
    }

    /// A channel to the storage gateway for whoever shows `files`.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn storage_channel(&self, files: TlsFiles) -> Result<Channel, TestClusterError> {
        let material: Arc<TlsMaterial> = TlsMaterial::load(files)?;
        Ok(self.services.storage_channel(&material))
    }

    /// A client of ingest.
    pub fn ingest(&self) -> IngestServiceClient<Channel> {
        self.services.ingest()
    }

    /// A client of query.
    pub fn query(&self) -> QueryServiceClient<Channel> {
        self.services.query()
    }

    /// Runs a cycle that sees all that is in the bucket now, waits until query serves what it published, and returns
    /// what ingest says of the cycle.
    ///
    /// # Errors
    /// When the cycle fails, or takes longer than the options allow.
    pub async fn refresh_and_wait(&self) -> Result<IngestStatus, TestClusterError> {
        let patience = self.patience;
        let late = |what| move |_| TestClusterError::TimedOut { what, patience };
        let status = timeout(patience, self.refresh()).await.map_err(late("the cycle"))??;
        let number = status.release.as_ref().map_or(0, |release| release.number);
        let serving = timeout(patience, self.services.release(number));
        serving.await.map_err(late("the release"))?;
        Ok(status)
    }

    async fn refresh(&self) -> Result<IngestStatus, TestClusterError> {
        let mut ingest = self.ingest();
        loop {
            let response = ingest
                .refresh(RefreshRequest { wait: true })
                .await
                .map_err(|status| TestClusterError::Call(Box::new(status)))?
                .into_inner();
            // A cycle that was running already may have listed the bucket before the test changed it.
            if !response.started {
                continue;
            }
            let status = response.status.unwrap_or_default();
            return match status.last_error.as_str() {
                "" => Ok(status),
                error => Err(TestClusterError::Cycle(error.to_owned())),
            };
        }
    }

    /// Stops the services in order, and waits until they have.
    pub async fn stop(self) {
        self.services.stop().await;
    }
}
