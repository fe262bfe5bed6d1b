//! `fedcost up`: all services in this process.

mod demo;

use std::{
    convert::Infallible,
    fs::{self, File, TryLockError},
    future::pending,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use fedcost::{AllInOne, Options, ServiceError, StartError};
use fedcost_proto::ingest::v1::{WatchStatusRequest, ingest_service_client::IngestServiceClient};
use gateway_svc::AccessConfig;
use ingest_svc::{
    config::{DEFAULT_RETENTION_DAYS, DEFAULT_RETENTION_HOURS, SHORTEST_REFRESH},
    cycle::Retention,
};
use service_kit::client::Channel;
use service_kit::{
    config::ConfigError,
    process, shutdown,
    telemetry::{self, LogConfig, TelemetryError},
    tls,
};
use storage_svc::{
    ConditionalWrites, StoreConfig,
    config::{StorageConfigError, load_store},
    store::config::{BucketConfig, UnknownKeyPolicy},
};
use tokio::{net::TcpListener, task::JoinError, time::sleep};
use tonic::Status;
use tracing::{info, warn};

use self::demo::FillError;
use super::connection::Services;
use crate::progress::{IngestView, Screen};

const EXAMPLES: &str = "\
Examples:
  fedcost up --demo
      four made-up clusters, at http://127.0.0.1:9090
  fedcost up --bucket /mnt/bucket --retention-days 0
      all that is in a local folder, however old
  fedcost up --store federated-store.yaml --listen 0.0.0.0:9090 --access access.yaml --refresh 5m
      the bucket that OpenCost and Kubecost write to, for those whom roles in a file allow it

`ready http://…` on stdout tells that costs can be asked for; logs are on stderr, and RUST_LOG sets how much of them.
Ctrl-C stops; what was ingested is kept in the bucket, under derived/.";

/// Between two attempts to watch ingest.
const WATCH_RETRY: Duration = Duration::from_millis(200);

/// Run all services in one process
///
/// Ingests what federated clusters write to a bucket, and answers the HTTP API of OpenCost and Kubecost for all of
/// them. The services talk to one another over mutual TLS on free ports of 127.0.0.1, with certificates of a
/// development authority under <DATA>/certs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Folder for certificates and saved views, and for the bucket unless one is given; created when it is missing
    #[arg(long, value_name = "DIR", default_value = ".fedcost")]
    data: PathBuf,
    /// Local folder that is the bucket; created when it is missing [default: <DATA>/bucket]
    #[arg(long, value_name = "DIR", conflicts_with = "store")]
    bucket: Option<PathBuf>,
    /// The federated-store.yaml that names the bucket
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Refuse a federated-store.yaml with unknown keys, where they would be a warning
    #[arg(long, requires = "store")]
    strict: bool,
    /// Who keeps the conditions of writes: `gateway` is for a store that cannot, if nobody else writes to derived/
    #[arg(long, value_name = "WHO", default_value = "store", requires = "store")]
    conditional_writes: ConditionalWrites,
    /// Where to serve HTTP; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// Who may see what: a file as under `access` in the gateway's, or `open` for everybody everything; needed where
    /// others can reach the address [default: open on a loopback address]
    #[arg(long, value_name = "FILE|open", value_parser = parse_access)]
    access: Option<AccessFile>,
    /// How often to look for new files
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_refresh)]
    refresh: Duration,
    /// Days of daily sets to keep, beside 49 hours of hourly ones; 0 keeps everything, hourly sets too
    #[arg(long, value_name = "N", default_value_t = DEFAULT_RETENTION_DAYS)]
    retention_days: u32,
    /// Fill the bucket with made-up clusters that end now, unless it has clusters already
    #[arg(long, conflicts_with = "store")]
    demo: bool,
}

/// Where it stands who may see what.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AccessFile {
    Open,
    File(PathBuf),
}

fn parse_access(text: &str) -> Result<AccessFile, Infallible> {
    Ok(match text {
        "open" => AccessFile::Open,
        file => AccessFile::File(file.into()),
    })
}

