//! The pusher's life: started, cycle after cycle, ended.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use object_gateway::{ConnectError, GatewayStore};
use service_kit::{
    Identity,
    tls::{TlsError, TlsMaterial},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Options,
    cycle::CycleReport,
    lease::{Holder, Lease},
    scan::{Settling, Stamp},
    state::{STATE_FILE, State},
    upload::Uploader,
};

/// How often renewed TLS files are looked for.
const TLS_RELOAD: Duration = Duration::from_secs(60);

/// Between two cycles while the gateway is away, at first and at most.
const FAILURE_DELAYS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5 * 60));

/// How long the lease's release may take at the end.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// How many times the settling time a single run waits for files that the agent is writing.
const PATIENCE: u32 = 6;

/// Uploads a cluster's ETL files.
#[derive(Debug)]
pub struct Pusher {
    pub(crate) options: Options,
    pub(crate) cluster: String,
    tls: Arc<TlsMaterial>,
    state_path: PathBuf,
    pub(crate) state: State,
    /// That the state cannot be saved was said.
    told_unsaved: bool,
    pub(crate) settling: Settling,
    /// What was said of which file, so that it is said once.
    pub(crate) told: HashMap<String, Stamp>,
    /// Sizes in the bucket by path, asked for once, when the state does not know a file.
    pub(crate) listing: Option<HashMap<String, u64>>,
    pub(crate) uploader: Uploader,
    pub(crate) lease: Lease,
}

impl Pusher {
    /// Reads certificate and state. The gateway is called later. `host` is what others are told of us; it may be
    /// anything that helps to find this pusher, such as the pod's name. Blocks.
    ///
    /// # Errors
    /// When the certificate or the address cannot be used, or the certificate is not that of the cluster.
    ///
    /// # Panics
    /// When called outside a tokio runtime.
    pub fn new(options: Options, host: String) -> Result<Self, PushError> {
        let tls = TlsMaterial::load(options.tls.clone())?;
        let identity = tls.identity();
        let Some(cluster) = identity.cluster_id().map(str::to_owned) else {
            return Err(PushError::NotACluster(identity));
        };
        if let Some(wanted) = options.cluster.clone().filter(|wanted| *wanted != cluster) {
            return Err(PushError::OtherCluster { wanted, identity });
        }
        let store = GatewayStore::connect(&options.gateway, identity.trust_domain().clone(), &tls)?;
        let state_path = options.state.clone();
        let state_path = state_path.unwrap_or_else(|| options.directory.join(STATE_FILE));
        let state = State::load(&state_path, &cluster, &options.gateway.address);
        let lease = Lease::new(store.clone(), &cluster, state.instance, host, options.lease);
        Ok(Self {
            uploader: Uploader::new(store, options.limits),
            options,
            cluster,
            tls,
            state_path,
            state,
            told_unsaved: false,
            settling: Settling::default(),
            told: HashMap::new(),
            listing: None,
            lease,
        })
    }

