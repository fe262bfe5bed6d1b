//! `fedcost push`: a federated cluster's ETL files, through the storage gateway.

use std::{fs, io, path::PathBuf, time::Duration};

use push::{Limits, Options, PushError, Pusher};
use service_kit::{
    client::EndpointConfig,
    process, shutdown,
    telemetry::{self, LogConfig, TelemetryError},
    tls::{self, TlsFiles},
};
use tracing::info;

const EXAMPLES: &str = "\
Examples:
  fedcost push --dir /var/configs/etl --to fedcost.example.org:7001 --cert cert.pem --key key.pem --ca ca.pem
  fedcost push … --once
      what is there now, and no more; the exit code tells whether all of it arrived

The certificate names the cluster: its one URI is spiffe://<trust domain>/cluster/<cluster id>, and the files go to
federated/<cluster id>/etl/bingen/. It may be renewed in place. `fedcost certs issue --cluster ID` makes one for trials;
docs/operations/certificates.md tells how cert-manager or a company's own authority does.";

/// The shortest times that can be meant.
const SHORTEST: Duration = Duration::from_secs(1);

/// Upload a cluster's ETL files through the storage gateway
///
/// Runs beside the cost agent of a federated cluster and needs no credentials for the bucket. Uploads the files that
/// are new or have changed, each with a checksum that the gateway confirms, and waits for files that are being
/// written. Logs are on stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The agent's ETL folder
    #[arg(long, value_name = "ETL_DIR")]
    dir: PathBuf,
    /// Where the storage gateway is
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// The cluster's certificate, followed by any intermediates
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// The private key of the certificate
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Certificates of the authorities that the gateway's certificate is checked against
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The cluster id that the certificate must be for [default: as the certificate says]
    #[arg(long, value_name = "ID")]
    cluster: Option<String>,
    /// The name that the gateway's certificate must carry, where it is not HOST
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Where to note what was uploaded [default: .fedcost-push.json in ETL_DIR]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Upload what is there, then end
    #[arg(long)]
    once: bool,
    /// How often to look for new files
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    interval: Duration,
    /// How long a file must have stayed unchanged before it is uploaded
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    settle: Duration,
    /// Uploads at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

fn parse_time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .ok()
        .filter(|time| *time >= SHORTEST)
        .ok_or_else(|| format!("allowed is {SHORTEST:?} or more, with units, such as 30s or 5m"))
}

/// Why files are not pushed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushCommandError {
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("the system refuses threads or signals: {0}")]
    System(#[from] io::Error),
    #[error(transparent)]
    Push(#[from] PushError),
}

impl PushCommandError {
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Telemetry(_) => true,
            Self::System(_) => false,
            Self::Push(error) => error.is_usage(),
        }
    }
}

/// Pushes until a signal, or once.
pub(crate) fn run(arguments: Arguments) -> Result<(), PushCommandError> {
    tls::install_crypto_provider();
    let _telemetry = telemetry::init(&LogConfig::default())?;
    let once = arguments.once;
    let options = arguments.into_options();
    process::block_on(async {
        let shutdown = shutdown::on_signals()?;
        let (directory, gateway) = (options.directory.clone(), options.gateway.address.clone());
        let pusher = Pusher::new(options, host())?;
        info!(cluster = pusher.cluster(), directory = %directory.display(), gateway, "pushing");
        if once {
            let report = pusher.once(shutdown).await?;
            info!(
                uploaded = report.uploaded,
                bytes = report.bytes,
                found = report.found,
                "the bucket has all files"
            );
        } else {
            pusher.run(shutdown).await;
        }
        Ok(())
    })?
}

impl Arguments {
    fn into_options(self) -> Options {
        let gateway = EndpointConfig {
            server_name: self.server_name,
            ..EndpointConfig::new(format!("https://{}", self.to))
        };
        let tls = TlsFiles {
            ca: self.ca,
            cert: self.cert,
            key: self.key,
            // Lists are a server's matter.
            crl: None,
        };
        let defaults = Options::new(self.dir, gateway, tls);
        Options {
            cluster: self.cluster,
            state: self.state,
            interval: self.interval,
            settle: self.settle,
            lease: defaults.lease.max(3 * self.interval),
            limits: Limits {
                concurrency: self.concurrency.into(),
                ..Limits::default()
            },
            ..defaults
        }
    }
}

/// What to call this machine when another pusher asks who is at work; in Kubernetes the pod's name.
fn host() -> String {
    let name = std::env::var("HOSTNAME").or_else(|_| fs::read_to_string("/proc/sys/kernel/hostname"));
    name.map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}