/// Who may see what, of services that listen here.
fn access(file: Option<&AccessFile>, listen: SocketAddr) -> Result<AccessConfig, UpError> {
    match file {
        Some(AccessFile::Open) => Ok(AccessConfig::open()),
        Some(AccessFile::File(file)) => Ok(AccessConfig::load(file)?),
        None if listen.ip().to_canonical().is_loopback() => Ok(AccessConfig::open()),
        None => Err(UpError::NoAccess { listen }),
    }
}

fn parse_refresh(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .ok()
        .filter(|refresh| *refresh >= SHORTEST_REFRESH)
        .ok_or_else(|| format!("allowed is {SHORTEST_REFRESH:?} or more, with units, such as 90s, 10m or 1h30m"))
}

/// Why the services do not run, or no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("the system refuses threads or signals: {0}")]
    System(#[source] io::Error),
    #[error(transparent)]
    Store(#[from] StorageConfigError),
    #[error(transparent)]
    Access(#[from] ConfigError),
    #[error(
        "others can reach {listen}, and nothing says who may see what: give --access FILE with roles \
         (docs/operations/access.md), or --access open if everybody may see all costs"
    )]
    NoAccess { listen: SocketAddr },
    #[error("{}: cannot be used for data: {source}", path.display())]
    Data { path: PathBuf, source: io::Error },
    #[error("{}: another `fedcost up` is using this folder; stop it, or give another with --data", path.display())]
    InUse { path: PathBuf },
    #[error("cannot listen on {address}: {source}; give another address with --listen")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("{}: cannot be used as the bucket: {source}", path.display())]
    Bucket { path: PathBuf, source: io::Error },
    #[error("demo data: {0}")]
    Demo(#[from] FillError),
    #[error("demo data: {0}")]
    DemoTask(#[from] JoinError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl UpError {
    pub(crate) fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Telemetry(_) | Self::Store(_) | Self::Access(_) | Self::NoAccess { .. }
        )
    }
}

/// Runs until a signal, or until a service fails.
pub(crate) fn run(arguments: Arguments) -> Result<(), UpError> {
    tls::install_crypto_provider();
    let screen = Screen::new();
    // In a terminal the bars tell what the services would.
    let level = if screen.is_terminal() {
        "warn,fedcost=info"
    } else {
        "info"
    };
    let log = LogConfig {
        level: level.to_owned(),
        ..LogConfig::default()
    };
    let _telemetry = telemetry::init_with_writer(&log, screen.log_writer())?;
    process::block_on(serve(arguments, screen)).map_err(UpError::System)?
}

async fn serve(arguments: Arguments, screen: Screen) -> Result<(), UpError> {
    let shutdown = shutdown::on_signals().map_err(UpError::System)?;
    let store = match &arguments.store {
        Some(file) => load_store(file, UnknownKeyPolicy::strict(arguments.strict))?
            .with_conditional_writes(arguments.conditional_writes)
            .map_err(|source| StorageConfigError::Store {
                path: file.clone(),
                source,
            })?,
        None => StoreConfig::directory(arguments.bucket.unwrap_or_else(|| arguments.data.join("bucket"))),
    };
    let access = access(arguments.access.as_ref(), arguments.listen)?;
    let _lock = lock(&arguments.data)?;
    let address = arguments.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| UpError::Listen { address, source })?;
    info!(bucket = %store, data = %arguments.data.display(), "starting");
    if let BucketConfig::Filesystem { directory } = &store.bucket {
        let filled = prepare(directory.clone(), arguments.demo, screen.clone());
        match shutdown.run_until_cancelled(filled).await {
            Some(filled) => filled?,
            None => return Ok(()),
        }
    }

    let mut options = Options::new(arguments.data.join("certs"), store);
    options.views = Some(arguments.data.join("views"));
    options.access = Some(access);
    options.ingest.refresh = arguments.refresh;
    options.ingest.retention = match arguments.retention_days {
        0 => Retention::of(0, 0),
        days => Retention::of(days, DEFAULT_RETENTION_HOURS),
    };
    let mut services = AllInOne::start(options, listener).await?;
    let addresses = services.addresses();
    let told = Services {
        ingest: addresses.ingest.to_string(),
        http: format!("http://{}", reachable(addresses.gateway)),
    };
    told.write(&arguments.data).map_err(|source| UpError::Data {
        path: arguments.data.clone(),
        source,
    })?;
    let ready = announce(&services, screen.clone());
    let progress = watch(services.ingest(), IngestView::new(screen));
    let outcome = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        failure = services.failure() => Err(failure),
        never = ready => match never {},
        never = progress => match never {},
    };
    services.stop().await;
    Ok(outcome?)
}