    /// The cluster's id.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Pushes until `shutdown`. What fails is logged and tried again.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let reloading = CancellationToken::new();
        let _reloads_until_the_end = reloading.clone().drop_guard();
        let _reload = self.tls.spawn_reload(TLS_RELOAD, reloading);
        let mut delays = failure_delays();
        while !shutdown.is_cancelled() {
            let report = self.cycle(&shutdown).await;
            let delay = if report.broken_off.is_some() {
                delays.next().unwrap_or(FAILURE_DELAYS.1)
            } else {
                delays = failure_delays();
                let settles = (report.unsettled > 0).then_some(self.options.settle);
                settles.map_or(self.options.interval, |settle| settle.min(self.options.interval))
            };
            // No sleep at shutdown.
            let _stopped = shutdown.run_until_cancelled(tokio::time::sleep(delay)).await;
        }
        self.end().await;
    }

    /// Pushes what is there, waiting for files that are being written, and ends.
    ///
    /// # Errors
    /// When something of the folder is not in the bucket at the end.
    pub async fn once(mut self, shutdown: CancellationToken) -> Result<CycleReport, PushError> {
        let begun = Instant::now();
        let mut total = CycleReport::default();
        let last = loop {
            let report = self.cycle(&shutdown).await;
            total.add(&report);
            let patient = begun.elapsed() < self.options.settle * PATIENCE;
            let worth_waiting = report.unsettled > 0 && report.broken_off.is_none() && report.other.is_none();
            if !(worth_waiting && patient) || shutdown.is_cancelled() {
                break report;
            }
            let _stopped = shutdown
                .run_until_cancelled(tokio::time::sleep(self.options.settle))
                .await;
        };
        self.end().await;
        let report = CycleReport {
            uploaded: total.uploaded,
            bytes: total.bytes,
            present: total.present,
            ..last
        };
        if let Some(holder) = report.other {
            return Err(PushError::AnotherPusher {
                cluster: self.cluster,
                holder,
            });
        }
        if let Some(reason) = report.broken_off {
            return Err(PushError::BrokenOff {
                reason,
                uploaded: report.uploaded,
            });
        }
        if !report.is_complete() {
            return Err(PushError::Incomplete(Box::new(report)));
        }
        Ok(report)
    }

    async fn end(&mut self) {
        self.save().await;
        if timeout(RELEASE_LIMIT, self.lease.release()).await.is_err() {
            tracing::debug!("the lease was not released in time and will lapse");
        }
    }

    /// Notes what was uploaded. That it cannot be noted is said once: it costs work after a restart, nothing else.
    pub(crate) async fn save(&mut self) {
        let (state, path) = (self.state.clone(), self.state_path.clone());
        match tokio::task::spawn_blocking(move || state.save(&path)).await {
            Ok(Ok(())) => self.told_unsaved = false,
            Ok(Err(error)) => {
                if !std::mem::replace(&mut self.told_unsaved, true) {
                    tracing::warn!(%error, "the state is not kept; give a writable place with --state");
                }
            }
            Err(error) => tracing::warn!(%error, "the state is not kept"),
        }
    }
}

fn failure_delays() -> ExponentialBackoff {
    let (first, most) = FAILURE_DELAYS;
    ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(most)
        .with_jitter()
        .without_max_times()
        .build()
}

/// Why there is no pusher, or a single run left something undone.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The certificate's files.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The gateway's address.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A certificate of a service.
    #[error("the certificate is that of {0}; to push takes a cluster's, spiffe://<trust domain>/cluster/<cluster id>")]
    NotACluster(Identity),
    /// A certificate of another cluster.
    #[error("the certificate is that of {identity}, not of the cluster {wanted:?}")]
    OtherCluster {
        /// The id that was asked for.
        wanted: String,
        /// Whose certificate it is.
        identity: Identity,
    },
    /// Another pusher holds the lease.
    #[error(
        "another pusher claims the cluster id {cluster:?}: {holder}; if it is another cluster, give one of them a \
         certificate of its own"
    )]
    AnotherPusher {
        /// The id.
        cluster: String,
        /// The other.
        holder: Holder,
    },
    /// The gateway is away, or lets us do nothing.
    #[error("{reason} ({uploaded} files were uploaded before)")]
    BrokenOff {
        /// What went wrong.
        reason: String,
        /// Files that are in the bucket nevertheless.
        uploaded: usize,
    },
    /// Some files are not in the bucket.
    #[error(
        "{} files were uploaded, but {} are damaged, {} failed and {} were still being written; see the log",
        _0.uploaded, _0.damaged, _0.failed, _0.unsettled
    )]
    Incomplete(Box<CycleReport>),
}

impl PushError {
    /// Whether the caller asked for something that cannot be, rather than that something went wrong.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Tls(_) | Self::Connect(_) | Self::NotACluster(_) | Self::OtherCluster { .. } => true,
            Self::AnotherPusher { .. } | Self::BrokenOff { .. } | Self::Incomplete(_) => false,
        }
    }
}