/// Keeps a second process from the folder until the file is dropped.
fn lock(data: &Path) -> Result<File, UpError> {
    let failed = |source| UpError::Data {
        path: data.to_owned(),
        source,
    };
    fs::create_dir_all(data).map_err(failed)?;
    let file = File::create(data.join("up.lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(UpError::InUse { path: data.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Makes sure that the folder can be read, and has clusters if it is to.
async fn prepare(bucket: PathBuf, demo: bool, screen: Screen) -> Result<(), UpError> {
    let work = move || {
        let unusable = |source| UpError::Bucket {
            path: bucket.clone(),
            source,
        };
        let has_clusters = fs::create_dir_all(&bucket)
            // Asked of the folder itself, since a missing folder within would hide that it cannot be read.
            .and_then(|()| fs::read_dir(&bucket))
            .and_then(|_| demo::has_clusters(&bucket))
            .map_err(unusable)?;
        match (demo, has_clusters) {
            (true, false) => demo::fill(&bucket, &screen)?,
            (true, true) => info!("the bucket has clusters already, so --demo leaves it as it is"),
            (false, false) => info!("the bucket has no clusters yet; --demo would fill it"),
            (false, true) => {}
        }
        Ok(())
    };
    tokio::task::spawn_blocking(work).await?
}

/// Says `ready` once a release is served; then waits for ever.
fn announce(services: &AllInOne, screen: Screen) -> impl Future<Output = Infallible> + use<> {
    let release = services.release(0);
    let url = format!("http://{}", reachable(services.addresses().gateway));
    async move {
        release.await;
        if let Err(error) = screen.announce(&format!("ready {url}")) {
            warn!(%error, "cannot write to stdout");
        }
        pending().await
    }
}

/// An address to which a client on this machine can connect.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// Shows what ingest does, for ever.
async fn watch(mut ingest: IngestServiceClient<Channel>, mut view: IngestView) -> Infallible {
    loop {
        // Ingest is in this process, so a broken stream means that it has yet to start, or stops.
        let _broken = follow(&mut ingest, &mut view).await;
        sleep(WATCH_RETRY).await;
    }
}

async fn follow(ingest: &mut IngestServiceClient<Channel>, view: &mut IngestView) -> Result<(), Status> {
    let mut statuses = ingest.watch_status(WatchStatusRequest {}).await?.into_inner();
    while let Some(message) = statuses.message().await? {
        view.show(&message.status.unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_takes_times_with_units() {
        assert_eq!(parse_refresh("90s").unwrap(), Duration::from_secs(90));
        for text in ["10", "0s", "soon"] {
            assert!(
                parse_refresh(text).unwrap_err().starts_with("allowed is 1s or more"),
                "{text}"
            );
        }
    }

    #[test]
    fn others_see_nothing_without_a_word() {
        let of = |text: Option<&str>, listen: &str| {
            let file = text.map(|text| parse_access(text).unwrap());
            access(file.as_ref(), listen.parse().unwrap())
        };
        assert!(of(None, "127.0.0.1:9090").unwrap().is_open());
        assert!(of(Some("open"), "0.0.0.0:9090").unwrap().is_open());
        let error = of(None, "0.0.0.0:9090").unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains("--access open"),
            "{error}"
        );
        assert!(of(Some("/nowhere/access.yaml"), "127.0.0.1:1").unwrap_err().is_usage());
    }

    #[test]
    fn all_interfaces_are_reached_by_loopback() {
        let url = |address: &str| reachable(address.parse().unwrap()).to_string();
        assert_eq!(url("0.0.0.0:9090"), "127.0.0.1:9090");
        assert_eq!(url("[::]:9090"), "[::1]:9090");
        assert_eq!(url("10.0.0.7:9090"), "10.0.0.7:9090");
    }

    #[test]
    fn a_folder_is_used_by_one_process() {
        let data = tempfile::tempdir().unwrap();
        let held = lock(data.path()).unwrap();
        assert!(matches!(lock(data.path()), Err(UpError::InUse { .. })));
        drop(held);
        lock(data.path()).unwrap();
    }
}
